"""The .inrv files that sources are encoded to, from the names of sources and output."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from inrcodec.errors import UsageError
from inrcodec.system.files import make_folder
from inrcodec.system.names import STDIN, check_folder_of

SUFFIX = ".inrv"


def check_inrv_name(output: str) -> None:
    """Raise `UsageError` unless the name ends in .inrv or is that of a folder, which others refuse or use."""
    if output.lower().endswith(SUFFIX) or os.path.isdir(output):
        return
    stem, suffix = os.path.splitext(output)
    other = "`inrc decode` makes videos from it" if suffix else f"{output}/ is a folder"
    raise UsageError(f"{output}: encode writes .inrv files; write -o {stem}{SUFFIX} ({other})")


def output_paths(sources: Sequence[str], output: str, creates: bool = True) -> list[str]:
    """The .inrv file of each source: `output` itself, or NAME.inrv in it if it is a folder.

    A missing folder is created if `output` ends in a slash, and for several sources also if it has no suffix;
    without `creates` it is only checked. Raises `UsageError` for several sources without a folder and for two
    sources of one name, and `OutputError` if the folder cannot be created.
    """
    is_named = output.endswith(("/", os.sep))
    if not is_named and not os.path.isdir(output):
        if len(sources) == 1:
            return [output]
        if os.path.exists(output) or os.path.splitext(output)[1]:
            raise UsageError(f"{len(sources)} sources need a folder; write -o {output}/")
    paths: dict[str, str] = {}
    for source in sources:
        path = os.path.join(output, f"{_stem(source)}{SUFFIX}")
        if path in paths:
            raise UsageError(f"{paths[path]} and {source} would both be {path}; encode them one by one")
        paths[path] = source
    if creates:
        make_folder(output)
    elif not os.path.isdir(output):
        check_folder_of(Path(output))
    return list(paths)


def _stem(source: str) -> str:
    """The name of a source without its suffix; for numbered images without a name, that of their folder."""
    if source == STDIN:
        return "stdin"
    path = Path(source)
    name = re.sub(r"%\d*d", "", path.stem).strip(" ._-") if "%" in path.name else path.stem
    return name or path.absolute().parent.name or "video"

"""The output folder of an export: it appears whole or not at all, and replaces nothing but an export."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inrcodec.errors import UsageError
from inrcodec.exporter.manifest import is_export
from inrcodec.system.files import output_errors, sync_folder, temporary_folder_beside
from inrcodec.system.names import check_folder_of
from inrcodec.system.private import resolved_output


def check_export_folder(source: str, output: str, overwrite: bool) -> Path:
    """`output` without links.

    Raises `UsageError` if it exists, unless it is an export (or empty) and `overwrite` is set.
    """
    target = resolved_output(output)
    if target.is_dir():
        if not overwrite:
            raise UsageError(f"{output} exists already; -y replaces it")
        if not is_export(target) and any(target.iterdir()):
            raise UsageError(f"{output} is not an inrc export and is not replaced; name another folder")
        if target in Path(os.path.realpath(source)).parents:
            raise UsageError(f"{source} lies in {output}, which would be replaced; name another folder")
    elif target.exists():
        raise UsageError(f"{output} is not a folder; name a folder")
    else:
        check_folder_of(target)
    return target


@contextmanager
def exported_folder(source: str, output: str, overwrite: bool) -> Iterator[Path]:
    """An empty folder beside `output` that becomes `output` when the block ends without an error.

    Any exception (KeyboardInterrupt included) removes it and leaves an earlier export as it was. Raises
    `UsageError` as `check_export_folder` does, and `OutputError` when the file system refuses.
    """
    target = check_export_folder(source, output, overwrite)
    with temporary_folder_beside(target) as temporary, output_errors(output):
        made, replaced = temporary / "new", temporary / "old"
        made.mkdir()
        yield made
        check_export_folder(source, output, overwrite)
        if not target.exists():
            made.rename(target)
            sync_folder(target.parent)
            return
        try:
            target.rename(replaced)
            made.rename(target)
        except BaseException:
            if replaced.exists():
                replaced.rename(target)
            raise
        sync_folder(target.parent)

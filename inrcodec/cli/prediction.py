"""`inrc probe` and `inrc encode --dry-run`: what an encode will cost, without writing a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from inrcodec.cli import console, tables
from inrcodec.cli.console import Verbosity
from inrcodec.cli.grouped import GroupedCommand
from inrcodec.cli.options import (
    effort_options,
    length_options,
    model_options,
    procedure_options,
    refuse_what_is_settled,
    reporting_options,
    target_options,
)
from inrcodec.cli.source_options import source_options, source_settings
from inrcodec.errors import UsageError, explained
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.outputs import output_paths

_EXAMPLES = """\b
Examples:
  inrc probe in.mp4
  inrc probe in.mp4 --psnr 36 --start 1:30 --end 2:00
  inrc probe in.mp4 --ladder 0.03,0.06,0.12 --json
"""


@dataclass(frozen=True)
class Asked:
    """An encode to predict."""

    source: str
    output: str | None
    settings: EncodeSettings
    is_checked: bool = True
    """Whether the output can be checked: the folder of several outputs may not exist yet."""


@click.command(cls=GroupedCommand, epilog=_EXAMPLES)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@reporting_options
@target_options
@model_options
@effort_options
@source_options
@length_options
@procedure_options
def probe(
    sources: Sequence[str],
    ladder: Sequence[float] | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **plain: Any,
) -> int:
    """Predict bytes, PSNR and time of an encode of SOURCE with each preset, and what x264 would need.

    A short fit of samples takes a few seconds; nothing is written. The options are those of `inrc encode`.
    """
    verbosity = console.verbosity_of(quiet, verbose)
    plain["source"] = source_settings(plain)
    settings = EncodeSettings(**plain)
    refuse_what_is_settled(click.get_current_context())
    return predict_each(asked_of(sources, None, ladder, settings), verbosity, as_json)


def asked_of(
    sources: Sequence[str], output: str | None, ladder: Sequence[float] | None, settings: EncodeSettings
) -> list[Asked]:
    """The encodes that the same command without `--dry-run` would make; raises `UsageError`."""
    from inrcodec.encoder.checks import check_ladder
    from inrcodec.encoder.ladder import ladder_rungs

    outputs: Sequence[str | None] = [None] * len(sources)
    is_checked = True
    if output is not None:
        outputs = output_paths(sources, output, creates=False)
        is_checked = list(outputs) == [output] or os.path.isdir(output)
    if settings.resume_from is not None and len(sources) > 1:
        raise UsageError(f"--resume-from takes one source, found {len(sources)}")
    requests = list(zip(sources, outputs, strict=True))
    if ladder is None:
        return [Asked(source, path, settings, is_checked) for source, path in requests]
    named = [(source, path) for source, path in requests if path is not None and is_checked]
    if named:
        rungs = ladder_rungs(named, ladder, settings)
        return [Asked(one.source, one.output, replace(settings, bpp=one.bpp)) for one in rungs]
    check_ladder(sources, ladder, settings)
    return [Asked(source, None, replace(settings, bpp=bpp)) for bpp in ladder for source in sources]


def predict_each(asked: Sequence[Asked], verbosity: Verbosity, as_json: bool) -> int:
    """Print the prediction of each encode; return the first exit code that is not 0.

    The error of a single encode is raised.
    """
    rows, codes = [], []
    for one in asked:
        try:
            rows.append(_predict(one, verbosity, as_json))
            codes.append(0)
        except Exception as error:
            if len(asked) == 1:
                raise
            message, code = explained(error)
            console.say_error(message if message.startswith(one.source) else f"{one.source}: {message}")
            rows.append({"source": one.source, "output": one.output, "error": message, "exit_code": code})
            codes.append(code)
    if as_json:
        console.print_json(rows[0] if len(asked) == 1 else {"files": rows})
    return next(filter(None, codes), 0)


def _predict(asked: Asked, verbosity: Verbosity, as_json: bool) -> dict[str, Any]:
    from inrcodec.quality.prediction.predict import predict

    checked = asked.output if asked.is_checked else None
    with console.progress_for(verbosity) as progress:
        found = predict(asked.source, asked.settings, checked, progress)
    found = replace(found, output=asked.output)
    if not as_json:
        tables.print_prediction(found)
    return found.as_dict()

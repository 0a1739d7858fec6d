"""`inrc encode`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.group import Interrupted, Terminated
from inrcodec.cli.grouped import GroupedCommand, option_group
from inrcodec.cli.lines import encode_lines
from inrcodec.cli.options import (
    effort_options,
    length_options,
    model_options,
    procedure_options,
    refuse_what_is_settled,
    reporting_options,
    target_options,
    watching_options,
)
from inrcodec.cli.prediction import asked_of, predict_each
from inrcodec.cli.source_options import source_options, source_settings
from inrcodec.errors import UsageError
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.names import STDOUT, resume_remark
from inrcodec.system.outputs import output_paths

_EXAMPLES = """\b
Examples:
  inrc encode in.mp4 -o out.inrv --size 1MiB
  inrc encode in.mp4 -o out.inrv --bitrate 200k --start 1:30 --end 2:00 --scale -1x360
  inrc encode *.mp4 -o coded/ --psnr 36 --preset slow
  inrc encode in.mp4 --dry-run --bpp 0.1
"""
_output = option_group("Output")


def _needed(context: click.Context, parameter: click.Parameter, output: str | None) -> str | None:
    """The output, without which only a dry run works."""
    if output is None and not context.params["dry_run"]:
        raise click.MissingParameter(ctx=context, param=parameter)
    return output


@click.command(cls=GroupedCommand, epilog=_EXAMPLES)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@_output(
    "-o",
    "--output",
    callback=_needed,
    help="The .inrv file to write, or a folder for NAME.inrv.  [required]",
)
@_output("-y", "overwrite", is_flag=True, help="Replace an existing output.")
@_output(
    "--dry-run",
    is_flag=True,
    is_eager=True,
    help="Write nothing: print the plan, and predict bytes, PSNR and time as `inrc probe` does.",
)
@reporting_options
@watching_options
@target_options
@model_options
@effort_options
@source_options
@length_options
@procedure_options
@click.pass_obj
def encode(
    started: float,
    /,
    sources: Sequence[str],
    output: str | None,
    dry_run: bool,
    ladder: Sequence[float] | None,
    log: str | None,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    **plain: Any,
) -> int:
    """Fit a model to the video SOURCE and write it as an .inrv file.

    SOURCE `-` is standard input. Several SOURCEs need a folder as output.
    """
    from inrcodec.cli.several import encode_several
    from inrcodec.encoder.checks import check_metric
    from inrcodec.encoder.ladder import ladder_rungs

    verbosity = console.verbosity_of(quiet, verbose)
    plain["source"] = source_settings(plain)
    settings = EncodeSettings(**plain)
    refuse_what_is_settled(click.get_current_context())
    if output == STDOUT:
        raise UsageError("an .inrv goes to a file, not to standard output")
    if dry_run or output is None:
        return predict_each(asked_of(sources, output, ladder, settings), verbosity, as_json)
    if not ladder:
        check_metric(settings)
    requests = list(zip(sources, output_paths(sources, output), strict=True))
    rungs = ladder_rungs(requests, ladder, settings) if ladder else []
    requests = [(rung.source, rung.output) for rung in rungs] or requests
    deadline = Deadline(settings.time_seconds, started)
    try:
        if len(requests) == 1 and not ladder:
            return _encode_one(*requests[0], settings, deadline, verbosity, as_json, log)
        code, rows = encode_several(requests, rungs, settings, deadline, verbosity, log)
    except KeyboardInterrupt:
        raise Interrupted(resume_remark(requests)) from None
    except Terminated as stop:
        raise type(stop)(resume_remark(requests)) from None
    if as_json:
        console.print_json({"files": rows})
    return code


def _encode_one(
    source: str,
    output: str,
    settings: EncodeSettings,
    deadline: Deadline,
    verbosity: Verbosity,
    as_json: bool,
    log: str | None,
) -> int:
    from inrcodec.encoder.encode import encode as encode_video

    with console.progress_for(verbosity, log) as progress:
        result = encode_video(source, output, settings, progress, deadline).as_dict()
        progress.log.write("result", output=output, **result)
    if verbosity >= Verbosity.NORMAL:
        for line in encode_lines(output, result):
            console.say(line)
        console.say_quality(result["psnr_frames_db"])
    if as_json:
        console.print_json({"output": output, **result})
    return 0

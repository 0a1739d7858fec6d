"""`inrc encode`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from inrcodec.cli import console
from inrcodec.cli.console import Verbosity
from inrcodec.cli.group import Interrupted, Terminated
from inrcodec.cli.lines import encode_lines
from inrcodec.cli.options import (
    DEVICE,
    DURATION,
    POSITIVE,
    ladder_requests,
    length_options,
    model_options,
    preview_option,
    procedure_options,
    refuse_what_is_settled,
    reporting_options,
    source_options,
    target_options,
)
from inrcodec.errors import UsageError
from inrcodec.settings import notation as arguments
from inrcodec.settings.encode import (
    EncodeSettings,
    check_exclusive,
    check_preview,
    check_procedure,
    check_workers,
)
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import check_output_file, check_paths, output_paths, resume_remark

STDOUT = "-"
_LARGEST_SEED = 2**64 - 1


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", required=True, help="The .inrv file to write, or a folder for NAME.inrv.")
@target_options
@model_options
@click.option("--time", "time_seconds", type=DURATION, help="Wall-clock budget of the whole command.")
@click.option("--epochs", type=POSITIVE, help="Passes over the frames, instead of --time.")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option("--seed", type=click.IntRange(0, _LARGEST_SEED), default=0, show_default=True)
@source_options
@procedure_options
@length_options
@preview_option
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing output.")
@reporting_options
@click.pass_obj
def encode(
    started: float,
    /,
    sources: Sequence[str],
    output: str,
    model_options: Sequence[str],
    frames: FrameRange,
    crop: Size | None,
    scale: Size | None,
    bit_depth: int | None,
    every: int,
    stream: int | None,
    no_audio: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
    ladder: Sequence[float] | None,
    **plain: Any,
) -> int:
    """Fit a model to the video SOURCE and write it as an .inrv file; several go to a folder."""
    verbosity = console.verbosity_of(quiet, verbose)
    settings = EncodeSettings(
        model_options=arguments.parse_model_options(model_options),
        source=SourceSettings(frames, crop, scale, bit_depth, every, stream, not no_audio),
        **plain,
    )
    refuse_what_is_settled(click.get_current_context())
    check_exclusive(settings)
    check_procedure(settings)
    check_workers(settings)
    if output == STDOUT:
        raise UsageError("an .inrv goes to a file, not to standard output")
    requests = list(zip(sources, output_paths(sources, output), strict=True))
    if ladder:
        requests = ladder_requests(requests, ladder, settings)
    check_preview(settings, requests)
    deadline = Deadline(settings.time_seconds, started)
    try:
        if len(requests) == 1 and not ladder:
            return _encode_one(*requests[0], settings, deadline, verbosity, as_json)
        from inrcodec.cli.several import encode_several

        sizes = [bpp for bpp in ladder or () for _ in sources]
        code, rows = encode_several(requests, settings, deadline, verbosity, sizes)
    except KeyboardInterrupt:
        raise Interrupted(resume_remark(requests)) from None
    except Terminated:
        raise Terminated(resume_remark(requests)) from None
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
) -> int:
    # The library checks all this too, but torch, which it needs, takes two seconds to import.
    check_paths(source, output, may_be_piped=True)
    if settings.mask is not None:
        check_paths(settings.mask, output)
    check_output_file(output, settings.overwrite, settings.size_bytes or 0)
    # By module, because the package offers functions of these names too.
    from inrcodec.encoder.encode import encode as encode_video

    with console.progress_for(verbosity) as progress:
        result = encode_video(source, output, settings, progress, deadline).as_dict()
    if verbosity >= Verbosity.NORMAL:
        for line in encode_lines(output, result):
            console.say(line)
        console.say_quality(result["psnr_frames_db"])
    if as_json:
        console.print_json({"output": output, **result})
    return 0

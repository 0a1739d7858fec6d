"""The command line: parse, call, turn errors into exit codes. With `options` the only user of click.

The flows are imported by the commands that run them: `--help`, `info` and `verify` load no torch and no av.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any

import click

from inrcodec import __version__, arguments, console
from inrcodec.checks import check_decoding, check_exclusive, check_preview, check_procedure, check_workers
from inrcodec.command_group import ClosedPipe, Commands, Interrupted, NoCommand, Terminated
from inrcodec.console import Verbosity
from inrcodec.errors import UNEXPECTED, UsageError, explained
from inrcodec.export_commands import export
from inrcodec.files import STDIN, check_output_file, check_paths, output_paths, resume_remark
from inrcodec.inspection_commands import info, models, say_lost, verify
from inrcodec.options import (
    DEVICE,
    DURATION,
    FPS_SCALE,
    POSITIVE,
    ladder_requests,
    length_options,
    model_options,
    part_options,
    preview_option,
    procedure_options,
    refuse_what_is_settled,
    reporting_options,
    source_options,
    target_options,
)
from inrcodec.quality_commands import compare, evaluate, report
from inrcodec.reporting import decode_line, encode_lines, written_text
from inrcodec.settings import DecodeSettings, EncodeSettings, FrameRange, Size, SourceSettings

_IMPORTED = time.monotonic()
"""About when the process began, which is what `--time` counts from."""
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143
STDOUT = "-"
_LARGEST_SEED = 2**64 - 1


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="inrc", message="%(prog)s %(version)s")
def commands() -> None:
    """A video codec whose files are neural networks, fitted to one video each."""


@commands.command()
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
        started=started,
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
    try:
        if len(requests) == 1 and not ladder:
            return _encode_one(*requests[0], settings, verbosity, as_json)
        from inrcodec.several import encode_several

        sizes = [bpp for bpp in ladder or () for _ in sources]
        code, rows = encode_several(requests, settings, verbosity, sizes)
    except KeyboardInterrupt:
        raise Interrupted(resume_remark(requests)) from None
    except Terminated:
        raise Terminated(resume_remark(requests)) from None
    if as_json:
        console.print_json({"files": rows})
    return code


def _encode_one(
    source: str, output: str, settings: EncodeSettings, verbosity: Verbosity, as_json: bool
) -> int:
    # The library checks all this too, but torch, which it needs, takes two seconds to import.
    check_paths(source, output, may_be_piped=True)
    if settings.mask is not None:
        check_paths(settings.mask, output)
    check_output_file(output, settings.overwrite, settings.size_bytes or 0)
    # By module, because the package offers functions of these names too.
    from inrcodec.encoding import encode as encode_video

    with console.progress_for(verbosity) as progress:
        result = encode_video(source, output, settings, progress).as_dict()
    if verbosity >= Verbosity.NORMAL:
        for line in encode_lines(output, result):
            console.say(line)
        console.say_quality(result["psnr_frames_db"])
    if as_json:
        console.print_json({"output": output, **result})
    return 0


@commands.command()
@click.argument("source")
@click.option(
    "-o", "--output", required=True, help=".mp4 .mkv .mov .webm .y4m .png, a folder, %05d.png, or -."
)
@part_options
@click.option("--fps-scale", type=FPS_SCALE, default=1, help="K times the frames, interpolated.")
@click.option("--codec", help="h264, hevc, vp9, av1, ffv1 or an encoder of FFmpeg.  [default: h264]")
@click.option("--crf", type=click.IntRange(0, 63), help="Quality of --codec.  [default: visually lossless]")
@click.option("--device", type=DEVICE, default="auto", show_default=True)
@click.option(
    "--precision", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True
)
@click.option("-y", "overwrite", is_flag=True, help="Replace an existing output.")
@reporting_options
def decode(source: str, output: str, quiet: bool, verbose: bool, as_json: bool, **plain: Any) -> int:
    """Render the frames of the .inrv file SOURCE, or of stdin for `-`; `-o -` writes y4m to stdout."""
    verbosity = console.verbosity_of(quiet, verbose)
    settings = DecodeSettings(**plain)
    if as_json and output == STDOUT:
        raise UsageError("--json and -o - both want standard output")
    check_decoding(settings)
    if source != STDIN:
        check_paths(source, output)
    from inrcodec.video.writing import check_target

    check_target(output, settings.codec, settings.crf, settings.overwrite)
    from inrcodec.decoding import decode as decode_video

    with console.progress_for(verbosity) as progress:
        result = decode_video(source, output, settings, progress)
    if verbosity >= Verbosity.NORMAL:
        console.say(decode_line(output, result.as_dict()))
    if as_json:
        console.print_json(result.as_dict())
    return say_lost(source, result.lost, written_text(result.lost))


for command in (info, models, verify, evaluate, report, compare, export):
    commands.add_command(command)


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    raise Terminated


def run(argv: Sequence[str] | None = None, started: float | None = None) -> int:
    """Run one command line and return its exit code; prints at most one line about an error.

    `started` is the `time.monotonic()` that `--time` counts from, now if it is not given.
    """
    started = time.monotonic() if started is None else started
    is_verbose = any(word in ("-v", "--verbose") for word in (sys.argv[1:] if argv is None else argv))
    try:
        code = commands.main(args=argv, prog_name="inrc", standalone_mode=False, obj=started)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (Interrupted, KeyboardInterrupt) as stop:
        _say_stopped("interrupted", stop, argv)
        return EXIT_INTERRUPTED
    except Terminated as stop:
        _say_stopped("terminated", stop, argv)
        return EXIT_TERMINATED
    except (ClosedPipe, BrokenPipeError):
        console.abandon_stdout()
        return 0
    except NoCommand as error:
        console.say(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        console.say_error(error.format_message())
        return error.exit_code
    except Exception as error:
        message, code = explained(error)
        if is_verbose and message.startswith(UNEXPECTED):
            traceback.print_exc()
        console.say_error(message)
        return code


def _say_stopped(how: str, stop: BaseException, argv: Sequence[str] | None) -> None:
    """The one line about a command that a signal ended: with the command that resumes it, if it can be."""
    if not str(stop):
        console.say_error(f"{how}, nothing was written")
        return
    command = shlex.join(["inrc", *(sys.argv[1:] if argv is None else argv)])
    console.say_error(f"{how}; {stop}: {command}")


def main() -> None:
    """The command `inrc`."""
    signal.signal(signal.SIGTERM, _on_sigterm)
    code = run(started=_IMPORTED)
    if code == EXIT_INTERRUPTED:
        # CPython remembers an interrupt that passed through `exec` (as imports of torch do) and would, though
        # it was handled, end by the signal instead of the code. All clean-up is done by now.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)

"""Progress output: whole lines for logs, a bar for terminals."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import GOLDEN, environment
from hypothesis import given
from hypothesis import strategies as st

import bitstream
from bitstream import Extras, Packet, StreamHeader, Track, TrackInfo, TrackKind
from inrcodec.cli import console, file_lines
from inrcodec.cli.console import LiveProgress, PlainProgress, Verbosity, say_error
from inrcodec.cli.lines import encode_lines, quality_line
from inrcodec.cli.main import run
from inrcodec.decoder.info import FileReport
from inrcodec.progress import EncodePlan, FitReport, JobReport, Progress
from inrcodec.text import printable

PLAN = EncodePlan("a.mp4", 1280, 640, 132, "hnerv", 1_500_000, 811_008, "cpu", 185.0, None)
REPORT = FitReport(0.25, 31.234, 0.0591, 12.34, 99.0)


def test_both_are_a_progress() -> None:
    kinds: list[Progress] = [PlainProgress(Verbosity.NORMAL), LiveProgress(Verbosity.NORMAL)]
    assert len(kinds) == 2


def test_the_plan_names_size_model_device_and_time() -> None:
    stream = io.StringIO()
    PlainProgress(Verbosity.NORMAL, stream).plan(PLAN)
    assert stream.getvalue() == (
        "a.mp4: 132 frames of 1280x640 -> at most 811,008 bytes (0.0600 bpp)\n"
        "hnerv with 1,500,000 transmitted values on cpu: about 3 min 05 s\n"
    )


def test_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("inrcodec.cli.console.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    progress = PlainProgress(Verbosity.NORMAL, stream)
    for second in range(31):
        clock[0] = float(second)
        progress.fit(REPORT)
    line = "fitting  25%  31.23 dB  0.0591 bpp  12.3 steps/s  1 min 39 s left\n"
    assert stream.getvalue() == 3 * line


def test_verbosity() -> None:
    said = []
    for verbosity in Verbosity:
        stream = io.StringIO()
        progress = PlainProgress(verbosity, stream)
        progress.plan(PLAN)
        progress.note("a note")
        progress.detail("a detail")
        said.append((stream.getvalue().count("note"), stream.getvalue().count("detail")))
    assert said == [(0, 0), (2, 0), (2, 1)]


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with LiveProgress(Verbosity.NORMAL, stream) as progress:
        progress.stage("reading", 3, 4)
        progress.plan(PLAN)
        progress.fit(REPORT)
        progress.note("[red]not markup[/red]")
    drawn = stream.getvalue()
    assert "31.23 dB" in drawn
    assert "25%" in drawn
    assert "[red]not markup[/red]" in drawn


def test_one_bar_for_the_whole_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.cli.console._PLAIN_LINE_SECONDS", 0.0)
    stream = io.StringIO()
    with PlainProgress(Verbosity.NORMAL, stream) as progress:
        progress.begin("encoding a to b")
        progress.job(JobReport(0.25, 70.0, "refining motion 3/16", "segment 1 of 2", 33.333, 0.05))
        progress.stage("refining motion", 3, 16)
        progress.fit(REPORT)
        progress.job(JobReport(0.5, None, "reading 1/2"))
    assert stream.getvalue().splitlines() == [
        " 25%  1 min 10 s left  segment 1 of 2  refining motion 3/16  33.33 dB  0.0500 bpp",
        " 50%  reading 1/2",
    ]


def test_a_report_names_a_rotation() -> None:
    header = StreamHeader(16, 9, 16, 16, 1, Fraction(25), Fraction(1, 25))
    report = FileReport("a.inrv", 100, "1.0", header, None, {}, ())
    assert "turned" not in "\n".join(file_lines.report_lines(report))
    turned = replace(report, header=replace(header, rotation=90))
    assert "turned 90 degrees clockwise for display" in file_lines.report_lines(turned)[1]


def test_an_encode_names_steps_only_if_it_took_any() -> None:
    sizes = {"extras_bytes": 0, "file_bytes": 970, "target_bytes": 1000, "bpp": 0.1, "masked_share": 0.0}
    quality = {"psnr_target_db": None, "vmaf_target": None, "psnr_db": 33.0, "psnr_p1_db": 32.0}
    result: dict[str, Any] = sizes | quality | {"steps": 0, "seconds": 65.0}
    assert encode_lines("a.inrv", result)[1] == "33.00 dB (1st percentile 32.00 dB), in 1 min 05 s"
    assert encode_lines("a.inrv", result | {"steps": 1})[1].endswith(", 1 step in 1 min 05 s")


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_error("one\n  two\tthree")
    assert capsys.readouterr().err == "inrc: error: one two three\n"


def test_json_has_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"a": 1.5})
    assert json.loads(capsys.readouterr().out) == {"a": 1.5}
    with pytest.raises(ValueError):
        console.print_json({"a": float("inf")})


def test_text_of_a_file_cannot_steer_the_terminal() -> None:
    assert printable("plain \x1b[31m") == "plain \N{REPLACEMENT CHARACTER}[31m"


STRANGE = ("\x1b[2J", "\x9b31m", "\r", "\n", "\u202e", "\u2066", "\udc80", "\x00", "\x7f", "\u200b")
"""Escape sequences, control characters, changes of direction, a surrogate, an invisible space."""


@given(text=st.lists(st.sampled_from([*STRANGE, *"aé語[]/:"]) | st.characters(), max_size=9).map("".join))
def test_what_is_printed_is_one_line_of_printable_characters(text: str) -> None:
    def note(text: str) -> None:
        PlainProgress(Verbosity.VERBOSE).note(text)

    for write in (console.say, console.say_error, console.print_line, note):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            write(text)
        written = out.getvalue() + err.getvalue()
        assert written.endswith("\n")
        assert written[:-1].isprintable()


@pytest.mark.end_to_end
@pytest.mark.parametrize("text", [*STRANGE[:6], "[/]", "[red]x[/red]", "[link=http://x]x[/link]", ":boom:"])
def test_texts_of_a_file_are_shown_as_they_are(text: str, tmp_path: Path) -> None:
    """As FORCE_COLOR would: rich writes styles and links, if a text asks for them."""
    stream = bitstream.load((GOLDEN / "nerv.inrv").read_bytes())
    info = TrackInfo(TrackKind.SUBTITLE, text, Fraction(1, 1000), {"language": text, "title": text})
    extras = Extras((Track(info, (Packet(0, 0, 1000, True, b"hello"),)),), (), {"title": text})
    path, strange = tmp_path / "a.inrv", replace(stream, metadata={text: text}, extras=extras)
    path.write_bytes(bitstream.dump(strange))
    shown = printable(text)
    done = subprocess.run(
        [sys.executable, "-m", "inrcodec", "info", str(path)],
        env=environment(FORCE_COLOR="1", PYTHONIOENCODING="utf-8"),
        capture_output=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.decode().replace("\x1b[", "").splitlines()
    assert f"{shown:<8} {shown}" in lines
    assert sum(f"subtitle {shown} {shown}" in line for line in lines) == 1
    assert b"\x1b]8" not in done.stdout
    assert text == "\n" or text.encode() not in done.stdout.replace(shown.encode(), b"")


def test_a_block_type_is_shown_as_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (GOLDEN / "nerv.inrv").read_bytes()
    path = tmp_path / "a.inrv"
    path.write_bytes(data.replace(b"SEGM", b"\x1b[2J", 1))
    assert run(["info", str(path)]) == 4
    assert "(block \\x1b[2J, offset 45)" in capsys.readouterr().err


def test_quality_over_frames_is_a_row_of_blocks() -> None:
    assert quality_line([30.0, 31.0, 37.0]) == "▁▂█ 30.0 to 37.0 dB"
    assert quality_line([30.0, 30.0]) == "▁▁ 30.0 to 30.0 dB"
    assert quality_line([30.0]) == ""
    rising = quality_line([float(frame) for frame in range(601)])
    blocks, _, rest = rising.partition(" ")
    assert len(blocks) == 60
    assert [*blocks] == sorted(blocks)
    # Means of the first ten and of the last ten of 601 frames.
    assert rest == "4.5 to 595.0 dB"


@pytest.mark.parametrize(("encoding", "is_shown"), [("utf-8", True), ("ascii", False)])
def test_blocks_go_where_they_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, encoding: str, is_shown: bool
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding, "strict")
    monkeypatch.setattr("sys.stderr", stream)
    console.say_quality([30.0, 31.0])
    stream.flush()
    assert (b"31.0 dB" in stream.buffer.getvalue()) == is_shown  # type: ignore[attr-defined]

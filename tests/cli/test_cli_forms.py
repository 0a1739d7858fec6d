"""The command line takes forms that people type, and answers those of other programs with its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import CARPHONE, GOLDEN, SMALL, context_of, environment, inrc, only_line

from bitstream import probe
from inrcodec.cli.main import commands, run
from inrcodec.cli.source_options import source_settings
from inrcodec.errors import UsageError
from inrcodec.settings.source import FrameRange, SourceSettings

pytestmark = pytest.mark.end_to_end

ARGUMENTS = {
    **dict.fromkeys(("encode", "decode", "compare", "export"), ["a", "-o", "b"]),
    "report": ["a", "b", "-o", "c"],
    "eval": ["a", "b"],
}
"""The fewest arguments that each command takes."""
FILE, OTHER = str(GOLDEN / "inrc.inrv"), str(GOLDEN / "nerv.inrv")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command line gives."""
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    return only_line(said.err.encode())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["in.mp4"], "`inrc encode in.mp4 -o in.inrv`"),
        (["a b.inrv"], "`inrc decode 'a b.inrv' -o 'a b.mp4'`"),
        (["-i", "in.mkv", "out.inrv"], "`inrc encode in.mkv -o in.inrv`"),
        (["encode", "-i", "in.mp4"], "`inrc encode in.mp4 -o in.inrv`"),
        (["decode", "-i", "in.inrv", "-o", "x.mp4"], "`inrc decode in.inrv -o in.mp4`"),
        (["info", "--input=in.inrv"], "`inrc info in.inrv`"),
        (["encode", "in.mp4", "-o", "a.inrv", "--crf", "23"], "--psnr"),
        (["encode", "in.mp4", "-o", "a.inrv", "-crf", "23"], "--psnr"),
        (["encode", "in.mp4", "-o", "a.inrv", "--xpsnr=40"], "--psnr 36 or --vmaf 93"),
        (["encode", "in.mp4", "-o", "a.inrv", "-vmaf", "95"], "--vmaf 93"),
        (["encode", "in.mp4", "-o", "a.inrv", "-psnr", "40"], "--psnr 36"),
        (["encode", "in.mp4", "-o", "a.inrv", "-b:v", "200k"], "--bitrate 200k"),
        (["encode", "in.mp4", "-o", "a.inrv", "-ss", "3"], "--start 1:30"),
        (["encode", "in.mp4", "-o", "a.inrv", "--preset", "veryslow"], "--preset slow"),
        (["compare", "in.mp4", "-o", "a.html", "--preset", "ultrafast"], "--preset draft"),
        (["decode", "a.inrv", "-c:v", "libx264"], "--codec h264"),
    ],
)
def test_other_programs_are_answered_with_the_line_that_is_meant(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in refused(arguments, capsys)


def test_an_unknown_word_stays_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such command 'encod'" in refused(["encod"], capsys)
    assert "--nothing" in refused(["encode", "in.mp4", "--nothing"], capsys)


def test_every_long_help_has_groups_and_an_example() -> None:
    for name in ("encode", "decode", "eval", "report", "compare", "export"):
        text = commands.commands[name].get_help(context_of(name, ARGUMENTS[name]))
        assert f"  inrc {name} " in text.partition("Example")[2], name
    assert "Part of the source:" in commands.commands["encode"].get_help(
        context_of("encode", ARGUMENTS["encode"])
    )


def part_of_the_line(words: list[str]) -> dict[str, Any]:
    """The values of the options that select a part of a source."""
    names = ("frames", "start", "end", "every", "crop", "scale", "bit_depth", "stream")
    values = context_of("eval", words).params
    return {name: values[name] for name in names}


def test_times_replace_frames() -> None:
    selected = source_settings(part_of_the_line(["a", "b", "--start", "1:30"]))
    assert selected.times is not None and selected.times.start == 90 and selected.frames == FrameRange()
    with pytest.raises(UsageError, match="frames excludes start and end"):
        source_settings(part_of_the_line(["a", "b", "--start", "1:30", "--frames", "0:3"]))


def test_a_file_is_compared_with_the_part_that_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Encoded by times, a rectangle and a relative size; measured, reported and decoded without them."""
    file, page = tmp_path / "part.inrv", tmp_path / "page.html"
    words = ["--start", "1s", "--end", "0:01.1", "--crop", "64x48+10+20", "--scale", "-1x24", "--epochs", "1"]
    asked = [*words, "--bitrate", "100k", "--device", "CPU", "--threads", "1", "-q"]
    assert run(["encode", CARPHONE, "-o", str(file), *asked, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["target_bytes"] == int(100_000 * 3 * 1001 / 30_000 / 8)
    part = probe(file).header.part
    assert part is not None and (part.first_frame, part.scale_width, part.crop_x) == (30, 32, 11)
    assert run(["eval", CARPHONE, str(file), "--metric", "psnr", "--json", "-q", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["psnr"]["mean"] == pytest.approx(made["psnr_db"], abs=0.01)
    assert run(["report", CARPHONE, str(file), "-o", str(page), "-q", "--device", "cpu"]) == 0
    assert run(["info", str(file)]) == 0
    assert "source   frames 30:33, cropped to 64x48+10+20, scaled to 32x24" in capsys.readouterr().out
    assert run(["decode", str(file), "-q", "--device", "cpu"]) == 0
    assert run(["decode", str(file), "-q", "--at", "0.05", "--device", "cpu"]) == 0
    assert {"part.mp4", "part.png"} <= set(os.listdir(tmp_path))
    assert "name it with -o" in refused(["decode", str(file), "-y"], capsys)
    assert "exists already" in refused(["decode", str(file)], capsys)
    assert "name the output with -o" in refused(["decode", "-"], capsys)


def test_files_that_hold_different_parts_are_not_reported_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, parts = str(tmp_path / "page.html"), []
    for name, frames in (("a", "0:2"), ("b", "1:3")):
        parts.append(str(tmp_path / f"{name}.inrv"))
        words = ["--frames", frames, "--scale", "32x24", "--bpp", "8", "--epochs", "1", "-q"]
        assert run(["encode", CARPHONE, "-o", parts[-1], *words]) == 0
    assert "different parts of the source" in refused(["report", CARPHONE, *parts, "-o", page], capsys)


def test_info_and_verify_take_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", FILE, OTHER]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("bytes, 1 segment") for line in lines] == [True, True]
    missing, wrong = str(tmp_path / "none.inrv"), str(tmp_path / "wrong.inrv")
    Path(wrong).write_bytes(b"nothing")
    assert run(["info", "--json", wrong, FILE, missing]) == 4
    said = capsys.readouterr()
    first, second, third = json.loads(said.out)["files"]
    assert (first["exit_code"], second["family"], third["exit_code"]) == (4, "inrc", 2)
    assert said.err.count("inrc: error: ") == 2
    assert run(["info", FILE, OTHER]) == 0
    text = capsys.readouterr().out
    assert text.index("inrc.inrv") < text.index("nerv.inrv")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "_INRC_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "count", "offered"),
    [
        ("inrc enc", 1, ["encode"]),
        ("inrc encode --preset ", 3, ["draft", "fast", "medium", "slow", "paper"]),
        ("inrc encode --model snerv", 3, ["snerv", "snerv-t"]),
    ],
)
def test_shells_complete_commands_presets_and_models(words: str, count: int, offered: list[str]) -> None:
    asked = environment(COMP_WORDS=words, COMP_CWORD=str(count), _INRC_COMPLETE="bash_complete")
    done = subprocess.run([sys.executable, "-m", "inrcodec"], env=asked, capture_output=True, timeout=60)
    assert [line.partition(",")[2] for line in done.stdout.decode().split()] == offered


def test_several_sources_make_their_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from inrcodec.system.outputs import output_paths

    folder = str(tmp_path / "coded")
    assert output_paths(["a.mp4", "b.mp4"], folder) == [f"{folder}/a.inrv", f"{folder}/b.inrv"]
    assert os.path.isdir(folder)
    with pytest.raises(UsageError, match="the folder .* does not exist"):
        output_paths(["a.mp4"], str(tmp_path / "none" / "coded") + "/")
    with pytest.raises(UsageError, match="2 sources need a folder"):
        output_paths(["a.mp4", "b.mp4"], str(tmp_path / "one.inrv"))


def test_part_options_have_the_defaults_of_the_library() -> None:
    assert source_settings(part_of_the_line(["a", "b"])) == SourceSettings()


def test_a_log_has_what_happened(tmp_path: Path) -> None:
    file, log = tmp_path / "a.inrv", tmp_path / "log.jsonl"
    words = [CARPHONE, "-o", str(file), "-q", "--log", str(log), *SMALL]
    assert run(["encode", *words, "--segment", "2"]) == 3
    assert run(["encode", *words]) == 0
    events = [json.loads(line) for line in log.read_text().splitlines()]
    names = [one["event"] for one in events]
    # An earlier failure stays in the log.
    assert names.index("error") < names.index("plan") < names.index("result")
    assert names[0] == "begin" and events[names.index("error")]["exit_code"] == 3
    plan, result = events[names.index("plan")], events[-1]
    assert plan["expected_seconds"] > 0 and plan["model"] == "inrc"
    assert result["file_bytes"] == file.stat().st_size
    jobs = [one for one in events if one["event"] == "job"]
    assert jobs[-1]["fraction"] == 1 and jobs[-1]["doing"].startswith("checking")
    assert "cannot write" in said_once(["encode", CARPHONE, "-o", str(file), "-y", "--log", str(tmp_path)])


def said_once(words: list[str]) -> str:
    """The one line that a command gives in a process of its own."""
    return only_line(inrc(*words).stderr)


def test_the_first_line_does_not_wait_for_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    script = """
import sys
from inrcodec import EncodeSettings, Silent, encode

class First(Silent):
    def begin(self, line):
        sys.exit("torch" in sys.modules or line != "encoding " + sys.argv[1] + " to a.inrv")

encode(sys.argv[1], "a.inrv", EncodeSettings(), First())
"""
    done = subprocess.run([sys.executable, "-c", script, CARPHONE], env=environment(), timeout=60)
    assert done.returncode == 0

"""Names of settings in messages: arguments for Python, options for the command line."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from codec_samples import moving_gradient, write_clip

import inrcodec
from inrcodec.errors import InrcError, NetworkTooLarge, UsageError, explained
from inrcodec.naming import argument_of, as_arguments, flag_of, with_options
from inrcodec.settings.encode import EncodeSettings

ROOT = Path(inrcodec.__file__).parents[1]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ("--time and --epochs exclude each other", "time_seconds and epochs exclude each other"),
        ("the smallest reachable is --size 412.", "the smallest reachable is size_bytes=412."),
        ("give --bpp 0.06", "give bpp=0.06"),
        ("--crop 17x16 is larger than 16x16", "crop 17x16 is larger than 16x16"),
        ("--frames 0:100 takes them", "frames 0:100 takes them"),
        ("--fps-scale: expected 1 to 64", "fps_scale: expected 1 to 64"),
        ("a.inrv exists already; -y replaces it", "a.inrv exists already; overwrite=True replaces it"),
        ("a--b.mp4 and x-y are names", "a--b.mp4 and x-y are names"),
        ("/tmp/--bpp/in -y.mp4 exists already", "/tmp/--bpp/in -y.mp4 exists already"),
        ("Ray says: use `--address`", "Ray says: use `--address`"),
        ("-o: expected a name; write -o a.inrv", "output: expected a name; write output=a.inrv"),
        ("not what inrc encode --json writes", "not what inrc encode --json writes"),
    ],
)
def test_messages_name_arguments(options: str, arguments: str) -> None:
    error = UsageError(options)
    assert str(error) == as_arguments(options) == arguments
    assert explained(error) == (options, 2)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.text) == (arguments, options)


def test_a_message_made_later_names_arguments_too() -> None:
    error = NetworkTooLarge("the masks", 900)
    assert str(error).endswith("give size_bytes=900")
    assert explained(error)[0].endswith("give --size 900")
    assert explained(pickle.loads(pickle.dumps(error))) == explained(error)


@pytest.mark.parametrize("name", [one.name for one in fields(EncodeSettings)])
def test_an_argument_and_its_option_lead_to_each_other(name: str) -> None:
    assert argument_of(flag_of(name)) == name


def test_switches_become_options() -> None:
    assert with_options("skip_damaged=True decodes it; overwrite=True") == "--skip-damaged decodes it; -y"
    assert with_options("audio=False leaves it out") == "--no-audio leaves it out"
    # Neither `--skip-damaged` nor `-y` does this.
    assert with_options("skip_damaged=False, overwrite=False") == "skip_damaged=False, overwrite=False"


def test_every_option_in_a_message_is_an_option_of_a_command() -> None:
    known = set(re.findall(r"--[a-z][a-z-]*", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")))
    for path in sorted((ROOT / "inrcodec").rglob("*.py")):
        for raised in re.findall(r"raise \w+\(((?:[^()]|\([^()]*\))*)\)", path.read_text(encoding="utf-8")):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", raised):
                assert option in known, (path, option)


def test_python_and_the_command_line_are_told_in_their_own_words(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4", moving_gradient(48, 32, 4))
    with pytest.raises(InrcError, match=r"^time_seconds and epochs exclude each other"):
        inrcodec.encode(str(source), tmp_path / "out.inrv", EncodeSettings(time_seconds=9, epochs=1))
    words = ["encode", str(source), "-o", str(tmp_path / "out.inrv"), "--time", "9", "--epochs", "1"]
    refused = subprocess.run(
        [sys.executable, "-m", "inrcodec", *words], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "--time and --epochs exclude each other" in refused.stderr

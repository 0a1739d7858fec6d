"""Options of fitting and quantising, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import CARPHONE, SMALL, inrc, only_line

import bitstream
from inrcodec.cli.main import commands, run
from inrcodec.coding.opened_segment import open_segment
from inrcodec.coding.sections import decode_sections
from inrcodec.settings.presets import LOSSES

pytestmark = pytest.mark.end_to_end

LARGE = ["--frames", "0:2", "--scale", "176x164", "--bpp", "2", "--epochs", "0.5", "--device", "cpu"]


def encoded(tmp_path: Path, *options: str, common: list[str] = SMALL) -> bytes:
    path = tmp_path / "a.inrv"
    assert run(["encode", CARPHONE, "-o", str(path), "-q", "-y", *common, *options]) == 0
    return path.read_bytes()


def decoded(data: bytes) -> dict[str, np.ndarray]:
    stream = bitstream.load(data)
    opened = open_segment(stream.segments[0], stream.header)
    return decode_sections(opened.specs, opened.segment.sections)


def zero_share(data: bytes) -> float:
    values = [value.ravel() for name, value in decoded(data).items() if name.endswith("weight")]
    return float((np.concatenate(values) == 0).mean())


@pytest.mark.parametrize("loss", list(LOSSES))
def test_every_loss_makes_a_file_of_its_own(tmp_path: Path, loss: str) -> None:
    common = LARGE if loss == "l1+ms-ssim" else SMALL
    usual = encoded(tmp_path, "--model", "hnerv", common=common)
    changed = encoded(tmp_path, "--loss", loss, common=common)
    assert (changed == usual) == (loss == "l2")


def test_the_optimizer_is_the_presets_unless_another_is_asked_for(tmp_path: Path) -> None:
    for preset, usual, other in (("draft", "muon", "adam"), ("paper", "adam", "muon")):
        made = [
            encoded(tmp_path, "--model", "hnerv", "--preset", preset, *options)
            for options in ([], ["--optimizer", usual], ["--optimizer", other])
        ]
        assert made[0] == made[1] != made[2]


def test_pruned_weights_are_zeros_of_the_file(tmp_path: Path) -> None:
    assert zero_share(encoded(tmp_path, "--prune", "0.8")) >= 0.8
    assert zero_share(encoded(tmp_path, "--preset", "paper", "--prune", "0.6")) >= 0.6
    assert zero_share(encoded(tmp_path, "--preset", "paper", "--prune", "0")) < 0.5


def test_fewer_bits_make_a_wider_network(tmp_path: Path) -> None:
    paper = ["--preset", "paper", "--prune", "0"]
    counts = [
        sum(value.size for value in decoded(encoded(tmp_path, *paper, *bits)).values())
        for bits in ([], ["--weight-bits", "4", "--embedding-bits", "4"])
    ]
    assert counts[0] < counts[1]


def test_the_papers_pipeline_from_a_real_process(tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    options = ["--preset", "paper", "--loss", "wavelet", "--weight-bits", "7", "--embedding-bits", "5"]
    done = inrc("encode", CARPHONE, "-o", path, "--json", *SMALL, *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    # Three frames in batches of two make two steps.
    assert (result["steps"], result["file_bytes"]) == (2, path.stat().st_size)
    assert result["file_bytes"] <= 1152 and result["step_factor"] >= 1
    assert run(["verify", str(path)]) == 0
    assert run(["decode", str(path), "-o", str(tmp_path / "a.mp4"), "-q"]) == 0


def test_bits_that_were_asked_for_are_the_most(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A larger size makes quantisation steps finer, unless the number of bits was given."""
    paper = ["--preset", "paper", "--parameters", "2k", "--size", "9000", "--prune", "0"]
    bpp = SMALL.index("--bpp")
    common = SMALL[:bpp] + SMALL[bpp + 2 :]
    free = encoded(tmp_path, *paper, common=common)
    path = tmp_path / "a.inrv"
    capfd.readouterr()
    arguments = ["encode", CARPHONE, "-o", str(path), "-y", *common, *paper, "--weight-bits", "4"]
    assert run(arguments) == 0
    assert "% of its target: limited by the requested bits" in capfd.readouterr().err
    assert path.stat().st_size < 0.5 * len(free)
    for name, value in decoded(path.read_bytes()).items():
        if name.endswith("weight"):
            rows = value.reshape(len(value), -1)
            # Min-max steps divide a range into 2^4 values; aligning them to zero adds at most one.
            assert all(len(np.unique(row)) <= 17 for row in rows)


GRIDS = ["--model", "inrc"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--loss", "psnr"], "'psnr' is not one of 'l2', 'l1'"),
        (["--loss", "l1+ms-ssim"], "needs frames of at least 161 pixels a side; these are 32x24"),
        (["--loss", "wavelet", "--scale", "40x20"], "needs frames of at least 21 pixels a side"),
        (["--optimizer", "sgd"], "'sgd' is not one of 'muon', 'adam'"),
        (["--prune", "0.97"], "--prune"),
        (["--prune", "0.1", "--model", "supermask"], "supermask has no weights"),
        (
            ["--weight-bits", "8"],
            "error: --weight-bits needs --preset paper: preset medium learns its quantisation steps",
        ),
        (
            ["--embedding-bits", "6", "--preset", "slow"],
            "error: --embedding-bits needs --preset paper: preset slow learns its quantisation steps",
        ),
        (["--preset", "paper", "--weight-bits", "1"], "--weight-bits"),
        ([*GRIDS, "--mask", CARPHONE], "inrc codes every pixel; --mask needs another --model"),
        ([*GRIDS, "--preset", "paper"], "--preset paper needs a trained network, which inrc is not"),
        ([*GRIDS, "--loss", "l2"], "inrc has a fit of its own; --loss needs another --model"),
        ([*GRIDS, "--prune", "0.1"], "--prune needs another --model"),
        ([*GRIDS, "--preset", "paper", "--weight-bits", "8"], "--preset paper"),
        ([*GRIDS, "--learning-rate", "1e-3"], "--learning-rate needs another --model"),
        ([*GRIDS, "--optimizer", "adam"], "--optimizer needs another --model"),
        ([*GRIDS, "--batch", "2"], "--batch needs another --model"),
        ([*GRIDS, "--parameters", "50k"], "--parameters needs another --model"),
        ([*GRIDS, "--model-option", "channels=3"], "inrc has no option 'channels'; it has: group, width"),
        ([*GRIDS, "--model-option", "group=65"], "expected a whole number from 1 to 64"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run(["encode", CARPHONE, "-o", str(tmp_path / "a.inrv"), *SMALL, *options]) == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert message in only_line(error.encode())
    assert not list(tmp_path.iterdir())


def test_help_names_the_options() -> None:
    text = CliRunner().invoke(commands, ["encode", "--help"]).output
    for option in ("--loss", "--prune", "--weight-bits", "--embedding-bits", "--optimizer"):
        assert option in text

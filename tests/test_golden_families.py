"""Golden files of each model family, which must decode for ever; see `regenerate_golden_families.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bitstream
import inrcodec
from inrcodec.inspect import inspect
from inrcodec.models.registry import FAMILIES

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.inrv"))
NAME = pytest.mark.parametrize("name", NAMES)


def family_of(name: str) -> str:
    return "supermask" if name.startswith("supermask") else name


def test_every_family_has_a_golden_file() -> None:
    assert {family_of(name) for name in NAMES} == {family.name for family in FAMILIES}
    assert all((GOLDEN / f"{name}.inrv").stat().st_size <= 3000 for name in NAMES)


@NAME
def test_golden_files_decode_to_their_pixels(name: str) -> None:
    expected = np.load(GOLDEN / f"{name}.npy")
    assert expected.shape == (3, 8, 11, 3)
    with inrcodec.open(GOLDEN / f"{name}.inrv", "cpu", "float32") as video:
        frames = video[:]
        single = video[2]
    assert frames.shape == (3, 23, 31, 3)
    assert np.abs(frames[:, ::3, ::3].astype(int) - expected).max() <= 1
    assert np.abs(single[::3, ::3].astype(int) - expected[2]).max() <= 1


@NAME
def test_golden_files_are_read_by_inspect(name: str) -> None:
    report = inspect(str(GOLDEN / f"{name}.inrv")).as_dict()
    assert (report["width"], report["height"], report["frames"]) == (31, 23, 3)
    assert (report["family"], report["seed"], report["fps"]) == (family_of(name), 2024, 25.0)
    (segment,) = report["segments"]
    assert (segment["sections"][0]["name"] == "embedding") == (name not in WITHOUT_EMBEDDING)
    assert segment["sections"][-1]["name"] == SECTION_AT_THE_END[name]


WITHOUT_EMBEDDING = ("nerv", "supermask-nerv-uniform-fixed")
SECTION_AT_THE_END = {
    "hnerv": "head.bias",
    "nerv": "head.bias",
    "snerv": "hh.out.bias",
    "snerv-t": "hh.out.bias",
    "supermask-hnerv-signed-learned": "scales",
    "supermask-nerv-uniform-fixed": "head.levels",
}


@NAME
def test_golden_files_come_back_from_load_and_dump_to_the_byte(name: str) -> None:
    data = (GOLDEN / f"{name}.inrv").read_bytes()
    assert bitstream.dump(bitstream.load(data)) == data


def test_the_script_that_writes_them_overwrites_nothing(tmp_path: Path) -> None:
    script = Path(__file__).with_name("regenerate_golden_families.py").read_text()
    (tmp_path / "tests/golden").mkdir(parents=True)
    copy = tmp_path / "tests/regenerate_golden_families.py"
    copy.write_text(script)
    there = tmp_path / "tests/golden/hnerv.inrv"
    there.write_bytes(b"old")
    command = [sys.executable, str(copy)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, env={"PYTHONPATH": root}, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"exists and differs" in done.stderr
    assert there.read_bytes() == b"old"

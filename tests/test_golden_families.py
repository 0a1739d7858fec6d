"""Golden files of each model family, which every version must decode; see `regenerate_golden_families`."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import inrc_reference
import numpy as np
import pytest
import torch
from command_line import GOLDEN, environment
from regenerate_golden_families import configs

import bitstream
import inrcodec
from inrcodec.coding.grid_sections import segment_tensors
from inrcodec.coding.opened_segment import open_segment
from inrcodec.coding.sections import row_count
from inrcodec.decoder.info import inspect
from inrcodec.models.family import VideoInfo
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.inrc import decoder as reconstruction
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.layers import blocks
from inrcodec.models.nerv import NeRV
from inrcodec.models.registry import FAMILIES
from inrcodec.samples import at_depth

NAMES = sorted(path.stem for path in GOLDEN.glob("*.inrv"))
NAME = pytest.mark.parametrize("name", NAMES)


def family_of(name: str) -> str:
    """The longest family name with which `name` begins."""
    return max((family.name for family in FAMILIES if name.startswith(family.name)), key=len)


def frame_count(name: str) -> int:
    """The frames of a golden file; `inrc` needs more for its hierarchy."""
    return 6 if family_of(name) == "inrc" else 3


def test_every_family_has_a_golden_file() -> None:
    assert {family_of(name) for name in NAMES} == {family.name for family in FAMILIES}
    assert all((GOLDEN / f"{name}.inrv").stat().st_size <= 3000 for name in NAMES)


@NAME
def test_golden_files_decode_to_their_pixels(name: str) -> None:
    expected = np.load(GOLDEN / f"{name}.npy")
    count = frame_count(name)
    assert expected.shape == (count, 8, 11, 3)
    with inrcodec.open(GOLDEN / f"{name}.inrv", "cpu", "float32") as video:
        frames = video[:]
        single = video[2]
    assert frames.shape == (count, 23, 31, 3)
    assert np.abs(frames[:, ::3, ::3].astype(int) - expected).max() <= 1
    assert np.abs(single[::3, ::3].astype(int) - expected[2]).max() <= 1


@NAME
def test_the_same_networks_render_10_bits(name: str) -> None:
    """A file of more bits holds the same colours, rounded to more levels."""
    stream = bitstream.load((GOLDEN / f"{name}.inrv").read_bytes())
    with inrcodec.open(GOLDEN / f"{name}.inrv", "cpu", "float32") as video:
        shallow, between = video[:], video.at(0.5)
    for depth in (10, 16):
        data = bitstream.dump(replace(stream, header=replace(stream.header, bit_depth=depth)))
        with inrcodec.open(data, "cpu") as video:
            assert (video.properties.bit_depth, video.dtype) == (10, torch.float32)
            deep = video[:]
            # Rendered alone or with others, samples may round to the next level, as SPEC allows.
            alone = video[1].astype(int)
            assert np.abs(alone - deep[1]).max() <= 1 and (alone == deep[1]).mean() > 0.99
            assert np.abs(at_depth(video.at(0.5), 8).astype(int) - between).max() <= 1
        assert deep.dtype == np.uint16 and len(np.unique(deep % 4)) == 4
        # Rounded twice, a level may differ by one.
        assert np.abs(at_depth(deep, 8).astype(int) - shallow).max() <= 1
        assert (at_depth(deep, 8) == shallow).mean() > 0.8


@NAME
def test_golden_files_are_read_by_inspect(name: str) -> None:
    report = inspect(str(GOLDEN / f"{name}.inrv")).as_dict()
    assert (report["width"], report["height"], report["frames"]) == (31, 23, frame_count(name))
    assert (report["family"], report["seed"], report["fps"]) == (family_of(name), 2024, 25.0)
    (segment,) = report["segments"]
    family, config = configs()[name]
    specs = family.tensors(config, VideoInfo(31, 23, frame_count(name)))
    names = [section["name"] for section in segment["sections"]]
    assert names == [spec.name for spec in specs]
    assert (names[0] == "embedding") == (name not in WITHOUT_EMBEDDING)
    assert names[-1] == SECTION_AT_THE_END[name]


WITHOUT_EMBEDDING = (
    "hinerv",
    "inrc",
    "inrc-cuts",
    "inrc-overlapped",
    "inrc-returns",
    "inrc-smooth",
    "nerv",
    "nerv-80-frequencies",
    "supermask-nerv-uniform-fixed",
)
SECTION_AT_THE_END = {
    "hinerv": "head.bias",
    "hnerv": "head.bias",
    "hnerv-variant-row-steps": "head.bias",
    "inrc": "latent",
    "inrc-cuts": "latent",
    "inrc-overlapped": "latent",
    "inrc-returns": "latent",
    "inrc-smooth": "latent",
    "nerv": "head.bias",
    "nerv-80-frequencies": "head.bias",
    "snerv": "hh.out.bias",
    "snerv-t": "hh.out.bias",
    "supermask-hnerv-offset-trained": "scales",
    "supermask-hnerv-signed-learned": "scales",
    "supermask-nerv-uniform-fixed": "head.levels",
}


def test_one_has_a_step_for_each_row_and_another_form() -> None:
    stream = bitstream.load((GOLDEN / "hnerv-variant-row-steps.inrv").read_bytes())
    (segment,) = stream.segments
    config = HNeRV().unpack(segment.config, VideoInfo(31, 23, 3), segment.seed)
    assert (config.kernels, config.reduction) == ((3, 5), 150)
    specs = HNeRV().tensors(config, VideoInfo(31, 23, 3))
    counts = {spec.name: len(section.steps) for spec, section in zip(specs, segment.sections, strict=True)}
    assert counts == {spec.name: row_count(spec) for spec in specs}
    assert counts["embedding"] == 2


def test_one_has_the_frequencies_of_the_authors_code(monkeypatch: pytest.MonkeyPatch) -> None:
    path = GOLDEN / "nerv-80-frequencies.inrv"
    (segment,) = bitstream.load(path.read_bytes()).segments
    assert NeRV().unpack(segment.config, VideoInfo(31, 23, 3), segment.seed).frequencies == 80

    def exact(device: torch.device, base: float, count: int) -> torch.Tensor:
        return torch.tensor([base**i * math.pi for i in range(count)], dtype=torch.float64)

    monkeypatch.setattr(blocks, "_frequencies_on", exact)
    with inrcodec.open(path, "cpu", "float32") as video:
        difference = np.abs(video[:][:, ::3, ::3].astype(int) - np.load(path.with_suffix(".npy")))
    assert difference.max() > 32


def test_one_has_a_whole_hierarchy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pixels depend on motion, importance and the network, and change without any one of them."""
    path = GOLDEN / "inrc.inrv"
    (segment,) = bitstream.load(path.read_bytes()).segments
    video = VideoInfo(31, 23, 6)
    config = Inrc().unpack(segment.config, video, segment.seed)
    assert (config.width, config.exponent, config.most) == (8, 12, 2)
    assert config.tree(video).order == ((0,), (3,), (5,), (1, 4), (2,))
    for name, other in (
        ("field_of", lambda grids: torch.zeros_like(grids[-1])),
        ("step_sizes", lambda field, *_: torch.ones(len(field), 1, 4, 4)),
        ("refine", lambda planes, _: planes),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(reconstruction, name, other)
            with inrcodec.open(path, "cpu", "float32") as opened:
                difference = np.abs(opened[:][:, ::3, ::3].astype(int) - np.load(path.with_suffix(".npy")))
        assert difference.max() > 32, name


def test_one_has_a_predicted_dc() -> None:
    """Read as the DC itself, its residuals show another first frame."""
    path = GOLDEN / "inrc-overlapped.inrv"
    (segment,) = bitstream.load(path.read_bytes()).segments
    config = Inrc().unpack(segment.config, VideoInfo(31, 23, 6), segment.seed)
    assert config.version == 1
    with inrcodec.open(path, "cpu", "float32") as opened:
        opened[0]
        decoder: Any = opened._renderers.of(0).decoder
        expected = decoder.codes([0])[0, ::3, ::3]
        assert np.abs(expected.numpy().astype(int) - np.load(path.with_suffix(".npy"))[0]).max() <= 1
        decoder._config = replace(config, version=0)
        decoder._forget()
        assert (decoder.codes([0])[0, ::3, ::3].int() - expected.int()).abs().max() > 32


@pytest.mark.parametrize("name", ["inrc", "inrc-cuts", "inrc-overlapped", "inrc-returns", "inrc-smooth"])
def test_a_decoder_written_from_the_specification_shows_the_same_hierarchy(name: str) -> None:
    path = GOLDEN / f"{name}.inrv"
    stream = bitstream.load(path.read_bytes())
    segment = open_segment(stream.segments[0], stream.header)
    config = segment.config
    assert config.is_smooth == (name == "inrc-smooth")
    shots = {"inrc-cuts": ((2,), ()), "inrc-returns": ((2, 4), (1, 2))}
    assert (config.cuts, config.returns) == shots.get(name, ((), ()))
    assert config.version == {"inrc-overlapped": 1, "inrc-cuts": 1, "inrc-returns": 2}.get(name, 0)
    tensors = segment_tensors(segment)
    with inrcodec.open(path, "cpu", "float32") as opened:
        difference = opened[:].astype(int) - inrc_reference.frames_of(tensors, config, 23, 31)
    assert np.abs(difference).max() <= 1


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
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"exists and differs" in done.stderr
    assert there.read_bytes() == b"old"

"""Interpolation: `decode --fps-scale` renders the frames that `encode --every` left out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from codec_samples import TRAINED, Frames, moving_gradient, random_tensors, read_frames, write_clip
from command_line import inrc
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import bitstream
import inrcodec
from bitstream import Stream
from inrcodec.cli.main import run
from inrcodec.decoder.decode import PositionsBetween
from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily, VideoInfo
from inrcodec.models.registry import FAMILIES, family_by_name
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange

pytestmark = pytest.mark.end_to_end

WIDTH, HEIGHT, COUNT = 61, 35, 9
CODED = 5
CPU = DecodeSettings(device="cpu", precision="float32")


@dataclass(frozen=True)
class Network:
    """A small network for four frames, with random tensors."""

    family: AnyFamily
    options: dict[str, str]
    video: VideoInfo = VideoInfo(37, 21, 4)

    @cached_property
    def config(self) -> Any:
        return self.family.plan(self.video, 2e5, {"width": "5", **self.options}, 9)

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        return random_tensors(self.family, self.config, self.video)

    @property
    def per_frame(self) -> list[str]:
        return [spec.name for spec in self.family.tensors(self.config, self.video) if spec.per_frame]

    def render(self, position: int | float, tensors: dict[str, Tensor] | None = None) -> Tensor:
        decoder = self.family.decoder(self.config, self.video, self.tensors if tensors is None else tensors)
        return decoder(
            torch.tensor([position], dtype=torch.int64 if isinstance(position, int) else torch.float64)
        )


NETWORKS = [
    *(Network(family, {}) for family in FAMILIES),
    Network(family_by_name("supermask"), {"decoder": "nerv"}),
]
NAMES = [*(family.name for family in FAMILIES), "supermask-nerv"]
EVERY = pytest.mark.parametrize("network", NETWORKS, ids=NAMES)
MIXED = [network for network in NETWORKS if network.per_frame and network.family in TRAINED]
TIMED = [network for network in NETWORKS if not network.per_frame and network.family.name != "hinerv"]
"""Networks of a time that does not depend on the last frame; see `test_models_hinerv` for grids."""


@EVERY
def test_whole_positions_are_frames_whatever_their_type(network: Network) -> None:
    for index in range(4):
        assert torch.equal(network.render(float(index)), network.render(index))
    assert not torch.equal(network.render(0), network.render(1))


@pytest.mark.parametrize("network", MIXED, ids=lambda network: network.family.name)
@pytest.mark.parametrize(("index", "share"), [(0, 0.5), (1, 0.25), (2, 0.5), (2, 0.9)])
def test_between_two_frames_is_the_rendering_of_mixed_tensors(
    network: Network, index: int, share: float
) -> None:
    mixed = dict(network.tensors)
    for name in network.per_frame:
        values = network.tensors[name]
        mixed[name] = ((1 - share) * values[index] + share * values[index + 1]).expand_as(values).contiguous()
    expected = network.render(0, mixed)
    torch.testing.assert_close(network.render(index + share), expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network.render(index), expected, atol=1e-3)


@pytest.mark.parametrize(("index", "share"), [(0, 0.5), (1, 0.25), (2, 0.9)])
def test_grids_mix_the_two_frames_themselves_where_nothing_moves(index: int, share: float) -> None:
    """Neither the refining network nor the range of colours makes this other than linear here."""
    (network,) = (network for network in NETWORKS if network.family not in TRAINED)
    still = {name: 0 * value for name, value in network.tensors.items()}
    still |= {"latent": network.tensors["latent"], "latent.step": torch.tensor(1e-3)}
    expected = (1 - share) * network.render(index, still) + share * network.render(index + 1, still)
    torch.testing.assert_close(network.render(index + share, still), expected, rtol=0, atol=1e-6)
    assert not torch.allclose(network.render(index, still), expected, atol=1e-3)
    assert not torch.allclose(network.render(index + share), expected, atol=1e-3)


@pytest.mark.parametrize("network", TIMED, ids=lambda network: network.family.name)
def test_a_time_alone_is_encoded_as_it_is(network: Network) -> None:
    """Half way between frames 1 and 2 of 4 is frame 3 of 8."""
    longer = network.family.decoder(network.config, VideoInfo(37, 21, 8), network.tensors)
    assert torch.equal(network.render(1.5), longer(torch.tensor([3])))


@settings(max_examples=60)
@given(start=st.integers(0, 9), count=st.integers(1, 9), scale=st.integers(1, 7))
def test_positions_hold_every_frame_and_equal_steps(start: int, count: int, scale: int) -> None:
    positions = list(PositionsBetween(range(start, start + count), scale))
    assert len(positions) == (count - 1) * scale + 1
    assert positions[::scale] == list(range(start, start + count))
    assert np.allclose(np.diff(positions), 1 / scale)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return write_clip(folder / "a.mp4", moving_gradient(WIDTH, HEIGHT, COUNT), Fraction(24))


@pytest.fixture(scope="module")
def half(clip: Path) -> Path:
    """A file of every other frame of the clip."""
    path = clip.with_suffix(".inrv")
    fit = ["--model", "hnerv", "--every", "2", "--bpp", "4", "--epochs", "20", "--device", "cpu"]
    assert run(["encode", str(clip), "-o", str(path), "-q", *fit]) == 0
    return path


def timing(path: Path) -> tuple[int, Fraction | None]:
    """Frame count and fps of a video, read with PyAV alone."""
    with av.open(str(path)) as container:
        stamps = [frame.pts * frame.time_base for frame in container.decode(video=0) if frame.pts is not None]
        # Matroska rounds timestamps to milliseconds.
        assert np.ptp(np.diff(np.array(stamps, dtype=float))) <= 0.00101
        return len(stamps), container.streams.video[0].average_rate


def test_a_real_process_halves_the_frames_and_doubles_them_again(clip: Path, tmp_path: Path) -> None:
    coded, video = tmp_path / "a.inrv", tmp_path / "a.mp4"
    fit = [
        "--model",
        "hnerv",
        "--frames",
        "1:8",
        "--every",
        "3",
        "--bpp",
        "4",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    done = inrc("encode", clip, "-o", coded, "--json", *fit)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 3
    report = json.loads(inrc("info", coded, "--json").stdout)
    assert (report["frames"], report["frame_rate"]) == (3, "8")
    done = inrc("decode", coded, "-o", video, "--fps-scale", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 7
    assert timing(video) == (7, 24)


@pytest.mark.parametrize("scale", [1, 2, 5])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m"])
def test_frames_and_rate_of_every_container(half: Path, tmp_path: Path, name: str, scale: int) -> None:
    arguments = ["--fps-scale", str(scale), "--precision", "float32", "-q"]
    assert run(["decode", str(half), "-o", str(tmp_path / name), *arguments]) == 0
    frames = (CODED - 1) * scale + 1
    assert timing(tmp_path / name) == (frames, 12 * scale)


def images(folder: Path) -> Frames:
    return np.concatenate([read_frames(path) for path in sorted(folder.glob("*.png"))])


def assert_close(found: Frames, expected: Frames) -> None:
    """Allow one code value, because the batch size changes the order of summation in convolutions."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_coded_frames_stay_and_the_range_counts_them(half: Path, tmp_path: Path) -> None:
    asked = replace(CPU, fps_scale=3, frames=FrameRange(1, 4))
    assert inrcodec.decode(str(half), str(tmp_path / "%03d.png"), asked).frames == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{number:03d}.png" for number in range(3, 10)
    ]
    with inrcodec.open(half, "cpu", "float32") as video:
        found = images(tmp_path)
        assert_close(found[::3], video[1:4])
        assert_close(found[1], video.at(1 + 1 / 3))


def test_frames_that_were_left_out_are_near_what_is_rendered(clip: Path, half: Path) -> None:
    held_out = read_frames(clip)[1::2].astype(float)
    with inrcodec.open(half, "cpu", "float32") as video:
        between = np.stack([video.at(index + 0.5) for index in range(CODED - 1)])
        # The disc moves, so the preceding frame is a worse estimate than the interpolated one.
        before = video[: CODED - 1]
    assert ((between - held_out) ** 2).mean() < ((before - held_out) ** 2).mean()


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> tuple[Frames, Path]:
    """Nine frames of a texture that moves right by 3 pixels, and a file of `inrc` of every other one."""
    folder = tmp_path_factory.mktemp("moving")
    noise = np.random.default_rng(0).normal(size=(64, 128))
    spectrum = np.fft.fft2(noise) * np.exp(
        -60 * np.add.outer(np.fft.fftfreq(64) ** 2, np.fft.fftfreq(128) ** 2)
    )
    smooth = np.fft.ifft2(spectrum).real
    levels = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    frames = np.stack([np.roll(levels, 3 * number, axis=1)[:, 24:120] for number in range(COUNT)])
    frames = np.repeat(frames[..., None], 3, axis=3)
    clip, path = write_clip(folder / "a.mp4", frames), folder / "a.inrv"
    fit = ["--model", "inrc", "--every", "2", "--bpp", "1", "--epochs", "4", "--device", "cpu"]
    assert run(["encode", str(clip), "-o", str(path), "-q", *fit]) == 0
    return frames, path


def test_stored_motion_interpolates_better_than_a_blend(moving: tuple[Frames, Path]) -> None:
    frames, path = moving
    with inrcodec.open(path, "cpu", "float32") as video:
        found = np.stack([video.at(index + 0.5) for index in range(CODED - 1)])
        blended = (video[:-1].astype(float) + video[1:]) / 2
    inside = (slice(None), slice(None), slice(16, -16))
    errors = [((one[inside] - frames[1::2][inside].astype(float)) ** 2).mean() for one in (found, blended)]
    assert errors[0] < errors[1] / 4


def test_interpolated_frames_do_not_depend_on_others(moving: tuple[Frames, Path], tmp_path: Path) -> None:
    output = tmp_path / "%03d.png"
    assert inrcodec.decode(str(moving[1]), str(output), replace(CPU, fps_scale=3)).frames == 13
    decoded = images(tmp_path)
    with inrcodec.open(moving[1], "cpu", "float32") as video:
        for number in reversed(range(13)):
            assert_close(video.at(number / 3), decoded[number])


def test_at_takes_positions_of_the_video_only(half: Path) -> None:
    with inrcodec.open(half, "cpu", "float32") as video:
        for index in range(CODED):
            assert np.array_equal(video.at(index), video[index])
            assert np.array_equal(video.at(float(index)), video[index])
        for position in (-0.01, CODED - 0.99, float("nan"), float("inf")):
            with pytest.raises(IndexError, match="outside 0 to 4"):
                video.at(position)


def test_segments_are_not_mixed(half: Path, tmp_path: Path) -> None:
    stream = bitstream.load(half.read_bytes())
    (segment,) = stream.segments
    header = replace(stream.header, frame_count=2 * CODED)
    path = tmp_path / "two.inrv"
    path.write_bytes(
        bitstream.dump(Stream(header, (segment, replace(segment, first_frame=CODED)), stream.quality))
    )
    with inrcodec.open(path, "cpu", "float32") as video:
        last = video[CODED - 1]
        assert np.array_equal(video.at(CODED - 0.5), last)
        (batch,) = video.batches([CODED - 1, CODED - 0.75, CODED - 0.25])
        assert_close(batch, np.stack([last] * 3))
        assert np.array_equal(video.at(CODED + 0.5), video.at(0.5))


def test_scales_that_cannot_be(half: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fps_scale: expected a whole number from 1 to 64, found 0"):
        inrcodec.decode(str(half), str(tmp_path / "a.y4m"), replace(CPU, fps_scale=0))
    with pytest.raises(UsageError, match="fps_scale: expected a whole number from 1 to 64, found 10{20}$"):
        inrcodec.decode(str(half), str(tmp_path / "a.y4m"), replace(CPU, fps_scale=10**20))
    assert run(["decode", str(half), "-o", str(tmp_path / "a.y4m"), "--fps-scale", "65"]) == 2
    assert run(["decode", str(half), "-o", str(tmp_path / "a.y4m"), "--fps-scale", "1.5"]) == 2
    assert run(["encode", str(half), "-o", str(tmp_path / "a.inrv"), "--every", "0"]) == 2
    assert not list(tmp_path.iterdir())


def test_the_library_takes_every_too(clip: Path, tmp_path: Path) -> None:
    asked = EncodeSettings(model="hnerv", bpp=4.0, epochs=1, device="cpu")
    asked = replace(asked, source=replace(asked.source, every=4))
    assert inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked).frames == 3

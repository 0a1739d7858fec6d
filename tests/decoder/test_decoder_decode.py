"""`open` and `decode` of the library: the frames of a file, in any order, precision and output format."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import Frames, mean_psnr_db, moving_gradient, read_frames, write_clip

import bitstream
import inrcodec
from bitstream import BitstreamError, Segment, Stream
from inrcodec.decoder.render import batch_frames
from inrcodec.errors import UsageError
from inrcodec.models.hnerv import HNeRV
from inrcodec.settings.decode import DecodeSettings
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange

pytestmark = pytest.mark.end_to_end

COUNT = 5
CPU = DecodeSettings(device="cpu", precision="float32")


@dataclass(frozen=True)
class Encoded:
    path: Path
    source: Frames
    frames: Frames
    """The frames that `open` returns in float32."""


@functools.cache
def encoded(folder: Path, model: str) -> Encoded:
    clip = write_clip(folder / f"{model}.mp4", moving_gradient(61, 35, COUNT))
    path = folder / f"{model}.inrv"
    asked = EncodeSettings(model=model, preset="draft", epochs=30, bpp=4.0, device="cpu")
    inrcodec.encode(str(clip), str(path), asked)
    with inrcodec.open(path, "cpu", "float32") as video:
        return Encoded(path, read_frames(clip), video[:])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module", params=["hnerv", "supermask"])
def sample(request: pytest.FixtureRequest, folder: Path) -> Encoded:
    return encoded(folder, request.param)


@pytest.fixture(scope="module")
def hnerv(folder: Path) -> Encoded:
    return encoded(folder, "hnerv")


def test_what_is_not_finite_is_black(hnerv: Encoded, monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.tensor([float("nan"), float("inf"), float("-inf"), 1e30, -1e30, 0.5])
    monkeypatch.setattr(HNeRV, "decoder", lambda *_: lambda at: values.expand(len(at), 3, 1, 6).clone())
    with inrcodec.open(hnerv.path, "cpu", "float32") as video:
        assert video[0][0, :, 0].tolist() == [0, 0, 0, 255, 0, 128]


def test_frames_are_arrays_of_codes(sample: Encoded) -> None:
    assert sample.frames.shape == (COUNT, 35, 61, 3)
    assert sample.frames.dtype == np.uint8
    assert mean_psnr_db(sample.source, sample.frames) > 18


def test_indices_and_slices(sample: Encoded) -> None:
    frames = sample.frames
    with inrcodec.open(sample.path, "cpu", "float32") as video:
        assert len(video) == COUNT
        for index in (3, 0, -1, -COUNT, COUNT - 1):
            assert_close(video[index], frames[index])
        every = slice(None)
        for key in (every, slice(1, 3), slice(-2, None), slice(None, None, 2), slice(None, None, -1)):
            assert_close(video[key], frames[key])
        for empty in (slice(3, 3), slice(9, 12), slice(4, 1)):
            assert video[empty].shape == (0, 35, 61, 3)
        for index in (COUNT, -COUNT - 1):
            with pytest.raises(IndexError):
                video[index]
        assert_close(np.stack(list(video)), frames)
        assert_close(np.stack([video[index] for index in reversed(range(COUNT))]), frames[::-1])


def assert_close(found: Frames, expected: Frames) -> None:
    """Allow one code value, because the batch size changes the order of summation in convolutions."""
    assert found.shape == expected.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_images_are_the_frames_of_open(sample: Encoded, tmp_path: Path) -> None:
    result = inrcodec.decode(str(sample.path), str(tmp_path / "%03d.png"), CPU)
    assert (result.frames, len(list(tmp_path.iterdir()))) == (COUNT, COUNT)
    images = np.concatenate([read_frames(path) for path in sorted(tmp_path.iterdir())])
    assert np.array_equal(images, sample.frames)


def test_y4m_is_the_frames_of_open(sample: Encoded, tmp_path: Path) -> None:
    output = tmp_path / "a.y4m"
    result = inrcodec.decode(str(sample.path), str(output), CPU)
    assert result.frames == COUNT
    assert result.frames_per_second > 0
    assert output.read_bytes().startswith(b"YUV4MPEG2 W61 H35 F25:1 ")
    # Eight bits of limited-range YUV are less precise than eight bits of RGB.
    difference = np.abs(read_frames(output).astype(int) - sample.frames)
    assert difference.max() <= 4
    assert difference.mean() < 1


def test_part_of_the_frames(sample: Encoded, tmp_path: Path) -> None:
    asked = replace(CPU, frames=FrameRange(2, 4))
    assert inrcodec.decode(str(sample.path), str(tmp_path / "%d.png"), asked).frames == 2
    images = np.concatenate([read_frames(path) for path in sorted(tmp_path.iterdir())])
    assert_close(images, sample.frames[2:4])
    with pytest.raises(UsageError, match="none of the 5 frames"):
        inrcodec.decode(
            str(sample.path), str(tmp_path / "b.y4m"), replace(CPU, frames=FrameRange(COUNT, None))
        )


def test_half_precision_costs_little_quality(sample: Encoded) -> None:
    with inrcodec.open(sample.path, "cpu", "bfloat16") as video:
        assert video.dtype == torch.bfloat16
        half = video[:]
    difference = mean_psnr_db(sample.source, half) - mean_psnr_db(sample.source, sample.frames)
    assert abs(difference) <= 0.1


def test_the_same_frames_whether_one_or_many_are_rendered_together(
    sample: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrcodec.decoder.render.BATCH_ACTIVATIONS", {"cpu": 1})
    with inrcodec.open(sample.path, "cpu", "float32") as video:
        batches = list(video.batches(range(COUNT)))
    assert [len(batch) for batch in batches] == [1] * COUNT
    assert_close(np.concatenate(batches), sample.frames)


@pytest.mark.parametrize(
    ("device", "makes_codes", "frames"),
    [("cpu", False, 16), ("cpu", True, 128), ("cuda", False, 1024), ("cuda", True, 1024), ("mps", True, 256)],
)
def test_frames_that_are_made_each_for_itself_come_in_larger_batches(
    device: str, makes_codes: bool, frames: int
) -> None:
    assert batch_frames(1 << 20, torch.device(device), makes_codes) == frames
    assert batch_frames(1 << 40, torch.device(device), makes_codes) == 1


def two_segments(data: bytes) -> Stream:
    """A stream that contains the file's segment twice, the second time for the frames that follow."""
    stream = bitstream.load(data)
    (segment,) = stream.segments
    header = replace(stream.header, frame_count=2 * COUNT)
    return Stream(header, (segment, replace(segment, first_frame=COUNT)))


def test_segments_follow_each_other(sample: Encoded, tmp_path: Path) -> None:
    path = tmp_path / "two.inrv"
    path.write_bytes(bitstream.dump(two_segments(sample.path.read_bytes())))
    expected = np.concatenate([sample.frames, sample.frames])
    with inrcodec.open(path, "cpu", "float32") as video:
        assert len(video) == 2 * COUNT
        for key in (slice(None), slice(COUNT - 2, COUNT + 2), slice(None, None, 3), slice(None, None, -4)):
            assert_close(video[key], expected[key])
        assert_close(video[COUNT], sample.frames[0])
        assert_close(video[COUNT - 1], sample.frames[-1])


def damaged(stream: Stream, change: str) -> Stream:
    """A stream with valid checksums that no encoder would write."""
    (segment,) = stream.segments
    changes: dict[str, Segment] = {
        "family": replace(segment, family=200),
        "config": replace(segment, config=segment.config + b"\0"),
        "no config": replace(segment, config=b""),
        "sections": replace(segment, sections=segment.sections[:-1]),
        "steps": replace(segment, sections=(replace(segment.sections[0], steps=()), *segment.sections[1:])),
        "payload": replace(
            segment, sections=(replace(segment.sections[0], payload=b""), *segment.sections[1:])
        ),
        "coder": replace(segment, sections=(replace(segment.sections[0], coder=99), *segment.sections[1:])),
    }
    if change == "coded size":
        wider = replace(stream.header, coded_width=stream.header.coded_width + 2)
        return replace(stream, header=wider)
    return replace(stream, segments=(changes[change],))


@pytest.mark.parametrize(
    "change", ["family", "config", "no config", "sections", "steps", "payload", "coder", "coded size"]
)
def test_segments_that_no_encoder_writes_are_errors(hnerv: Encoded, tmp_path: Path, change: str) -> None:
    path = tmp_path / "damaged.inrv"
    path.write_bytes(bitstream.dump(damaged(bitstream.load(hnerv.path.read_bytes()), change)))
    with inrcodec.open(path, "cpu") as video, pytest.raises(BitstreamError):
        video[0]
    with pytest.raises(BitstreamError):
        inrcodec.decode(str(path), str(tmp_path / "a.y4m"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["damaged.inrv"]


def test_files_that_cannot_be_opened(hnerv: Encoded, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        inrcodec.open(tmp_path / "missing.inrv")
    with pytest.raises(UsageError, match="folder"):
        inrcodec.open(tmp_path)
    text = tmp_path / "text.inrv"
    text.write_text("no video")
    with pytest.raises(BitstreamError):
        inrcodec.open(text)
    with pytest.raises(UsageError, match="input itself"):
        inrcodec.decode(str(hnerv.path), str(hnerv.path))
    with pytest.raises(UsageError):
        inrcodec.open(hnerv.path, device="nonsense")
    with pytest.raises(UsageError, match="precision"):
        inrcodec.open(hnerv.path, precision="float16")


def test_torch_settings_stay_as_they_were(hnerv: Encoded) -> None:
    before = (torch.get_num_threads(), torch.get_num_interop_threads(), torch.is_grad_enabled())
    with inrcodec.open(hnerv.path, "cpu") as video:
        video[:]
    assert (torch.get_num_threads(), torch.get_num_interop_threads(), torch.is_grad_enabled()) == before

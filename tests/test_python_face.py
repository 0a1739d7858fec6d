"""The Python face: frames in memory are encoded as a file is, and a video gives what researchers ask for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_samples import Frames, moving_gradient, write_clip
from command_line import GOLDEN

import inrcodec
from inrcodec.errors import UsageError
from inrcodec.progress import JobReport
from inrcodec.settings.source import SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.arrays import write_lossless

FRAMES: Frames = moving_gradient(32, 24, 3)


def test_frames_in_memory_become_a_file_without_loss(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (5, 22, 34, 3), dtype=np.uint8)
    assert write_lossless(iter(noise), tmp_path / "a.mkv", 12.5) == 5
    clip = read_clip(str(tmp_path / "a.mkv"), SourceSettings())
    assert np.array_equal(clip.frames, noise)
    assert (clip.properties.frame_rate, clip.properties.timestamps) == (12.5, None)


@pytest.mark.parametrize(
    ("frames", "fps", "message"),
    [
        ([], 25, "no frames"),
        ([FRAMES[0], FRAMES[0][:-1]], 25, "frame 1 is"),
        ([FRAMES[0].astype(float)], 25, "frame 0: expected uint8"),
        ([FRAMES[0][..., 0]], 25, "frame 0: expected uint8"),
        (FRAMES, 0, "fps: expected a positive number"),
    ],
)
def test_frames_that_are_no_video(frames: list[Frames], fps: float, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        inrcodec.encode(frames, tmp_path / "a.inrv", fps=fps)
    assert os.listdir(tmp_path) == []


@pytest.mark.end_to_end
def test_an_array_and_an_iterator_are_encoded_as_a_file_is(tmp_path: Path) -> None:
    options = {"bpp": 16.0, "epochs": 1.0, "device": "cpu"}
    seen: list[JobReport] = []
    result = inrcodec.encode(FRAMES, tmp_path / "a.inrv", fps=10, callback=seen.append, **options)
    inrcodec.encode(iter(FRAMES), tmp_path / "b.inrv", fps=10, **options)
    assert (tmp_path / "a.inrv").read_bytes() == (tmp_path / "b.inrv").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.inrv", "b.inrv"]
    assert (seen[-1].fraction, result.frames) == (1.0, 3)
    with inrcodec.open(tmp_path / "a.inrv", "cpu") as video:
        assert (video.fps, video.duration, video.shape) == (10.0, 0.3, (3, 24, 32, 3))
        errors = ((video[:].astype(float) - FRAMES) ** 2).mean(axis=(1, 2, 3))
    assert np.mean(10 * np.log10(255**2 / errors)) == pytest.approx(result.psnr_db, abs=0.01)


def test_what_an_encode_refuses_before_it_takes_a_frame(tmp_path: Path) -> None:
    def never() -> object:
        raise AssertionError("an iterator must not be used up")
        yield

    with pytest.raises(UsageError, match="encode writes .inrv files"):
        inrcodec.encode(never(), tmp_path / "a.mp4")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a callback or a progress"):
        inrcodec.encode(FRAMES, tmp_path / "a.inrv", progress=inrcodec.Silent(), callback=print)
    with pytest.raises(TypeError, match="bitspersecond"):
        inrcodec.encode(FRAMES, tmp_path / "a.inrv", bitspersecond=3)


@pytest.mark.parametrize("name", ["inrc", "hnerv"])
def test_lists_tensors_and_times(name: str) -> None:
    with inrcodec.open(GOLDEN / f"{name}.inrv", "cpu") as video:
        whole = video[:]
        count = len(video)
        assert whole.shape == video.shape
        numbers = [count - 1, 0, -1]
        assert np.array_equal(video[numbers], whole[numbers])
        assert video[[]].shape == (0, *video.shape[1:])
        batch = video.tensor(numbers)
        assert (batch.dtype, batch.device.type, batch.is_inference()) == (torch.uint8, "cpu", False)
        assert batch.is_contiguous()
        assert np.array_equal(batch.permute(0, 2, 3, 1).numpy(), whole[numbers])
        assert torch.equal(video.tensor(0), video.tensor()[0])
        assert torch.equal(video.tensor(slice(1, None)), video.tensor()[1:])
        assert video.tensor([]).shape == (0, 3, *video.shape[1:3])
        times = [0, (count - 0.5) / video.fps]
        assert np.array_equal(video.played_at(times), whole[[0, -1]])
        text = f"<Video: {count} frames of {video.shape[2]}x{video.shape[1]}, {video.fps:g} fps, "
        assert repr(video).startswith(text) and repr(video).endswith("on cpu>")
        for wrong in ([count], [-count - 1]):
            with pytest.raises(IndexError):
                video.tensor(wrong)
        with pytest.raises(UsageError, match="no frame is shown at"):
            video.played_at([video.duration + 1])


@pytest.mark.end_to_end
def test_metadata_are_the_texts_of_the_file(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", FRAMES)
    inrcodec.encode(tmp_path / "a.mp4", tmp_path / "a.inrv", bpp=16, epochs=1, device="cpu")
    with inrcodec.open(tmp_path / "a.inrv", "cpu") as video:
        assert video.metadata["encoder"] == f"inrc {inrcodec.__version__}"

"""Small videos and tensors shared by the tests of models, coding, fitting and encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bitstream import Section
from inrcodec.coding.sections import Arrays, Steps, encode_section
from inrcodec.models.family import AnyFamily, FrameDecoder, Role, TensorSpec, VideoInfo
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.inrc.shapes import InrcConfig
from inrcodec.models.registry import FAMILIES
from inrcodec.models.source import SourceFrames

Frames = NDArray[np.uint8]
TRAINED: list[Any] = [family for family in FAMILIES if family.is_trained]
TWO_SEGMENTS = ["--model", "hnerv", "--size", "9k", "--segment", "6", "--epochs", "8", "--device", "cpu"]
"""Options of an encode of twelve frames in two segments, for tests that interrupt one."""


def moving_gradient(width: int, height: int, count: int) -> Frames:
    """Frames (T, height, width, 3) in which a bright disc crosses a colour gradient."""
    row, column = np.mgrid[0:height, 0:width] / max(width, height)
    frames = []
    for time in np.arange(count) / max(count, 2):
        disc = np.exp(-40 * ((column - 0.2 - 0.6 * time) ** 2 + (row - 0.35) ** 2))
        channels = [0.8 * column + 0.2 * time, 0.8 * row, 0.5 - 0.3 * column * row]
        frames.append(np.stack([np.clip(channel + 0.5 * disc, 0, 1) for channel in channels], axis=-1))
    return (255 * np.stack(frames)).round().astype(np.uint8)


def write_clip(path: Path, frames: Frames, rate: Fraction = Fraction(25)) -> Path:
    """Write `frames` as H.264 in 4:4:4 with PyAV alone, and return `path`."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "4", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv444p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def read_frames(path: Path) -> Frames:
    """Frames (T, height, width, 3), converted to `rgb24` by PyAV."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def mean_psnr_db(reference: Frames, decoded: Frames) -> float:
    """Mean over frames of the RGB PSNR, computed without `inrcodec.metrics`."""
    errors = ((reference.astype(np.float64) - decoded) ** 2).mean(axis=(1, 2, 3))
    return float((10 * np.log10(255**2 / errors)).mean())


def random_tensor(spec: TensorSpec, generator: torch.Generator) -> Tensor:
    """Random values that a file could contain for `spec`."""
    if spec.role is Role.LEVELS:
        return torch.randint(0, spec.level_count + 1, spec.shape, generator=generator).float()
    if spec.role is Role.SCALE:
        return (0.2 + torch.rand(spec.shape, generator=generator)).half().float()
    if spec.role is Role.WEIGHT:
        return torch.randn(spec.shape, generator=generator) * spec.shape[1] ** -0.5 / spec.shape[2]
    return torch.randn(spec.shape, generator=generator) * 0.5


def random_tensors(family: AnyFamily, config: Any, video: VideoInfo, seed: int = 0) -> dict[str, Tensor]:
    """Random input for the family's decoder, in the form that `segment_tensors` returns."""
    generator = torch.Generator().manual_seed(seed)
    # The frame decoder does not use the entropy models.
    specs = [spec for spec in family.tensors(config, video) if not spec.name.startswith("context.")]
    tensors = {spec.name: random_tensor(spec, generator) for spec in specs}
    if family.has_contexts:
        tensors["latent"] = (6 * tensors["latent"]).to(torch.int16)
        tensors["latent.step"] = torch.tensor(0.03)
    return tensors


def encode_sections(
    specs: Sequence[TensorSpec], values: Arrays, steps: Mapping[str, Steps]
) -> tuple[Section, ...]:
    """Quantise and code every tensor."""
    return tuple(encode_section(spec, values[spec.name], steps.get(spec.name)) for spec in specs)


def random_source(video: VideoInfo, batch: int | None = None) -> SourceFrames:
    """The first `batch` frames (default: all) of a clip of noise."""
    generator = torch.Generator().manual_seed(1)
    shape = (video.frame_count, video.height, video.width, 3)
    clip = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return SourceFrames(clip, torch.arange(batch or video.frame_count))


def random_grid_decoder(config: InrcConfig, video: VideoInfo, is_still: bool = False) -> FrameDecoder:
    """A decoder of family `inrc` with normal weights, and latents everywhere.

    With `is_still`, there is no motion and no colour leaves its range.
    """
    tensors = {
        spec.name: torch.randn(spec.shape)
        for spec in Inrc().tensors(config, video)
        if not spec.name.startswith("context.")
    }
    tensors["latent"] = tensors["latent"].round().to(torch.int16)
    if is_still:
        tensors["motion"].zero_()
    tensors["latent.step"] = torch.tensor(0.002 if is_still else 0.1)
    return Inrc().decoder(config, video, tensors)

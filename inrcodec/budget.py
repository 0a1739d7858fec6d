"""From what a person asks for (`--bpp`, `--size`) to the bytes a file's video may take: plain arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bitstream import Extras, Quality, Section, Segment, Stream, StreamHeader, dump
from bitstream.blocks import BLOCK_OVERHEAD_BYTES
from bitstream.extras import extras_blocks
from inrcodec import __version__
from inrcodec.checks import check_exclusive
from inrcodec.compression.sections import Arrays, encode_section
from inrcodec.models.family import STEPPED_ROLES, TensorSpec, VideoInfo
from inrcodec.settings import DEFAULT_BPP, EncodeSettings

LEAST_FILL = 0.97
"""Share of the bytes asked for that a file uses at least."""
SECTION_OVERHEAD_BYTES = 12
"""What a section's coder parameters take beside the ideal bits of its symbols, about."""

MASK_REMARK = "PSNR counts unmasked pixels only"
"""What a file says of a video whose masked pixels were left to the network."""


def target_bytes(settings: EncodeSettings, video: VideoInfo) -> int:
    """The size that the file may have: `--size`, or `--bpp` (or its default) times the pixels over eight.

    Raises `UsageError` when both are given or one is not positive.
    """
    check_exclusive(settings)
    if settings.size_bytes is not None:
        return settings.size_bytes
    bpp = DEFAULT_BPP if settings.bpp is None else settings.bpp
    return int(bpp * video.pixel_count / 8)


def stream_of(header: StreamHeader, segment: Segment, psnr_db: float, is_masked: bool = False) -> Stream:
    """What an encode writes: one segment, its PSNR (which does not change the size) and who made it."""
    metadata = {"encoder": f"inrc {__version__}"}
    if is_masked:
        metadata["mask"] = MASK_REMARK
    return Stream(header, (segment,), Quality(psnr_db), metadata)


def empty_segment(
    header: StreamHeader, family: int, seed: int, config: bytes, specs: Sequence[TensorSpec]
) -> Segment:
    """A segment of all frames whose sections have steps where they need them, and no symbols yet."""
    sections = tuple(Section(0, (1.0,) if spec.role in STEPPED_ROLES else (), b"") for spec in specs)
    return Segment(0, header.frame_count, family, seed, config, sections)


def overhead_bytes(header: StreamHeader, empty: Segment, is_masked: bool = False) -> int:
    """Bytes of a file of one segment, here `empty`, that are not coded symbols."""
    return len(dump(stream_of(header, empty, 0.0, is_masked))) + SECTION_OVERHEAD_BYTES * len(empty.sections)


def least_file_bytes(
    header: StreamHeader,
    empty: Segment,
    specs: Sequence[TensorSpec],
    is_masked: bool = False,
    values: Arrays | None = None,
) -> int:
    """Bytes of the smallest file of one segment, here `empty`: steps so coarse that every symbol is zero.

    Tensors that have no step are as in `values`, zeros where those do not have them.
    """
    sections = []
    for spec in specs:
        is_stepped = spec.role in STEPPED_ROLES
        given = None if values is None or is_stepped else values.get(spec.name)
        value = np.zeros(spec.shape, np.float32) if given is None else given
        sections.append(encode_section(spec, value, 1.0 if is_stepped else None))
    segment = replace(empty, sections=tuple(sections))
    return len(dump(stream_of(header, segment, 0.0, is_masked)))


def bits_per_pixel(byte_count: int, video: VideoInfo) -> float:
    """8 x bytes over the pixels of all frames."""
    return 8 * byte_count / video.pixel_count


def size_of(extras: Extras) -> int:
    """Bytes of a file that hold sound, subtitles, chapters and tags; no target counts them."""
    return sum(BLOCK_OVERHEAD_BYTES + len(payload) for _, payload in extras_blocks(extras))

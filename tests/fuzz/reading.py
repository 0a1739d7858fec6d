"""Load, decode, export and mux a file, and ask a second decoder what it finds."""

from __future__ import annotations

import io
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bitstream_reference as reference
import inrc_reference
import numpy as np

import inrcodec
from bitstream import BitstreamError, ForwardReader, SalvageReader, Stream, StreamReader, load
from bitstream.coders import CODERS
from bitstream.extras import Extras
from bitstream.timestamps import duration
from fuzz.seeds import LIMITS
from inrcodec.coding.grid_sections import segment_tensors
from inrcodec.coding.opened_segment import OpenedSegment, open_segment
from inrcodec.coding.sections import LARGEST_HALF
from inrcodec.decoder.video import Video
from inrcodec.errors import InrcError
from inrcodec.models.family import STEPPED_ROLES

EXPECTED = (BitstreamError, InrcError)
"""Errors that a file may cause."""
SMALLEST_STEP = 1e-30
"""A part of a smaller step may be below the normal numbers of binary32, which some processors round to 0."""
FEW_SYMBOLS, FEW_PIXELS = 3000, 1000
"""The second decoders are slow."""


class Disagreement(Exception):
    """The second decoder says something else of a file."""


def load_any(data: bytes, rng: random.Random) -> Stream | None:
    """Load a file by one of the four readers and open its segments. Returns it if `load` made it."""
    kind = rng.randrange(8)
    if kind < 5:
        stream = load(data, LIMITS)
        for segment in stream.segments:
            open_segment(segment, stream.header, LIMITS)
        return stream
    readers: tuple[Callable[[], Any], ...] = (
        lambda: StreamReader(io.BytesIO(data), LIMITS),
        lambda: SalvageReader(io.BytesIO(data), LIMITS),
        lambda: ForwardReader(io.BytesIO(data), LIMITS, skip_damaged=True),
    )
    with readers[kind - 5]() as reader:
        for number, _, segment in reader.segments():
            try:
                open_segment(segment, reader.header, LIMITS)
            except BitstreamError as error:
                reader.discard(number, error)
        reader.losses()
        reader.track_infos()
        reader.extras()
        reader.summary()
    return None


def decode_frame(data: bytes, rng: random.Random) -> None:
    """Render one frame, or a place between two."""
    with Video(StreamReader(io.BytesIO(data), LIMITS), "cpu", "float32") as video:
        last = len(video) - 1
        number = rng.choice((0, last, rng.randint(0, last)))
        frame = video[number]
        if frame.shape != (video.properties.height, video.properties.width, 3):
            raise Disagreement(f"a frame of shape {frame.shape}")
        if last and rng.random() < 0.2:
            video.at(max(0.0, number - 0.5))


def mux(data: bytes, rng: random.Random, folder: Path) -> None:
    """Decode the first frames to a video file, with everything beside them."""
    source = folder / "a.inrv"
    source.write_bytes(data)
    settings = inrcodec.DecodeSettings(
        frames=inrcodec.FrameRange(0, rng.choice((1, 2, 3))),
        codec="ffv1" if (is_mkv := rng.random() < 0.5) else "h264",
        overwrite=True,
        device="cpu",
        precision="float32",
        limits=LIMITS,
    )
    inrcodec.decode(str(source), str(folder / ("a.mkv" if is_mkv else "a.mp4")), settings)


def export(data: bytes, folder: Path) -> None:
    """Export the file as ONNX."""
    source = folder / "a.inrv"
    source.write_bytes(data)
    with tempfile.TemporaryDirectory(dir=folder) as target:
        inrcodec.export(str(source), f"{target}/out", inrcodec.ExportSettings(limits=LIMITS))


def compare(data: bytes, stream: Stream, slowly: bool) -> None:
    """Read an accepted file by the second decoder. Raises `Disagreement`.

    With `slowly`, symbols are decoded by it, too, and frames of `inrc` rendered.
    """
    try:
        _compare_container(data, stream)
        if slowly:
            for segment, (_, sections) in zip(stream.segments, reference.runs(data), strict=True):
                _compare_segment(open_segment(segment, stream.header, LIMITS), sections)
    except (ValueError, KeyError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise Disagreement(f"the second decoder refuses it: {type(error).__name__}: {error}") from error


def _require(is_equal: bool, what: str) -> None:
    if not is_equal:
        raise Disagreement(f"the second decoder finds other {what}")


def _compare_container(data: bytes, stream: Stream) -> None:
    runs, header = reference.runs(data), stream.header
    _require(
        runs
        == [
            (
                range(one.first_frame, one.first_frame + one.frame_count),
                [(section.coder, section.payload) for section in one.sections],
            )
            for one in stream.segments
        ],
        "segments",
    )
    if header.timestamps is not None and header.frame_count <= FEW_SYMBOLS:
        times = [stamp * header.time_base for stamp in header.timestamps]
        _require(reference.frame_times(data) == times, "times")
    if header.frame_count <= FEW_SYMBOLS:
        _require(reference.end_time(data) == duration(header), "end")
    kinds = {kind for kind, _ in reference.blocks(data)}
    extras: Extras = stream.extras
    if b"tags" in kinds:
        _require(reference.tags(data) == dict(extras.tags), "tags")
    if b"vtag" in kinds:
        _require(reference.video_tags(data) == dict(extras.video_tags), "tags of the video")
    if b"pads" in kinds:
        found = [(track.padding.start, track.padding.end) for track in extras.tracks]
        expected = reference.paddings(data)
        _require(found == (expected if len(expected) == len(found) else [(0, 0)] * len(found)), "padding")
    if b"chap" in kinds:
        chapters = [
            {
                "time_base": str(one.time_base),
                "start": one.start,
                "end": one.end,
                "metadata": dict(one.metadata),
            }
            for one in extras.chapters
        ]
        _require(reference.chapters(data) == chapters, "chapters")
    if b"trak" in kinds:
        tracks = []
        for track in extras.tracks:
            info = {name: getattr(track.info, name) for name in vars(track.info)}
            info |= {"time_base": str(track.info.time_base), "extradata": track.info.extradata.hex()}
            info["metadata"] = dict(track.info.metadata)
            packets = [[*packet[:4], packet.data.hex()] for packet in track.packets]
            tracks.append(info | {"packets": packets})
        _require(reference.tracks(data) == tracks, "tracks")


def _compare_segment(opened: OpenedSegment, sections: list[tuple[int, bytes]]) -> None:
    try:
        tensors = segment_tensors(opened)
    except BitstreamError:
        tensors = None
    if tensors is None:
        # The second decoder checks no ranges, so it may accept what the first refuses.
        return
    for spec, (coder, payload) in zip(opened.specs, sections, strict=True):
        if coder in CODERS and spec.count <= FEW_SYMBOLS:
            expected = reference.decode_symbols(coder, payload, spec.count)
            _require(
                CODERS[coder].decode(payload, spec.count).tolist() == expected, f"symbols of {spec.name}"
            )
        if spec.role not in STEPPED_ROLES and spec.name in tensors:
            _require(bool(np.abs(tensors[spec.name]).max(initial=0) <= LARGEST_HALF), "scales")
    video = opened.video
    is_small = video.width * video.height * video.frame_count <= FEW_PIXELS * 6
    if opened.family.has_contexts and is_small and "motion" in tensors:
        _compare_frames(opened, tensors)


def _compare_frames(opened: OpenedSegment, tensors: dict[str, Any]) -> None:
    """Frames of `inrc`, which SPEC.md requires to differ by at most 2 where values are of ordinary size."""
    if any(np.abs(tensors[name] * tensors.get(f"{name}.step", 1)).max(initial=0) > 64 for name in tensors):
        return
    if tensors["latent.step"] < SMALLEST_STEP:
        return
    import torch

    video = opened.video
    with np.errstate(all="ignore"):
        expected = inrc_reference.frames_of(tensors, opened.config, video.height, video.width)
    given = {name: torch.from_numpy(value) for name, value in tensors.items()}
    decoder: Any = opened.family.decoder(opened.config, video, given)
    with torch.inference_mode():
        found = decoder.codes([*range(video.frame_count)]).numpy()
    _require(int(np.abs(found.astype(int) - expected).max()) <= 2, "frames")

"""Ordinary codecs at the bytes of our files: a search over rate factors, and pictures side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from inrcodec.metrics import psnr_db, summarise_psnr
from inrcodec.progress import Progress
from inrcodec.quality.bdrate import Curve
from inrcodec.quality.comparison.ordinary_codecs import decoded_pictures
from inrcodec.quality.comparison.ours import Encoded
from inrcodec.quality.comparison.result import LeftOut
from inrcodec.quality.comparison.verdict import title
from inrcodec.quality.evaluation import frames_at
from inrcodec.quality.frame_metrics import Frame
from inrcodec.quality.report.evidence import FileEvidence, SideBySide, Stream
from inrcodec.quality.report.pictures import Chosen, make_pictures
from inrcodec.search import bracket, share_between, within
from inrcodec.settings.source import SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.ordinary_codecs import Frames, Rival, RivalFailed, encode_stream

CLOSE = 0.99
"""Share of the bytes from which on the search is content."""
MOST_ENCODES = 6
"""Encodes of one search between the points of a curve."""
EQUAL_BYTES = "encoding other codecs at equal bytes"
"""Name of this stage in progress reports."""
_INNER = 0.05


@dataclass(frozen=True)
class Found:
    """The stream of an ordinary codec that a search ended with."""

    crf: float
    data: bytes


def closest_stream(rival: Rival, frames: Frames, rate: Fraction, limit: int, curve: Curve) -> Found:
    """Search the rate factor whose stream of `frames` (T, height, width, 3) comes closest to `limit` bytes.

    The stream has at most `limit` bytes. The search starts from the points of `curve`, and takes the bytes as
    exponential between two factors. Raises `RivalFailed` if every stream has more bytes.
    """
    parts = rival.encoder.crf_parts
    sizes: dict[int, int] = {round(parts * point["crf"]): point["file_bytes"] for point in curve}
    streams: dict[int, bytes] = {}

    def encode(place: int) -> bytes:
        if place not in streams:
            streams[place] = encode_stream(frames, rival, place / parts, rate)
            sizes[place] = len(streams[place])
        return streams[place]

    if min(sizes.values()) > limit:
        encode(parts * rival.encoder.coarsest_crf)
    elif max(sizes.values()) <= limit:
        encode(parts)
    for _ in range(MOST_ENCODES):
        place = _next_place(sizes, limit)
        if place is None:
            break
        encode(place)
    fitting = {place: size for place, size in sizes.items() if size <= limit}
    if not fitting:
        raise RivalFailed(f"its smallest stream has {min(sizes.values()):,} bytes")
    best = max(fitting, key=lambda place: fitting[place])
    return Found(best / parts, encode(best))


def _next_place(sizes: Mapping[int, int], limit: int) -> int | None:
    """The rate factor to try next, in the units of `sizes`; None if the search is over."""
    wanted = -math.log(limit)
    larger, fitting = bracket(((place, -math.log(size)) for place, size in sizes.items()), wanted)
    if larger is None or fitting is None or fitting[0] - larger[0] <= 1:
        return None
    if fitting[1] <= wanted - math.log(CLOSE):
        return None
    # The middle between just close enough and just too large.
    aim = wanted - math.log((1 + CLOSE) / 2)
    place = larger[0] + share_between(larger[1], fitting[1], aim, _INNER) * (fitting[0] - larger[0])
    return round(within(place, larger[0] + 1, fitting[0] - 1))


def side_by_side(
    source: str,
    selected: SourceSettings,
    made: Sequence[tuple[Encoded, FileEvidence]],
    rivals: Sequence[tuple[Rival, Curve]],
    left_out: list[LeftOut],
    device: str,
    progress: Progress,
) -> tuple[SideBySide, ...]:
    """Show the rivals, each with its curve, at the bytes of each of our files.

    Rivals that cannot be made that small, or that fail, are added to `left_out`. Memory holds the frames.
    """
    clip = read_clip(source, selected, progress)
    found = []
    for number, (ours, file) in enumerate(made):
        values = file.quality.values["psnr"]
        chosen = _choose(values)
        indices = [one.index for one in chosen]
        limit = file.quality.file_bytes or 0
        setting = f"{ours.encode.bpp:g} bpp"
        streams = [Stream(ours.encode.model, setting, limit, float(np.mean(values)))]
        shown = [frames_at(ours.path, indices, device=device)]
        for place, (rival, curve) in enumerate(rivals):
            progress.stage(EQUAL_BYTES, number * len(rivals) + place, len(made) * len(rivals))
            try:
                closest = closest_stream(rival, clip.frames, clip.properties.frame_rate, limit, curve)
                mean_db, pictures = _seen(closest.data, rival, clip.frames, indices)
            except RivalFailed as error:
                left_out.append(LeftOut(f"{rival.name} at {limit:,} bytes", str(error)))
                progress.note(f"{left_out[-1].name} is left out: {error}")
                continue
            streams.append(Stream(title(rival.name), f"crf {closest.crf:g}", len(closest.data), mean_db))
            shown.append(pictures)
        frames = [clip.frames[index] for index in indices]
        found.append(
            SideBySide(
                file.name,
                tuple(streams),
                make_pictures(chosen, frames, shown, has_maps=False, sets=len(made)),
            )
        )
    progress.stage(EQUAL_BYTES, len(made) * len(rivals), len(made) * len(rivals))
    return tuple(found)


def _choose(values_db: NDArray[np.float64]) -> list[Chosen]:
    """The frame with the lowest PSNR, given for each frame (T,), and the one in the middle; each once."""
    chosen = [Chosen("worst", int(np.argmin(values_db))), Chosen("middle", (len(values_db) - 1) // 2)]
    if chosen[0].index == chosen[1].index:
        return [Chosen("only" if len(values_db) == 1 else "worst", chosen[0].index)]
    return chosen


def _seen(data: bytes, rival: Rival, frames: Frames, indices: Sequence[int]) -> tuple[float, list[Frame]]:
    """The mean PSNR of a stream and its pictures `indices`. Raises `RivalFailed`."""
    values_db, kept = [], {}
    for index, picture in enumerate(decoded_pictures(data, rival, frames)):
        values_db.append(psnr_db(frames[index], picture))
        if index in indices:
            kept[index] = picture
    return summarise_psnr(values_db).mean_db, [kept[index] for index in indices]

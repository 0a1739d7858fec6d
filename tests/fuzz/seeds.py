"""The files that are mutated: golden files, the corpus, files with tracks, and one of each kind of config."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bitstream
from bitstream import (
    BitstreamError,
    Chapter,
    ContentLight,
    Extras,
    Limits,
    MasteringDisplay,
    Packet,
    Padding,
    Section,
    Segment,
    SourcePart,
    Stream,
    StreamHeader,
    Track,
    TrackInfo,
    TrackKind,
)
from bitstream.coders import CODERS
from inrcodec.coding.opened_segment import open_segment
from inrcodec.models.family import AnyFamily, Role, VideoInfo
from inrcodec.models.hinerv.hinerv import HiNeRV
from inrcodec.models.hinerv.shapes import HiNeRVConfig, TemporalGrid
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.layers.layout import covering_grid
from inrcodec.models.nerv import NeRV, NeRVConfig
from inrcodec.models.registry import FAMILIES
from inrcodec.models.snerv.snerv import SNeRV, SNeRVConfig
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.snerv.spectral import low_band
from inrcodec.models.snerv.temporal import SNeRVTConfig
from inrcodec.models.supermask.config import DECODERS, SCALES, WEIGHTS, SupermaskConfig
from inrcodec.models.supermask.supermask import Supermask

LIMITS = Limits(
    max_memory=1 << 26,
    max_frame_multiplications=1 << 27,
    max_segment_multiplications=1 << 40,
    max_pixels=1 << 20,
)
"""Limits of all readings: a sixteenth of a gigabyte, and a fraction of a second a frame."""
TESTS = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"
MOST_SYMBOLS = 1 << 16
LONGEST = 4000
"""Larger golden files take longer, and find no more."""
_LARGEST_SIDES = (1, 2, 3, 9, 31, 64, 200)


def seeds() -> list[bytes]:
    """All of them, in the same order each time."""
    paths = [*sorted(TESTS.glob("golden/*.inrv")), *sorted(TESTS.glob("bitstream/golden/*.inrv"))]
    golden = [path.read_bytes() for path in paths]
    small = [data for data in golden if len(data) <= LONGEST]
    plain = bitstream.load((TESTS / "golden" / "nerv.inrv").read_bytes())
    return [*small, *with_tracks(plain), in_segments(plain), *configured(), *hostile(), *corpus()]


def corpus() -> list[bytes]:
    """Small files of the kinds that once found a fault; `regenerate_corpus` writes them."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.inrv"))]


def counts_of(files: list[bytes]) -> dict[tuple[int, bytes], int]:
    """The number of symbols of each coder and payload in these files, if few, intact and not contextual."""
    found = {}
    for data in files:
        try:
            stream = bitstream.load(data)
            for segment in stream.segments:
                opened = open_segment(segment, stream.header)
                for spec, section in zip(opened.specs, segment.sections, strict=True):
                    if section.coder in CODERS and spec.count <= MOST_SYMBOLS:
                        CODERS[section.coder].decode(section.payload, spec.count)
                        found[section.coder, section.payload] = spec.count
        except BitstreamError:
            continue
    return found


def with_tracks(plain: Stream) -> list[bytes]:
    """Files with a track each, and one with two tracks, of which one is padded, and everything else."""
    tone = bytes(range(256)) * 2
    tracks = [
        _track("pcm_s16le", tone, 1024, Fraction(1, 8000), layout="mono", sample_format="s16"),
        _track("aac", tone[:60], 1024, Fraction(1, 44100), bytes.fromhex("1208"), layout="mono"),
        _track("opus", tone[:40], 960, Fraction(1, 48000), _OPUS_HEAD, layout="stereo"),
        _track("mp3", bytes.fromhex("fffb9064") + bytes(413), 1152, Fraction(1, 44100), layout="stereo"),
        _track("subrip", b"hello", 40, Fraction(1, 1000), kind=TrackKind.SUBTITLE),
        _track("mov_text", b"\0\5hello", 40, Fraction(1, 1000), kind=TrackKind.SUBTITLE),
    ]
    chapters = (Chapter(Fraction(1, 1000), 0, 80, {"title": "one"}), Chapter(Fraction(1, 25), 2, 3, {}))
    header = replace(
        plain.header,
        timestamps=(0, 2, 3),
        last_duration=2,
        part=SourcePart(3, 2, 1, 8, 20, 20, 1, 1, 16, 16),
        mastering_display=MasteringDisplay(most_luminance=10_000_000),
        content_light=ContentLight(1000, 400),
    )
    padded = replace(tracks[0], padding=Padding(3, 5))
    rich = Extras((padded, tracks[4]), chapters, {"title": "a", "artist": "b"}, {"language": "eng"})
    files = [replace(plain, extras=Extras((track,))) for track in tracks]
    return [bitstream.dump(one) for one in (*files, replace(plain, header=header, extras=rich))]


_OPUS_HEAD = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


def _track(
    codec: str,
    data: bytes,
    duration: int,
    time_base: Fraction,
    extradata: bytes = b"",
    kind: TrackKind = TrackKind.AUDIO,
    layout: str = "",
    sample_format: str = "",
) -> Track:
    rate = time_base.denominator if kind == TrackKind.AUDIO else 0
    info = TrackInfo(
        kind, codec, time_base, {"language": "eng"}, rate, layout, sample_format, extradata=extradata
    )
    packets = (Packet(place * duration, place * duration, duration, True, data) for place in range(3))
    return Track(info, tuple(packets))


def in_segments(plain: Stream) -> bytes:
    """The same frames in three segments."""
    (segment,) = plain.segments
    parts = tuple(replace(segment, first_frame=frame, frame_count=1) for frame in range(3))
    return bitstream.dump(replace(plain, segments=parts))


def configured() -> list[bytes]:
    """A file of each family with each of several random configs; nearly all symbols are 0."""
    rng = random.Random(1)
    found = []
    for _ in range(8):
        for family in FAMILIES:
            video = VideoInfo(rng.choice(_LARGEST_SIDES), rng.choice(_LARGEST_SIDES), rng.choice((1, 2, 7)))
            config = config_of(family, video, rng)
            coded = family.coded_size(config, video)
            if coded[0] * coded[1] <= LIMITS.max_pixels:
                found.append(file_of_zeros(family, config, video))
    return [data for data in found if len(data) <= LONGEST]


def hostile() -> list[bytes]:
    """Files of a few bytes that ask for work or memory: about as much as `LIMITS` allow, and more."""
    deep, flat = covering_grid(32, 32, (1,) * 8), covering_grid(31, 23, (4, 2))
    lattice, small = covering_grid(64, 64, (8,)), VideoInfo(31, 23, 6)
    long = (TemporalGrid(0, 1, 1), TemporalGrid(1, 1 << 16, 64))
    dense = (TemporalGrid(0, 1, 1), *16 * (TemporalGrid(1, 1, 64),))
    wide = Inrc().plan(small, 1e5, {"width": "0", "group": "3"}, 0)
    return [
        file_of_zeros(HNeRV(), HNeRVConfig(deep, 1, 60, (7, 7), 100), VideoInfo(32, 32, 1)),
        file_of_zeros(NeRV(), NeRVConfig(flat, 4, 1), VideoInfo(31, 23, 1 << 24)),
        file_of_zeros(HNeRV(), HNeRVConfig(lattice, 1, 1), VideoInfo(64, 64, 1 << 16)),
        file_of_zeros(HiNeRV(), HiNeRVConfig(lattice, (1, 1), (1,), long), VideoInfo(64, 64, 1 << 16)),
        file_of_zeros(HiNeRV(), HiNeRVConfig(lattice, (1, 1), (1,), dense), VideoInfo(64, 64, 1)),
        file_of_zeros(Inrc(), wide, small, largest=b"\xff\xff\x01"),
    ]


def config_of(family: AnyFamily, video: VideoInfo, rng: random.Random) -> Any:
    """A random config of this family for this video."""
    strides = tuple(rng.choice((1, 1, 2, 3, 8)) for _ in range(rng.randint(3, 6)))
    grid, width, channels = (
        covering_grid(video.width, video.height, strides),
        rng.randint(1, 9),
        rng.randint(1, 5),
    )
    band = low_band(video)
    bands = covering_grid(band.width, band.height, strides)
    if isinstance(family, HNeRV):
        return HNeRVConfig(grid, channels, width, *rng.choice((((1, 5), 120), ((3, 7), 100), ((1, 1), 400))))
    if isinstance(family, Supermask):
        kinds = rng.choice(DECODERS), rng.choice(WEIGHTS), rng.choice(SCALES), rng.random() < 0.5
        densities, trained = (60000, 30000, 1)[: rng.randint(1, 3)], (0,) * rng.randint(0, 1)
        return SupermaskConfig(*kinds, grid, 2 * channels, width, densities, 7, trained)
    if isinstance(family, HiNeRV):
        finer = TemporalGrid(rng.randint(1, len(strides)), rng.randint(1, video.frame_count), 1)
        widths = tuple(rng.randint(1, 9) for _ in range(len(strides) + 1))
        kernels = tuple(rng.choice((1, 3, 5, 7)) for _ in strides)
        grids = (TemporalGrid(0, video.frame_count, channels), finer)
        return HiNeRVConfig(grid, widths, kernels, grids)
    if isinstance(family, NeRV):
        return NeRVConfig(grid, channels, width)
    if isinstance(family, SNeRV):
        return SNeRVConfig(bands, channels, width, rng.randint(0, 2))
    if isinstance(family, SNeRVT):
        return SNeRVTConfig(bands, channels, 1, (), width, rng.randint(0, 2))
    return family.plan(video, 1e5, {"width": str(rng.choice((0, 3))), "group": str(rng.randint(1, 4))}, 0)


def file_of_zeros(family: AnyFamily, config: Any, video: VideoInfo, largest: bytes = b"\1") -> bytes:
    """A file of this config whose symbols are all 0 where that takes no words.

    `largest` is the largest magnitude that contextual sections declare, as a varint.
    """
    sections = []
    for spec in family.tensors(config, video):
        is_grid = family.has_contexts and spec.per_frame
        steps = () if spec.role in (Role.LEVELS, Role.SCALE) else (0.0625,)
        if spec.name.startswith("context."):
            steps = (1 / 64 if spec.name.endswith("weight") else 1 / 16,)
        # From version 1 on, latents have the classes of sizes as well.
        has_sizes = spec.name == "latent" and getattr(config, "version", 0) >= 1
        payload = largest + bytes(6 * has_sizes)
        sections.append(Section(7, steps, payload) if is_grid else Section(1, steps, b"\0\0"))
    width, height = family.coded_size(config, video)
    header = StreamHeader(
        video.width, video.height, width, height, video.frame_count, Fraction(25), Fraction(1, 25)
    )
    segment = Segment(0, video.frame_count, family.wire_id, 7, family.pack(config), tuple(sections))
    return bitstream.dump(Stream(header, (segment,)))

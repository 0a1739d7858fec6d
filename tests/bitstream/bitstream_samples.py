"""Streams and hypothesis strategies shared by the tests of the format."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import settings
from hypothesis import strategies as st

from bitstream import (
    ColorTags,
    ContentLight,
    MasteringDisplay,
    Quality,
    Section,
    Segment,
    SourcePart,
    Stream,
    StreamHeader,
)
from bitstream.extras import EXTRA_TYPES
from bitstream.fields import to_float32
from bitstream.header import KNOWN_ANCILLARY_TYPES

steady = settings(deadline=None, derandomize=True, database=None, max_examples=60)
"""Use the same examples on every run, and no time limits, so that no test fails on a slow machine."""

MAX_U32 = (1 << 32) - 1
FLOAT32_MAX = 3.4028234663852886e38

HEADER = StreamHeader(
    width=17,
    height=13,
    coded_width=20,
    coded_height=16,
    frame_count=3,
    frame_rate=Fraction(30000, 1001),
    time_base=Fraction(1, 30000),
)

MINIMAL = Stream(
    StreamHeader(1, 1, 1, 1, 1, Fraction(25), Fraction(1, 25)),
    (Segment(0, 1, family=0, seed=0, config=b"", sections=()),),
)

RICH = Stream(
    HEADER,
    (
        Segment(0, 2, 1, 7, b"cfg", (Section(4, (0.125, 3.0), b"\x01\x02\x03"), Section(1, (), b""))),
        Segment(2, 1, 2, (1 << 64) - 1, b"", (Section(2, (1e-3,), b"payload"),)),
    ),
    Quality(31.234),
    {"title": "Blümchen", "": ""},
    ((b"auDi", b"sound"), (b"auDi", b"")),
)


def edges(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of a range, often its ends."""
    return st.sampled_from((low, high)) | st.integers(low, high)


rationals = st.builds(Fraction, edges(1, MAX_U32), edges(1, MAX_U32))
steps = st.lists(
    st.sampled_from((1.0, FLOAT32_MAX, 1e-45))
    | st.floats(min_value=1e-30, max_value=1e30).map(lambda value: to_float32((value,))[0]),
    max_size=4,
).map(tuple)
sections = st.builds(Section, edges(0, 255), steps, st.binary(max_size=40))
decibels = st.sampled_from((0.0, math.inf, 4294967.294)) | st.floats(0, 200)
ancillary = st.tuples(
    st.from_regex(rb"\A[a-z][A-Za-z]{3}\Z").filter(
        lambda name: name not in (*KNOWN_ANCILLARY_TYPES, *EXTRA_TYPES)
    ),
    st.binary(max_size=20),
)


@st.composite
def headers(draw: st.DrawFn, frame_count: int) -> StreamHeader:
    """Stream headers that reach the extremes of every field."""
    coded_width, coded_height = draw(edges(1, 1 << 15)), draw(edges(1, 1 << 12))
    return StreamHeader(
        width=draw(edges(1, coded_width)),
        height=draw(edges(1, coded_height)),
        coded_width=coded_width,
        coded_height=coded_height,
        frame_count=frame_count,
        frame_rate=draw(rationals),
        time_base=draw(rationals),
        sample_aspect_ratio=draw(rationals),
        rotation=draw(st.sampled_from((0, 90, 180, 270))),
        bit_depth=draw(edges(8, 16)),
        last_duration=draw(st.none() | edges(1, (1 << 60) - 1)),
        part=draw(st.none() | st.builds(SourcePart, edges(0, MAX_U32), edges(1, MAX_U32), edges(0, MAX_U32))),
        mastering_display=draw(
            st.none() | st.builds(MasteringDisplay, *(8 * [edges(0, 65535)]), *(2 * [edges(0, MAX_U32)]))
        ),
        content_light=draw(st.none() | st.builds(ContentLight, edges(0, 65535), edges(0, 65535))),
        color=draw(st.builds(ColorTags, edges(0, 255), edges(0, 255), edges(0, 255), st.booleans())),
    )


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Streams of up to four segments."""
    runs = draw(st.lists(edges(1, 1 << 20), min_size=1, max_size=4))
    segments = []
    first = 0
    for frames in runs:
        segments.append(
            Segment(
                first,
                frames,
                draw(edges(0, 255)),
                draw(edges(0, (1 << 64) - 1)),
                draw(st.binary(max_size=20)),
                tuple(draw(st.lists(sections, max_size=3))),
            )
        )
        first += frames
    return Stream(
        draw(headers(first)),
        tuple(segments),
        draw(st.none() | decibels.map(Quality)),
        draw(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=3)),
        tuple(draw(st.lists(ancillary, max_size=2))),
    )

"""Rewrites the golden files, only for a new format version: `python tests/bitstream/regenerate_golden.py`.

Every later version must decode an existing golden file, so one that differs is only replaced with
`--overwrite`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream import (
    Chapter,
    ColorTags,
    ContentLight,
    Extras,
    MasteringDisplay,
    Packet,
    Quality,
    Section,
    Segment,
    SourcePart,
    Stream,
    StreamHeader,
    Track,
    TrackInfo,
    dump,
)
from bitstream.coders import CODERS

GOLDEN = Path(__file__).parent / "golden"


def tensors() -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Yield wire id and symbols of each section, from integer arithmetic that no library can change."""
    state = 1
    draws = []
    for _ in range(240):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        draws.append(state >> 40)
    noise = np.array(draws, dtype=np.int64).reshape(12, 20)
    bell = np.stack([noise >> shift & 7 for shift in (0, 3, 6, 9, 12, 15)]).sum(axis=0) - 21
    rows = bell * (1 << np.arange(12) // 3)[:, None]
    constant = np.full((2, 3), -5)
    for wire_id, symbols in (
        (1, noise % 100 - 50),
        (2, noise % 65536),
        (2, noise[:1, :13] % 32 - 16),
        (3, (noise % 7) ** 4 - 100),
        (4, rows),
        (4, rows.ravel()[:7]),
        (5, bell[:3]),
        (5, rows),
        (6, np.minimum(noise % 11, 3)),
        (6, noise[0] % 2 * 3 + 1),
        *((wire_id, constant.clip(min=0 if wire_id == 6 else -5)) for wire_id in CODERS),
        *((wire_id, constant.ravel()[:0]) for wire_id in CODERS),
    ):
        yield wire_id, symbols.astype(np.int32)


RUNS = ((0, 4), (4, 1), (5, 7), (12, 2))
"""First frame and frames of the segments of `version-1-film`."""
TIMES = (0, 300, 700, 1_000, 1_300, 1_601, 2_000, 2_300, 12_300, 12_600, 12_901, 13_200, 13_500, 14_000)
"""Timestamps in units of 3/90000 s."""
SOUND = {
    "kind": 0,
    "codec": "opus",
    "time_base": "1/48000",
    "metadata": {"language": "deu", "title": "Büro"},
    "sample_rate": 48000,
    "layout": "5.1(side)",
    "sample_format": "fltp",
    "bit_rate": 128000,
    "disposition": 1,
    "extradata": "4f70757348656164",
    "packets": [[960 * n - 312, 960 * n - 312, 960 - (n == 3) * 500, n != 1, f"{n:02x}" * (n + 1)]
                for n in range(4)],
}  # fmt: skip
TITLES = {
    "kind": 1,
    "codec": "subrip",
    "time_base": "1/1000",
    "metadata": {},
    "sample_rate": 0,
    "layout": "",
    "sample_format": "",
    "bit_rate": 0,
    "disposition": 64,
    "extradata": "",
    "packets": [
        [200, 200, 500, True, "48656c6c6f"],
        [100, 50, 0, True, "21"],
        [(1 << 60) - 1, -(1 << 60) + 1, (1 << 60) - 1, False, "c3bc"],
    ],
}
CHAPTERS = [
    {"time_base": "1/1000", "start": -3, "end": 250, "metadata": {"title": "Anfang"}},
    {"time_base": "1001/30000", "start": 8, "end": 14, "metadata": {}},
]
TAGS = {"title": "Film", "artist": "", "comment": "größer\n"}


def track(fields: dict[str, Any]) -> Track:
    """Build a track from its fields in the JSON."""
    packets = tuple(Packet(*times, bytes.fromhex(data)) for *times, data in fields["packets"])
    given = {name: value for name, value in fields.items() if name != "packets"}
    given["time_base"] = Fraction(given["time_base"])
    return Track(TrackInfo(**{**given, "extradata": bytes.fromhex(given["extradata"])}), packets)


def film() -> dict[str, bytes]:
    """Files of a stream with several segments, irregular timestamps, tracks, chapters and tags."""
    header = StreamHeader(
        17, 13, 20, 16, 14, Fraction(30), Fraction(1, 90000), timestamps=tuple(3 * time for time in TIMES)
    )
    chapters = tuple(Chapter(**{**one, "time_base": Fraction(one["time_base"])}) for one in CHAPTERS)
    extras = Extras((track(SOUND), track(TITLES)), chapters, TAGS)
    symbols = [np.arange(first, first + count, dtype=np.int32) for first, count in RUNS]
    segments = tuple(
        Segment(first, count, 0, first, bytes([count]), (Section(4, (0.5,), CODERS[4].encode(values[None])),))
        for (first, count), values in zip(RUNS, symbols, strict=True)
    )
    expected = {
        "runs": RUNS,
        "symbols": [values.tolist() for values in symbols],
        "times": [str(Fraction(3 * time, 90000)) for time in TIMES],
        "tracks": [SOUND, TITLES],
        "chapters": CHAPTERS,
        "tags": TAGS,
    }
    return {
        "version-1-film.inrv": dump(Stream(header, segments, Quality(40.0), {"encoder": "x"}, (), extras)),
        "version-1-film.json": (json.dumps(expected) + "\n").encode(),
    }


def held() -> dict[str, bytes]:
    """Files whose last frame is held, at a constant rate and at an irregular one."""
    segment = Segment(0, 3, 0, 0, b"", ())
    regular = StreamHeader(2, 2, 2, 2, 3, Fraction(25), Fraction(1, 1000), last_duration=2500)
    irregular = replace(regular, timestamps=(0, 1000, 3000), last_duration=5000)
    return {
        "version-1-held.inrv": dump(Stream(regular, (segment,))),
        "version-1-held-irregular.inrv": dump(Stream(irregular, (segment,))),
    }


def cut() -> dict[str, bytes]:
    """A file that says which part of its source it holds."""
    part = SourcePart(30, 2, 1, 8, 640, 480, 11, 21, 32, 24)
    header = StreamHeader(32, 24, 32, 24, 3, Fraction(25), Fraction(1, 1000), part=part)
    return {"version-1-part.inrv": dump(Stream(header, (Segment(0, 3, 0, 0, b"", ()),)))}


def graded() -> dict[str, bytes]:
    """A file of 10 bits with the tags and light levels of HDR10."""
    header = StreamHeader(
        32, 24, 32, 24, 3, Fraction(25), Fraction(1, 1000),
        bit_depth=10,
        color=ColorTags(9, 16, 9, False),
        mastering_display=MasteringDisplay(
            34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10_000_000, 50
        ),
        content_light=ContentLight(1000, 400),
    )  # fmt: skip
    return {"version-1-hdr.inrv": dump(Stream(header, (Segment(0, 3, 0, 0, b"", ()),)))}


def files() -> dict[str, bytes]:
    """Every golden file by name."""
    header = StreamHeader(
        17, 13, 20, 16, 10, Fraction(30000, 1001), Fraction(1, 30000), Fraction(12, 11), 90, 10,
        ColorTags(1, 13, 6, True),
    )  # fmt: skip
    sections = [(wire_id, CODERS[wire_id].encode(symbols)) for wire_id, symbols in tensors()]
    # Family 0 is reserved for examples; these files only cover the container and the coders.
    first = Segment(0, 4, 0, 1 << 63, b"config", tuple(Section(w, (0.5, 0.25), data) for w, data in sections))
    second = Segment(4, 6, 0, 0, b"", tuple(Section(w, (), data) for w, data in reversed(sections)))
    full = Stream(header, (first, second), Quality(31.234), {"title": "golden"}, ((b"neWs", b"later"),))
    expected = {"sections": [symbols.ravel().tolist() for _, symbols in tensors()]}
    return {
        "version-1.inrv": dump(full),
        "version-1.json": (json.dumps(expected) + "\n").encode(),
        **film(),
        **held(),
        **cut(),
        **graded(),
    }


def main() -> int:
    """Write the missing files or, with `--overwrite`, all files."""
    for name, data in files().items():
        path = GOLDEN / name
        if path.exists() and path.read_bytes() != data and "--overwrite" not in sys.argv[1:]:
            print(f"{path} exists and differs; --overwrite replaces it, breaking old files", file=sys.stderr)
            return 1
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

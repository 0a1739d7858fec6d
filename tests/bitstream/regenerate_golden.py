"""Writes the golden files anew: `python tests/bitstream/regenerate_golden.py`, only for a new format version.

A golden file that exists must decode for ever, so one that differs is refused without `--overwrite`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bitstream import ColorTags, Quality, Section, Segment, Stream, StreamHeader, dump
from bitstream.coders import CODERS

GOLDEN = Path(__file__).parent / "golden"


def tensors() -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Wire id and symbols of each section, from integer arithmetic that no library can change."""
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


def files() -> dict[str, bytes]:
    """Every golden file by name."""
    header = StreamHeader(
        17, 13, 20, 16, 10, Fraction(30000, 1001), Fraction(1, 30000), Fraction(12, 11), 90, 10,
        ColorTags(1, 13, 6, True),
    )  # fmt: skip
    sections = [(wire_id, CODERS[wire_id].encode(symbols)) for wire_id, symbols in tensors()]
    # Family 0 is reserved for examples: only the container and the coders are golden here.
    first = Segment(0, 4, 0, 1 << 63, b"config", tuple(Section(w, (0.5, 0.25), data) for w, data in sections))
    second = Segment(4, 6, 0, 0, b"", tuple(Section(w, (), data) for w, data in reversed(sections)))
    full = Stream(header, (first, second), Quality(31.234), {"title": "golden"}, ((b"neWs", b"later"),))
    expected = {"sections": [symbols.ravel().tolist() for _, symbols in tensors()]}
    return {
        "version-1.inrv": dump(full),
        "version-1.json": (json.dumps(expected) + "\n").encode(),
    }


def main() -> int:
    """Write what is missing or, with `--overwrite`, everything."""
    for name, data in files().items():
        path = GOLDEN / name
        if path.exists() and path.read_bytes() != data and "--overwrite" not in sys.argv[1:]:
            print(f"{path} exists and differs: give --overwrite to break old files", file=sys.stderr)
            return 1
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

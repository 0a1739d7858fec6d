"""Files that must decode for ever, by both decoders, and the worked example of SPEC.md."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import bitstream_reference as reference
import numpy as np
import pytest

import bitstream
from bitstream import Quality, Section, Segment, Stream, StreamHeader
from bitstream.coders import CODERS, decode_section
from bitstream.coders.gaussian import RATIOS
from bitstream.coders.laplace import THETAS

GOLDEN = Path(__file__).parent / "golden"
SPECIFICATION = (Path(bitstream.__file__).parent / "SPEC.md").read_text()


def golden(name: str) -> tuple[bytes, list[list[int]]]:
    return (GOLDEN / f"{name}.inrv").read_bytes(), json.loads((GOLDEN / f"{name}.json").read_text())[
        "sections"
    ]


@pytest.mark.parametrize("name", ["version-1"])
def test_golden_files_decode(name: str) -> None:
    data, expected = golden(name)
    stream = bitstream.load(data)
    assert bitstream.dump(stream) == data
    assert (stream.header.rotation, stream.header.frame_rate) == (90, Fraction(30000, 1001))
    assert stream.quality == Quality(31.234)
    assert dict(stream.metadata) == {"title": "golden"}
    assert stream.ancillary == ((b"neWs", b"later"),)
    assert [segment.family for segment in stream.segments] == [0, 0]
    assert stream.segments[0].sections[0].steps == (0.5, 0.25)
    for segment, symbols in zip(stream.segments, (expected, expected[::-1]), strict=True):
        assert {section.coder for section in segment.sections} == set(CODERS)
        for section, values in zip(segment.sections, symbols, strict=True):
            assert decode_section(section, len(values)).tolist() == values


@pytest.mark.parametrize("name", ["version-1"])
def test_golden_files_decode_with_the_reference(name: str) -> None:
    data, expected = golden(name)
    for sections, symbols in zip(reference.segments(data), (expected, expected[::-1]), strict=True):
        for (wire_id, payload), values in zip(sections, symbols, strict=True):
            assert reference.decode_symbols(wire_id, payload, len(values)) == values


def example() -> Stream:
    """The worked example at the end of SPEC.md."""
    weights = np.array([[0, 1, -1, 0, 2, 0, 0, -1]], dtype=np.int32)
    sections = (
        Section(4, (0.05,), CODERS[4].encode(weights)),
        Section(1, (), CODERS[1].encode(weights[:, :1])),
    )
    header = StreamHeader(17, 13, 20, 16, 3, Fraction(25), Fraction(1, 12800))
    return Stream(header, (Segment(0, 3, 0, 7, b"\x02", sections),), Quality(31.234))


def test_worked_example_of_the_specification() -> None:
    dump_text = SPECIFICATION.split("## 12. Worked example")[1]
    rows = re.findall(r"^([0-9a-f]{4})  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  |$)", dump_text, re.MULTILINE)
    listed = b""
    for offset, row in rows:
        assert int(offset, 16) == len(listed)
        listed += bytes.fromhex(row)
    assert listed == bitstream.dump(example())
    assert bitstream.load(listed) == example()
    assert reference.decode_symbols(*reference.segments(listed)[0][0], 8) == [0, 1, -1, 0, 2, 0, 0, -1]
    assert bitstream.load(bitstream.dump(replace(example(), quality=None))).quality is None


def test_tables_of_the_specification() -> None:
    for name, table in (("laplace", THETAS), ("gaussian", RATIOS)):
        block = SPECIFICATION.split(f"```{name}\n")[1].split("```")[0]
        assert tuple(int(value, 16) for value in block.split()) == table


def test_limits_of_the_specification() -> None:
    for name, value in vars(bitstream.DEFAULT_LIMITS).items():
        row = re.search(rf"^\| `{name}` \| 2\^(\d+) \|", SPECIFICATION, re.MULTILINE)
        assert row is not None and 1 << int(row[1]) == value, name

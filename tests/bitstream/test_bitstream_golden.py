"""Files that every version and the reference decoder must decode, and the worked example of SPEC.md."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import astuple, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bitstream_reference as reference
import numpy as np
import pytest
from regenerate_golden import files

import bitstream
from bitstream import ContentLight, Quality, Section, Segment, SourcePart, Stream, StreamHeader, Track
from bitstream.blocks import encode_block
from bitstream.coders import CODERS, decode_section
from bitstream.coders.gaussian import RATIOS
from bitstream.coders.laplace import THETAS
from bitstream.timestamps import duration

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


def film() -> tuple[bytes, dict[str, Any]]:
    return (GOLDEN / "version-1-film.inrv").read_bytes(), json.loads(
        (GOLDEN / "version-1-film.json").read_text()
    )


def test_a_golden_film_decodes() -> None:
    data, expected = film()
    stream = bitstream.load(data)
    assert bitstream.dump(stream) == data
    header = stream.header
    assert header.timestamps is not None
    assert [str(time * header.time_base) for time in header.timestamps] == expected["times"]
    found = [[segment.first_frame, segment.frame_count] for segment in stream.segments]
    assert found == expected["runs"]
    for segment, values in zip(stream.segments, expected["symbols"], strict=True):
        assert decode_section(segment.sections[0], len(values)).tolist() == values
    extras = stream.extras
    assert [track_fields(track) for track in extras.tracks] == expected["tracks"]
    chapters = [{**vars(chapter), "time_base": str(chapter.time_base)} for chapter in extras.chapters]
    assert [{**one, "metadata": dict(one["metadata"])} for one in chapters] == expected["chapters"]
    assert dict(extras.tags) == expected["tags"]
    for reader in (
        bitstream.StreamReader(io.BytesIO(data)),
        bitstream.SalvageReader(io.BytesIO(data)),
        bitstream.ForwardReader(io.BytesIO(data)),
    ):
        assert (reader.header, reader.losses()) == (header, ())
        assert reader.extras() == extras


def track_fields(track: Track) -> dict[str, Any]:
    """The fields of a track, as in the JSON."""
    packets = [[pts, dts, duration, key, data.hex()] for pts, dts, duration, key, data in track.packets]
    info = vars(track.info)
    changed = {"time_base": str(info["time_base"]), "extradata": info["extradata"].hex()}
    return {**info, **changed, "metadata": dict(info["metadata"]), "packets": packets}


def test_a_golden_film_decodes_with_the_reference() -> None:
    data, expected = film()
    assert [str(time) for time in reference.frame_times(data)] == expected["times"]
    assert reference.tracks(data) == expected["tracks"]
    assert reference.chapters(data) == expected["chapters"]
    assert reference.tags(data) == expected["tags"]
    runs = reference.runs(data)
    assert [[frames.start, len(frames)] for frames, _ in runs] == expected["runs"]
    for (_, [(coder, payload)]), values in zip(runs, expected["symbols"], strict=True):
        assert reference.decode_symbols(coder, payload, len(values)) == values
    constant, _ = golden("version-1")
    assert reference.frame_times(constant)[3] == 3 * Fraction(1001, 30000)


@pytest.mark.parametrize(("name", "end"), [("held", "129/50"), ("held-irregular", "8")])
def test_golden_files_hold_their_last_frame(name: str, end: str) -> None:
    data = (GOLDEN / f"version-1-{name}.inrv").read_bytes()
    header = bitstream.load(data).header
    assert str(duration(header)) == str(reference.end_time(data)) == end
    for reader in (
        bitstream.StreamReader(io.BytesIO(data)),
        bitstream.SalvageReader(io.BytesIO(data)),
        bitstream.ForwardReader(io.BytesIO(data)),
    ):
        assert reader.header == header
    assert reference.end_time(golden("version-1")[0]) == 10 * Fraction(1001, 30000)


def test_a_golden_file_says_which_part_of_its_source_it_holds() -> None:
    data = (GOLDEN / "version-1-part.inrv").read_bytes()
    header = bitstream.load(data).header
    assert header.part == SourcePart(30, 2, 1, 8, 640, 480, 11, 21, 32, 24)
    assert list(astuple(header.part)) == reference.part(data)
    for reader in (bitstream.StreamReader, bitstream.SalvageReader, bitstream.ForwardReader):
        assert reader(io.BytesIO(data)).header == header


def test_a_golden_file_says_on_which_display_it_was_graded() -> None:
    data = (GOLDEN / "version-1-hdr.inrv").read_bytes()
    header = bitstream.load(data).header
    assert header.bit_depth == 10
    assert header.mastering_display is not None and header.content_light is not None
    assert header.mastering_display.most_luminance == 10_000_000
    assert header.content_light == ContentLight(1000, 400)
    display, light = reference.mastering(data)
    assert list(astuple(header.mastering_display)) == display
    assert list(astuple(header.content_light)) == light
    for reader in (bitstream.StreamReader, bitstream.SalvageReader, bitstream.ForwardReader):
        assert reader(io.BytesIO(data)).header == header


@pytest.mark.parametrize("name", [b"mdcv", b"clli"])
def test_light_levels_of_another_length_are_refused(name: bytes) -> None:
    data = (GOLDEN / "version-1-hdr.inrv").read_bytes()
    at = data.index(name)
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    block = data[at : at + 12 + size]
    longer = encode_block(name, block[8:-4] + b"\0")
    with pytest.raises(bitstream.Corrupt, match="expected the end"):
        bitstream.load(data.replace(block, longer))
    with pytest.raises(bitstream.Corrupt, match="second"):
        bitstream.load(data.replace(block, block + block))


@pytest.mark.parametrize("broken", ["crop_width", "crop_x", "scale_height"])
def test_a_part_has_both_of_two_numbers(broken: str) -> None:
    part = SourcePart(30, 2, 1, 8, 640, 480, 11, 21, 32, 24)
    with pytest.raises(ValueError, match="both 0 or both above 0"):
        replace(part, **{broken: 0})
    data = (GOLDEN / "version-1-part.inrv").read_bytes()
    block = encode_block(b"part", bytes([30, 2, 1, 8, 0, 1, 0, 0, 0, 0]))
    at = data.index(b"part")
    with pytest.raises(bitstream.Corrupt, match="crop_width and crop_height"):
        bitstream.load(data[:at] + block + data[at + 12 + 13 :])


def test_golden_files_are_what_their_script_writes() -> None:
    assert {name: (GOLDEN / name).read_bytes() for name in files()} == files()


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
        row = re.search(rf"^\| `{name}` \| ([^|]+) \|", SPECIFICATION, re.MULTILINE)
        assert row is not None, name
        assert sum(_product(term) for term in row[1].split(" + ")) == value, name


def _product(term: str) -> int:
    """The value of a term such as `12 x 2^27`."""
    *factors, power = term.split(" x ")
    base, exponent = power.split("^")
    return math.prod(map(int, factors)) * int(base) ** int(exponent)

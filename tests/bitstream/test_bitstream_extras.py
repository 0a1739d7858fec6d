"""Audio, subtitles, chapters and tags in the container: exact round trips or a typed error."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction

import pytest
from bitstream_samples import MINIMAL, edges, rationals, steady
from hypothesis import given
from hypothesis import strategies as st

from bitstream import (
    BitstreamError,
    Chapter,
    Corrupt,
    Extras,
    LimitExceeded,
    Limits,
    Packet,
    Padding,
    StreamReader,
    Track,
    TrackInfo,
    TrackKind,
    Truncated,
    dump,
    load,
)
from bitstream.blocks import encode_block
from bitstream.extras import extras_blocks
from bitstream.fields import Reader, Writer

INFO = TrackInfo(
    TrackKind.AUDIO,
    "aac",
    Fraction(1, 48000),
    {"language": "deu", "title": "Büro"},
    sample_rate=48000,
    layout="stereo",
    sample_format="fltp",
    bit_rate=128_000,
    disposition=1,
    extradata=b"\x11\x90",
)
SOUND = Track(
    INFO,
    tuple(Packet(1024 * n - 1024, 1024 * n - 1024, 1024, True, b"abc") for n in range(5)),
    Padding(1024, 300),
)
TITLES = Track(
    TrackInfo(TrackKind.SUBTITLE, "subrip", Fraction(1, 1000), {}),
    (Packet(500, 500, 2000, True, b"Hello"), Packet(1200, 1200, 0, False, b"again")),
)
EXTRAS = Extras(
    (SOUND, TITLES),
    (Chapter(Fraction(1, 1000), -3, 2000, {"title": "One"}),),
    {"title": "Film", "": ""},
    {"title": "Director's cut", "language": "jpn"},
)
STREAM = dataclasses.replace(MINIMAL, extras=EXTRAS)

texts = st.dictionaries(st.text(max_size=4), st.text(max_size=6), max_size=3)
times = edges(-(1 << 60) + 1, (1 << 60) - 1)
packets = st.builds(
    Packet, times, times, edges(0, (1 << 60) - 1), st.booleans(), st.binary(min_size=1, max_size=9)
)
infos = st.builds(
    TrackInfo,
    st.sampled_from(TrackKind),
    st.text(max_size=5),
    rationals,
    texts,
    edges(0, (1 << 32) - 1),
    st.text(max_size=5),
    st.text(max_size=5),
    edges(0, (1 << 32) - 1),
    edges(0, (1 << 32) - 1),
    st.binary(max_size=9),
)
paddings = st.builds(Padding, edges(0, (1 << 32) - 1), edges(0, (1 << 32) - 1))
tracks = st.builds(Track, infos, st.lists(packets, max_size=4).map(tuple), paddings)
chapters = st.builds(Chapter, rationals, times, times, texts)
extras = st.builds(
    Extras, st.lists(tracks, max_size=3).map(tuple), st.lists(chapters, max_size=3).map(tuple), texts, texts
)


def payload_of(track: Track) -> bytes:
    writer = Writer()
    track.write(writer)
    return writer.getvalue()


@steady
@given(extras)
def test_extras_come_back_as_they_went_in(value: Extras) -> None:
    data = dump(dataclasses.replace(MINIMAL, extras=value))
    assert load(data).extras == value
    reader = StreamReader(io.BytesIO(data))
    assert reader.extras() == value
    assert [info for info, _ in reader.track_infos()] == [track.info for track in value.tracks]
    assert reader.summary().extras_bytes == len(data) - len(dump(MINIMAL))


def test_a_regular_packet_costs_five_bytes_or_six() -> None:
    longer = dataclasses.replace(SOUND, packets=(*SOUND.packets, Packet(4096, 4096, 1024, True, b"x" * 371)))
    assert len(payload_of(longer)) == len(payload_of(SOUND)) + 371 + 5


def test_extras_are_not_ancillary_blocks_of_unknown_type() -> None:
    with StreamReader(io.BytesIO(dump(STREAM))) as reader:
        assert reader.ancillary == ()
        assert reader.summary().extras_bytes == sum(
            len(encode_block(*block)) for block in extras_blocks(EXTRAS)
        )
    with pytest.raises(ValueError, match="unknown ancillary type"):
        dataclasses.replace(MINIMAL, ancillary=((b"trak", b""),))


@pytest.mark.parametrize("end", range(len(payload_of(SOUND))))
def test_a_cut_off_track_is_an_error(end: int) -> None:
    with pytest.raises((Truncated, Corrupt)):
        Track.read(Reader(payload_of(SOUND)[:end]))


@pytest.mark.parametrize("position", range(len(payload_of(TITLES))))
@pytest.mark.parametrize("value", [0x00, 0x7F, 0xFF])
def test_a_damaged_track_gives_a_typed_error_or_a_track(position: int, value: int) -> None:
    damaged = bytearray(payload_of(TITLES))
    damaged[position] = value
    try:
        track = Track.read(Reader(bytes(damaged)))
    except BitstreamError:
        return
    assert payload_of(track) == bytes(damaged)


def test_declared_sizes_are_checked_before_anything_is_allocated() -> None:
    head = Writer()
    INFO.write(head)
    many, large = Writer(), Writer()
    many.raw(head.getvalue())
    many.varint(1 << 22)
    with pytest.raises(Corrupt, match="room for 4194304"):
        Track.read(Reader(many.getvalue()))
    large.raw(head.getvalue())
    large.varint(1)
    for value in (0, 0, 0):
        large.signed_varint(value)
    large.varint(1 << 40)
    with pytest.raises(Truncated):
        Track.read(Reader(large.getvalue() + b"..."))


@pytest.mark.parametrize(
    "limits",
    [
        Limits(max_tracks=1),
        Limits(max_packets=4),
        Limits(max_chapters=0),
        Limits(max_extradata_bytes=1),
        Limits(max_metadata_entries=1),
    ],
)
def test_limits_hold_in_both_readers(limits: Limits) -> None:
    data = dump(STREAM)
    with pytest.raises(LimitExceeded):
        load(data, limits)
    with pytest.raises(LimitExceeded):
        StreamReader(io.BytesIO(data), limits).extras()


@pytest.mark.parametrize("name", [b"chap", b"tags", b"vtag", b"pads"])
def test_all_but_tracks_appear_once(name: bytes) -> None:
    blocks = dict(extras_blocks(EXTRAS))
    data = dump(STREAM)
    at, block = data.index(name), encode_block(name, blocks[name])
    # `load` reads the second block before the index, whose offsets no longer match.
    with pytest.raises(Corrupt, match="expected one block of this type"):
        load(data[:at] + block + data[at:])


def test_packets_that_the_format_cannot_hold_are_refused() -> None:
    for packet in (
        Packet(0, 0, 0, True, b""),
        Packet(1 << 60, 0, 0, True, b"x"),
        Packet(0, 0, -1, True, b"x"),
    ):
        with pytest.raises(ValueError, match="expected a packet"):
            payload_of(Track(INFO, (packet,)))


@pytest.mark.parametrize(
    "value",
    [
        Extras((Track(dataclasses.replace(INFO, extradata=bytes((1 << 20) + 1)), ()),)),
        Extras((Track(dataclasses.replace(INFO, codec="x" * ((1 << 20) + 1)), ()),)),
        Extras((Track(dataclasses.replace(INFO, metadata={str(n): "" for n in range(1025)}), ()),)),
        Extras((Track(INFO, ()),) * 65),
        Extras(chapters=(dataclasses.replace(EXTRAS.chapters[0], metadata={"a": "x" * (2 << 20)}),)),
        Extras(chapters=EXTRAS.chapters * 4097),
    ],
    ids=["extradata", "text", "texts", "tracks", "chapter text", "chapters"],
)
def test_what_readers_would_refuse_is_not_written(value: Extras) -> None:
    with pytest.raises(ValueError, match="at most"):
        dump(dataclasses.replace(MINIMAL, extras=value))


def test_packets_of_all_tracks_are_counted_together() -> None:
    data = dump(STREAM)
    assert load(data, Limits(max_packets=7)).extras == EXTRAS
    for limits in (Limits(max_packets=6), Limits(max_packets=5)):
        with pytest.raises(LimitExceeded):
            load(data, limits)
        with pytest.raises(LimitExceeded):
            StreamReader(io.BytesIO(data), limits).extras()
    many = Track(INFO, SOUND.packets[:1] * ((1 << 21) + 1))
    with pytest.raises(ValueError, match="max_packets"):
        next(extras_blocks(Extras((many, many))))


def test_equal_numbers_of_packets_share_memory() -> None:
    packets = Track.read(Reader(payload_of(SOUND))).packets
    assert all(packet.pts is packet.dts for packet in packets)
    assert len({id(packet.duration) for packet in packets}) == 1

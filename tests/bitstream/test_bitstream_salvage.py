"""Damaged and unfinished files: readers find intact parts, report lost ones, and raise only typed errors."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest
from bitstream_samples import HEADER, MINIMAL, steady
from hypothesis import given
from hypothesis import strategies as st
from test_bitstream_attacks import ATTACKS, HEAD
from test_bitstream_extras import EXTRAS, SOUND

import bitstream
from bitstream import (
    BitstreamError,
    Corrupt,
    ForwardReader,
    LimitExceeded,
    Limits,
    Padding,
    Quality,
    SalvageReader,
    Section,
    Segment,
    Stream,
    StreamReader,
    Truncated,
    UnsupportedVersion,
)
from bitstream.blocks import encode_block
from bitstream.damage import nearest_held
from bitstream.header import IndexEntry, is_block_type

TIMES = (0, 100, 230, 300, 420, 500, 600, 777, 800, 900)
STREAM = Stream(
    replace(HEADER, frame_count=10, timestamps=TIMES),
    tuple(
        Segment(first, count, 1, first, b"cfg", (Section(4, (0.5,), bytes([first]) * 20),))
        for first, count in ((0, 3), (3, 2), (5, 4), (9, 1))
    ),
    Quality(30.0),
    {"title": "test"},
    ((b"neWs", b"?"),),
    EXTRAS,
)
DATA = bitstream.dump(STREAM)
BLOCKS = list(bitstream.iterate_blocks(io.BytesIO(DATA)))
STRM_END = BLOCKS[0].end
SEGMENTS = [block for block in BLOCKS if block.type == b"SEGM"]


class Pipe(io.RawIOBase):
    """A pipe that returns a few bytes per read and cannot seek; counts the bytes read."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, 7))
        self.taken += len(data)
        return data


Reader = SalvageReader | ForwardReader


def forward(data: bytes) -> ForwardReader:
    return ForwardReader(Pipe(data), skip_damaged=True)  # type: ignore[arg-type]


def seeking(data: bytes) -> SalvageReader:
    return SalvageReader(io.BytesIO(data))


READERS = pytest.mark.parametrize("read", [seeking, forward])


def found_in(reader: Reader) -> list[Segment]:
    return [segment for _, _, segment in reader.segments()]


def check(reader: Reader) -> list[Segment]:
    """Return a reader's segments; assert that they are in the stream's order and losses are the rest."""
    found = found_in(reader)
    assert found == [segment for segment in STREAM.segments if segment in found]
    kept = {frame for one in found for frame in range(one.first_frame, one.first_frame + one.frame_count)}
    runs = [loss.frames for loss in reader.losses() if loss.frames is not None]
    assert [frame for run in runs for frame in run] == sorted(set(range(10)) - kept)
    extras = reader.extras()
    unpadded = [replace(track, padding=Padding()) for track in EXTRAS.tracks]
    assert extras.tracks == EXTRAS.tracks or all(track in unpadded for track in extras.tracks)
    assert extras.chapters in (EXTRAS.chapters, ())
    assert extras.tags in (EXTRAS.tags, {})
    assert extras.video_tags in (EXTRAS.video_tags, {})
    assert reader.header in (STREAM.header, replace(STREAM.header, timestamps=None))
    return found


@READERS
def test_an_intact_file_is_whole(read: Callable[[bytes], Reader]) -> None:
    reader = read(DATA)
    assert tuple(check(reader)) == STREAM.segments
    assert reader.header == STREAM.header
    assert reader.extras() == EXTRAS
    assert reader.losses() == ()
    with StreamReader(io.BytesIO(DATA)) as strict:
        assert reader.summary() == strict.summary()
        assert reader.track_infos() == strict.track_infos()
        assert strict.losses() == ()


@READERS
def test_cut_off_anywhere(read: Callable[[bytes], Reader]) -> None:
    for size in range(len(DATA)):
        if size < STRM_END:
            with pytest.raises(BitstreamError):
                read(DATA[:size])
            continue
        reader = read(DATA[:size])
        assert len(check(reader)) == sum(block.end <= size for block in SEGMENTS)
        assert any(isinstance(loss.reason, Truncated) for loss in reader.losses())


@READERS
def test_one_bit_anywhere(read: Callable[[bytes], Reader]) -> None:
    for at in range(len(DATA)):
        for bit in (0, 5, 7):
            data = DATA[:at] + bytes([DATA[at] ^ 1 << bit]) + DATA[at + 1 :]
            if at < STRM_END:
                with pytest.raises(BitstreamError):
                    found_in(read(data))
                continue
            reader = read(data)
            found = check(reader)
            assert reader.losses()
            hit = next(block for block in BLOCKS if block.offset <= at < block.end)
            is_found = is_block_type(data[hit.offset : hit.offset + 4]) and at - hit.offset not in range(4, 8)
            if read is forward and not is_found:
                expected = [one for one in SEGMENTS if one.offset < hit.offset]
            else:
                expected = [one for one in SEGMENTS if one is not hit]
            assert len(found) == len(expected)
            if hit.type == b"SEGM":
                lost = next(loss.frames for loss in reader.losses() if loss.frames is not None)
                assert lost.start == STREAM.segments[SEGMENTS.index(hit)].first_frame


changes = st.tuples(st.sampled_from("flip cut insert copy".split()), st.integers(0), st.binary(max_size=30))


@steady
@given(st.lists(changes, min_size=1, max_size=4), st.sampled_from((seeking, forward)))
def test_any_damage_gives_intact_segments_or_a_typed_error(
    damage: list[tuple[str, int, bytes]], read: Callable[[bytes], Reader]
) -> None:
    data = DATA
    for kind, place, more in damage:
        at = place % (len(data) + 1)
        part = data[at : at + len(more)]
        if kind == "flip":
            data = data[:at] + bytes(a ^ b for a, b in zip(part, more, strict=False)) + data[at + len(part) :]
        elif kind == "cut":
            data = data[:at] + data[at + 10 * len(more) :]
        elif kind == "insert":
            data = data[:at] + more + data[at:]
        else:
            data = data[:at] + data[at // 2 : at // 2 + 10 * len(more)] + data[at:]
    try:
        check(read(data))
    except BitstreamError:
        pass


@READERS
def test_bad_files_give_no_other_error(read: Callable[[bytes], Reader]) -> None:
    for name, (data, _) in ATTACKS.items():
        try:
            reader = read(data)
            assert found_in(reader) in ([], [MINIMAL.segments[0]])
            assert reader.losses(), name
        except BitstreamError:
            pass


@pytest.mark.parametrize("name", ATTACKS)
def test_a_pipe_without_skipping_finds_every_bad_file(name: str) -> None:
    with pytest.raises(BitstreamError):
        ForwardReader(io.BytesIO(ATTACKS[name][0])).summary()


def rebuilt(**payloads: bytes) -> bytes:
    """The file with these payloads replaced, valid checksums, and no index."""
    blocks = [encode_block(b.type, payloads.get(b.type.decode(), b.payload)) for b in BLOCKS[:-2]]
    return HEAD + b"".join(blocks)


@READERS
def test_what_was_lost_has_a_name(read: Callable[[bytes], Reader]) -> None:
    names = {
        "TIME": "the frame timestamps",
        "qual": "the measured quality",
        "meta": "the metadata",
        "tags": "the tags",
        "chap": "the chapters",
        "vtag": "the tags of the video",
        "trak": "an audio or subtitle track",
        "pads": "the padding of the audio",
    }
    for kind, what in names.items():
        reader = read(rebuilt(**{kind: b"\xff"}))
        assert tuple(found_in(reader)) == STREAM.segments
        texts = [loss.what for loss in reader.losses()]
        assert sum(text.startswith(what) for text in texts) == (2 if kind == "trak" else 1), texts
        assert texts[-1] == "the rest of the file: audio, chapters, tags"
        assert len(reader.extras().tracks) == (0 if kind == "trak" else 2)
    assert reader.header == STREAM.header
    damaged = DATA.replace(b"Hello", b"Jello")
    reader = read(damaged)
    assert reader.extras().tracks == (replace(SOUND, padding=Padding()),)
    assert [str(loss).split(":")[0] for loss in reader.losses()] == ["an audio or subtitle track"]
    assert [loss.what for loss in read(DATA + b"?").losses()] == ["the index"]


@READERS
def test_frames_of_a_gap_are_shown_by_their_neighbours(read: Callable[[bytes], Reader]) -> None:
    damaged = bytearray(DATA)
    for block in (SEGMENTS[0], SEGMENTS[2]):
        damaged[block.offset + 20] ^= 1
    reader = read(bytes(damaged))
    shown = []
    for frame in range(10):
        while True:
            number, at = reader.locate(frame)
            try:
                segment = reader.segment(number)
            except BitstreamError as error:
                reader.discard(number, error)
                continue
            break
        assert segment.first_frame <= at < segment.first_frame + segment.frame_count
        shown.append(at)
    assert shown == [3, 3, 3, 3, 4, 4, 4, 4, 4, 9]
    losses = reader.losses()
    assert [loss.what for loss in losses] == ["frames 0 to 2", "frames 5 to 8"]
    assert all("CRC" in str(loss.reason) for loss in losses)
    assert [loss.frames for loss in reader.losses(range(8, 10))] == [range(8, 9)]
    assert [loss.what for loss in reader.losses(range(8, 10))] == ["frame 8"]


@READERS
def test_a_gap_of_several_causes_names_them(read: Callable[[bytes], Reader]) -> None:
    damaged = bytearray(DATA[: SEGMENTS[3].end - 1])
    damaged[SEGMENTS[2].offset + 20] ^= 1
    reader = read(bytes(damaged))
    found_in(reader)
    gap = reader.losses()[0]
    assert gap.frames == range(5, 10)
    assert isinstance(gap.reason, Corrupt) and [type(other) for other in gap.others] == [Truncated]
    assert str(gap) == f"frames 5 to 9: {gap.reason}; {gap.others[0]}"


def test_the_text_of_a_loss_lists_few_reasons() -> None:
    data = HEAD + DATA[BLOCKS[0].offset : SEGMENTS[0].end] + 6 * (encode_block(b"SEGM", b"x")[:-1] + b"?")
    gap = seeking(data).losses()[0]
    assert gap.frames == range(3, 10) and len(gap.others) == 6
    assert str(gap).count("CRC") == 3 and str(gap).endswith("; and 4 more")


@READERS
def test_without_a_segment_there_is_nothing(read: Callable[[bytes], Reader]) -> None:
    for data in (DATA[: SEGMENTS[0].end - 1], DATA[:STRM_END]):
        with pytest.raises(Truncated):
            read(data).locate(0)


@READERS
def test_a_newer_version_is_no_damage(read: Callable[[bytes], Reader]) -> None:
    late = DATA[: SEGMENTS[0].offset] + encode_block(b"LATE", b"")
    with pytest.raises(UnsupportedVersion):
        found_in(read(late + DATA[SEGMENTS[0].offset : -20]))


def test_damage_is_limited() -> None:
    limits = Limits(max_segments=8)
    bad = encode_block(b"SEGM", b"x")[:-1] + b"?"
    data = HEAD + encode_block(BLOCKS[0].type, BLOCKS[0].payload) + 9 * bad
    with pytest.raises(LimitExceeded, match="max_segments = 8, found 9"):
        SalvageReader(io.BytesIO(data), limits)
    assert len(seeking(data).losses()) == 2


def test_segments_out_of_order_are_no_segments() -> None:
    parts = [DATA[block.offset : block.end] for block in BLOCKS]
    at = BLOCKS.index(SEGMENTS[0])
    mixed = [*parts[:at], parts[at + 1], parts[at], parts[at + 1], *parts[at + 2 : at + 4]]
    found = found_in(seeking(HEAD + b"".join(mixed)))
    assert [segment.first_frame for segment in found] == [3, 5, 9]


def test_a_segment_is_there_as_soon_as_its_bytes_are() -> None:
    pipe = Pipe(DATA)
    reader = ForwardReader(pipe)  # type: ignore[arg-type]
    for frame in range(10):
        number, at = reader.locate(frame)
        assert at == frame
        assert reader.segment(number) == STREAM.segments[number]
        assert pipe.taken <= SEGMENTS[number].end
        assert len(reader._window) <= 2
    assert reader.extras() == EXTRAS
    assert pipe.taken == len(DATA)


def test_a_pipe_goes_forward_only() -> None:
    reader = ForwardReader(io.BytesIO(DATA))
    reader.locate(9)
    assert reader.locate(7) == (2, 7)
    with pytest.raises(io.UnsupportedOperation, match="is already past"):
        reader.locate(0)
    with pytest.raises(io.UnsupportedOperation):
        reader.segment(0)
    with pytest.raises(Corrupt, match="broken"):
        reader.discard(3, Corrupt("broken"))


def test_a_pipe_with_a_gap_is_an_error_at_the_gap() -> None:
    parts = [DATA[block.offset : block.end] for block in BLOCKS if block is not SEGMENTS[1]]
    reader = ForwardReader(io.BytesIO(HEAD + b"".join(parts)))
    with pytest.raises(Corrupt, match="from frame 3"):
        reader.locate(4)


class Counting(io.BytesIO):
    """A file that records which bytes were read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.places: set[int] = set()

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        data = super().read(size)
        self.places.update(range(start, start + len(data)))
        return data


@pytest.mark.parametrize("kind", [StreamReader, SalvageReader])
def test_only_the_segments_that_are_needed_are_read(kind: type[StreamReader]) -> None:
    file = Counting(DATA)
    with kind(file) as reader:
        number, _ = reader.locate(6)
        assert reader.segment(number) == STREAM.segments[2]
    for block in SEGMENTS:
        touched = file.places & set(range(block.offset, block.end))
        assert bool(touched) == (block is SEGMENTS[2])


def test_the_nearest_frame_that_is_held() -> None:
    held = [IndexEntry(0, 1, 3, 2), IndexEntry(0, 1, 8, 1)]
    assert [nearest_held(held, frame) for frame in (0, 3, 4, 5, 7, 8, 99)] == [
        (0, 3), (0, 3), (0, 4), (0, 4), (0, 4), (1, 8), (1, 8),
    ]  # fmt: skip
    assert HEADER.frame_rate == Fraction(30000, 1001)

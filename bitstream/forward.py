"""Forward reading of a file as it arrives, for instance from a pipe."""

from __future__ import annotations

import io
import os
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import BinaryIO, NamedTuple, NoReturn, Self

from bitstream.assembly import Assembly
from bitstream.blocks import BlockScanner
from bitstream.damage import Damage, Loss, Salvage, nearest_held
from bitstream.errors import BitstreamError, Corrupt
from bitstream.extras import Extras, TrackInfo
from bitstream.header import IndexEntry, Segment
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.positions import FileSource
from bitstream.reader import Summary


class _Arrived(NamedTuple):
    number: int
    entry: IndexEntry
    segment: Segment


class ForwardReader:
    """Reads a path, bytes or a file that need not be seekable, one segment after another.

    Frames must be requested in ascending order. `extras` and `summary` read what follows the segments (audio,
    chapters, tags, the index) and check everything as `load` does. Memory holds at most two segments, and the
    ancillary blocks without the payloads of unknown types.

    Raises `BitstreamError` when the head, STRM, TIME or the first segment is damaged, and later for other
    blocks. With `skip_damaged` only damage of head and STRM is an error; `losses` lists all other damage, as
    with `SalvageReader`. A file object stays open and belongs to the caller.
    """

    def __init__(
        self,
        file: FileSource,
        limits: Limits = DEFAULT_LIMITS,
        skip_damaged: bool = False,
    ) -> None:
        self.limits = limits
        self._process = os.getpid()
        self._owned = isinstance(file, (str, os.PathLike))
        self._file = _opened(file)
        self._scanner = BlockScanner(self._file, limits=limits)
        self._assembly = Assembly(limits)
        self._damage = Damage(limits) if skip_damaged else None
        self._window: list[_Arrived] = []
        self._held: list[IndexEntry] = []
        self._passed_frames = 0
        self._count = 0
        self._is_complete = False
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.version = self._scanner.read_head()
        self._assembly.add(self._scanner.read_block())
        self._arriving = self._intact() if self._damage is None else self._salvaged(self._damage)
        # The header is complete only now: TIME precedes the first segment.
        self._read_segment()
        self.header = self._assembly.stream_header()

    def _intact(self) -> Iterator[tuple[IndexEntry, Segment]]:
        expected = 0
        while True:
            block = self._scanner.read_block()
            segment = self._assembly.add(block)
            if segment is not None:
                if segment.first_frame != expected:
                    raise Corrupt(
                        f"expected a segment from frame {expected}, found {segment.first_frame}",
                        offset=block.offset,
                        block="SEGM",
                    )
                expected += segment.frame_count
                yield self._assembly.entries[-1], segment
            elif block.type == b"TAIL":
                self._scanner.expect_end()
                self._assembly.finish()
                return

    def _salvaged(self, damage: Damage) -> Iterator[tuple[IndexEntry, Segment]]:
        salvage = Salvage(self._assembly, damage, self.limits)
        return salvage.segments(self._scanner, None, until_tail=True)

    def _read_segment(self) -> _Arrived | None:
        """Take the next segment into the window; None at the end of the file."""
        if os.getpid() != self._process:
            raise io.UnsupportedOperation(
                "a forked process cannot continue to read a pipe: its other readers would miss what it takes"
            )
        arrived = next(self._arriving, None)
        if arrived is None:
            self._is_complete = True
            return None
        if len(self._window) == 2:
            del self._window[0]
            self._passed_frames = self._window[0].entry.first_frame
        entry, segment = arrived
        self._window.append(_Arrived(self._count, entry, segment))
        self._held.append(entry)
        self._count += 1
        return self._window[-1]

    def segments(self) -> Iterator[tuple[int, IndexEntry, Segment]]:
        """Yield every segment with its number and index entry. Raises `BitstreamError`."""
        yield from [*self._window]
        while (arrived := self._read_segment()) is not None:
            yield arrived

    def locate(self, frame: int) -> tuple[int, int]:
        """Return the number of the segment to show for this frame, and the frame to show; waits for it.

        Damage is skipped as by `SalvageReader.locate`. Raises `BitstreamError`, and
        `io.UnsupportedOperation` for a frame that is already past.
        """
        while not self._is_complete and not (self._window and _stop(self._window[-1].entry) > frame):
            self._read_segment()
        if not self._window:
            raise self._no_segment()
        if frame < self._passed_frames:
            raise io.UnsupportedOperation(f"frame {frame} is already past: a pipe can only be read forward")
        place, shown = nearest_held([arrived.entry for arrived in self._window], frame)
        return self._window[place].number, shown

    def _no_segment(self) -> BitstreamError:
        return Corrupt("expected a segment, found none") if self._damage is None else self._damage.first()

    def segment(self, number: int) -> Segment:
        """Return the segment with this number, as `locate` returned it. Raises `io.UnsupportedOperation`."""
        for arrived in self._window:
            if arrived.number == number:
                return arrived.segment
        raise io.UnsupportedOperation(f"segment {number} is not in memory: a pipe can only be read forward")

    def discard(self, number: int, error: BitstreamError) -> None:
        """Continue without a segment that could not be decoded. Raises the error unless damage is skipped."""
        if self._damage is None:
            raise error
        gone = next(arrived for arrived in self._window if arrived.number == number)
        self._damage.add(gone.entry.offset, b"SEGM", error)
        self._window.remove(gone)
        del self._held[bisect_left(self._held, gone.entry.offset, key=lambda entry: entry.offset)]

    def losses(self, frames: range | None = None) -> tuple[Loss, ...]:
        """Read to the end and list what was lost of `frames`, or of all frames, and of other blocks.

        Raises `BitstreamError` for any damage unless it is skipped.
        """
        self._read_rest()
        if self._damage is None:
            return ()
        count = self.header.frame_count
        return self._damage.losses(self._held, count, range(count) if frames is None else frames)

    def _read_rest(self) -> None:
        while not self._is_complete:
            self._read_segment()

    def extras(self, with_tracks: bool = True) -> Extras:
        """Read to the end; return chapters, tags and, with `with_tracks`, audio and subtitles."""
        self._read_rest()
        extras = self._assembly.extras()
        return extras if with_tracks else replace(extras, tracks=())

    def track_infos(self) -> tuple[tuple[TrackInfo, int], ...]:
        """Read to the end; return the parameters of each track and the size of its block in bytes."""
        self._read_rest()
        return self._assembly.track_infos()

    def summary(self) -> Summary:
        """Read to the end; return everything but the segments."""
        self._read_rest()
        return Summary(
            self.version,
            self._scanner.offset,
            self.header,
            tuple(self._held),
            self._assembly.ancillary.quality,
            self._assembly.ancillary.metadata or {},
            tuple(self._assembly.unknown_heads),
            tuple(self._assembly.extras_heads),
        )

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._owned:
            self._file.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "what is read only forward, from a pipe for instance, cannot be pickled: save it as a file, and "
            "open that by its path"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _opened(file: FileSource) -> BinaryIO:
    if isinstance(file, (bytes, bytearray, memoryview)):
        return io.BytesIO(file)
    return open(file, "rb") if isinstance(file, (str, os.PathLike)) else file


def _stop(entry: IndexEntry) -> int:
    return entry.first_frame + entry.frame_count

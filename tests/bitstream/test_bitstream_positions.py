"""Reading at positions: paths, bytes and file objects, in threads, forked processes and after pickling."""

from __future__ import annotations

import gzip
import io
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest
from bitstream_samples import RICH

import bitstream
from bitstream import ForwardReader, SalvageReader, Segment, StreamReader
from bitstream.positions import Cursor, open_positioned

DATA = bitstream.dump(RICH)
SEGMENTS = list(RICH.segments)
pytestmark = pytest.mark.filterwarnings("ignore:This process .*multi-threaded:DeprecationWarning")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.inrv"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[str], Any]]:
    """Gives a source of the named kind, and closes it at the end."""
    with ExitStack() as stack:

        def source(kind: str) -> Any:
            one = KINDS[kind](path)
            if hasattr(one, "close"):
                stack.callback(one.close)
            return one

        yield source


def temporary(path: Path) -> IO[bytes]:
    """A file whose last bytes still wait in its buffer, behind a wrapper."""
    file = tempfile.NamedTemporaryFile()
    file.write(path.read_bytes())
    return file


def compressed(path: Path) -> IO[bytes]:
    """A file whose bytes are not those of its descriptor."""
    packed = path.with_suffix(".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return gzip.open(packed, "rb")  # type: ignore[return-value]


KINDS: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "path": Path,
    "bytes": lambda path: path.read_bytes(),
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "file": lambda path: open(path, "rb"),
    "unbuffered file": lambda path: open(path, "rb", buffering=0),
    "temporary file": temporary,
    "gzip": compressed,
}
KIND = pytest.mark.parametrize("kind", KINDS)


def read(reader: StreamReader) -> list[Segment]:
    return [segment for _, _, segment in reader.segments()]


@KIND
@pytest.mark.parametrize("kind_of_reader", [StreamReader, SalvageReader, ForwardReader])
def test_every_kind_of_source_is_read(kind: str, kind_of_reader: Any, opened: Callable[[str], Any]) -> None:
    source = opened(kind)
    if kind_of_reader is ForwardReader and hasattr(source, "seek"):
        source.seek(0)
    with kind_of_reader(source) as reader:
        assert read(reader) == SEGMENTS
        assert reader.summary().file_bytes == len(DATA)
    assert not getattr(source, "closed", False)


def test_a_file_object_keeps_its_position(path: Path) -> None:
    with open(path, "rb") as file:
        file.seek(11)
        reader = StreamReader(file)
        assert read(reader) == SEGMENTS
        assert file.tell() == 11


@pytest.mark.parametrize("kind", ["path", "file", "gzip"])
def test_a_closed_file_cannot_be_read(kind: str, opened: Callable[[str], Any]) -> None:
    source = opened(kind)
    reader = StreamReader(source)
    (reader if kind == "path" else source).close()
    with pytest.raises(ValueError, match="closed"):
        reader.segment(0)


def test_later_changes_of_a_bytearray_are_not_seen() -> None:
    source = bytearray(DATA)
    reader = StreamReader(source)
    source.clear()
    assert read(reader) == SEGMENTS


def test_a_cursor_reads_on_to_the_end() -> None:
    cursor = Cursor(open_positioned(b"abcdef"), 1)
    assert [cursor.read(2), cursor.read(9), cursor.read(1)] == [b"bc", b"def", b""]


@KIND
def test_threads_share_a_reader(kind: str, opened: Callable[[str], Any]) -> None:
    with StreamReader(opened(kind)) as reader, ThreadPoolExecutor(4) as pool:
        for number, segment in zip(200 * [0, 1], pool.map(reader.segment, 200 * [0, 1]), strict=True):
            assert segment == SEGMENTS[number]


def in_child(work: Callable[[], object]) -> object:
    """Run `work` in a forked process; return its result, or the error it raises."""
    ours, theirs = multiprocessing.Pipe()
    child = os.fork()
    if child == 0:
        try:
            theirs.send(work())
        except Exception as error:
            theirs.send(error)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    return ours.recv()


@FORKS
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "gzip"])
def test_a_forked_process_reads_and_closes_without_effect_on_its_parent(
    kind: str, opened: Callable[[str], Any]
) -> None:
    with StreamReader(opened(kind)) as reader:

        def work() -> list[Segment]:
            found = read(reader)
            reader.close()
            return found

        assert in_child(work) == SEGMENTS
        assert read(reader) == SEGMENTS


@FORKS
def test_readers_of_several_processes_do_not_move_each_other(path: Path) -> None:
    with StreamReader(path) as reader:

        def work() -> bool:
            return all(reader.segment(number % 2) == SEGMENTS[number % 2] for number in range(300))

        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(in_child, work) for _ in range(2)]
            assert work()
            assert [answer.result() for answer in answers] == [True, True]


@FORKS
def test_a_position_that_processes_would_share_is_refused(opened: Callable[[str], Any]) -> None:
    reader = StreamReader(opened("gzip"))
    error = in_child(lambda: reader.segment(0))
    assert isinstance(error, io.UnsupportedOperation) and "open the file there" in str(error)
    assert read(reader) == SEGMENTS


@FORKS
def test_a_pipe_is_not_continued_in_a_forked_process(path: Path) -> None:
    with ForwardReader(path) as reader:
        error = in_child(lambda: list(reader.segments()))
        assert isinstance(error, io.UnsupportedOperation) and "cannot continue to read a pipe" in str(error)
        assert [segment for _, _, segment in reader.segments()] == SEGMENTS


@pytest.mark.parametrize("kind_of_reader", [StreamReader, SalvageReader])
@pytest.mark.parametrize("kind", ["text", "path", "bytes", "bytearray", "memoryview", "BytesIO"])
def test_a_reader_is_pickled_as_what_it_reads(kind: str, kind_of_reader: Any, path: Path) -> None:
    limits = bitstream.Limits(max_frames=3)
    with kind_of_reader(KINDS[kind](path), limits) as reader:
        data = pickle.dumps(reader)
    with pickle.loads(data) as again:
        assert type(again) is kind_of_reader
        assert read(again) == SEGMENTS
        assert again.__reduce__()[1][1] == limits


def test_a_relative_path_is_pickled_as_an_absolute_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    with StreamReader(path.name) as reader:
        data = pickle.dumps(reader)
    monkeypatch.chdir("/")
    with pickle.loads(data) as again:
        assert read(again) == SEGMENTS


def test_what_cannot_be_pickled_says_why(path: Path) -> None:
    with open(path, "rb") as file:
        with pytest.raises(TypeError, match="by its path, or from its bytes"):
            pickle.dumps(StreamReader(file))
    with pytest.raises(TypeError, match="only forward, from a pipe"):
        pickle.dumps(ForwardReader(DATA))

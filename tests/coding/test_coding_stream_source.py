"""Every function that reads an `.inrv` file takes its path, its bytes and file objects."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import GOLDEN, environment

import inrcodec
from bitstream import BadMagic, Corrupt, ForwardReader, StreamReader
from inrcodec.coding.opened_segment import open_stream
from inrcodec.errors import UsageError
from inrcodec.settings.decode import DecodeSettings

FILE = GOLDEN / "hnerv.inrv"
DATA = FILE.read_bytes()
CPU = DecodeSettings(device="cpu", precision="float32", overwrite=True)


class OneWay(io.BytesIO):
    """Bytes that arrive a few at a time and cannot be read again, as through a socket."""

    def seekable(self) -> bool:
        return False

    def seek(self, *_: Any) -> int:
        raise io.UnsupportedOperation("seek")

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 7, 7))


def half_read(_: Path) -> Any:
    file = open(FILE, "rb")
    file.seek(100)
    return file


SOURCES: dict[str, Callable[[Path], Any]] = {
    "text": str,
    "path": Path,
    "bytes": Path.read_bytes,
    "bytearray": lambda path: bytearray(path.read_bytes()),
    "memoryview": lambda path: memoryview(path.read_bytes()),
    "BytesIO": lambda path: io.BytesIO(path.read_bytes()),
    "file": lambda path: open(path, "rb"),
    "file in the middle": half_read,
    "one way": lambda path: OneWay(path.read_bytes()),
}
SOURCE = pytest.mark.parametrize("kind", SOURCES)


@pytest.fixture
def source(kind: str) -> Iterator[Any]:
    with ExitStack() as stack:
        opened = SOURCES[kind](FILE)
        if hasattr(opened, "close"):
            stack.callback(opened.close)
        yield opened


@SOURCE
def test_frames(source: Any, kind: str) -> None:
    with inrcodec.open(FILE, "cpu", "float32") as video:
        expected = video[:]
    with inrcodec.open(source, "cpu", "float32") as video:
        assert len(video) == len(expected)
        assert np.array_equal(video[:], expected)
    assert not getattr(source, "closed", False)


@SOURCE
@pytest.mark.parametrize("report", [inrcodec.info, inrcodec.verify])
def test_reports(report: Callable[[Any], Any], source: Any, kind: str) -> None:
    found = report(source)
    names = {"BytesIO": "<file>", "one way": "<file>"}
    is_bytes = kind in ("bytes", "bytearray", "memoryview")
    assert found.path == ("<bytes>" if is_bytes else names.get(kind, str(FILE)))
    assert (found.file_bytes, len(found.segments)) == (len(DATA), 1)


@SOURCE
def test_decoding(source: Any, kind: str, tmp_path: Path) -> None:
    output = tmp_path / "a.y4m"
    assert inrcodec.decode(source, output, CPU).frames == 3
    found = output.read_bytes()
    inrcodec.decode(str(FILE), str(output), CPU)
    assert found == output.read_bytes()


@SOURCE
def test_evaluation(source: Any, kind: str) -> None:
    if kind == "one way":
        with pytest.raises(UsageError, match="<file>: both videos must be read from files"):
            inrcodec.evaluate(FILE, source, measures=["psnr"], device="cpu")
        return
    found = inrcodec.evaluate(FILE, source, measures=["psnr"], device="cpu")
    assert found.file_bytes == len(DATA)
    assert (found.values["psnr"] == 100).all()
    same = inrcodec.evaluate(source, FILE, measures=["psnr"], device="cpu")
    assert (same.values["psnr"] == 100).all()


@pytest.mark.end_to_end
@pytest.mark.parametrize("kind", ["path", "bytes", "file", "one way"])
def test_export(source: Any, kind: str, tmp_path: Path) -> None:
    result = inrcodec.export(source, tmp_path / "out")
    assert result.frames == 3
    text = (tmp_path / "out" / "manifest.json").read_text()
    assert ('"hnerv.inrv"' if kind in ("path", "file") else '"video"') in text


@pytest.mark.parametrize(
    ("opened", "kind_of_reader"),
    [(DATA, StreamReader), (io.BytesIO(DATA), StreamReader), (OneWay(DATA), ForwardReader)],
)
def test_what_can_seek_is_read_at_any_position(opened: Any, kind_of_reader: type) -> None:
    with open_stream(opened) as reader:
        assert type(reader) is kind_of_reader


def test_what_is_no_source_is_refused() -> None:
    with open(FILE, encoding="latin-1") as text:
        with pytest.raises(UsageError, match="hnerv.inrv is open as text; open it in binary mode"):
            inrcodec.open(text)  # type: ignore[arg-type]
    for wrong in (7, None, object()):
        with pytest.raises(TypeError, match="expected a path, bytes or a binary file, found"):
            inrcodec.open(wrong)  # type: ignore[arg-type]
    with pytest.raises(BadMagic, match="<bytes> is not an .inrv file"):
        inrcodec.open(b"an .inrv file is expected here")
    with pytest.raises(UsageError, match="missing.inrv does not exist"):
        inrcodec.open(Path("missing.inrv"))


@pytest.mark.parametrize("kind", ["bytes", "file"])
def test_damage_is_salvaged(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "cut.inrv"
    path.write_bytes(DATA[:-5])
    source = SOURCES[kind](path)
    with pytest.raises(Corrupt) as refused:
        inrcodec.info(source)
    assert refused.value.__notes__ == ["skip_damaged=True decodes what is intact"]
    assert inrcodec.info(source, skip_damaged=True).lost
    with inrcodec.open(source, "cpu", skip_damaged=True) as video:
        assert len(video[:]) == 3
    if kind == "file":
        source.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no such pipes")
def test_a_pipe_of_another_process() -> None:
    writer = f"import sys; sys.stdout.buffer.write(open({str(FILE)!r}, 'rb').read())"
    command = [sys.executable, "-c", writer]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        with inrcodec.open(process.stdout, "cpu") as video:
            assert video[:].shape == (3, 23, 31, 3)

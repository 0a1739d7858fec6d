"""Texts in records: UTF-8 behind a length, and texts by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from bitstream.records import read_count, require_within


@dataclass(frozen=True)
class Text:
    """UTF-8 text as a blob; `limit` names the field of Limits that bounds its bytes."""

    limit: str

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a string, found {type(value).__name__}")
        value.encode()
        return value

    def write(self, writer: Writer, value: str) -> None:
        text = value.encode()
        require_within(self.limit, len(text))
        writer.blob(text)

    def read(self, reader: Reader) -> str:
        start = reader.offset
        try:
            return str(reader.blob(self.limit), "utf-8")
        except UnicodeDecodeError as error:
            raise reader.fault(Corrupt, f"expected UTF-8 text: {error}", start) from None


@dataclass(frozen=True)
class Texts:
    """Texts by key, in the layout of `encode_metadata`."""

    def check(self, value: Any) -> Mapping[str, str]:
        for text in (*value.keys(), *value.values()):
            Text("max_metadata_bytes").check(text)
        return MappingProxyType(dict(value))

    def write(self, writer: Writer, value: Mapping[str, str]) -> None:
        write_texts(writer, value)

    def read(self, reader: Reader) -> dict[str, str]:
        return read_texts(reader)


def write_texts(writer: Writer, texts: Mapping[str, str]) -> None:
    """Append texts by key. Raises ValueError beyond the limits."""
    require_within("max_metadata_entries", len(texts))
    writer.varint(len(texts))
    text = Text("max_metadata_bytes")
    for key, value in texts.items():
        text.write(writer, key)
        text.write(writer, value)


def read_texts(reader: Reader) -> dict[str, str]:
    """Read texts by key. Raises `BitstreamError`."""
    text = Text("max_metadata_bytes")
    texts: dict[str, str] = {}
    for _ in range(read_count(reader, "max_metadata_entries", least_bytes=2)):
        start = reader.offset
        key, value = text.read(reader), text.read(reader)
        if key in texts:
            raise reader.fault(Corrupt, f"expected every key once, found {key!r} again", start)
        texts[key] = value
    return texts

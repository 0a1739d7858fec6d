"""Records that are written, parsed and checked by the declarations of their fields."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from fractions import Fraction
from typing import Any, ClassVar, Protocol, Self

from bitstream.errors import Corrupt
from bitstream.fields import MAX_U32, MAX_U64, Reader, Writer, to_float32
from bitstream.limits import DEFAULT_LIMITS


class Wire(Protocol):
    """The layout of one field in the file."""

    def check(self, value: Any) -> Any:
        """Return the value in its normal form. Raises ValueError if the format cannot store it."""

    def write(self, writer: Writer, value: Any) -> None:
        """Append the value. Raises ValueError beyond `DEFAULT_LIMITS`: a reader need not accept more."""

    def read(self, reader: Reader) -> Any: ...


def wire(layout: Wire, default: Any = MISSING) -> Any:
    """Declare a dataclass field that is stored as `layout`."""
    return field(default=default, metadata={"wire": layout})


class Record:
    """Base of the frozen dataclasses of the format: checks, writes and reads fields as declared.

    Raises ValueError when a record is made with a value that the format cannot store, and Corrupt when such a
    value is read from a file.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name, layout in layouts(type(self)):
            try:
                checked = layout.check(getattr(self, name))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{type(self).__name__}.{name}: {error}") from None
            object.__setattr__(self, name, checked)

    def write(self, writer: Writer) -> None:
        """Append all fields in the order of their declaration."""
        for name, layout in layouts(type(self)):
            layout.write(writer, getattr(self, name))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Read all fields in the order of their declaration."""
        start = reader.offset
        values = {name: layout.read(reader) for name, layout in layouts(cls)}
        try:
            return cls(**values)
        except ValueError as error:
            raise reader.fault(Corrupt, str(error), start) from None


def record_bytes(record: Record) -> bytes:
    """Return a record as the payload of a block. Raises ValueError beyond `DEFAULT_LIMITS`."""
    writer = Writer()
    record.write(writer)
    return writer.getvalue()


def layouts(record: type[Record]) -> Iterator[tuple[str, Wire]]:
    """Names and layouts in wire order of a record's fields, except those that other blocks store."""
    return ((item.name, item.metadata["wire"]) for item in fields(record) if "wire" in item.metadata)


def require_within(limit: str, size: int) -> None:
    """Raise ValueError for a size above this field of `DEFAULT_LIMITS`, which a reader may refuse."""
    allowed = getattr(DEFAULT_LIMITS, limit)
    if size > allowed:
        raise ValueError(f"expected at most {limit} = {allowed:,}, found {size:,}")


def _checked_integer(value: Any, minimum: int, maximum: int) -> int:
    if isinstance(value, bool):
        raise TypeError(f"expected an integer, found {value!r}")
    number = operator.index(value)
    if not minimum <= number <= maximum:
        raise ValueError(f"expected {minimum}..{maximum}, found {number}")
    return number


@dataclass(frozen=True)
class Varint:
    """An unsigned integer in LEB128; `limit` names the field of Limits that bounds it in a reader."""

    minimum: int = 0
    maximum: int = MAX_U32
    limit: str | None = None

    def check(self, value: Any) -> int:
        return _checked_integer(value, self.minimum, self.maximum)

    def write(self, writer: Writer, value: int) -> None:
        if self.limit is not None:
            require_within(self.limit, value)
        writer.varint(value)

    def read(self, reader: Reader) -> int:
        start = reader.offset
        value = reader.varint()
        if self.limit is not None:
            reader.check_limit(self.limit, value, start)
        return value


@dataclass(frozen=True)
class Byte:
    """An unsigned integer of one byte."""

    minimum: int = 0
    maximum: int = 255

    def check(self, value: Any) -> int:
        return _checked_integer(value, self.minimum, self.maximum)

    def write(self, writer: Writer, value: int) -> None:
        writer.u8(value)

    def read(self, reader: Reader) -> int:
        return reader.u8()


@dataclass(frozen=True)
class Flag:
    """A bool in one byte, 0 or 1."""

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"expected True or False, found {value!r}")
        return value

    def write(self, writer: Writer, value: bool) -> None:
        writer.u8(int(value))

    def read(self, reader: Reader) -> bool:
        start = reader.offset
        value = reader.u8()
        if value > 1:
            raise reader.fault(Corrupt, f"expected a flag of 0 or 1, found {value}", start)
        return value == 1


@dataclass(frozen=True)
class QuarterTurns:
    """A clockwise rotation of 0, 90, 180 or 270 degrees, stored as a byte of quarter turns."""

    def check(self, value: Any) -> int:
        if value not in (0, 90, 180, 270):
            raise ValueError(f"expected 0, 90, 180 or 270 degrees, found {value!r}")
        return int(value)

    def write(self, writer: Writer, value: int) -> None:
        writer.u8(value // 90)

    def read(self, reader: Reader) -> int:
        return reader.u8() * 90


@dataclass(frozen=True)
class U64:
    """An unsigned integer of eight bytes, for values without a typical size such as seeds."""

    def check(self, value: Any) -> int:
        return _checked_integer(value, 0, MAX_U64)

    def write(self, writer: Writer, value: int) -> None:
        writer.u64(value)

    def read(self, reader: Reader) -> int:
        return reader.u64()


@dataclass(frozen=True)
class PositiveRational:
    """A fraction above zero of two unsigned 32-bit integers."""

    def check(self, value: Any) -> Fraction:
        if not isinstance(value, (int, Fraction)):
            raise TypeError(f"expected a Fraction, found {value!r}")
        fraction = Fraction(value)
        if fraction <= 0 or max(fraction.numerator, fraction.denominator) > MAX_U32:
            raise ValueError(f"expected a positive rational of two 32-bit integers, found {fraction}")
        return fraction

    def write(self, writer: Writer, value: Fraction) -> None:
        writer.rational(value)

    def read(self, reader: Reader) -> Fraction:
        return reader.rational()


@dataclass(frozen=True)
class Blob:
    """Bytes behind a varint length; `limit` names the field of Limits that bounds the length."""

    limit: str

    def check(self, value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise TypeError(f"expected bytes, found {type(value).__name__}")
        return bytes(value)

    def write(self, writer: Writer, value: bytes) -> None:
        require_within(self.limit, len(value))
        writer.blob(value)

    def read(self, reader: Reader) -> bytes:
        return reader.blob(self.limit)


@dataclass(frozen=True)
class Steps:
    """Quantisation steps behind a varint count: float32, finite, above zero."""

    limit: str

    def check(self, value: Any) -> tuple[float, ...]:
        steps = to_float32(value)
        if steps and min(steps) <= 0:
            raise ValueError(f"expected steps above zero, found {min(steps)}")
        return steps

    def write(self, writer: Writer, value: tuple[float, ...]) -> None:
        require_within(self.limit, len(value))
        writer.varint(len(value))
        writer.f32_array(value)

    def read(self, reader: Reader) -> tuple[float, ...]:
        return reader.f32_array(read_count(reader, self.limit, least_bytes=4))


@dataclass(frozen=True)
class Nested:
    """One record inside another."""

    record: type[Record]

    def check(self, value: Any) -> Record:
        if not isinstance(value, self.record):
            raise TypeError(f"expected {self.record.__name__}, found {type(value).__name__}")
        return value

    def write(self, writer: Writer, value: Record) -> None:
        value.write(writer)

    def read(self, reader: Reader) -> Record:
        return self.record.read(reader)


@dataclass(frozen=True)
class Sequence:
    """Records behind a varint count; `least_bytes` is the smallest size of one."""

    record: type[Record]
    limit: str
    least_bytes: int

    def check(self, value: Any) -> tuple[Record, ...]:
        return tuple(Nested(self.record).check(item) for item in value)

    def write(self, writer: Writer, value: tuple[Record, ...]) -> None:
        require_within(self.limit, len(value))
        writer.varint(len(value))
        for item in value:
            item.write(writer)

    def read(self, reader: Reader) -> tuple[Record, ...]:
        count = read_count(reader, self.limit, self.least_bytes)
        return tuple(self.record.read(reader) for _ in range(count))


def read_count(reader: Reader, limit: str, least_bytes: int, counted: int = 0) -> int:
    """Read a count of entries of at least `least_bytes` each. Raises `BitstreamError` before allocation.

    `counted` are the entries read elsewhere that the same limit counts.
    """
    start = reader.offset
    count = reader.varint()
    reader.check_limit(limit, counted + count, start)
    if count * least_bytes > reader.remaining:
        raise reader.fault(
            Corrupt, f"expected room for {count} entries, found {reader.remaining} bytes", start
        )
    return count

"""Conversion of transmitted tensors to the sections of a segment, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bitstream import DEFAULT_LIMITS, Corrupt, Limits, Section
from bitstream.coders import decode_section, encode_smallest
from inrcodec.models.family import ROLES_OF_MOMENTS, STEPPED_ROLES, Role, TensorSpec

LARGEST_HALF = 65504.0
"""The largest finite float16."""

Arrays = Mapping[str, NDArray[np.float32]]
Steps = float | tuple[float, ...]
"""The quantisation step of a tensor, or one step for each of its rows in wire order; see `to_rows`."""
_Number = TypeVar("_Number", bound=np.generic)


def encode_section(spec: TensorSpec, value: NDArray[np.float32], step: Steps | None) -> Section:
    """Encode one tensor as a section. Stepped roles need `step`, which is rounded to float32 before use.

    Symbols are round(value / step), so that a zero stays exactly zero. Raises `ValueError` if steps are
    missing or their number is wrong.
    """
    if spec.role in STEPPED_ROLES:
        if step is None:
            raise ValueError(f"{spec.name}: a {spec.role} needs a quantisation step")
        exact = np.atleast_1d(np.asarray(step, dtype=np.float32)).astype(np.float64)
        if len(exact) not in (1, row_count(spec)):
            raise ValueError(f"{spec.name}: expected 1 or {row_count(spec)} steps, found {len(exact)}")
        rows = np.rint(to_rows(spec, value.astype(np.float64)) / exact[:, None]).astype(np.int32)
        steps: tuple[float, ...] = tuple(exact.tolist())
    elif spec.role is Role.SCALE:
        halves = value.clip(-LARGEST_HALF, LARGEST_HALF).astype("<f2").view("<u2")
        rows, steps = to_rows(spec, halves.astype(np.int32)), ()
    else:
        rows, steps = to_rows(spec, value.astype(np.int32)), ()
    coder, payload = encode_smallest(rows)
    return Section(coder, steps, payload)


def decode_sections(
    specs: Sequence[TensorSpec], sections: Sequence[Section], limits: Limits = DEFAULT_LIMITS
) -> dict[str, NDArray[np.float32]]:
    """Decode the tensors, dequantised, by name; raises `BitstreamError`."""
    if len(sections) != len(specs):
        raise Corrupt(f"expected {len(specs)} sections, found {len(sections)}", offset=None, block="SEGM")
    return {spec.name: _decode(spec, section, limits) for spec, section in zip(specs, sections, strict=True)}


def _decode(spec: TensorSpec, section: Section, limits: Limits) -> NDArray[np.float32]:
    symbols = decode_section(section, spec.count, limits)
    is_stepped = spec.role in STEPPED_ROLES
    step_counts = sorted({1, row_count(spec)}) if is_stepped else [0]
    if len(section.steps) not in step_counts:
        expected = " or ".join(map(str, step_counts))
        message = f"{spec.name}: expected {expected} steps, found {len(section.steps)}"
        raise Corrupt(message, offset=None, block="SEGM")
    if is_stepped:
        rows = symbols.reshape(row_count(spec), -1)
        return _from_rows(spec, _dequantised(spec.name, rows, np.array(section.steps)))
    lowest, highest = (0, spec.level_count) if spec.role is Role.LEVELS else (0, 0xFFFF)
    if symbols.size and (symbols.min() < lowest or symbols.max() > highest):
        raise Corrupt(f"{spec.name}: a symbol is outside {lowest}..{highest}", offset=None, block="SEGM")
    if spec.role is Role.LEVELS:
        return _from_rows(spec, symbols.astype(np.float32))
    scales = _from_rows(spec, symbols).astype("<u2").view("<f2").astype(np.float32)
    if not np.isfinite(scales).all():
        raise Corrupt(f"{spec.name}: a scale is not finite", offset=None, block="SEGM")
    return scales


def row_count(spec: TensorSpec) -> int:
    """Rows of a tensor in wire order: its output channels, its channels if it has moments, or 1."""
    if len(spec.shape) == 1:
        return 1
    return spec.shape[1] if spec.role in ROLES_OF_MOMENTS else spec.shape[0]


def to_rows(spec: TensorSpec, values: NDArray[_Number]) -> NDArray[_Number]:
    """Values or symbols of the tensor's shape as (rows, columns) in wire order; see `row_count`.

    Values of a row are alike, which row-wise coders and row-wise steps exploit.
    """
    if spec.role in ROLES_OF_MOMENTS:
        values = np.moveaxis(values, 1, 0)
    return np.ascontiguousarray(values).reshape(row_count(spec), -1)


def _dequantised(name: str, rows: NDArray[np.int32], steps: NDArray[np.float64]) -> NDArray[np.float32]:
    """Symbols (rows, columns) times the step of their row; raises `Corrupt` for a value beyond float32.

    Products are exact in float64 and rounded to float32 once. NumPy makes a few thousand of them at a time,
    because there may be 2^27.
    """
    if rows.size:
        largest = np.maximum(rows.max(axis=1).astype(np.float64), -rows.min(axis=1).astype(np.float64))
        if (largest * steps).max() > np.finfo(np.float32).max:
            raise Corrupt(f"{name}: a value is not finite", offset=None, block="SEGM")
    values = np.empty(rows.shape, dtype=np.float32)
    np.multiply(rows, steps[:, None], out=values, dtype=np.float64, casting="unsafe")
    return values


def _from_rows(spec: TensorSpec, values: NDArray[_Number]) -> NDArray[_Number]:
    """Inverse of `to_rows`, from the flat wire order to the tensor's shape."""
    if spec.role in ROLES_OF_MOMENTS:
        frames, channels, *rest = spec.shape
        return np.ascontiguousarray(np.moveaxis(values.reshape(channels, frames, *rest), 0, 1))
    return values.reshape(spec.shape)

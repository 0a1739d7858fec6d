"""Transmitted tensors to the sections of a segment, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bitstream import Corrupt, Section
from bitstream.coders import decode_section, encode_smallest
from inrcodec.models.family import STEPPED_ROLES, Role, TensorSpec

LARGEST_HALF = 65504.0
"""The largest finite float16."""

Arrays = Mapping[str, NDArray[np.float32]]


def encode_sections(
    specs: Sequence[TensorSpec], values: Arrays, steps: Mapping[str, float]
) -> tuple[Section, ...]:
    """Quantise and code every tensor; each section takes the coder that makes it smallest."""
    return tuple(encode_section(spec, values[spec.name], steps.get(spec.name)) for spec in specs)


def encode_section(spec: TensorSpec, value: NDArray[np.float32], step: float | None) -> Section:
    """One tensor as a section. Stepped roles need a `step`; it is rounded to float32 before it is used."""
    if spec.role in STEPPED_ROLES:
        if step is None:
            raise ValueError(f"{spec.name}: a {spec.role} needs a quantisation step")
        exact = np.float32(step)
        symbols = np.rint(value.astype(np.float64) / np.float64(exact)).astype(np.int32)
        steps: tuple[float, ...] = (float(exact),)
    elif spec.role is Role.SCALE:
        symbols = value.clip(-LARGEST_HALF, LARGEST_HALF).astype("<f2").view("<u2").astype(np.int32)
        steps = ()
    else:
        symbols, steps = value.astype(np.int32), ()
    coder, payload = encode_smallest(_to_rows(spec, symbols))
    return Section(coder, steps, payload)


def decode_sections(
    specs: Sequence[TensorSpec], sections: Sequence[Section]
) -> dict[str, NDArray[np.float32]]:
    """The tensors as a decoder uses them; raises `BitstreamError`."""
    if len(sections) != len(specs):
        raise Corrupt(f"expected {len(specs)} sections, found {len(sections)}", offset=None, block="SEGM")
    return {spec.name: _decode(spec, section) for spec, section in zip(specs, sections, strict=True)}


def _decode(spec: TensorSpec, section: Section) -> NDArray[np.float32]:
    symbols = _from_rows(spec, decode_section(section, spec.count))
    expected_steps = 1 if spec.role in STEPPED_ROLES else 0
    if len(section.steps) != expected_steps:
        message = f"{spec.name}: expected {expected_steps} steps, found {len(section.steps)}"
        raise Corrupt(message, offset=None, block="SEGM")
    if spec.role in STEPPED_ROLES:
        # In float64, which cannot overflow; the product is rounded to float32 once.
        values = symbols.astype(np.float64) * section.steps[0]
        if np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
            raise Corrupt(f"{spec.name}: a value is not finite", offset=None, block="SEGM")
        return values.astype(np.float32)
    lowest, highest = (0, spec.level_count) if spec.role is Role.LEVELS else (0, 0xFFFF)
    if symbols.size and (symbols.min() < lowest or symbols.max() > highest):
        raise Corrupt(f"{spec.name}: a symbol is outside {lowest}..{highest}", offset=None, block="SEGM")
    if spec.role is Role.LEVELS:
        return symbols.astype(np.float32)
    scales = symbols.astype("<u2").view("<f2").astype(np.float32)
    if not np.isfinite(scales).all():
        raise Corrupt(f"{spec.name}: a scale is not finite", offset=None, block="SEGM")
    return scales


def _to_rows(spec: TensorSpec, symbols: NDArray[np.int32]) -> NDArray[np.int32]:
    """Symbols (rows, columns) in wire order: rows are output channels, and channels of embeddings.

    Values of a row are alike, which is what row-wise coders gain from.
    """
    if spec.role is Role.EMBEDDING:
        symbols = np.moveaxis(symbols, 1, 0)
    return np.ascontiguousarray(symbols).reshape(symbols.shape[0] if symbols.ndim > 1 else 1, -1)


def _from_rows(spec: TensorSpec, symbols: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse of `_to_rows`, from the flat wire order to the tensor's shape."""
    if spec.role is Role.EMBEDDING:
        frames, channels, *rest = spec.shape
        return np.ascontiguousarray(np.moveaxis(symbols.reshape(channels, frames, *rest), 0, 1))
    return symbols.reshape(spec.shape)

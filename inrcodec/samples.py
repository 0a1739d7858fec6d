"""Samples of frames in memory: uint8 of 0 to 255 or, for 10 bits, uint16 of 0 to 1023."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16; a frame in RGB is (height, width, 3)."""
DEPTHS = (8, 10)
"""Bits per sample of frames that are coded and rendered."""
_DEEP = DEPTHS[1]


def coded_depth(bits: int) -> int:
    """The depth at which samples of `bits` bits are coded and rendered: 8 or, for any more, 10."""
    return 8 if bits <= 8 else _DEEP


def depth_of(samples: Samples) -> int:
    """Bits per sample of frames in memory; raises `ValueError` for another type than uint8 and uint16."""
    if samples.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected uint8 or uint16, found {samples.dtype}")
    return 8 if samples.dtype == np.uint8 else _DEEP


def peak_of_depth(bits: int) -> int:
    """The largest sample of so many bits: 255 of 8, 1023 of 10."""
    return (1 << bits) - 1


def peak_of(samples: Samples) -> int:
    """The largest sample of the depth of these frames."""
    return peak_of_depth(depth_of(samples))


def sample_type(bits: int) -> type[np.uint8 | np.uint16]:
    """The type of samples of 8 or 10 bits in memory."""
    return np.uint8 if bits == 8 else np.uint16


def at_depth(samples: Samples, bits: int) -> Samples:
    """Samples of RGB converted to 8 or 10 bits, rounded to nearest; unchanged if they have as many."""
    found = depth_of(samples)
    if found == bits:
        return samples
    old, new = peak_of_depth(found), peak_of_depth(bits)
    # Integers are exact: 1023 * 1023 needs more than 16 bits.
    converted = (samples.astype(np.uint32) * new + old // 2) // old
    return converted.astype(sample_type(bits))

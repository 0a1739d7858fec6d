"""A coder for Gaussian distributions: embeddings, and sums of many small parts."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.shaped import MAX_SPAN, ONE, Profile, ShapedCoder

RATIOS = (
    0x0015FC21,
    0x004E81B5,
    0x00E4F306,
    0x02332393,
    0x04B0556E,
    0x08DC4319,
    0x0F218DE0,
    0x17BB0545,
    0x22A55547,
    0x2FA05396,
    0x3E3CE5F7,
    0x4DF14256,
    0x5E2D58D8,
    0x6E6B3AF6,
    0x7E39BFF0,
    0x8D418996,
    0x9B4597E3,
    0xA820ECBE,
    0xB3C2A028,
    0xBE29706C,
    0xC75F7CF5,
    0xCF768BA8,
    0xD684FF70,
    0xDCA38252,
    0xE1EB5127,
    0xE6750E8B,
    0xEA5800A6,
    0xEDA99FD3,
    0xF07D5FDE,
    0xF2E4A209,
    0xF4EEC215,
    0xF6A93407,
    0xF81FAB54,
    0xF95C464F,
    0xFA67BA65,
    0xFB497EF1,
    0xFC07F55F,
    0xFCA88DE2,
    0xFD2FE870,
    0xFDA1F215,
    0xFE01FEAB,
    0xFE52DF45,
    0xFE96F5A1,
    0xFED044DC,
    0xFF007FD5,
    0xFF29156C,
    0xFF4B3AFD,
    0xFF67F547,
    0xFF801FFA,
    0xFF94741F,
    0xFFA58D84,
    0xFFB3EF57,
    0xFFC007FF,
    0xFFCA3468,
    0xFFD2C2C2,
    0xFFD9F4D7,
    0xFFE001FF,
    0xFFE518CA,
    0xFFE96061,
    0xFFECF9B6,
    0xFFF0007F,
    0xFFF28C0A,
    0xFFF4AFF0,
    0xFFF67CAE,
    0xFFF8001F,
    0xFFF945EE,
    0xFFFA57E8,
    0xFFFB3E4B,
    0xFFFC0007,
    0xFFFCA2F1,
    0xFFFD2BF0,
    0xFFFD9F23,
    0xFFFE0001,
    0xFFFE5177,
    0xFFFE95F7,
    0xFFFECF90,
    0xFFFF0000,
    0xFFFF28BB,
    0xFFFF4AFB,
    0xFFFF67C8,
    0xFFFF8000,
    0xFFFF945D,
    0xFFFFA57D,
    0xFFFFB3E4,
    0xFFFFC000,
    0xFFFFCA2E,
    0xFFFFD2BE,
    0xFFFFD9F2,
    0xFFFFE000,
    0xFFFFE517,
    0xFFFFE95F,
    0xFFFFECF9,
    0xFFFFF000,
    0xFFFFF28B,
    0xFFFFF4AF,
    0xFFFFF67C,
    0xFFFFF800,
    0xFFFFF945,
    0xFFFFFA57,
    0xFFFFFB3E,
    0xFFFFFC00,
    0xFFFFFCA2,
    0xFFFFFD2B,
    0xFFFFFD9F,
    0xFFFFFE00,
    0xFFFFFE51,
    0xFFFFFE95,
    0xFFFFFECF,
    0xFFFFFF00,
    0xFFFFFF28,
    0xFFFFFF4A,
    0xFFFFFF67,
)
"""floor(2^32 q) for q = exp(-1 / (2 s^2)) and scales s = 2^((i - 16) / 8). Normative."""


@lru_cache(maxsize=len(RATIOS))
def gaussian_profile(index: int) -> Profile:
    """A Gaussian of standard deviation s sampled at integers, relative to the centre.

    w(k) = q^(k^2) by w(k + 1) = w(k) r(k), r(0) = q, r(k + 1) = r(k) q^2. Each product is rounded down.
    """
    ratio = RATIOS[index]
    square = ratio * ratio >> 32
    weight = ratio
    weights = [ONE]
    while weight and len(weights) <= MAX_SPAN:
        weights.append(weight)
        ratio = ratio * square >> 32
        weight = weight * ratio >> 32
    return np.array(weights, dtype=np.uint64)


class GaussianCoder(ShapedCoder):
    """112 Gaussian tables, with standard deviations from 1/4 to 3756 symbols."""

    wire_id: ClassVar[int] = CoderId.GAUSSIAN
    name: ClassVar[str] = coder_name(CoderId.GAUSSIAN)
    scale_count: ClassVar[int] = len(RATIOS)

    def profile(self, index: int) -> Profile:
        """The weights of scale `index`."""
        return gaussian_profile(index)

    def centre(self, counts: NDArray[np.int64]) -> int:
        """The mean, rounded, which is the maximum-likelihood centre of a Gaussian."""
        return round(float(counts @ np.arange(len(counts)) / counts.sum()))

    def distance(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Squared offsets."""
        return offsets.astype(np.float64) ** 2

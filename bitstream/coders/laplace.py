"""A coder for Laplace distributions: most weights after quantisation."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bitstream.coder_ids import CoderId, coder_name
from bitstream.coders.shaped import MAX_SPAN, ONE, Profile, ShapedCoder

THETAS = (
    0x0015FC21,
    0x002AB48D,
    0x004E81B5,
    0x008935B9,
    0x00E4F306,
    0x016E220C,
    0x02332393,
    0x0343BECF,
    0x04B0556E,
    0x0688F104,
    0x08DC4319,
    0x0BB6B281,
    0x0F218DE0,
    0x1322754B,
    0x17BB0545,
    0x1CE8C54D,
    0x22A55547,
    0x28E6CFBA,
    0x2FA05396,
    0x36C2A71C,
    0x3E3CE5F7,
    0x45FD2E33,
    0x4DF14256,
    0x56071975,
    0x5E2D58D8,
    0x6653B527,
    0x6E6B3AF6,
    0x76668014,
    0x7E39BFF0,
    0x85DAE60A,
    0x8D418996,
    0x9466DD83,
    0x9B4597E3,
    0xA1D9D354,
    0xA820ECBE,
    0xAE195F4F,
    0xB3C2A028,
    0xB91CFAFD,
    0xBE29706C,
    0xC2E996AE,
    0xC75F7CF5,
    0xCB8D91AE,
    0xCF768BA8,
    0xD31D561C,
    0xD684FF70,
    0xD9B0AA83,
    0xDCA38252,
    0xDF60AFBC,
    0xE1EB5127,
    0xE44673D0,
    0xE6750E8B,
    0xE879FDC8,
    0xEA5800A6,
    0xEC11B6EF,
    0xEDA99FD3,
    0xEF221946,
    0xF07D5FDE,
    0xF1BD8F1C,
    0xF2E4A209,
    0xF3F47412,
    0xF4EEC215,
    0xF5D52B96,
    0xF6A93407,
    0xF76C4423,
    0xF81FAB54,
    0xF8C4A113,
    0xF95C464F,
    0xF9E7A6C9,
    0xFA67BA65,
    0xFADD6674,
    0xFB497EF1,
    0xFBACC7A9,
    0xFC07F55F,
    0xFC5BAEDA,
    0xFCA88DE2,
    0xFCEF2036,
    0xFD2FE870,
    0xFD6B5ED2,
    0xFDA1F215,
    0xFDD4081E,
    0xFE01FEAB,
    0xFE2C2BF5,
    0xFE52DF45,
    0xFE76617F,
    0xFE96F5A1,
    0xFEB4D93A,
    0xFED044DC,
    0xFEE96C7C,
    0xFF007FD5,
    0xFF15AABA,
    0xFF29156C,
    0xFF3AE4DE,
    0xFF4B3AFD,
    0xFF5A36EE,
    0xFF67F547,
    0xFF749045,
    0xFF801FFA,
    0xFF8ABA81,
    0xFF94741F,
    0xFF9D5F6F,
    0xFFA58D84,
    0xFFAD0E07,
    0xFFB3EF57,
    0xFFBA3EA1,
    0xFFC007FF,
    0xFFC55687,
    0xFFCA3468,
    0xFFCEAAF6,
    0xFFD2C2C2,
    0xFFD683A7,
    0xFFD9F4D7,
    0xFFDD1CF0,
    0xFFE001FF,
    0xFFE2A995,
    0xFFE518CA,
    0xFFE7544B,
    0xFFE96061,
    0xFFEB40FC,
    0xFFECF9B6,
    0xFFEE8DDF,
    0xFFF0007F,
    0xFFF1545F,
    0xFFF28C0A,
    0xFFF3A9D9,
    0xFFF4AFF0,
    0xFFF5A048,
    0xFFF67CAE,
    0xFFF746C9,
)
"""floor(2^32 theta) for theta = exp(-1 / (2 b)) and scales b = 2^((i - 32) / 8). Normative."""


@lru_cache(maxsize=len(THETAS))
def laplace_profile(index: int) -> Profile:
    """A Laplace density of scale b integrated over unit bins, relative to the centre's bin.

    P(0) = 1 - theta and P(k) = theta^(2k - 1) (1 - theta^2) / 2 give P(1) / P(0) =
    theta (1 + theta) / 2 and P(k + 1) / P(k) = theta^2. Each product is rounded down.
    """
    theta = THETAS[index]
    ratio = theta * theta >> 32
    weight = theta * (ONE + theta >> 1) >> 32
    weights = [ONE]
    while weight and len(weights) <= MAX_SPAN:
        weights.append(weight)
        weight = weight * ratio >> 32
    return np.array(weights, dtype=np.uint64)


class LaplaceCoder(ShapedCoder):
    """128 Laplace tables, with scales from 1/16 to 3756 symbols."""

    wire_id: ClassVar[int] = CoderId.LAPLACE
    name: ClassVar[str] = coder_name(CoderId.LAPLACE)
    scale_count: ClassVar[int] = len(THETAS)

    def profile(self, index: int) -> Profile:
        """The weights of scale `index`."""
        return laplace_profile(index)

    def centre(self, counts: NDArray[np.int64]) -> int:
        """The median, which is the maximum-likelihood centre of a Laplace density."""
        cumulative = np.cumsum(counts)
        return int(np.searchsorted(cumulative, (int(cumulative[-1]) + 1) // 2))

    def distance(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Absolute offsets."""
        return np.abs(offsets).astype(np.float64)

"""Usual parameters of the entropy models; files contain only their differences from these. Normative.

`benchmarks.context_prior` fitted them to several clips at several rates, so that short and small files need
not transmit what nearly all have in common.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.inrc.latent_prior import LATENT_TABLE
from inrcodec.models.inrc.shapes import context_specs

LISTED_LEVELS = 6
"""Hierarchy levels that `_TABLE` lists; deeper levels have the values of the last one."""


def context_prior(level_count: int, version: int) -> dict[str, NDArray[np.int64]]:
    """The usual parameters as integers, by section name, in the shapes of `context_specs`."""
    prior, table = {}, _TABLE | LATENT_TABLE if version >= 1 else _TABLE
    specs, listed_specs = (context_specs(count, version) for count in (level_count, LISTED_LEVELS))
    for spec, listed in zip(specs, listed_specs, strict=True):
        values = np.array(table[spec.name], dtype=np.int64).reshape(listed.shape)
        missing = spec.shape[0] - listed.shape[0]
        if missing:
            rows = listed.shape[0] // LISTED_LEVELS
            last = values[len(values) - rows :]
            repeats = max(0, missing // rows)
            values = np.concatenate([values, *[last] * repeats])[: spec.shape[0]]
        prior[spec.name] = values
    return prior


# fmt: off
_TABLE: dict[str, tuple[int, ...]] = {
    "context.flag.bias": (
        49, 33, 67, 2,
        31, -4, -27, -29,
        -9, -8, -33, -31,
    ),
    "context.flag.level": (
        49,
        15,
        -5,
        -15,
        -27,
        -25,
    ),
    "context.flag.weight": (
        54, 0, 0, 0,
        30, 79, 0, 0,
        17, 0, 41, 27,
        16, 73, 17, 9,
    ),
    "context.latent.bias": (
        53, -18, -57, -21, -15, -32, -35, -31, -16, -59, -50, -36, -51, -50, -43, -51, -56, -51,
        -42, -54, -47, -48, -56, -58, -29, -40, -54, -49, -47, -54, -53, -59, -15, -56, -49, -49,
        -60, -59, -61, -53, -35, -50, -53, -58, -62, -59, -58, -57, -36, -48, -64, -62, -56, -57,
        -58, -60, -32, -59, -54, -59, -60, -55, -56, -56, 65, -64, -92, -55, -49, -86, -75, -58,
        -74, -78, -63, -61, -62, -64, -65, -59, 20, -74, -94, -59, -69, -87, -72, -60, -88, -73,
        -66, -66, -67, -67, -67, -67,
        72, 24, -1, 1, 9, -4, -3, -3, 17, -3, -14, -9, -16, -15, -13, -15, 0, -15,
        -14, -24, -19, -19, -20, -20, 2, -11, -25, -19, -18, -22, -23, -22, 6, -18, -23, -19,
        -26, -23, -24, -21, -1, -18, -22, -28, -26, -25, -24, -24, -4, -18, -27, -26, -25, -25,
        -24, -24, -2, -18, -22, -25, -25, -23, -25, -25, 45, 5, -29, -22, 0, -26, -32, -28,
        -27, -31, -33, -27, -21, -28, -28, -21, 6, -11, -38, -26, -16, -35, -35, -30, -35, -33,
        -35, -31, -26, -30, -30, -27,
        17, 26, 0, -4, 5, -7, -8, -7, 21, -4, -13, -13, -18, -14, -14, -14, 1, -15,
        -18, -19, -17, -16, -16, -16, -2, -14, -25, -17, -18, -17, -18, -21, 1, -20, -23, -23,
        -24, -24, -23, -23, -7, -20, -22, -24, -26, -23, -26, -24, -8, -19, -25, -26, -29, -27,
        -32, -27, -6, -17, -23, -27, -27, -30, -31, -26, 14, 9, -34, -28, 1, -18, -35, -30,
        -36, -38, -29, -40, -23, -36, -20, -22, -8, -12, -43, -28, -13, -37, -37, -40, -35, -43,
        -31, -27, -36, -40, -25, -54,
    ),
    "context.latent.level": (
        45,
        7,
        3,
        3,
        5,
        6,
    ),
    "context.latent.weight": (
        19, 19, 19, 19, 19, 50,
        -6, 32, 19, 15, 32, 8,
        35, 0, 19, 35, 2, 9,
        68, -8, 19, 51, -20, 10,
        72, 0, 19, 49, -14, 9,
        74, 6, 19, 45, -9, 5,
        19, 19, 62, 19, 19, 15,
        -16, 13, 67, 10, 36, 5,
        24, 1, 67, 20, 11, 8,
        54, -2, 48, 40, -10, 4,
        75, -6, 55, 48, -14, 0,
        19, 19, 19, 19, 19, 19,
    ),
    "context.latent.knots": (
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        255, 200, 200, 200,
        212, 183, 200, 200,
        168, 141, 140, 173,
        113, 103, 114, 124,
        77, 94, 76, 79,
        51, 75, 49, 50,
        35, 64, 34, 28,
        23, 51, 35, 16,
        10, 34, 24, 7,
        -1, 22, 21, 13,
        -17, -6, -14, -29,
        -9, 4, -1, -1,
        -15, -3, -15, -17,
        -26, 0, -9, -22,
        -35, -1, -4, -19,
        -20, -7, -14, -25,
    ),
    "context.motion.bias": (
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        0, 0, 0, 0, 0,
        138, 85, 0, 0, 0,
        76, 37, 0, 0, 0,
        53, 29, 0, 0, 0,
        55, 17, 0, 0, 0,
        114, 63, 67, 71, 40,
        43, 24, 25, 23, 3,
        45, 22, 22, 25, 14,
        23, 7, 13, 10, 17,
        78, 58, 50, 50, 34,
        42, 26, 26, 25, 16,
        30, 26, 19, 26, 15,
        22, 11, 10, 10, 18,
        62, 46, 46, 45, 34,
        30, 26, 22, 26, 12,
        28, 22, 20, 23, 22,
        18, 14, 14, 14, 18,
        34, 30, 30, 30, 30,
        26, 24, 21, 22, 15,
        26, 22, 15, 19, 17,
        18, 14, 10, 10, 14,
    ),
    "context.motion.weight": (
        32, 126, 32, 32,
        39, 90, 10, 37,
        -6, 104, 39, 30,
        -10, 113, 39, 24,
    ),
    "context.motion.knots": (
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        189, 200, 200, 200,
        64, 193, 169, 169,
        110, 85, 92, 100,
        158, 24, 27, 28,
        112, -8, -8, -15,
        57, 6, 0, -14,
        43, -1, -8, -14,
        28, -7, -10, -18,
        18, -10, -14, -22,
        1, -13, -16, -26,
        -5, -23, -20, -25,
        -14, -26, -27, -39,
        -25, -24, -22, -25,
        -22, -22, -22, -29,
        -45, -45, -44, -43,
    ),
}

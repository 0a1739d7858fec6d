"""A second implementation of LDR-FLIP (P. Andersson et al., 2020), written from the paper; slow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate  # type: ignore[import-untyped]

Image = NDArray[np.float64]
PIXELS_PER_DEGREE = 0.7 * 3840 / 0.7 * math.pi / 180
TO_XYZ = np.array(
    [
        [10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794],
        [2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897],
        [1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382],
    ]
)
WHITE = TO_XYZ.sum(1)
SENSITIVITIES = ((1.0, 0.0047, 0.0, 1e-5), (1.0, 0.0053, 0.0, 1e-5), (34.1, 0.04, 13.5, 0.025))
"""Coefficients a1, b1, a2, b2 of the two Gaussians of each opponent channel."""
FEATURE_WIDTH = 0.082


def opponents(rgb: Image) -> Image:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.moveaxis(linear @ TO_XYZ.T / WHITE, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def linear_of(opponent: Image) -> Image:
    luma, first, second = np.moveaxis(opponent, -1, 0)
    y = (luma + 16) / 116
    xyz = np.stack([y + first / 500, y, y - second / 200], -1) * WHITE
    return np.asarray(xyz @ np.linalg.inv(TO_XYZ).T)


def seen(opponent: Image) -> Image:
    """The image filtered by the contrast sensitivity of the eye."""
    radius = math.ceil(3 * math.sqrt(0.04 / (2 * math.pi**2)) * PIXELS_PER_DEGREE)
    away = np.arange(-radius, radius + 1) / PIXELS_PER_DEGREE
    square = away[:, None] ** 2 + away**2
    channels = []
    for number, (a1, b1, a2, b2) in enumerate(SENSITIVITIES):
        kernel = sum(
            a * math.sqrt(math.pi / b) * np.exp(-(math.pi**2) * square / b) for a, b in ((a1, b1), (a2, b2))
        )
        channels.append(correlate(opponent[..., number], kernel / np.sum(kernel), mode="nearest"))
    return np.stack(channels, -1)


def hunt_lab(linear: Image) -> Image:
    t = linear @ TO_XYZ.T / WHITE
    delta = 6 / 29
    f = np.where(t > delta**3, np.cbrt(t), t / (3 * delta**2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    luma = 116 * y - 16
    return np.stack([luma, 0.01 * luma * 500 * (x - y), 0.01 * luma * 200 * (y - z)], -1)


def hyab(one: Image, other: Image) -> Any:
    difference = one - other
    return np.abs(difference[..., 0]) + np.hypot(difference[..., 1], difference[..., 2])


def colour_error(one: Image, other: Image) -> Image:
    labs = [hunt_lab(linear_of(seen(image)).clip(0, 1)) for image in (one, other)]
    error = hyab(*labs) ** 0.7
    most = hyab(hunt_lab(np.array([0.0, 1.0, 0.0])), hunt_lab(np.array([0.0, 0.0, 1.0]))) ** 0.7
    knee = 0.4 * most
    return np.where(error < knee, 0.95 / knee * error, 0.95 + (error - knee) / (most - knee) * 0.05)


def features(luma: Image, kind: str) -> Image:
    deviation = 0.5 * FEATURE_WIDTH * PIXELS_PER_DEGREE
    radius = math.ceil(3 * deviation)
    x = np.arange(-radius, radius + 1, dtype=float)[None]
    bell = np.exp(-(x**2 + x.T**2) / (2 * deviation**2))
    kernel = -x * bell if kind == "edge" else (x**2 / deviation**2 - 1) * bell
    kernel = np.where(kernel < 0, -kernel / kernel[kernel < 0].sum(), kernel / kernel[kernel > 0].sum())
    return np.hypot(correlate(luma, kernel, mode="nearest"), correlate(luma, kernel.T, mode="nearest"))


def flip(reference: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> Image:
    """The error of each pixel, (height, width)."""
    images = [opponents(image / 255) for image in (reference, decoded)]
    lumas = [(image[..., 0] + 16) / 116 for image in images]
    differences = [np.abs(features(lumas[0], kind) - features(lumas[1], kind)) for kind in ("edge", "point")]
    feature_error = np.sqrt(np.maximum(*differences) / math.sqrt(2)).clip(0, 1)
    return np.asarray(colour_error(*images) ** (1 - feature_error))

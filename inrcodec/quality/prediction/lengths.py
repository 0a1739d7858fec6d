"""The lengths of a fit that a prediction speaks of, and the time that each takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inrcodec.encoder.quality_search import MOST_FITS, MOST_TRIALS, TRIAL_SHARE
from inrcodec.models.family import AnyFamily
from inrcodec.quality.prediction.result import Range
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import PRESETS

TIME_ERROR = 2.0
"""Factor within which 19 of 20 measured times should lie; see `benchmarks/results/prediction.json`."""
USUAL_FITS = 3
"""Fits of full length that a search for a PSNR usually makes."""
_LEAST_EPOCHS, _MOST_EPOCHS = 0.5, 1200.0


@dataclass(frozen=True)
class Length:
    """One length of a fit."""

    name: str
    epochs: float
    is_asked: bool = False
    limit_seconds: float | None = None
    """The time limit, which the fit uses up."""


def lengths_of(
    family: AnyFamily, settings: EncodeSettings, seconds_of: Callable[[float], float | None]
) -> list[Length]:
    """The presets of the family, and the asked length if it is none of them.

    `seconds_of` gives the time of a fit of so many epochs.
    """
    suited = [name for name, preset in PRESETS.items() if family.is_trained or preset.minmax is None]
    is_preset = settings.time_seconds is None and settings.epochs is None
    if family.is_trained and PRESETS[settings.preset].minmax is not None:
        # Another preset would plan another network.
        suited = [settings.preset]
    elif family.is_trained:
        suited = [name for name in suited if PRESETS[name].minmax is None]
    found = [Length(name, PRESETS[name].epochs, is_preset and name == settings.preset) for name in suited]
    if settings.epochs is not None:
        found.append(Length(f"{settings.epochs:g} epochs", settings.epochs, is_asked=True))
    if settings.time_seconds is not None:
        limit = settings.time_seconds
        epochs = _epochs_in(limit, seconds_of)
        found.append(Length(f"{limit:g} s", epochs, is_asked=True, limit_seconds=limit))
    return found


def seconds_range(
    length: Length, seconds_of: Callable[[float], float | None], overhead: float, is_search: bool
) -> Range | None:
    """The duration of an encode of this length; `overhead` are the seconds of reading the source."""
    if length.limit_seconds is not None:
        return Range(length.limit_seconds, 0.9 * length.limit_seconds, 1.05 * length.limit_seconds)
    fit = seconds_of(length.epochs)
    if fit is None:
        return None
    if not is_search:
        return Range(fit + overhead, fit / TIME_ERROR + overhead, fit * TIME_ERROR + overhead)
    trials = MOST_TRIALS * TRIAL_SHARE
    usual, most = (USUAL_FITS + trials) * fit, (MOST_FITS + trials) * fit
    return Range(usual + overhead, fit / TIME_ERROR + overhead, most * TIME_ERROR + overhead)


def _epochs_in(limit: float, seconds_of: Callable[[float], float | None]) -> float:
    """The epochs of a fit that takes `limit` seconds, within those that make a difference."""
    low, high = _LEAST_EPOCHS, _MOST_EPOCHS
    for _ in range(30):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if (seconds_of(middle) or 0.0) <= limit else (low, middle)
    return low

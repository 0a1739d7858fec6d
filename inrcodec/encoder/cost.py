"""Estimates how long fits take before they begin, from speeds that were measured once."""

from __future__ import annotations

from collections.abc import Sequence

from inrcodec.fit.grids.pace import passes_of
from inrcodec.plan.network import SegmentPlan
from inrcodec.progress import FIT

READING_SHARE = 0.02
"""Share of an encode that reading the source takes."""
READING_PHASES = (("looking up times", 0.3), ("reading", 0.7))
TRAINED_PHASES = ((FIT, 0.95), ("checking", 0.05))
GRID_PHASES = (
    ("searching motion", 0.21),
    ("finding the quantisation step", 0.21),
    ("refining motion", 0.20),
    ("searching nodes of motion", 0.12),
    ("finding the quantisation step", 0.20),
    (FIT, 0.03),
    ("coding to size", 0.02),
    ("checking", 0.01),
)
"""Stages of a fit of `inrc`, in order, and the share of its time that each takes."""
_PASS_SECONDS = 0.35
"""Seconds of one latent pass of `inrc` over a million pixels on one core: see `benchmarks/prediction.py`."""
_FIRST_PASSES = 5.0
"""Time of the motion search and the first passes of a fit, in latent passes."""
_CORES_GAIN = 0.7
"""Exponent of the number of threads by which a fit becomes faster."""
_GPU_GAIN = 15.0
"""Factor by which a GPU is faster than one core; a guess that the first passes of a fit correct."""


def expected_seconds(
    plans: Sequence[SegmentPlan], epochs: float, device: str, threads: int, slowness: float = 1.0
) -> float | None:
    """Seconds of the fits of all segments, one after another, on the described device with this many threads.

    `slowness` is the time of a fit that was measured on this machine, as a multiple of the expected one.
    None for trained networks, whose fits begin by timing a step.
    """
    if not plans or plans[0].family.is_trained:
        return None
    pixels = sum(plan.video.pixel_count for plan in plans)
    gain = threads**_CORES_GAIN if device.startswith("cpu") else _GPU_GAIN
    return slowness * _PASS_SECONDS * (_FIRST_PASSES + passes_of(epochs)) * pixels / 1e6 / gain

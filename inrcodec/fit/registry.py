"""The fit of each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inrcodec.fit.grids.segment import fit_grids
from inrcodec.fit.grids.start import held_grids
from inrcodec.fit.job import FitJob, FittedSegment, HeldSegment
from inrcodec.fit.network import fit_network, held_network
from inrcodec.models.family import AnyFamily
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.plan.network import SegmentPlan


@dataclass(frozen=True)
class FamilyFit:
    """The functions that fit segments of a family."""

    fit: Callable[[FitJob], FittedSegment]
    """Fits and codes a segment. Raises `TargetUnreachable`, or `InrcError` if the fit diverged."""
    held: Callable[[SegmentPlan], HeldSegment | None]
    """The segment of the `--resume-from` file; None if there is none or it takes too many bytes."""


NETWORK = FamilyFit(fit_network, held_network)
FITS = {Inrc.name: FamilyFit(fit_grids, held_grids)}
"""Families with their own fit; `NETWORK` is for all others."""


def fit_of(family: AnyFamily) -> FamilyFit:
    """The family's own fit, or `NETWORK`."""
    return FITS.get(family.name, NETWORK)

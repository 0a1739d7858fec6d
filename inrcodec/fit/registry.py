"""Which fit a family has: one row for each kind of fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from inrcodec.fit.grids.fit import fit_grids, held_grids
from inrcodec.fit.job import FitJob, FittedSegment, HeldSegment
from inrcodec.fit.network import fit_network, held_network
from inrcodec.models.family import AnyFamily
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.plan.network import SegmentPlan


@dataclass(frozen=True)
class FamilyFit:
    """How segments of a family are fitted."""

    fit: Callable[[FitJob], FittedSegment]
    """Fits and codes a segment. Raises `TargetUnreachable`, and `InrcError` for a fit that diverged."""
    held: Callable[[SegmentPlan], HeldSegment | None]
    """What the file of `--resume-from` has of it; None without one, or where that takes too many bytes."""


NETWORK = FamilyFit(fit_network, held_network)
FITS = {Inrc.name: FamilyFit(fit_grids, held_grids)}
"""Families with a fit of their own; the common loop trains all others."""


def fit_of(family: AnyFamily) -> FamilyFit:
    """The fit of a family."""
    return FITS.get(family.name, NETWORK)

"""Sizes of the work that `benchmarks.gpu` does: on a GPU, and for a test of its logic on any machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.paper.rows import PUBLISHED
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip
from benchmarks.speed.networks import Network
from inrcodec.models.registry import FAMILIES
from inrcodec.settings.source import FrameRange, Size

Options = Mapping[str, str]


@dataclass(frozen=True)
class Scale:
    """Clips, networks and lengths of all parts."""

    name: str
    clip: BenchmarkClip
    checked: BenchmarkClip
    """The clip that is encoded twice and decoded on both devices."""
    checked_families: tuple[str, ...]
    check_epochs: float
    check_bytes: int
    networks: Mapping[str, Options]
    """Model options of the network of each family whose steps are timed."""
    frames: int
    """Frames on which steps are timed."""
    steps: int
    fit_options: Options
    """Model options of the network of the long fit."""
    fit_epochs: float
    fit_bytes: int
    raced: Network
    rounds: int
    """Rounds of the race with the plain reference."""
    inrc_bpp: float
    inrc_seconds: float


def _options(words: tuple[str, ...]) -> Options:
    return dict(word.split("=") for word in words)


_WIDTHS = {name: _options(PUBLISHED[name].get("1.5M", PUBLISHED[name]["0.75M"])) for name in PUBLISHED}
_BUNNY = BENCHMARK_CLIPS["bunny"]

FULL = Scale(
    name="full",
    clip=_BUNNY,
    checked=replace(BENCHMARK_CLIPS["bunny-quarter"], frames=FrameRange(0, 6)),
    checked_families=tuple(family.name for family in FAMILIES),
    check_epochs=2,
    check_bytes=20_000,
    networks={**_WIDTHS, "supermask": {"width": "105"}, "hinerv": {"width": "82"}},
    frames=16,
    steps=300,
    fit_options=_WIDTHS["hnerv"],
    fit_epochs=300,
    fit_bytes=1_300_000,
    raced=Network("1.5M at 1280x640", "bunny", int(_WIDTHS["hnerv"]["width"]), 16, 512),
    rounds=3,
    inrc_bpp=0.06,
    inrc_seconds=50,
)
"""The paper's network of 1.5 million parameters at 1280x640, in at most eight minutes of a GPU."""
_SMALL = replace(_BUNNY, scale=Size(64, 32), frames=FrameRange(0, 4))
TOY = Scale(
    name="toy",
    clip=_SMALL,
    checked=replace(_SMALL, frames=FrameRange(0, 2)),
    checked_families=("hnerv", "inrc"),
    check_epochs=1,
    check_bytes=9000,
    networks={"hnerv": {"width": "6"}, "supermask": {"width": "8"}},
    frames=4,
    steps=3,
    fit_options={"width": "6"},
    fit_epochs=8,
    fit_bytes=9000,
    raced=Network("toy", "bunny-quarter", 8, 2, 2),
    rounds=1,
    inrc_bpp=2.0,
    inrc_seconds=4,
)
"""The same logic in a few seconds on a CPU; its figures mean nothing."""

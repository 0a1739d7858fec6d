"""Presets, losses and optimisers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AUTO = "auto"
"""The model where none is named; see `models.registry.family_of`."""
MOST_PRUNED = 0.95
"""Largest share of the weights that `--prune` sets to zero."""
FEWEST_BITS, MOST_BITS = 2, 12
"""What `--weight-bits` and `--embedding-bits` may be."""


@dataclass(frozen=True)
class LossNeeds:
    """What must be there before a loss can be computed."""

    least_side: int = 1
    """Pixels that a frame's height and width have at least."""
    metrics: bool = False
    """Whether it needs the extra `metrics` (pytorch-msssim)."""


LOSSES: Mapping[str, LossNeeds] = {
    "l2": LossNeeds(),
    "l1": LossNeeds(),
    # SSIM has a window of 11 pixels; of MS-SSIM it must fit after four halvings, of `wavelet` after one.
    "l1+ssim": LossNeeds(11, metrics=True),
    "l1+ms-ssim": LossNeeds(161, metrics=True),
    "wavelet": LossNeeds(21, metrics=True),
}
"""What a fit can minimise; see `training.losses`."""
OPTIMIZERS = ("muon", "adam")
"""What can fit the weights of convolutions; see `training.optimizers`."""


@dataclass(frozen=True)
class MinMaxBits:
    """Bits of min-max quantisation; entropy coding takes fewer."""

    weight: int
    """Of a weight or bias."""
    embedding: int
    """Of a value of an embedding."""


@dataclass(frozen=True)
class Preset:
    """How to fit and to quantise, where no option says otherwise."""

    epochs: int
    learning_rate: float
    batch_frames: int
    optimizer: str = "muon"
    """One of `OPTIMIZERS`."""
    loss: str = "l2"
    prune: float = 0.0
    """Share of the weights that are set to zero; see `fit.training.loop.PRUNING_AT`."""
    minmax: MinMaxBits | None = None
    """Quantise after a fit of float values; None learns the steps, and charges for bits, while fitting."""


PRESETS: Mapping[str, Preset] = {
    "draft": Preset(epochs=15, learning_rate=8e-3, batch_frames=1),
    "fast": Preset(epochs=50, learning_rate=8e-3, batch_frames=1),
    "medium": Preset(epochs=150, learning_rate=8e-3, batch_frames=1),
    "slow": Preset(epochs=600, learning_rate=5e-3, batch_frames=1),
    # The authors' pipeline (HNeRV, sections 3.2 and 4.1, appendix A.2; bits of SNeRV, appendix D.1).
    "paper": Preset(
        epochs=300,
        learning_rate=1e-3,
        batch_frames=2,
        optimizer="adam",
        prune=0.1,
        minmax=MinMaxBits(8, 6),
    ),
}

"""Presets, losses and optimisers, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

AUTO = "auto"
"""The default model; see `models.registry.family_of`."""
MOST_PRUNED = 0.95
"""Largest fraction of the weights that `--prune` may set to zero."""
FEWEST_BITS, MOST_BITS = 2, 12
"""Range of `--weight-bits` and `--embedding-bits`."""


@dataclass(frozen=True)
class LossNeeds:
    """Requirements of a loss."""

    least_side: int = 1
    """Minimum height and width of a frame, in pixels."""


LOSSES: Mapping[str, LossNeeds] = {
    "l2": LossNeeds(),
    "l1": LossNeeds(),
    # The SSIM window of 11 pixels must fit the frame: for MS-SSIM after four halvings, for `wavelet` after
    # one.
    "l1+ssim": LossNeeds(11),
    "l1+ms-ssim": LossNeeds(161),
    "wavelet": LossNeeds(21),
}
"""Losses that a fit can minimise; see `fit.training.losses`."""
OPTIMIZERS = ("muon", "adam")
"""Optimisers for the weights of convolutions; see `fit.training.optimizers`."""


@dataclass(frozen=True)
class MinMaxBits:
    """Bits per value of min-max quantisation, before entropy coding."""

    weight: int
    """Bits per weight or bias."""
    embedding: int
    """Bits per value of an embedding."""


@dataclass(frozen=True)
class Preset:
    """How to fit and to quantise, unless options say otherwise."""

    epochs: int
    learning_rate: float
    batch_frames: int
    optimizer: str = "muon"
    """One of `OPTIMIZERS`."""
    loss: str = "l2"
    prune: float = 0.0
    """Fraction of the weights that are set to zero; see `fit.training.loop.PRUNING_AT`."""
    minmax: MinMaxBits | None = None
    """Bits for quantising after a float fit; None learns steps, and penalises bits, during the fit."""

    def rate_for(self, batch_frames: int) -> float:
        """The learning rate for steps of this many frames: it rises with their root, but not for `paper`.

        PSNR of 48 frames, 0.4 bpp, after 30 epochs (below: 100), in dB, by frames a step and factor on the
        rate that suits one frame:

            frames             1      2             4             8
            factor             1      1      1.4    1      2      1      2.5
            HNeRV   Bunny      28.71  28.56  28.75  28.06  28.65  27.25  27.92
                    Carphone   31.99  31.46  31.66  30.70  31.75  29.44  29.85
            NeRV    Bunny      28.32  28.30  28.37  27.98  27.93  26.86  27.48
                    Carphone   29.49  29.11  29.20  28.50  28.51  27.25  27.81
            HNeRV   Bunny      30.10                       30.00
                    Carphone   32.50                       32.49
            NeRV    Bunny      29.43                       29.31
                    Carphone   30.55                       30.03

        After 208 epochs NeRV has 30.90 dB for Carphone, and 30.67 with four frames a step. More frames lose
        quality at equal epochs, the less the longer the fit is, so that one is the default.
        """
        if self.batch_frames > 1:
            return self.learning_rate
        return self.learning_rate * math.sqrt(batch_frames)


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

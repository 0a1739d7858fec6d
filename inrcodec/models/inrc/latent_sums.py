"""The class sums of latents, channel by channel, for all blocks of a pass at once; see `latent_network`.

There are many channels and few blocks, so that the number of operations counts: one product of matrices gives
the weighted sum of `contexts` and all hidden sums of the network.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.inrc.contexts import Integers
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS, KERNEL_SIDES
from inrcodec.models.inrc.latent_network import (
    LARGEST_HIDDEN,
    NEAR_CHANNELS,
    OUTPUT_SHIFT,
    SHIFT,
    NetworkCount,
    Values,
    higher_weights,
    latent_networks,
    logarithms,
    near_weights,
    same_weights,
)
from inrcodec.models.inrc.shapes import LatentFeature

SCALE = np.float32(1 / (1 << SHIFT))
"""Hidden sums are kept in units that `SHIFT` leaves; a factor of a power of two rounds nothing."""
TOLD = (
    NetworkCount.RECENT,
    NetworkCount.NONZERO,
    NetworkCount.LOWER,
    NetworkCount.LOWER_AROUND,
    NetworkCount.EARLIER,
    NetworkCount.EARLIER_AROUND,
    NetworkCount.COMPONENTS,
    NetworkCount.REFERENCES,
)
"""Counts that `ComponentSums` is told: first `CHANGING`, which change from channel to channel."""
CHANGING = 6
WEIGHTED = (
    LatentFeature.LOWER,
    LatentFeature.LOWER_AROUND,
    LatentFeature.EARLIER,
    LatentFeature.EARLIER_AROUND,
    LatentFeature.COMPONENTS,
    LatentFeature.REFERENCES,
)
"""The counts of the weighted sum, which are the last ones of `TOLD`."""

_OF_REFERENCES = {
    False: (NetworkCount.REFERENCE_SAME, NetworkCount.REFERENCE_HIGHER),
    True: (NetworkCount.REFERENCE_SAME_AROUND, NetworkCount.REFERENCE_HIGHER_AROUND),
}


class ComponentSums:
    """The class sums, without biases, of the latents of one component at n blocks, channel by channel."""

    def __init__(self, count: int) -> None:
        self.told = np.zeros((len(TOLD), count), dtype=np.float32)
        """The logarithms of the counts `TOLD`, (8, n), to be set before each channel."""

    def of(self, number: int, weights: Values) -> NDArray[np.int32]:
        """The sums of channel `number` of the component, (n,), in 1/1024 of a knot.

        `weights` (2, 8) are those of `TOLD`, split as in `ContextModel.split_weights`.
        """
        return _joined(weights @ self.told)


def _joined(parts: Values) -> NDArray[np.int32]:
    """256 times the first of two rows plus the second."""
    sums: NDArray[np.int32]
    high, low = parts.astype(np.int32)
    sums = (high << 8) + low
    return sums


class NetworkSums(ComponentSums):
    """`ComponentSums` with the terms of the network."""

    def __init__(
        self,
        component: int,
        kinds: Integers,
        constant: Mapping[NetworkCount, Integers],
        references: Mapping[bool, Integers],
        seen: Integers,
    ) -> None:
        """`kinds` (n,) are those of the blocks' frames, `constant` the counts (n,) that all channels share.

        `references` are the component's clipped magnitudes in both reference frames together, (n, side^2):
        at False of the same block, at True summed over its four neighbours. `seen` (m, n) are the clipped
        magnitudes of the m `NEAR_CHANNELS`.
        """
        side = KERNEL_SIDES[component]
        self._network = network = latent_networks()[min(component, 1)]
        self._first = FIRST_CHANNELS[component]
        by_channel: dict[NetworkCount, Values] = {}
        weights_of_side = same_weights(side), higher_weights(side)
        for is_around, magnitudes in references.items():
            told = magnitudes.T.astype(np.float32)
            for count, weights in zip(_OF_REFERENCES[is_around], weights_of_side, strict=True):
                by_channel[count] = weights @ told
        if component:
            near = near_weights(component)[:, NEAR_CHANNELS]
            by_channel[NetworkCount.COMPONENTS_NEAR] = near @ seen.astype(np.float32)
        self._logs = logarithms(np.stack(list(by_channel.values()), axis=1).astype(np.int32))
        counts = [self._weights(count) for count in (*TOLD, *by_channel, *constant)]
        hidden = np.stack([*counts, *network.kinds * SCALE, np.zeros_like(network.outputs)], axis=1)
        self._matrix = np.concatenate([np.zeros_like(hidden[:2]), hidden])
        """Two rows of weights, then the hidden sums; the last column is the bias of a channel."""
        self._values = np.ones((hidden.shape[1], len(kinds)), dtype=np.float32)
        self.told = self._values[: len(TOLD)]
        self._own = self._values[len(TOLD) : len(TOLD) + len(by_channel)]
        for row, values in enumerate(constant.values(), len(TOLD) + len(by_channel)):
            logarithms(values, out=self._values[row])
        np.equal(
            kinds, np.arange(len(network.kinds))[:, None], out=self._values[-1 - len(network.kinds) : -1]
        )

    def _weights(self, count: NetworkCount) -> Values:
        """The weights of a count in the hidden sums; zeros if the network does not have it."""
        counts = self._network.counts
        return counts[count] * SCALE if count < len(counts) else np.zeros_like(counts[0])

    def of(self, number: int, weights: Values) -> NDArray[np.int32]:
        self._own[:] = self._logs[number]
        self._matrix[:2, : len(TOLD)] = weights
        np.multiply(self._network.channels[self._first + number], SCALE, out=self._matrix[2:, -1])
        parts: Values = self._matrix @ self._values
        sums, hidden = _joined(parts[:2]), parts[2:]
        np.floor(hidden, out=hidden)
        np.maximum(hidden, 0, out=hidden)
        np.minimum(hidden, LARGEST_HIDDEN, out=hidden)
        sums += (self._network.outputs @ hidden).astype(np.int32) >> OUTPUT_SHIFT
        return sums

"""A small network of integers that adds to the class sums of latents, from version 1 on. Normative.

The weighted sum of logarithms in `contexts` treats each count by itself. The network knows more counts, and
what they mean together. Its weights are the same for all files (`latent_network_weights`); each file still
has its own biases and its own weights of the sum. All values are integers below 2^24 in magnitude, so that
products of matrices in binary32 are exact on every machine.

Context models by a small network are those of COOL-CHIC (Ladune et al., ICCV 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.inrc.contexts import LARGEST_MAGNITUDE, LOG_TABLE, Integers
from inrcodec.models.inrc.frequencies import (
    FIRST_CHANNELS,
    GROUP_COUNT,
    GROUPS,
    KERNEL_SIDES,
    component_of,
    zigzag,
)
from inrcodec.models.inrc.latent_network_weights import WEIGHTS

RECENT = 6
"""Channels that the count `RECENT` sums."""
SHIFT, OUTPUT_SHIFT = 6, 2
"""Right shifts of the hidden sums and of the output."""
LARGEST_HIDDEN = 4095
_LOGS = LOG_TABLE.astype(np.float32)

Values = NDArray[np.float32]


class NetworkCount(IntEnum):
    """The counts that the network has, by their row in its weights (SPEC, 10.12)."""

    LOWER = 0
    EARLIER = 1
    LOWER_AROUND = 2
    EARLIER_AROUND = 3
    REFERENCES = 4
    """These are the counts of the same names in `LatentFeature`."""
    RECENT = 5
    """The last six channels of the same block and component."""
    NONZERO = 6
    """How many of the channels of `EARLIER` are not zero."""
    REFERENCE_SAME = 7
    """The same frequency and those next to it, in the same block of the reference frames."""
    REFERENCE_HIGHER = 8
    """This and all later channels of the component, in the same block of the reference frames."""
    REFERENCE_SAME_AROUND = 9
    REFERENCE_HIGHER_AROUND = 10
    """The two counts before, summed over the four neighbouring blocks."""
    FLAGS_AROUND = 11
    """Set flags of the same part in the four neighbouring blocks."""
    FLAGS_NEAR = 12
    """Set flags of the same part in the 5x5 blocks around, the block itself included."""
    COMPONENTS = 13
    """The count of the same name in `LatentFeature`."""
    LUMA = 14
    """All luma latents of the same block."""
    COMPONENTS_NEAR = 15
    """The same frequency and the eight around it, of the same block in earlier components."""
    FIRST_CHROMA = 16
    """All latents of the first chroma component of the same block, for the second one."""


COUNTS = (NetworkCount.FLAGS_NEAR + 1, NetworkCount.FIRST_CHROMA + 1)
"""The number of counts that the networks of luma and of chroma have."""


@dataclass(frozen=True)
class LatentNetwork:
    """The network of luma or of chroma. All values are integers.

    The hidden sums of a latent are `counts`.T times the logarithms of its counts, plus the biases of its
    channel and of its frame's kind (first, anchor, between).
    """

    counts: NDArray[np.float32]
    """(counts, hidden)."""
    channels: NDArray[np.float32]
    """(96, hidden); zeros for channels of the other part."""
    kinds: NDArray[np.float32]
    """(3, hidden)."""
    outputs: NDArray[np.float32]
    """(hidden,)."""


@cache
def latent_networks() -> tuple[LatentNetwork, LatentNetwork]:
    """The networks of luma and of chroma."""
    first, second = (_network(part) for part in range(2))
    return first, second


def _network(part: int) -> LatentNetwork:
    counts = COUNTS[part]
    tables = WEIGHTS[part]
    inputs, groups = (np.array(tables[name], dtype=np.float32) for name in ("inputs", "groups"))
    channels = np.zeros((len(GROUPS), inputs.shape[1]), dtype=np.float32)
    for channel, group in enumerate(GROUPS):
        component = component_of(channel)
        if (component > 0) == part:
            u, v = divmod(channel - FIRST_CHANNELS[component], KERNEL_SIDES[component])
            places = np.float32(16 * u) * inputs[counts] + np.float32(16 * v) * inputs[counts + 1]
            channels[channel] = groups[group - part * (GROUP_COUNT // 2)] + places
    return LatentNetwork(
        inputs[:counts],
        channels,
        np.array(tables["kinds"], dtype=np.float32),
        np.array(tables["outputs"][0], dtype=np.float32),
    )


def logarithms(counts: Integers, out: Values | None = None) -> Values:
    """f of SPEC, 10.9, as floats, in `out` if it is given; counts above 4095 count as 4095."""
    found: Values = _LOGS.take(counts, mode="clip", out=out)
    return found


@cache
def same_weights(side: int) -> Values:
    """`REFERENCE_SAME`: the weight of each channel (columns) in the count of each channel (rows)."""
    u, v = np.divmod(np.arange(side * side), side)
    distance = np.abs(u[:, None] - u) + np.abs(v[:, None] - v)
    weights: Values = np.maximum(2 - distance, 0).astype(np.float32)
    return weights


@cache
def higher_weights(side: int) -> Values:
    """`REFERENCE_HIGHER`: the weight of each channel (columns) in the count of each channel (rows)."""
    rank = np.argsort(zigzag(side))
    weights: Values = (rank >= rank[:, None]).astype(np.float32)
    return weights


@cache
def near_weights(component: int) -> Values:
    """`COMPONENTS_NEAR`: the weights (16, 96) of all channels in the counts of a chroma component's."""
    side, found = KERNEL_SIDES[1], np.zeros((KERNEL_SIDES[1] ** 2, len(GROUPS)), dtype=np.float32)
    for earlier in range(component):
        step = KERNEL_SIDES[earlier]
        for number in range(side * side):
            u, v = divmod(number, side)
            for row in range(max(0, u - 1), min(step, u + 2)):
                for column in range(max(0, v - 1), min(step, v + 2)):
                    found[number, FIRST_CHANNELS[earlier] + row * step + column] = 1 + (earlier > 0)
    return found


NEAR_CHANNELS = np.flatnonzero(near_weights(2).any(axis=0))
"""Channels that `COMPONENTS_NEAR` sums for any latent."""


@dataclass(frozen=True)
class References:
    """The latents that the network knows of the reference frames of a batch of F frames."""

    latents: NDArray[np.int16]
    """(T + 1, h, w, 96), the last frame without latents."""
    frames: Integers
    """(F, 2); see `latent_contexts.code_latents`."""

    def magnitudes(
        self, component: int, frames: Integers, rows: Integers, columns: Integers
    ) -> dict[bool, NDArray[np.int16]]:
        """The clipped magnitudes of both reference frames together, (n, side^2), of a component at n blocks.

        At False those of the same block, at True their sums over its four neighbours.
        """
        first, count = FIRST_CHANNELS[component], KERNEL_SIDES[component] ** 2

        def at(down: int, across: int) -> NDArray[np.int16]:
            row, column = rows + down, columns + across
            height, width = self.latents.shape[1:3]
            is_inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            where = np.where(is_inside, row, 0), np.where(is_inside, column, 0)
            total = np.zeros((len(rows), count), dtype=np.int16)
            for reference in self.frames.T:
                source = np.where(is_inside, reference[frames], -1)
                found = self.latents[source, *where, first : first + count]
                # Symbols are within -32767..32767, whose absolute values fit in 16 bits.
                np.abs(found, out=found)
                total += np.minimum(found, LARGEST_MAGNITUDE, out=found)
            return total

        around = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)
        return {False: at(0, 0), True: around}

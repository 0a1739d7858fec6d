"""The channels of latents: the transform frequencies of luma and chroma, their coding order and neighbours.

Normative for the contexts of `inrcodec.models.inrc.contexts`.
"""

from __future__ import annotations

KERNEL_SIDES = (8, 4, 4)
"""Frequencies per axis of luma and of the two chroma components. Channel u * side + v of a component has
vertical frequency u and horizontal frequency v."""
CHANNELS = sum(side * side for side in KERNEL_SIDES)
FIRST_CHANNELS = (0, 64, 80)
"""The first channel of each component."""
GROUP_COUNT = 12
NEIGHBOUR_FREQUENCIES = ((1, 0, 2), (0, 1, 2), (1, 1, 1), (2, 0, 1), (0, 2, 1))
"""(du, dv, weight): frequency (u - du, v - dv) of the same component is in the context of (u, v)."""


def zigzag(side: int) -> list[int]:
    """Channels u * side + v of a component in coding order, a zigzag scan.

    Diagonals u + v ascend; v ascends on even diagonals, u on odd ones.
    """

    def place(channel: int) -> tuple[int, int]:
        u, v = divmod(channel, side)
        return u + v, u if (u + v) % 2 else v

    return sorted(range(side * side), key=place)


ORDER = tuple(
    first + channel
    for first, side in zip(FIRST_CHANNELS, KERNEL_SIDES, strict=True)
    for channel in zigzag(side)
)
"""All channels in coding order: component after component."""


def component_of(channel: int) -> int:
    """0 for luma, 1 and 2 for chroma."""
    return sum(channel >= first for first in FIRST_CHANNELS) - 1


def _group(channel: int) -> int:
    component = component_of(channel)
    diagonal = sum(divmod(channel - FIRST_CHANNELS[component], KERNEL_SIDES[component]))
    return sum(diagonal >= start for start in (1, 2, 3, 5, 8)) + (GROUP_COUNT // 2 if component else 0)


GROUPS = tuple(_group(channel) for channel in range(CHANNELS))
"""The row of weights of each channel, for u + v = 0, 1, 2, 3..4, 5..7, 8 and above; plus 6 for chroma."""


def frequency_neighbours(channel: int) -> list[tuple[int, int]]:
    """Neighbouring channels of lower frequency, each with its weight in the first count."""
    component = component_of(channel)
    first, side = FIRST_CHANNELS[component], KERNEL_SIDES[component]
    u, v = divmod(channel - first, side)
    return [
        (first + (u - du) * side + v - dv, weight)
        for du, dv, weight in NEIGHBOUR_FREQUENCIES
        if u >= du and v >= dv
    ]


def component_neighbours(channel: int) -> list[tuple[int, int]]:
    """Channels of the same frequency in earlier components, each with its weight in the third count."""
    component = component_of(channel)
    if component == 0:
        return []
    u, v = divmod(channel - FIRST_CHANNELS[component], KERNEL_SIDES[component])
    luma = (u * KERNEL_SIDES[0] + v, 1)
    return [luma] if component == 1 else [luma, (channel - KERNEL_SIDES[1] ** 2, 2)]

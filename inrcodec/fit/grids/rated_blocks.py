"""Lists of blocks whose latents are rated; on a GPU the host does not wait for how many they are."""

from __future__ import annotations

import torch
from torch import Tensor

from inrcodec.fit.grids.latent_network import Cells

NEAREST_ZERO = 0.5
"""The largest size of coefficients, in steps, of which all have zero as their nearest integer."""
ROOM = 2
"""Places in a list for each block that the last pass had in it."""
LEAST_ROOM = 64
"""Places in every list."""


def largest(needs: Tensor, count: int) -> Cells:
    """The frames, rows and columns of the `count` largest of `needs` (B, h, w); equal ones in order."""
    _, height, width = needs.shape
    places = needs.flatten().sort(descending=True, stable=True).indices[:count]
    rows = places.div(width, rounding_mode="floor")
    return rows.div(height, rounding_mode="floor"), rows % height, places % width


def set_cells(flags: Tensor, count: int | None) -> Cells:
    """The frames, rows and columns of the flags (B, h, w) that are set, of which there are `count`.

    None counts them, for which a host waits.
    """
    return flags.nonzero(as_tuple=True) if count is None else largest(flags.to(torch.uint8), count)


class RatedBlocks:
    """The blocks of each batch whose latents are rated.

    A CPU lists those with coefficients above `NEAREST_ZERO`. A GPU lists `ROOM` times as large a share of all
    as the last pass had, those with the largest coefficients first; more than are needed only take time.
    """

    def __init__(self) -> None:
        self._shares: dict[tuple[int, int], float] = {}
        """By batch and part, of the last pass."""
        self._counts: dict[tuple[int, int], tuple[Tensor, int, int]] = {}
        """Blocks that are needed, places of the list and all blocks, of this pass."""

    def of(self, batch: int, part: int, coefficients: Tensor) -> Cells:
        """Blocks for a part's coefficients (B, C, h, w), in steps; `batch` is the first frame's number."""
        needs = coefficients.abs().amax(1)
        is_needed = needs > NEAREST_ZERO
        if needs.is_cpu:
            return is_needed.nonzero(as_tuple=True)
        every = needs.numel()
        room = min(every, int(ROOM * self._shares.get((batch, part), 1) * every) + LEAST_ROOM)
        self._counts[batch, part] = is_needed.sum(), room, every
        return largest(needs, room)

    def end_pass(self) -> bool:
        """Whether all lists of the pass had room. The next pass has room for what this one needed.

        The host waits for the counts, once.
        """
        lists, self._counts = self._counts, {}
        if not lists:
            return True
        counts = torch.stack([count for count, _, _ in lists.values()]).tolist()
        of_lists = [*zip(counts, lists.items(), strict=True)]
        self._shares = {key: count / every for count, (key, (_, _, every)) in of_lists}
        return all(count <= room for count, (_, (_, room, _)) in of_lists)

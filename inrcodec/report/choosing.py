"""Which frames a report shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Chosen:
    """A frame, and why it is shown."""

    title: str
    """`worst`, `median`, `best` or `only`."""
    index: int


def choose_frames(psnr_db: NDArray[np.float64]) -> list[Chosen]:
    """The frames of the lowest, the middle and the highest PSNR (T,); none of them twice."""
    order = np.argsort(psnr_db, kind="stable")
    if len(order) == 1:
        return [Chosen("only", 0)]
    places = {"worst": 0, "median": (len(order) - 1) // 2, "best": len(order) - 1}
    chosen: dict[int, Chosen] = {}
    for title, place in places.items():
        index = int(order[place])
        chosen.setdefault(index, Chosen(title, index))
    return list(chosen.values())

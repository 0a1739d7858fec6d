"""The wire ids of the symbol coders, which say what a section was coded with; loads no coder."""

from __future__ import annotations

from enum import IntEnum

from bitstream.errors import Corrupt


class CoderId(IntEnum):
    """The wire ids; never reused."""

    UNIFORM = 1
    PACKED = 2
    CATEGORICAL = 3
    LAPLACE = 4
    GAUSSIAN = 5
    LEVELS = 6
    CONTEXTUAL = 7
    """No tensor by itself: only families that define classes use it (`coders.conditional`)."""


def coder_name(wire_id: int) -> str:
    """The name of this wire id, for reports; Corrupt if there is none."""
    if wire_id not in list(CoderId):
        raise Corrupt(
            f"expected a coder of {[int(known) for known in CoderId]}, found {wire_id}", block="SEGM"
        )
    return CoderId(wire_id).name.lower()

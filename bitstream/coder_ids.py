"""Wire ids of the symbol coders, in a module that loads no coder."""

from __future__ import annotations

from enum import IntEnum

from bitstream.errors import Corrupt


class CoderId(IntEnum):
    """The coders by wire id. Ids are never reused."""

    UNIFORM = 1
    PACKED = 2
    CATEGORICAL = 3
    LAPLACE = 4
    GAUSSIAN = 5
    LEVELS = 6
    CONTEXTUAL = 7
    """Only for families that define the classes of their symbols (`coders.conditional`)."""


def coder_name(wire_id: int) -> str:
    """The name of a wire id, for reports. Raises Corrupt for an unknown id."""
    if wire_id not in list(CoderId):
        raise Corrupt(
            f"expected a coder of {[int(known) for known in CoderId]}, found {wire_id}", block="SEGM"
        )
    return CoderId(wire_id).name.lower()

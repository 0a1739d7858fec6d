"""The table of model families: one row a family; wire ids are never reused."""

from __future__ import annotations

from bitstream.errors import Corrupt
from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.nerv import NeRV
from inrcodec.models.snerv import SNeRV
from inrcodec.models.snerv_t import SNeRVT
from inrcodec.models.supermask import Supermask

FAMILIES: tuple[AnyFamily, ...] = (HNeRV(), Supermask(), NeRV(), SNeRV(), SNeRVT())


def family_by_name(name: str) -> AnyFamily:
    """The family called `name` on the command line; raises `UsageError`."""
    for family in FAMILIES:
        if family.name == name:
            return family
    raise UsageError(f"unknown model {name!r}; known: {', '.join(family.name for family in FAMILIES)}")


def family_by_wire_id(wire_id: int) -> AnyFamily:
    """The family that a segment names; raises `bitstream.Corrupt`."""
    for family in FAMILIES:
        if family.wire_id == wire_id:
            return family
    raise Corrupt(
        f"unknown model family {wire_id}; this version knows {[family.wire_id for family in FAMILIES]}",
        offset=None,
        block="SEGM",
    )

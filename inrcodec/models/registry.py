"""The table of model families: one row per family; wire ids are never reused.

Families of other packages are looked up after these, and only if their name or wire id is asked for.
"""

from __future__ import annotations

from typing import Any

from bitstream.errors import Corrupt
from bitstream.private_families import PRIVATE_FAMILIES, named_config, split_config
from inrcodec.errors import InrcError, UnknownFamily, UsageError
from inrcodec.models.family import AnyFamily
from inrcodec.models.hinerv.hinerv import HiNeRV
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.installed import InstalledFamily, installed_family, installed_names
from inrcodec.models.nerv import NeRV
from inrcodec.models.snerv.snerv import SNeRV
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.supermask.supermask import Supermask
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import AUTO, PRESETS

FAMILIES: tuple[AnyFamily, ...] = (HNeRV(), Supermask(), NeRV(), SNeRV(), SNeRVT(), Inrc(), HiNeRV())
_OWN = {family.name: family for family in FAMILIES}


def family_names() -> list[str]:
    """Every name that `family_by_name` takes, our own first; imports no other package."""
    return [*_OWN, *(name for name in installed_names() if name not in _OWN)]


def family_by_name(name: str) -> AnyFamily:
    """The family called `name` on the command line.

    Raises `UsageError` if there is none, and `InrcError` for one of another package that cannot be used.
    """
    if name in _OWN:
        return _OWN[name]
    try:
        return _installed(name).family
    except UnknownFamily:
        known = ", ".join(family_names())
        raise UsageError(f"unknown model {name!r}; known: {known}") from None


def family_of(settings: EncodeSettings) -> AnyFamily:
    """The family that an encode uses; raises `UsageError` if it is unknown or does not support the settings.

    `auto` chooses `inrc`, or HNeRV if a setting needs a trained network.
    """
    if settings.model != AUTO:
        family = family_by_name(settings.model)
        check_options(family, settings)
        return family
    is_trained = PRESETS[settings.preset].minmax is not None or settings.mask is not None
    return family_by_name(HNeRV.name if is_trained or settings.of_training else Inrc.name)


def check_options(family: AnyFamily, settings: EncodeSettings) -> None:
    """Raise `UsageError` for a setting that the family does not support."""
    if family.is_trained:
        return
    if PRESETS[settings.preset].minmax is not None:
        raise UsageError(
            f"--preset {settings.preset} needs a trained network, which {family.name} is not; choose another "
            "preset or another --model"
        )
    if settings.mask is not None:
        raise UsageError(f"{family.name} codes every pixel; --mask needs another --model")
    if flags := settings.of_training:
        raise UsageError(f"{family.name} has a fit of its own; {next(iter(flags))} needs another --model")


def family_by_wire_id(wire_id: int) -> AnyFamily:
    """Our family of this number; raises `bitstream.Corrupt`."""
    for family in FAMILIES:
        if family.wire_id == wire_id:
            return family
    raise Corrupt(
        f"unknown model family {wire_id}; this version knows {[family.wire_id for family in FAMILIES]}",
        offset=None,
        block="SEGM",
    )


def packed_config(family: AnyFamily, config: Any) -> bytes:
    """The config that a segment stores: that of the family, behind the name of a private one."""
    packed = family.pack(config)
    return named_config(family.name, packed) if family.wire_id in PRIVATE_FAMILIES else packed


def family_and_config(wire_id: int, stored: bytes) -> tuple[AnyFamily, bytes]:
    """The family of a segment, and its own part of the config; the inverse of `packed_config`.

    Raises `bitstream.Corrupt`, and `InrcError` for a private family that is not installed (`UnknownFamily`)
    or cannot be used.
    """
    if wire_id not in PRIVATE_FAMILIES:
        return family_by_wire_id(wire_id), stored
    name, config = split_config(stored)
    found = _installed(name)
    if found.family.wire_id != wire_id:
        raise InrcError(
            f"this file was made by another family {name!r}: its wire id is {wire_id}, and that of package "
            f"{found.package} is {found.family.wire_id}"
        )
    return found.family, config


def package_of(family: AnyFamily) -> str | None:
    """Name and version of the package that registers a family; None for our own."""
    return None if family.name in _OWN else _installed(family.name).package


def _installed(name: str) -> InstalledFamily:
    return installed_family(name, frozenset(_OWN))

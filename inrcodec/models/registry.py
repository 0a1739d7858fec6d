"""The table of model families: one row per family; wire ids are never reused."""

from __future__ import annotations

from bitstream.errors import Corrupt
from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.nerv import NeRV
from inrcodec.models.snerv.snerv import SNeRV
from inrcodec.models.snerv.snerv_t import SNeRVT
from inrcodec.models.supermask.supermask import Supermask
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import AUTO, PRESETS

FAMILIES: tuple[AnyFamily, ...] = (HNeRV(), Supermask(), NeRV(), SNeRV(), SNeRVT(), Inrc())


def family_by_name(name: str) -> AnyFamily:
    """The family called `name` on the command line; raises `UsageError`."""
    for family in FAMILIES:
        if family.name == name:
            return family
    raise UsageError(f"unknown model {name!r}; known: {', '.join(family.name for family in FAMILIES)}")


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
    """The family whose number a segment contains; raises `bitstream.Corrupt`."""
    for family in FAMILIES:
        if family.wire_id == wire_id:
            return family
    raise Corrupt(
        f"unknown model family {wire_id}; this version knows {[family.wire_id for family in FAMILIES]}",
        offset=None,
        block="SEGM",
    )

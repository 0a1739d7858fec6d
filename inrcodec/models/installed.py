"""Families that other packages register, by the entry points of the group `inrc.families`.

An entry point is looked up by its name alone, which the command line or a file gives, and only the package
that registers this name is imported. A file can therefore run no code but that of an installed family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bitstream.private_families import NAME, NAME_RULE, PRIVATE_FAMILIES
from inrcodec.errors import InrcError, UnknownFamily
from inrcodec.models.family import AnyFamily
from inrcodec.settings.presets import AUTO
from inrcodec.text import printable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "inrc.families"
_METHODS = (
    *("most_frames", "plan", "pack", "unpack", "coded_size", "tensors", "activation_count"),
    *("multiplication_count", "decoder", "representation"),
)


@dataclass(frozen=True)
class InstalledFamily:
    """A family and the package that registers it."""

    family: AnyFamily
    package: str
    """Name and version of the distribution."""


def installed_names() -> list[str]:
    """The names that packages register, sorted; imports none of them."""
    return sorted({point.name for point in _points()})


@cache
def installed_family(name: str, reserved: frozenset[str]) -> InstalledFamily:
    """The family that a package registers as `name`, which must not be one of the `reserved` names.

    The lookup is made once in each process, because it reads the metadata of all packages.
    Raises `UnknownFamily` if there is none, and `InrcError` if several packages register it or if it cannot
    be used.
    """
    found = {_package(point): point for point in _points() if point.name == name}
    if not found:
        raise UnknownFamily(name)
    if len(found) > 1:
        raise InrcError(
            f"packages {' and '.join(sorted(found))} register a family {name!r} each; uninstall one of them"
        )
    ((package, point),) = found.items()
    if name in reserved or name == AUTO:
        raise InrcError(f"package {package} registers a family {name!r}, which is a name of inrc itself")
    return _loaded(point, package)


def _points() -> Iterator[EntryPoint]:
    # Imported here, because it loads much that only this lookup needs.
    from importlib.metadata import entry_points

    yield from entry_points(group=GROUP)


def _package(point: EntryPoint) -> str:
    """Name and version of the distribution that registers an entry point."""
    if point.dist is None:
        return printable(point.module)
    return printable(f"{point.dist.metadata['Name']} {point.dist.version}")


def _loaded(point: EntryPoint, package: str) -> InstalledFamily:
    """Import a family; raises `InrcError` if it cannot be used."""
    where = f"family {point.name!r} of package {package}"
    try:
        loaded = point.load()
        family = loaded() if isinstance(loaded, type) else loaded
    except Exception as error:
        (said, *_) = str(error).splitlines() or [""]
        raise InrcError(f"{where} cannot be imported: {type(error).__name__}: {printable(said)}") from error
    fault = _fault(family, point.name)
    if fault is not None:
        raise InrcError(f"{where} cannot be used: {fault}")
    return InstalledFamily(family, package)


def _fault(family: Any, name: str) -> str | None:
    """Why an object is no family that can be used under this name; None if it is one."""
    if not NAME.fullmatch(name):
        return f"expected a name of {NAME_RULE}"
    if missing := [one for one in _METHODS if not callable(getattr(family, one, None))]:
        return f"it has no method {missing[0]}; see docs/own-family.md"
    if getattr(family, "name", None) != name:
        return f"its attribute `name` is {getattr(family, 'name', None)!r}"
    wire_id = getattr(family, "wire_id", None)
    if type(wire_id) is not int or wire_id not in PRIVATE_FAMILIES:
        first, last = PRIVATE_FAMILIES[0], PRIVATE_FAMILIES[-1]
        return f"its `wire_id` is {wire_id!r}, and wire ids for private use are {first} to {last}"
    if not isinstance(getattr(family, "summary", None), str):
        return "its attribute `summary` is not a string"
    if getattr(family, "is_trained", None) is not True or getattr(family, "has_contexts", None) is not False:
        return "only families with `is_trained = True` and `has_contexts = False` can be registered"
    return None

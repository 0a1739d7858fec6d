"""Prints the lower bounds of pyproject.toml as constraints for pip, which then installs exactly these.

    python tests/lowest_versions.py > constraints.txt

`make test-oldest` runs tests with them. Only the standard library is needed.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[a-z]+\])?>=([0-9.]+)")


def requirements() -> list[str]:
    """The core and all extras, without extras that name other extras."""
    extras = [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    return [one for one in PROJECT["dependencies"] + extras if not one.startswith(f"{PROJECT['name']}[")]


def lowest_versions() -> dict[str, str]:
    """Lowest version by package. Raises `ValueError` for a requirement of another form, or two bounds."""
    found: dict[str, str] = {}
    for one in requirements():
        parts = REQUIREMENT.fullmatch(one)
        if parts is None:
            raise ValueError(f"expected NAME>=VERSION, found {one}")
        name, version = parts.groups()
        if found.setdefault(name, version) != version:
            raise ValueError(f"{name} has two lower bounds: {found[name]} and {version}")
    return found


if __name__ == "__main__":
    for name, version in lowest_versions().items():
        print(f"{name}=={version}")

"""The bounds of pyproject.toml agree with each other, and with the versions that the tests run with."""

from __future__ import annotations

from pathlib import Path

import pytest
from lowest_versions import PROJECT, lowest_versions, requirements
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
TESTED = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
)


def test_the_core_is_six_packages() -> None:
    assert sorted(Requirement(one).name for one in PROJECT["dependencies"]) == [
        "av",
        "click",
        "constriction",
        "numpy",
        "rich",
        "torch",
    ]


@pytest.mark.parametrize("name", lowest_versions())
def test_what_the_tests_run_with_is_allowed(name: str) -> None:
    assert Version(TESTED[name]) >= Version(lowest_versions()[name])


@pytest.mark.parametrize("text", requirements())
def test_requirements_are_read_as_pip_reads_them(text: str) -> None:
    one = Requirement(text)
    assert str(one.specifier) == f">={lowest_versions()[one.name]}"


def test_versions_below_known_advisories_are_excluded() -> None:
    lowest = {name: Version(version) for name, version in lowest_versions().items()}
    # Loading with `weights_only` could run code below 2.10; a cluster of Ray on this machine asks for a token
    # by itself since 2.59.
    assert lowest["torch"] >= Version("2.10") and lowest["ray"] >= Version("2.59")


def test_the_lowest_versions_of_exports_write_models_that_load() -> None:
    # Below, onnxscript gives `Range` a tensor of one element instead of a scalar for `unfold`.
    assert Version(lowest_versions()["onnxscript"]) >= Version("0.7.2")
    assert "tests/exporter" in (ROOT / "Makefile").read_text().partition("\ntest-oldest:")[2]

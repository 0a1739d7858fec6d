"""The wheel and the sdist have every file of the tree, and the Dockerfile has what they need."""

from __future__ import annotations

import re
import shlex
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

from inrcodec.version import __version__

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = ("inrcodec", "bitstream")
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()


def files_of(*folders: str) -> set[str]:
    """Files of the tree below these folders, without hidden ones and what Python leaves there."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = (path for path in found if "__pycache__" not in path.parts and not path.name.startswith("."))
    return {str(path.relative_to(ROOT)) for path in kept}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    (path,) = WheelBuilder(str(ROOT)).build(
        directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"]
    )
    assert Path(path).name == f"inrc-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_every_file_of_the_packages_and_nothing_else(wheel: dict[str, bytes]) -> None:
    about = f"inrc-{__version__}.dist-info"
    assert {name for name in wheel if not name.startswith(about)} == files_of(*PACKAGES)
    assert {name for name in wheel if name.endswith((".js", ".css", ".html", ".md", "py.typed"))} >= {
        "inrcodec/exporter/web/index.html",
        "inrcodec/exporter/web/decoder.js",
        "inrcodec/quality/report/web/report.css",
        "inrcodec/py.typed",
        "bitstream/py.typed",
        "bitstream/SPEC.md",
    }
    assert all(wheel[name] == (ROOT / name).read_bytes() for name in files_of(*PACKAGES))
    assert wheel[f"{about}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert b"inrc = inrcodec.cli.main:main" in wheel[f"{about}/entry_points.txt"]
    requirements = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", wheel[f"{about}/METADATA"].decode(), re.M)
    assert sorted(requirements) == ["av", "click", "constriction", "numpy", "rich", "torch"]


def test_the_sdist_has_what_its_tests_read(tmp_path: Path) -> None:
    (path,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    expected = files_of(*PACKAGES, "tests", "benchmarks", "docs", "examples", "samples")
    expected |= {"pyproject.toml", "README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "LICENSE"}
    expected |= {"Makefile", "Dockerfile", "constraints.txt"}
    assert names >= expected
    assert {name for name in names - expected if not name.startswith(".")} <= {"PKG-INFO"}


def test_the_page_names_the_wheel_that_is_built() -> None:
    page = (ROOT / "docs" / "quick-start.md").read_text()
    named = set(re.findall(r"inrc-[^\s\['`]+\.whl", page))
    assert named == {f"inrc-{__version__}-py3-none-any.whl"}


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of this name in the Dockerfile."""
    return [line.removeprefix(f"{name} ") for line in DOCKERFILE if line.startswith(f"{name} ")]


def test_the_dockerfile_has_a_python_that_the_package_allows() -> None:
    (base,) = instructions("FROM")
    found = re.fullmatch(r"python:3\.(\d+)-slim", base)
    assert found is not None and int(found[1]) >= int(
        PROJECT["project"]["requires-python"].removeprefix(">=3.")
    )


def test_the_dockerfile_copies_what_the_build_reads_and_the_ignore_file_lets_it() -> None:
    copied = [name for words in map(str.split, instructions("COPY")) for name in words[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    project, hatch = PROJECT["project"], PROJECT["tool"]["hatch"]
    read = {"pyproject.toml", project["readme"], *project["license-files"], "constraints.txt"}
    assert set(copied) == read | set(hatch["build"]["targets"]["wheel"]["packages"])
    assert hatch["version"]["path"].split("/")[0] in copied
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*" and {f"!{name}" for name in copied} == {one for one in ignored if one[0] == "!"}


def test_the_dockerfile_installs_the_tested_versions_and_starts_inrc() -> None:
    (install,) = instructions("RUN")
    first, second = install.split(" && ")
    assert shlex.split(first) == [
        *("pip", "install", "--no-cache-dir", "--constraint", "/src/constraints.txt", "/src")
    ]
    assert second == "rm -r /src"
    (entry,) = instructions("ENTRYPOINT")
    assert entry == f'["{next(iter(PROJECT["project"]["scripts"]))}"]'
    known = ("FROM ", "ARG ", "COPY ", "RUN ", "WORKDIR ", "ENTRYPOINT ", "#")
    assert all(line.startswith(known) for line in DOCKERFILE)

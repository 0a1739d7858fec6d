"""Families that other packages register: how they are found, and one line for each that cannot be used."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import GOLDEN, environment, inrc, only_line
from hypothesis import given
from hypothesis import strategies as st

from bitstream import Corrupt, load
from bitstream.private_families import LONGEST_NAME, NAME, named_config, split_config
from inrcodec.cli.options import _model_names
from inrcodec.coding.opened_segment import open_segment
from inrcodec.errors import InrcError, UnknownFamily, UsageError
from inrcodec.models.installed import GROUP, installed_family, installed_names
from inrcodec.models.nerv import NeRV
from inrcodec.models.registry import (
    family_and_config,
    family_by_name,
    family_names,
    package_of,
    packed_config,
)

THEIRS = """
from inrcodec.models.nerv import NeRV

class Theirs(NeRV):
    wire_id, name, summary = 192, "theirs", "a NeRV"
"""
UNKNOWN = "this file was made by family 'theirs', which is not installed"
PRIVATE = GOLDEN / "private" / "theirs.inrv"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages, on the import path of this test alone."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    installed_family.cache_clear()
    yield tmp_path
    installed_family.cache_clear()
    for name in set(sys.modules) - before:
        if name.startswith("inrc_"):
            del sys.modules[name]


def install(
    site: Path, name: str, code: str, target: str | None = None, package: str = "inrc-theirs"
) -> None:
    """Write a distribution that registers the family `name`, with one module of this `code`."""
    module = package.replace("-", "_")
    (site / f"{module}.py").write_text(code)
    info = site / f"{module}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target or f'{module}:Theirs'}\n")
    importlib.invalidate_caches()


@given(st.from_regex(NAME, fullmatch=True), st.binary(max_size=20))
def test_a_config_behind_its_name_is_read_again(name: str, config: bytes) -> None:
    assert split_config(named_config(name, config)) == (name, config)


@given(st.binary(max_size=LONGEST_NAME + 4))
def test_other_bytes_are_no_name(raw: bytes) -> None:
    try:
        name, config = split_config(raw)
    except Corrupt:
        return
    assert NAME.fullmatch(name) and named_config(name, config) == raw


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "a b", "[red]", "a\n", "é", "a" * (LONGEST_NAME + 1), "<b>", "a/b"]
)
def test_names_are_neither_markup_nor_paths(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name of 1 to 32 characters"):
        named_config(name, b"")
    raw = bytes([len(name.encode())]) + name.encode()
    with pytest.raises(Corrupt, match="expected the name of a private family"):
        split_config(raw)


def test_own_families_store_no_name() -> None:
    family = NeRV()
    config = family_by_name("nerv").unpack(
        load((GOLDEN / "nerv.inrv").read_bytes()).segments[0].config, VIDEO, 0
    )
    assert packed_config(family, config) == family.pack(config)
    assert package_of(family) is None


VIDEO = load((GOLDEN / "nerv.inrv").read_bytes()).header


def test_a_package_registers_a_family(site: Path) -> None:
    install(site, "theirs", THEIRS)
    assert "theirs" in installed_names() and family_names()[-1] == "theirs"
    assert "inrc_theirs" not in sys.modules
    family = family_by_name("theirs")
    assert (family.wire_id, package_of(family)) == (192, "inrc-theirs 1.2")
    assert family_and_config(192, named_config("theirs", b"rest")) == (family, b"rest")
    assert _model_names(None, None, "the") == ["theirs"]  # type: ignore[arg-type]


def test_an_object_is_registered_as_well_as_a_class(site: Path) -> None:
    install(site, "theirs", f"{THEIRS}\nmade = Theirs()\n", "inrc_theirs:made")
    assert family_by_name("theirs").summary == "a NeRV"


def test_an_unknown_model_lists_those_of_packages(site: Path) -> None:
    install(site, "theirs", THEIRS)
    with pytest.raises(UsageError, match="unknown model 'other'; known: hnerv, .*, inrc, .*, theirs$"):
        family_by_name("other")


def test_a_file_imports_only_the_package_that_it_names(site: Path) -> None:
    install(site, "theirs", THEIRS)
    install(site, "trap", "raise SystemExit('imported')", package="inrc-trap")
    with pytest.raises(UnknownFamily, match="made by family 'os'"):
        family_and_config(200, named_config("os", b""))
    with pytest.raises(UnknownFamily, match="made by family 'inrc_trap'"):
        family_and_config(200, named_config("inrc_trap", b""))
    assert family_and_config(192, named_config("theirs", b""))[0].name == "theirs"
    assert "inrc_trap" not in sys.modules


def test_the_same_name_with_another_wire_id_is_another_family(site: Path) -> None:
    install(site, "theirs", THEIRS)
    with pytest.raises(
        InrcError, match="another family 'theirs': its wire id is 193, and that of package inrc-theirs"
    ):
        family_and_config(193, named_config("theirs", b""))


def test_two_packages_share_an_id_but_not_a_name(site: Path) -> None:
    install(site, "theirs", THEIRS)
    install(site, "second", THEIRS.replace('"theirs"', '"second"'), package="inrc-second")
    assert family_by_name("theirs").wire_id == family_by_name("second").wire_id == 192
    install(site, "theirs", THEIRS, package="inrc-copy")
    installed_family.cache_clear()
    expected = "packages inrc-copy 1.2 and inrc-theirs 1.2 register a family 'theirs' each; uninstall one"
    with pytest.raises(InrcError, match=expected):
        family_by_name("theirs")
    assert family_by_name("second").name == "second"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import no_such_library",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_library'",
        ),
        ("def", "cannot be imported: SyntaxError: "),
        ("raise ValueError('one\\ntwo')", "cannot be imported: ValueError: one"),
        ("", "cannot be imported: AttributeError: "),
        ("class Theirs:\n    def __init__(self): raise KeyError(1)", "cannot be imported: KeyError: 1"),
        ("Theirs = 7", "cannot be used: it has no method most_frames"),
        (f"{THEIRS}    decoder = None", "cannot be used: it has no method decoder"),
        (
            THEIRS.replace("192", "7"),
            "cannot be used: its `wire_id` is 7, and wire ids for private use are 192 to 255",
        ),
        (THEIRS.replace("192", "256"), "cannot be used: its `wire_id` is 256"),
        (THEIRS.replace("192", "'192'"), "cannot be used: its `wire_id` is '192'"),
        (THEIRS.replace('"theirs"', '"there"'), "cannot be used: its attribute `name` is 'there'"),
        (THEIRS.replace('"a NeRV"', "None"), "cannot be used: its attribute `summary` is not a string"),
        (f"{THEIRS}    is_trained = False", "cannot be used: only families with `is_trained = True`"),
        (f"{THEIRS}    has_contexts = True", "cannot be used: only families with `is_trained = True`"),
    ],
)
def test_a_family_that_cannot_be_used_costs_one_line(site: Path, code: str, expected: str) -> None:
    install(site, "theirs", code)
    with pytest.raises(InrcError) as caught:
        family_by_name("theirs")
    assert str(caught.value).startswith(f"family 'theirs' of package inrc-theirs 1.2 {expected}")
    assert "\n" not in str(caught.value)
    assert family_by_name("nerv").name == "nerv"


@pytest.mark.parametrize("name", ["hnerv", "auto", "[red]x"])
def test_names_that_a_package_cannot_take(site: Path, name: str) -> None:
    install(site, name, THEIRS.replace('"theirs"', repr(name)))
    if name == "hnerv":
        assert package_of(family_by_name("hnerv")) is None and family_names().count("hnerv") == 1
    with pytest.raises(InrcError, match="is a name of inrc itself|cannot be used: expected a name of"):
        installed_family(name, frozenset({"hnerv"}))


def test_the_golden_file_of_an_unknown_family_is_refused_by_name() -> None:
    stream = load(PRIVATE.read_bytes())
    assert stream.segments[0].family == 192
    with pytest.raises(UnknownFamily, match=UNKNOWN):
        open_segment(stream.segments[0], stream.header)


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    "arguments", [["info"], ["verify"], ["info", "--skip-damaged"], ["decode", "-o", "o.mp4"]]
)
def test_commands_say_the_name_of_an_unknown_family(arguments: list[str], tmp_path: Path) -> None:
    done = inrc(*arguments, PRIVATE, cwd=tmp_path)
    assert only_line(done.stderr).startswith(f"inrc: error: {UNKNOWN}; install the package")
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (1, b"", [])


def test_a_file_that_is_damaged_as_well_is_damaged(tmp_path: Path) -> None:
    data = bytearray(PRIVATE.read_bytes())
    data[-30] ^= 1
    (tmp_path / "in.inrv").write_bytes(data)
    done = inrc("info", tmp_path / "in.inrv")
    assert done.returncode == 4 and "--skip-damaged" not in only_line(done.stderr)


def test_models_lists_what_works_and_says_what_does_not(tmp_path: Path) -> None:
    install(tmp_path, "theirs", THEIRS)
    install(tmp_path, "broken", "import no_such_library", package="inrc-broken")
    paths = os.pathsep.join([environment()["PYTHONPATH"], str(tmp_path)])
    command = [sys.executable, "-m", "inrcodec", "models"]
    done = subprocess.run(command, capture_output=True, env=environment(PYTHONPATH=paths), timeout=60)
    assert done.returncode == 0
    assert done.stdout.decode().splitlines()[-1] == "theirs     a NeRV (package inrc-theirs 1.2)"
    assert done.stderr.decode().startswith("family 'broken' of package inrc-broken 1.2 cannot be imported: ")


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["info", str(GOLDEN / "nerv.inrv")]])
def test_what_needs_no_package_reads_no_entry_points(arguments: list[str]) -> None:
    script = (
        "import sys; from inrcodec.cli.main import run; code = run(sys.argv[1:]); "
        "sys.exit(code or 'importlib.metadata' in sys.modules)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, env=environment(), timeout=60)
    assert done.returncode == 0, done.stderr.decode()

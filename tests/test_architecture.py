"""Rules of the architecture, checked on the syntax trees of both packages."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator

import pytest
from command_line import ROOT, environment
from imports import Checkout, room_of

from inrcodec.models.registry import FAMILIES

HOUSE = Checkout(ROOT)
MODULES, imports, closure = HOUSE.modules, HOUSE.imports, HOUSE.closure
MODULE = pytest.mark.parametrize("module", MODULES)
LARGEST_MODULE_LINES = 300

FLOORS = (
    {"naming", "samples", "search", "text", "version"},
    {"errors"},
    {"metrics", "progress"},
    {"system"},
    {"settings"},
    {"models", "video"},
    {"coding"},
    {"decoder", "plan"},
    {"exporter", "fit"},
    {"encoder"},
    {"quality"},
    {"cli"},
    {"__main__"},
)
"""Rooms of `inrcodec` (see `imports`), lowest first; a room imports only itself and rooms below its floor."""

USERS = {
    "av": ("inrcodec.video",),
    "click": ("inrcodec.cli",),
    "rich": ("inrcodec.cli",),
    "ray": ("inrcodec.encoder.workers.ray",),
    "onnxruntime": ("inrcodec.exporter",),
    "struct": ("bitstream.fields",),
    "constriction": ("bitstream.coders",),
    "pytorch_msssim": ("inrcodec.metrics", "inrcodec.quality.frame_metrics"),
    "flip_evaluator": ("inrcodec.quality.frame_metrics",),
    "bjontegaard": ("inrcodec.quality.bdrate",),
}
"""The only packages and modules that may import a library."""

NOT_FOR_FILES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}


def calls(module: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield each call with the source text of the function called."""
    for node in ast.walk(HOUSE.trees[module]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def floor_of(module: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if room_of(module) in rooms]
    assert found, f"{module} has no floor yet: add {room_of(module)!r} to FLOORS"
    return found[0]


@MODULE
def test_imports_run_down_only(module: str) -> None:
    # The package itself imports the library lazily, and all modules may import its version.
    if not is_in(module, "inrcodec") or module == "inrcodec":
        return
    for name in imports(module):
        if is_in(name, "inrcodec") and name != "inrcodec" and room_of(name) != room_of(module):
            assert floor_of(name) < floor_of(module), f"{module} imports {name}, which is not below it"


@MODULE
def test_bitstream_stands_alone(module: str) -> None:
    if is_in(module, "bitstream"):
        allowed = {"bitstream", "numpy", "constriction"} | sys.stdlib_module_names
        assert {name.split(".")[0] for name in imports(module)} <= allowed


@MODULE
def test_libraries_have_one_user(module: str) -> None:
    for name in imports(module):
        users = USERS.get(name.split(".")[0])
        assert users is None or any(is_in(module, user) for user in users), f"{module} imports {name}"


def test_families_do_not_know_each_other() -> None:
    families = {type(family).__module__ for family in FAMILIES}
    registry = "inrcodec.models.registry"
    for family in families:
        seen = closure(family)
        assert seen.isdisjoint(families - {family})
        assert registry not in seen
        rooms = {room_of(name) for name in seen if is_in(name, "inrcodec")}
        assert rooms.isdisjoint(
            {"fit", "coding", "video", "plan", "encoder", "decoder", "exporter", "cli"}
        ), family


@MODULE
def test_training_names_no_family_and_touches_no_container(module: str) -> None:
    if is_in(module, "inrcodec.fit.training"):
        families = {type(family).__module__ for family in FAMILIES}
        for name in set(imports(module)) & MODULES.keys():
            assert not is_in(name, "bitstream")
            assert families.isdisjoint(closure(name)), f"{module} imports {name}, which leads to a family"


def test_decoding_leads_to_no_training() -> None:
    for module in ("inrcodec.decoder.decode", "inrcodec.decoder.info"):
        rooms = {room_of(name) for name in closure(module) if is_in(name, "inrcodec")}
        assert rooms.isdisjoint({"fit", "plan", "encoder"})


@MODULE
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    if module in ("inrcodec.cli.main", "inrcodec.cli.console", "inrcodec.__main__"):
        return
    for name, _ in calls(module):
        assert name not in ("print", "input", "exit", "quit", "sys.exit", "os._exit", "SystemExit"), module
        assert not name.startswith(("sys.stderr", "sys.stdout.write")), module


@MODULE
def test_what_is_never_done(module: str) -> None:
    assert not [name for name in imports(module) if name.split(".")[0] in NOT_FOR_FILES]
    for name, call in calls(module):
        keywords = {word.arg: ast.unparse(word.value) for word in call.keywords}
        assert name not in ("eval", "exec"), module
        # Threads of swscale write over each other's rows; one function keeps them out.
        assert not name.endswith(".reformat") or module == "inrcodec.video.pixel_planes", module
        assert not name.endswith(".to_ndarray") or not {"format", "width"} & keywords.keys(), module
        # `zip` also has an argument of this name.
        assert keywords.get("strict") != "False" or name == "zip", module
        assert keywords.get("allow_pickle") != "True", module
        assert name != "torch.load" or keywords.get("weights_only") == "True", module
        assert name not in ("torch.manual_seed", "np.random.seed"), module
        # Worker threads get fewer threads of torch; the number of the process must not change.
        assert name != "torch.set_num_threads" or module == "inrcodec.system.threads", module
    for node in ast.walk(HOUSE.trees[module]):
        assert not isinstance(node, ast.Assert), f"{module}:{node.lineno}: python -O skips asserts"
        assert not isinstance(node, ast.ExceptHandler) or node.type is not None, module


@MODULE
def test_modules_are_short_and_say_what_they_are_for(module: str) -> None:
    lines = MODULES[module].read_text().splitlines()
    assert len(lines) <= LARGEST_MODULE_LINES
    assert ast.get_docstring(HOUSE.trees[module])


def test_wire_ids_and_names_of_families_are_unique() -> None:
    assert (
        len({family.wire_id for family in FAMILIES})
        == len({family.name for family in FAMILIES})
        == len(FAMILIES)
    )
    assert {family.name: family.wire_id for family in FAMILIES}.items() >= {
        "hnerv": 1,
        "supermask": 2,
    }.items()


@pytest.mark.parametrize(
    "module",
    [
        "models.registry",
        "models.supermask",
        "plan.network",
        "plan.budget",
        "encoder.encode",
        "encoder.ladder",
        "decoder.decode",
        "exporter.export",
        "quality.report.write",
        "quality.comparison.compare",
        "cli.main",
        "decoder.info",
        "coding.sections",
        "coding.grid_sections",
        "settings.encode",
    ],
)
def test_what_reports_and_plans_loads_no_torch(module: str) -> None:
    script = f"import sys, inrcodec.{module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()

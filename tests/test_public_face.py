"""`import inrcodec` offers every public name, and loads each only when it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment

import inrcodec


def test_every_name_is_there_and_named_once() -> None:
    assert sorted(inrcodec.__all__) == sorted({*inrcodec._HOMES, "__version__"})
    assert dir(inrcodec) == sorted(inrcodec.__all__)
    for name in inrcodec.__all__:
        assert getattr(inrcodec, name) is not None


def test_type_checkers_see_the_names_that_python_sees() -> None:
    tree = ast.parse(Path(inrcodec.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == inrcodec._HOMES


def test_what_it_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'encod'"):
        _ = inrcodec.encod
    with pytest.raises(ImportError, match="cannot import name 'encod'"):
        from inrcodec import encod  # type: ignore[attr-defined]  # noqa: F401


@pytest.mark.parametrize(
    "words", ["import inrcodec", "from inrcodec import EncodeSettings, UsageError, Progress"]
)
def test_importing_it_is_light(words: str) -> None:
    heavy = "{'torch', 'av', 'numpy', 'click', 'rich', 'constriction'}"
    script = f"import sys; {words}; sys.exit(' '.join({heavy} & sys.modules.keys()) or 0)"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr

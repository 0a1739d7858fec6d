"""README stays short, and docs/cli.md is what the commands' help says."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version

import pytest
from command_line import ROOT
from documented_commands import PAGES

WORDS = 700


def test_readme_is_short_and_has_one_picture() -> None:
    text = PAGES["README.md"]
    assert len(text.split()) <= WORDS
    assert text.count("![") == 1


def test_readme_has_its_limits_in_the_first_screen() -> None:
    first = PAGES["README.md"].partition("## ")[0]
    assert all(word in first for word in ("It is not", "minutes for seconds", "x264", "SVT-AV1"))


def test_command_line_page_is_what_help_says() -> None:
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    if version("click") != pinned["click"]:
        pytest.skip("another version of click wraps help differently")
    spec = importlib.util.spec_from_file_location("cli_page", ROOT / "docs" / "cli_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert PAGES["docs/cli.md"] == module.page(), "docs/cli.md is stale: run `make docs`"

"""Runs each input file of the table in `benchmarks.inputs` through the real command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.inputs.__main__ import examine
from benchmarks.inputs.table import INPUT_FILES, InputFile

pytestmark = pytest.mark.end_to_end


def identity(case: InputFile) -> str:
    return "-".join([case.name, case.file, *case.options]).replace(" ", "_").replace("/", "_")


@pytest.mark.parametrize("case", INPUT_FILES, ids=identity)
def test_an_input_becomes_what_the_table_says(case: InputFile, tmp_path: Path) -> None:
    assert examine(case, tmp_path).failures == ()


def test_the_examination_finds_what_is_wrong(tmp_path: Path) -> None:
    good = next(case for case in INPUT_FILES if case.sound == "aac")
    wrong = InputFile(good.name, good.file, good.make, (32, 48), 4, notes=("something",), is_irregular=True)
    failures = "\n".join(examine(wrong, tmp_path).failures)
    assert "expected ['something'], found []" in failures
    assert "48x32, 25 frames" in failures and "decoded frames are" in failures

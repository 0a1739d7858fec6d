"""The files of `samples/` decode for ever, to what was measured when they were made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inrcodec
from benchmarks.samples import SOURCE, command_of, page
from inrcodec.metrics import psnr_per_frame_db
from inrcodec.models.registry import FAMILIES
from inrcodec.settings.source import SourceSettings
from inrcodec.video import read_clip

SAMPLES = Path(__file__).parents[1] / "samples"
RESULTS: list[dict[str, Any]] = json.loads((SAMPLES / "samples.json").read_text())["results"]
SHORT_DB = 0.05
"""The most that rounding on another processor may cost."""


def test_there_is_a_sample_of_each_family_and_all_are_small() -> None:
    assert [one["family"] for one in RESULTS] == [family.name for family in FAMILIES]
    files = {path.name: path.stat().st_size for path in SAMPLES.iterdir()}
    expected = {f"{family.name}.inrv" for family in FAMILIES} | {SOURCE, "samples.json", "README.md"}
    assert set(files) == expected and sum(files.values()) < 300_000


def test_the_page_has_the_measured_values_and_the_command() -> None:
    text = (SAMPLES / "README.md").read_text()
    assert text == page(SAMPLES, RESULTS)
    assert " ".join(command_of("MODEL")) in text


@pytest.fixture(scope="module")
def source() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return read_clip(str(SAMPLES / SOURCE), SourceSettings()).frames


@pytest.mark.parametrize("one", RESULTS, ids=lambda one: str(one["family"]))
def test_a_sample_decodes_to_the_quality_that_was_measured(
    one: dict[str, Any], source: np.ndarray[Any, np.dtype[np.uint8]]
) -> None:
    path = SAMPLES / f"{one['family']}.inrv"
    assert path.stat().st_size == one["file_bytes"]
    report = inrcodec.verify(path)
    assert report.segments[0].family == one["family"]
    with inrcodec.open(path, "cpu", "float32") as video:
        frames = video[:]
    psnr = psnr_per_frame_db(source, frames)
    assert psnr.mean() >= one["psnr_db"] - SHORT_DB and psnr.min() >= one["psnr_p1_db"] - 1
    assert report.psnr_db == pytest.approx(one["psnr_db"], abs=0.001)

"""Rows of `benchmarks.paper`: each is a valid command, and its network can be planned for its clip."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from command_line import context_of

from benchmarks.paper.__main__ import measure_all, stored
from benchmarks.paper.rows import SCALES, Row, Scale, rows, task_rows
from benchmarks.record import BENCHMARK_CLIPS
from inrcodec.plan.network import plan_segment
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video import VideoProperties


def settings_of(row: Row) -> EncodeSettings:
    words = [*row.options, "in.mp4", "-o", "out.inrv"]
    if row.table == "tasks":
        words += ["--model", row.name.split()[1]]
    with context_of("encode", words) as context:
        asked: dict[str, Any] = context.params
    names = ("model", "bpp", "size_bytes", "parameters", "preset", "prune", "weight_bits", "embedding_bits")
    more = ("model_options", "loss", "epochs", "learning_rate")
    return EncodeSettings(**{name: asked[name] for name in (*names, *more)})


@pytest.mark.parametrize("name", SCALES)
def test_every_row_is_a_network_that_its_clip_can_have(name: str) -> None:
    scale = SCALES[name]
    width, height = size_of(scale)
    every = [*rows(scale), *task_rows(scale)]
    assert len({row.key for row in every}) == len(every)
    for row in every:
        asked = settings_of(row)
        plan = plan_segment(VideoProperties(width, height, 132, Fraction(25), Fraction(1, 25)), asked)
        if asked.parameters is not None:
            assert 0.75 * asked.parameters < plan.parameter_count <= asked.parameters
        if asked.preset == "paper" and asked.weight_bits == 12:
            assert plan.payload_bytes > 1.5 * plan.parameter_count


def size_of(scale: Scale) -> tuple[int, int]:
    clip = BENCHMARK_CLIPS[scale.clip]
    size = clip.scale or clip.crop
    assert size is not None
    return size.width, size.height


@pytest.mark.parametrize("name", SCALES)
def test_compared_files_have_equal_bytes_and_epochs(name: str) -> None:
    compared = [settings_of(row) for row in rows(SCALES[name]) if row.table == "compression"]
    assert len(compared) >= 10
    assert len({(asked.bpp, asked.epochs) for asked in compared}) == 1


def test_full_scale_has_the_published_widths() -> None:
    named = {row.key: settings_of(row) for row in [*rows(SCALES["full"]), *task_rows(SCALES["full"])]}
    assert named["sizes/hnerv 3M"].model_options == {"width": "97"}
    assert named["sizes/snerv 1.5M"].model_options == {"width": "81", "blocks": "4"}
    assert named["tasks/interpolation nerv"].model_options == {"width": "54"}
    ablation = named["ablations/reduction=1"]
    assert (ablation.parameters, ablation.model_options) == (1_500_000, {"reduction": "1"})


def test_rows_of_tasks_are_of_their_length() -> None:
    for scale in SCALES.values():
        assert {settings_of(row).epochs for row in task_rows(scale)} == {scale.epochs}


def test_a_row_that_fails_leaves_the_others_and_is_tried_again() -> None:
    wanted = [Row("sizes", name, ("--epochs", "1")) for name in ("a", "b", "c")]

    def measured(row: Row) -> dict[str, Any]:
        if row.name == "b":
            raise RuntimeError("no such network")
        return {"table": row.table, "name": row.name, "options": list(row.options)}

    done = {row.name: figures for row, figures in measure_all(wanted, measured, jobs=2)}
    assert done["b"] == {"table": "sizes", "name": "b", "error": "no such network"}
    assert done["a"]["options"] == done["c"]["options"] == ["--epochs", "1"]


def test_rows_that_have_not_begun_are_cancelled() -> None:
    begun: list[str] = []

    def measured(row: Row) -> dict[str, Any]:
        begun.append(row.name)
        if len(begun) == 1:
            raise KeyboardInterrupt
        sleep(0.02)  # Gives the caller time to cancel before all rows are done.
        return {}

    with pytest.raises(KeyboardInterrupt):
        list(measure_all([Row("sizes", str(number), ()) for number in range(500)], measured, jobs=1))
    assert len(begun) < 500


def test_rows_of_another_scale_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert stored(path, SCALES["full"]) == {}
    row = {"table": "sizes", "name": "hnerv", "options": []}
    path.write_text(json.dumps({"scale": "quick", "results": [row]}))
    assert stored(path, SCALES["quick"]) == {"sizes/hnerv": row}
    with pytest.raises(SystemExit, match="rows of scale quick, not full"):
        stored(path, SCALES["full"])

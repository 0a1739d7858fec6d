"""The rows of `benchmarks.paper`: each is a command that exists, and a network that the clip can have."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import click
import pytest

from benchmarks.paper import SCALES, Row, Scale, rows, task_rows
from benchmarks.record import BENCHMARK_CLIPS
from inrcodec.arguments import parse_model_options
from inrcodec.cli import encode
from inrcodec.planning import plan_segment
from inrcodec.settings import EncodeSettings
from inrcodec.video import VideoProperties


def settings_of(row: Row) -> EncodeSettings:
    words = [*row.options, "in.mp4", "-o", "out.inrv"]
    if row.table == "tasks":
        words += ["--model", row.name.split()[1]]
    with encode.make_context("encode", words) as context:
        asked: dict[str, Any] = context.params
    assert isinstance(encode, click.Command)
    names = ("model", "bpp", "size_bytes", "parameters", "preset", "prune", "weight_bits", "embedding_bits")
    chosen = {name: asked[name] for name in (*names, "loss", "epochs", "learning_rate")}
    return EncodeSettings(model_options=parse_model_options(asked["model_options"]), **chosen)


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
            assert plan.payload_bytes > 2 * plan.parameter_count


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

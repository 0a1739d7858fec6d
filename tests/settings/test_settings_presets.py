"""Presets, and options that replace their settings."""

from __future__ import annotations

import pytest

from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import PRESETS


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "paper"])
@pytest.mark.parametrize(("frames", "factor"), [(None, 1), (1, 1), (4, 2), (9, 3)])
def test_the_learning_rate_rises_with_the_root_of_the_frames_of_a_step(
    preset: str, frames: int | None, factor: float
) -> None:
    procedure = EncodeSettings(preset=preset, batch_frames=frames).procedure
    assert procedure.learning_rate == pytest.approx(factor * PRESETS[preset].learning_rate)
    assert procedure.batch_frames == (frames or 1)


def test_a_rate_that_is_given_and_that_of_the_papers_stay() -> None:
    assert EncodeSettings(batch_frames=4, learning_rate=0.01).procedure.learning_rate == 0.01
    for frames in (1, 2, 8):
        paper = EncodeSettings(preset="paper", batch_frames=frames).procedure
        assert paper.learning_rate == PRESETS["paper"].learning_rate

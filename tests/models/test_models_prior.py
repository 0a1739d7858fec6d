"""The usual values of the entropy models match SPEC.md and exist for hierarchies of any depth."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bitstream.coders.conditional import check_knots
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.shapes import NEWEST_VERSION, context_specs

SPEC = Path(__file__).parents[2] / "bitstream" / "SPEC.md"


def test_they_are_those_of_the_specification() -> None:
    chapter = SPEC.read_text().split("### 10.11 ")[1].split("\n#")[0]
    first, newer = chapter.split("From version 1 on")
    listed = _listed(first)
    assert listed == {name: values.ravel().tolist() for name, values in context_prior(6, 0).items()}
    listed |= _listed(newer.split("\n", 1)[1])
    assert listed == {name: values.ravel().tolist() for name, values in context_prior(6, 1).items()}


def _listed(chapter: str) -> dict[str, list[int]]:
    parts = re.split(r"^    (context\.[a-z.]+)$", chapter, flags=re.M)[1:]
    return {name: [int(word) for word in numbers.split()] for name, numbers in _pairs(parts)}


def _pairs(parts: list[str]) -> list[tuple[str, str]]:
    numbers = [re.sub(r"[^-0-9\s]", "", part) for part in parts[1::2]]
    return list(zip(parts[::2], numbers, strict=True))


@pytest.mark.parametrize("version", range(NEWEST_VERSION + 1))
@pytest.mark.parametrize("level_count", range(1, 9))
def test_any_depth_has_them(level_count: int, version: int) -> None:
    prior, usual = context_prior(level_count, version), context_prior(6, version)
    for spec in context_specs(level_count, version):
        assert prior[spec.name].shape == spec.shape
    check_knots(prior["context.latent.knots"])
    check_knots(prior["context.motion.knots"])
    for level in range(level_count):
        known = min(level, 5)
        for name, rows in (("context.latent.level", 1), ("context.motion.bias", 4)):
            mine, its = (
                one[name][rows * at : rows * (at + 1)] for one, at in ((prior, level), (usual, known))
            )
            assert np.array_equal(mine, its)


@pytest.mark.parametrize("version", [-1, NEWEST_VERSION + 1])
def test_unknown_versions_have_none(version: int) -> None:
    with pytest.raises(ValueError, match="expected a version"):
        context_prior(3, version)

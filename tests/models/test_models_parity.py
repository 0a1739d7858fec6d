"""Networks produce the same frames as the authors' code for weights in the authors' layout.

`parity.json` records a run of their code (`python -m benchmarks.parity`). Weights, embeddings and frames are
integer patterns that the tests recreate, so they do not need that code.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.authors.layout import Array
from benchmarks.authors.networks import (
    FAMILIES,
    PUBLISHED,
    SMALL,
    Case,
    our_embeddings,
    our_frames,
    our_tensors,
    parameter_count,
    video_of,
)
from inrcodec.models.registry import FAMILIES as REGISTERED

RECORD = json.loads(Path(__file__).with_name("parity.json").read_text())
AUTHORS = {result["name"]: result for result in RECORD["results"]}
TOLERANCE = 1e-5
CASE = pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)


def difference(values: Array, recorded: dict[str, Any]) -> float:
    """Largest difference of sampled values, or of the mean or deviation, from the record."""
    flat = values.astype(np.float64).ravel()
    samples = [abs(flat[int(index)] - value) for index, value in recorded["samples"].items()]
    statistics = [abs(flat.mean() - recorded["mean"]), abs(flat.std() - recorded["deviation"])]
    return float(max(samples + statistics))


def test_every_family_with_published_code_is_recorded() -> None:
    """`supermask` has no published code, `hinerv` has other layers, and `inrc` is our own."""
    recorded = {result["family"] for result in RECORD["results"]}
    assert recorded == {family.name for family in REGISTERED} - {"supermask", "hinerv", "inrc"}
    assert all(
        type(family) is type(FAMILIES[family.name]) for family in REGISTERED if family.name in recorded
    )
    assert [case.name for case in SMALL] == list(AUTHORS)


@CASE
def test_frames_are_the_authors(case: Case) -> None:
    video = video_of(case.family, case.config)
    assert AUTHORS[case.name]["config"] == json.loads(json.dumps(asdict(case.config)))
    frames = our_frames(case.family, case.config, video, our_tensors(case.family, case.config, video))
    assert frames.shape == (3, 3, video.height, video.width)
    assert frames.std() > 0.05
    assert difference(frames, AUTHORS[case.name]["frames"]) <= TOLERANCE


@pytest.mark.parametrize(
    "case", [case for case in SMALL if case.family != "nerv"], ids=lambda case: case.name
)
def test_embeddings_are_those_of_the_authors_encoders(case: Case) -> None:
    """Includes neighbours at the ends of the clip: the first frame's predecessor is the second frame."""
    made = our_embeddings(case.family, case.config, video_of(case.family, case.config))
    assert "embedding" in made
    for name, values in made.items():
        assert difference(values, AUTHORS[case.name][name]) <= TOLERANCE, name


@pytest.mark.parametrize("family", PUBLISHED)
def test_decoders_have_as_many_parameters_as_the_authors(family: str) -> None:
    counts = [parameter_count(family, config) for config in PUBLISHED[family]]
    assert counts == RECORD["parameters"][family]


@CASE
def test_the_record_tells_a_change_of_any_tensor(case: Case) -> None:
    """A change of 1 % in any one tensor is detected, so no layer can be missing or misplaced."""
    video = video_of(case.family, case.config)
    tensors = our_tensors(case.family, case.config, video)
    for name in tensors:
        changed = {**tensors, name: tensors[name] * np.float32(1.01)}
        frames = our_frames(case.family, case.config, video, changed)
        assert difference(frames, AUTHORS[case.name]["frames"]) > 3 * TOLERANCE, name

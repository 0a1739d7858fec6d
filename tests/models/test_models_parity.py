"""Networks with the weights of the authors' layout show what the authors' code showed.

`parity.json` is the record of a run of their code (`python -m benchmarks.parity`); weights, embeddings and
frames are integer patterns that are made again here, so the tests do without their code.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.authors_layout import Array
from benchmarks.parity_networks import (
    FAMILIES,
    PUBLISHED,
    SMALL,
    our_embeddings,
    our_frames,
    our_tensors,
    parameter_count,
    video_of,
)
from inrcodec.models.registry import FAMILIES as REGISTERED

RECORD = json.loads(Path(__file__).with_name("parity.json").read_text())
AUTHORS = {result["family"]: result for result in RECORD["results"]}
TOLERANCE = 1e-5
FAMILY = pytest.mark.parametrize("family", SMALL)


def difference(values: Array, recorded: dict[str, Any]) -> float:
    """Greatest difference of values, or of their mean or deviation, from the record."""
    flat = values.astype(np.float64).ravel()
    samples = [abs(flat[int(index)] - value) for index, value in recorded["samples"].items()]
    statistics = [abs(flat.mean() - recorded["mean"]), abs(flat.std() - recorded["deviation"])]
    return float(max(samples + statistics))


def test_every_family_with_published_code_is_recorded() -> None:
    """`supermask` has no published code."""
    assert set(AUTHORS) == {family.name for family in REGISTERED} - {"supermask"}
    assert {name: type(family) for name, family in FAMILIES.items()} == {
        family.name: type(family) for family in REGISTERED if family.name in AUTHORS
    }


@FAMILY
def test_frames_are_the_authors(family: str) -> None:
    config = SMALL[family]
    video = video_of(family, config)
    assert AUTHORS[family]["config"] == json.loads(json.dumps(asdict(config)))
    frames = our_frames(family, config, video, our_tensors(family, config, video))
    assert frames.shape == (3, 3, video.height, video.width)
    assert frames.std() > 0.1
    assert difference(frames, AUTHORS[family]["frames"]) <= TOLERANCE


@FAMILY
def test_embeddings_are_those_of_the_authors_encoders(family: str) -> None:
    """Neighbours at the ends of the clip included: before the first frame comes the second."""
    config = SMALL[family]
    if family == "nerv":
        assert "embedding" not in AUTHORS[family]
        return
    for name, values in our_embeddings(family, config, video_of(family, config)).items():
        assert difference(values, AUTHORS[family][name]) <= TOLERANCE, name


@FAMILY
def test_decoders_have_as_many_parameters_as_the_authors(family: str) -> None:
    counts = [parameter_count(family, config) for config in PUBLISHED[family]]
    assert counts == AUTHORS[family]["parameters"]


@FAMILY
def test_the_record_tells_a_change_of_any_tensor(family: str) -> None:
    """A hundredth more of one weight, bias or embedding is seen, so no layer may be left out or misplaced."""
    config = SMALL[family]
    video = video_of(family, config)
    tensors = our_tensors(family, config, video)
    for name in tensors:
        changed = {**tensors, name: tensors[name] * np.float32(1.01)}
        frames = our_frames(family, config, video, changed)
        assert difference(frames, AUTHORS[family]["frames"]) > 3 * TOLERANCE, name

"""The ablation of inrc: every candidate makes a file, differs from the unmodified model, and is tabled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from codec_samples import moving_gradient, write_clip

from benchmarks import ablation
from benchmarks.record import BenchmarkClip
from benchmarks.results_page import tables
from inrcodec.models.inrc import latent_network


@pytest.mark.parametrize("name", [one.name for one in ablation.CANDIDATES])
def test_every_candidate_makes_a_file_and_leaves_no_trace(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = BenchmarkClip(str(write_clip(tmp_path / "a.mp4", moving_gradient(48, 32, 6))), bpps=(0.5, 1.5))
    monkeypatch.setattr(ablation, "clip_of", lambda *_: clip)
    before = latent_network.latent_networks()[0].outputs.copy()
    row = ablation.run(name, "a", tmp_path, None, {"epochs": 1.0}, 0)
    assert 0.9 * 1.5 < row["bpp"] <= 1.5 and row["psnr_db"] > 10
    assert (latent_network.latent_networks()[0].outputs == before).all()


def test_a_network_that_is_left_out_adds_nothing() -> None:
    (candidate,) = [one for one in ablation.CANDIDATES if one.name == "contexts without a network"]
    with candidate.applied():
        assert not any(network.outputs.any() for network in latent_network.latent_networks())
    assert all(network.outputs.any() for network in latent_network.latent_networks())


def test_the_table_has_the_mean_over_clips(tmp_path: Path) -> None:
    rows = [
        {"clip": clip, "candidate": name, "seed": 0, "psnr_db": psnr, "file_bytes": 9, "bpp": 1, "seconds": 1}
        for clip, name, psnr in (
            ("one", "inrc", 30.0),
            ("two", "inrc", 40.0),
            ("one", "worse", 29.0),
            ("two", "worse", 39.5),
            ("one", "better", 30.25),
        )
    ]
    lines = [*tables.ablation(json.loads(json.dumps({"results": rows})))]
    assert lines[2:] == [
        "| inrc, PSNR in dB | 35.00 | 30.00 | 40.00 |",
        "| better | +0.25 | +0.25 |  |",
        "| worse | -0.75 | -1.00 | -0.50 |",
    ]

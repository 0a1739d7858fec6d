"""The speed benchmark: its reference is plain PyTorch, and both sides do the same work."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rivals import absent, in_this_process, recorded
from torch import nn

from benchmarks import equal_time
from benchmarks.authors.plain import PlainTraining
from benchmarks.authors.programs import Authors
from benchmarks.speed import training as speed_training
from benchmarks.speed.__main__ import _is_of
from benchmarks.speed.convergence import _lengthened
from benchmarks.speed.networks import Contenders, Network
from benchmarks.speed.training import rendering, rendering_work, training, training_work
from benchmarks.speed.turns import in_turn
from inrcodec.models.hnerv import HNeRV
from inrcodec.models.layers.encoder import ConvNeXtEncoder

pytestmark = pytest.mark.end_to_end

SMALL = Network("small", "bunny-quarter", 16, 4, 4)


@pytest.fixture(scope="module")
def small() -> Contenders:
    return Contenders.of(SMALL)


def test_the_reference_is_contiguous_float32_everywhere(small: Contenders) -> None:
    plain, seen = small.plain(), []

    def look(layer: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        for one in (*inputs, output):
            seen.append((one.dtype, one.is_contiguous()))

    for module in (*plain.encoder.modules(), *plain.decoder.modules()):
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(look)
    plain.step()
    assert set(seen) == {(torch.float32, True)}


def test_both_are_the_same_network(small: Contenders) -> None:
    plain = small.plain()
    assert sum(one.numel() for one in plain.decoder.parameters()) == small.parameter_count
    encoder = ConvNeXtEncoder(small.config.grid.strides, small.config.embedding_channels)
    count = sum(one.numel() for one in plain.encoder.parameters())
    assert count == sum(one.numel() for one in encoder.parameters())
    assert small.parameter_count == sum(
        spec.count for spec in HNeRV().tensors(small.config, small.video) if spec.role != "embedding"
    )


def test_the_reference_learns(small: Contenders) -> None:
    plain = small.plain(epochs=15)
    assert isinstance(plain, PlainTraining)
    errors = [plain.step() for _ in range(plain.total_steps)]
    assert plain.total_steps == 30
    assert sum(errors[-4:]) < 0.8 * sum(errors[:4])


def test_turns_alternate_after_one_that_does_not_count_in_processes_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "order"
    rounds = in_turn({name: partial(recorded, name, file) for name in "ABC"}, 2)
    order = file.read_text().split()
    assert [one[0] for one in order] == [*"ABC", *"CBA", *"ABC"]
    assert len({*order}) == 3 and len({one[1:] for one in order} | {str(os.getpid())}) == 4
    assert rounds == {"A": [6.0, 7.0], "B": [5.0, 8.0], "C": [4.0, 9.0]}


def test_a_rival_that_cannot_be_made_says_why() -> None:
    with pytest.raises(FileNotFoundError, match="no such checkout"):
        in_turn({"absent": absent}, 1)


def test_work_is_counted_for_one_frame(small: Contenders, monkeypatch: pytest.MonkeyPatch) -> None:
    (flops, values), rendered = training_work(small), rendering_work(small)
    pixels = small.video.width * small.video.height
    # Each pixel takes at least one product with each weight of the last stage.
    assert flops > 3 * rendered[0] > 3 * 2 * 12 * 3 * 9 * pixels
    assert values > 3 * rendered[1] > 3 * 3 * pixels
    monkeypatch.setattr(speed_training, "BATCH_FRAMES", 1)
    assert training_work(small)[0] == pytest.approx(flops, rel=1e-6)
    assert rendering_work(small)[0] == pytest.approx(rendered[0], rel=1e-6)


@pytest.mark.parametrize(("compared", "is_raced"), [(training, True), (rendering, True), (rendering, False)])
def test_a_row_has_what_the_table_needs(
    small: Contenders, checkout: Path, compared: Any, is_raced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_training, "in_turn", in_this_process)
    row = compared(replace(small, checkout=checkout if is_raced else None), 1)
    assert row["frames_per_second"] > 0
    assert row["values_a_frame"] > 3 * small.video.width * small.video.height
    assert ("authors_ratio" in row) is is_raced
    for rival in ["plain", *(["authors"] if is_raced else [])]:
        ratio = row["ratio" if rival == "plain" else "authors_ratio"]
        assert ratio == pytest.approx(row["frames_per_second"] / row[f"{rival}_frames_per_second"])
        least, most = row["ratio_range" if rival == "plain" else "authors_ratio_range"]
        assert 0 < least <= ratio <= most
    assert row["flops_per_second"] == pytest.approx(row["frames_per_second"] * row["flops_a_frame"])
    assert set(row["rounds"]) == {"ours", "plain", *(["authors"] if is_raced else [])}


MODEL = """
import torch
from decord import bridge
from timm.models.layers import trunc_normal_


class HNeRV(torch.nn.Module):
    def __init__(self, options):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((3, 1, 1), 0.5))
        trunc_normal_(self.scale, std=0.02)

    def forward(self, frames):
        return frames * self.scale, None, None


class HNeRVDecoder(torch.nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, embedding):
        return embedding[:, :3] * self.network.scale


def TransformInput(options):
    return lambda frames: (frames, frames, torch.ones_like(frames))
"""
TOOLS = """
import torch
from pytorch_msssim import ssim

DONE = []


def adjust_lr(optimizer, done, options):
    DONE.append(done)


def loss_fn(found, wanted, name):
    return (found - wanted).square().mean()


def psnr_fn_single(found, wanted):
    return -10 * torch.log10((found - wanted).square().flatten(1).mean(1))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "model_all.py").write_text(MODEL)
    (tmp_path / "hnerv_utils.py").write_text(TOOLS)
    return tmp_path


def test_the_authors_code_is_run_as_a_checkout_has_it(small: Contenders, checkout: Path) -> None:
    modules, paths = set(sys.modules), list(sys.path)
    code = Authors(checkout)
    assert sys.path == paths
    assert not {"model_all", "hnerv_utils", "decord", "timm"} & (set(sys.modules) - modules)
    assert set(code.digests()) == {"model_all", "hnerv_utils"}
    plain, authors = small.plain(epochs=4), replace(small, checkout=checkout).authors(epochs=4)
    assert authors.total_steps == plain.total_steps == 8
    psnr = [float(authors.step().mean()) for _ in range(authors.total_steps)]
    assert psnr[-1] > psnr[0]
    assert authors.tools.DONE == [index / 8 for index in range(8)]
    assert authors.decoder(torch.ones(1, 3, 2, 2)).shape == (1, 3, 2, 2)
    assert float(authors.network.scale.detach().abs().max()) < 0.2


def test_a_time_that_is_too_short_for_a_fit_has_no_row() -> None:
    assert equal_time.run("carphone", "hnerv, Muon", 0.1, 0.5) is None


def test_fits_are_lengthened_until_one_is_as_good() -> None:
    tried = _lengthened(lambda length: {"seconds": length, "psnr_db": 20 + length}, 1.0, 100.0, 22.0)
    assert [one["psnr_db"] >= 22.0 for one in tried] == [False] * (len(tried) - 1) + [True]
    short = _lengthened(lambda length: {"seconds": length, "psnr_db": 21.5}, 1.0, 2.0, 22.0)
    assert [one["seconds"] for one in short] == pytest.approx([1.0, 1.3, 1.69, 2.0])
    far = _lengthened(lambda length: {"seconds": length, "psnr_db": 18 + length}, 1.0, 100.0, 22.0)
    assert [one["seconds"] for one in far[:3]] == pytest.approx([1.0, 1.3**3, 1.3**4])


def test_a_race_of_other_epochs_stays() -> None:
    long = {"kind": "convergence", "plain_epochs": 300}
    assert _is_of("convergence", 300, long)
    assert not _is_of("convergence", 50, long)
    assert not _is_of("training", 50, long)
    assert _is_of("entropy", 50, {"kind": "entropy coding"})


def test_cpu_seconds_replace_those_of_the_clock() -> None:
    threads, clock = torch.get_num_threads(), time.monotonic
    with equal_time.cpu_seconds_as_time():
        assert torch.get_num_threads() == 1
        before = time.monotonic()
        time.sleep(0.2)
        assert time.monotonic() - before < 0.1
    assert torch.get_num_threads() == threads and time.monotonic is clock

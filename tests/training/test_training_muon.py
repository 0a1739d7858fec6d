"""Muon: what it makes of matrices, what it fits, that it goes on where it stopped, and what it is worth."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from torch import nn

from inrcodec.models.family import AnyFamily, VideoInfo
from inrcodec.models.registry import TRAINED
from inrcodec.settings import PRESETS
from inrcodec.training.muon import ADAM_STEP, Muon, orthogonalised
from inrcodec.training.optimizers import make_optimizers

VIDEO = VideoInfo(48, 32, 4)


def matrix_of(rows: int, columns: int, weakest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix whose singular values go from 1 down to `weakest`, and the nearest orthogonal one."""
    generator = torch.Generator().manual_seed(rows)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    sizes = torch.logspace(0, np.log10(weakest), min(rows, columns))
    return left @ torch.diag(sizes) @ right, left @ right


@pytest.mark.parametrize("shape", [(12, 12), (8, 30), (40, 6), (1, 9), (9, 1)])
def test_all_directions_of_a_matrix_become_about_as_large(shape: tuple[int, int]) -> None:
    matrix, nearest = matrix_of(*shape, weakest=0.05)
    found = orthogonalised(1e3 * matrix)
    sizes = torch.linalg.svdvals(found)
    assert 0.6 < float(sizes.min()) and float(sizes.max()) < 1.3
    # The same directions: what is found of each is a multiple of it.
    turned = nearest.T @ found if shape[0] > shape[1] else found @ nearest.T
    torch.testing.assert_close(turned, turned.T, atol=1e-3, rtol=0)


def test_without_a_gradient_nothing_moves() -> None:
    assert not orthogonalised(torch.zeros(3, 5)).any()
    still, moved = (nn.Parameter(torch.ones(2, 3, 1, 1)) for _ in range(2))
    moved.grad = torch.zeros_like(moved)
    Muon([{"params": [still, moved], "lr": 1.0}]).step()
    assert torch.equal(still, torch.ones_like(still)) and torch.equal(moved, torch.ones_like(moved))


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_a_step_is_about_as_long_as_one_of_adam(memory: torch.memory_format) -> None:
    gradient = torch.randn(24, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    weight = nn.Parameter(torch.zeros_like(gradient).contiguous(memory_format=memory))
    weight.grad = gradient.contiguous(memory_format=memory)
    Muon([{"params": [weight], "lr": 0.01}]).step()
    length = float(weight.detach().square().mean().sqrt())
    assert 0.7 * ADAM_STEP * 0.01 < length < 1.3 * ADAM_STEP * 0.01
    assert float((weight.detach() * gradient).sum()) < 0


def test_it_goes_on_where_it_stopped() -> None:
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.randn(6, 2, 3, 3, generator=generator) for _ in range(6)]

    def steps(weight: nn.Parameter, optimizer: Muon, some: list[torch.Tensor]) -> None:
        for gradient in some:
            weight.grad = gradient.clone()
            optimizer.step()

    whole = nn.Parameter(torch.zeros(6, 2, 3, 3))
    optimizer = Muon([{"params": [whole], "lr": 0.1}])
    steps(whole, optimizer, gradients[:3])
    half, saved = nn.Parameter(whole.detach().clone()), io.BytesIO()
    torch.save(copy.deepcopy(optimizer.state_dict()), saved)
    steps(whole, optimizer, gradients[3:])
    other = Muon([{"params": [half], "lr": 9.0}])
    saved.seek(0)
    other.load_state_dict(torch.load(saved, weights_only=True))
    steps(half, other, gradients[3:])
    assert torch.equal(whole, half)


@pytest.mark.parametrize("family", TRAINED, ids=lambda family: family.name)
def test_weights_of_convolutions_are_matrices_and_nothing_else_is(family: AnyFamily) -> None:
    representation = family.representation(family.plan(VIDEO, 60_000, {}, 0), VIDEO, 0)
    names = {id(value): name for name, value in representation.module.named_parameters()}
    matrices = {
        names[id(one)] for group in representation.groups() if group.are_matrices for one in group.parameters
    }
    assert matrices == {
        name
        for name, value in representation.module.named_parameters()
        if value.dim() == 4 and "depthwise" not in name and "scores" not in name
    }


def test_only_the_pipeline_of_the_papers_has_adam_for_all() -> None:
    assert {name: preset.optimizer for name, preset in PRESETS.items() if preset.optimizer != "muon"} == {
        "paper": "adam"
    }
    (family,) = (one for one in TRAINED if one.name == "hnerv")
    representation = family.representation(family.plan(VIDEO, 60_000, {}, 0), VIDEO, 0)
    parameters = {id(one) for one in representation.module.parameters()}
    for name, expected in (("muon", {"muon", "adam"}), ("adam", {"adam"})):
        made = make_optimizers(representation, nn.Linear(1, 1), 8e-3, name)  # type: ignore[arg-type]
        assert set(made) == expected
        groups = [group for optimizer in made.values() for group in optimizer.param_groups]
        fitted = [id(one) for group in groups for one in group["params"]]
        assert parameters < set(fitted) and len(fitted) == len(set(fitted))

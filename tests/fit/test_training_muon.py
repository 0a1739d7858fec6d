"""Muon: its steps, the parameters it fits, its rates, and that it resumes exactly."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import TRAINED
from torch import nn

from inrcodec.errors import UsageError
from inrcodec.fit.training.muon import ADAM_STEP, Muon, directions, orthogonalised
from inrcodec.fit.training.optimizers import HIGHEST_MUON_RATE, make_optimizers, set_rates
from inrcodec.fit.training.warm_start import ContinuedRepresentation
from inrcodec.models.family import AnyFamily, VideoInfo
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.presets import OPTIMIZERS, PRESETS

VIDEO = VideoInfo(48, 32, 4)
QUANTISER: Any = nn.Linear(1, 1)
"""Any module with parameters."""


def matrix_of(rows: int, columns: int, weakest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix with singular values from 1 down to `weakest`, and the nearest orthogonal matrix."""
    generator = torch.Generator().manual_seed(rows)
    left, _, right = torch.linalg.svd(torch.randn(rows, columns, generator=generator), full_matrices=False)
    sizes = torch.logspace(0, np.log10(weakest), min(rows, columns))
    return left @ torch.diag(sizes) @ right, left @ right


@pytest.mark.parametrize("shape", [(12, 12), (8, 30), (40, 6), (1, 9), (9, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_all_directions_of_a_matrix_become_about_as_large(shape: tuple[int, int], dtype: torch.dtype) -> None:
    matrix, nearest = matrix_of(*shape, weakest=0.05)
    found = orthogonalised((1e3 * matrix).to(dtype)).float()
    sizes = torch.linalg.svdvals(found)
    assert 0.6 < float(sizes.min()) and float(sizes.max()) < 1.3
    # Singular vectors are kept: the product with the nearest orthogonal matrix is symmetric.
    turned = nearest.T @ found if shape[0] > shape[1] else found @ nearest.T
    tolerance = 1e-3 if dtype is torch.float32 else 0.05
    torch.testing.assert_close(turned, turned.T, atol=tolerance, rtol=0)


def test_weights_of_one_shape_are_fitted_together_as_each_by_itself() -> None:
    """Upright and turned matrices are of one shape, and the order of values in memory makes no difference."""
    draw = torch.Generator().manual_seed(2)
    shapes = [(6, 2, 3, 3), (18, 6, 1, 1), (6, 2, 3, 3), (4, 9, 1, 1), (6, 18, 1, 1)]
    gradients = [torch.randn(shape, generator=draw) for shape in shapes]
    gradients[2] = gradients[2].to(memory_format=torch.channels_last)
    found = directions(gradients, torch.float32)
    for gradient, step in zip(gradients, found, strict=True):
        matrix = gradient.reshape(len(gradient), -1)
        expected = ADAM_STEP * max(matrix.shape) ** 0.5 * orthogonalised(matrix)
        torch.testing.assert_close(step, expected.reshape(gradient.shape), rtol=1e-4, atol=1e-4)
        assert step.is_contiguous(memory_format=torch.channels_last) or gradient.is_contiguous()


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
        if value.dim() == 4 and "depthwise" not in name and "grid" not in name
    }


@pytest.mark.parametrize("family", TRAINED, ids=lambda family: family.name)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_parameter_has_one_optimizer_and_a_rate_that_is_stable(
    family: AnyFamily, optimizer: str
) -> None:
    representation = family.representation(family.plan(VIDEO, 60_000, {}, 0), VIDEO, 0)
    made = make_optimizers(representation, QUANTISER, 100.0, optimizer, torch.float32)
    assert set(made) == {"adam", optimizer}
    groups = {name: one.param_groups for name, one in made.items()}
    fitted = [id(one) for some in groups.values() for group in some for one in group["params"]]
    parameters = [*representation.module.parameters(), *QUANTISER.parameters()]
    assert sorted(fitted) == sorted(map(id, parameters))
    assert all(group["lr"] < 0.5 for group in groups["adam"])
    assert all(group["lr"] == HIGHEST_MUON_RATE for group in groups.get("muon", ()))


@pytest.mark.parametrize(
    ("name", "steps", "boost"),
    [
        ("hnerv", 600, 1.0),
        ("hnerv", 150, 2.0),
        ("hnerv", 0.1, 24.4949),
        ("nerv", 150, 2.0),
        ("snerv", 150, 1.1547),
        ("snerv", 50, 2.0),
        ("snerv-t", 50, 2.0),
        ("supermask", 600, 1.0),
    ],
)
def test_short_fits_have_higher_rates_where_that_was_found_to_help(
    name: str, steps: float, boost: float
) -> None:
    made = by_muon(name, "24")
    usual = {key: rates_of(one) for key, one in made.items()}
    set_rates(made.values(), 0.05, steps)
    assert rates_of(made["adam"]) == pytest.approx(usual["adam"])
    assert rates_of(made["muon"]) == pytest.approx([boost * rate for rate in usual["muon"]], rel=1e-4)


def test_a_short_fit_of_a_supermask_has_a_higher_rate_for_weights_but_not_for_scores() -> None:
    made = by_muon("supermask", "24")
    usual = rates_of(made["muon"])
    set_rates(made.values(), 0.05, 150)
    assert rates_of(made["muon"]) == pytest.approx([usual[0], 2 * usual[1]], rel=1e-4)


def test_narrow_networks_have_higher_rates_in_longer_fits() -> None:
    wide, narrow, narrowest = (by_muon("hnerv", width) for width in ("24", "11", "2"))
    for made in (wide, narrow, narrowest):
        set_rates(made.values(), 0.05, 300)
    rates = [rates_of(made["muon"])[0] / 1e-3 for made in (wide, narrow, narrowest)]
    assert rates == pytest.approx([2**0.5, 2.0, 22**0.5])


def by_muon(name: str, width: str) -> dict[str, torch.optim.Optimizer]:
    (family,) = (one for one in TRAINED if one.name == name)
    representation = family.representation(family.plan(VIDEO, 60_000, {"width": width}, 0), VIDEO, 0)
    return make_optimizers(representation, QUANTISER, 1e-3, "muon", torch.float32)


def rates_of(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def test_embeddings_of_a_fit_that_goes_on_are_no_matrices() -> None:
    (family,) = (one for one in TRAINED if one.name == "hnerv")
    config = family.plan(VIDEO, 60_000, {}, 0)
    fresh, specs = family.representation(config, VIDEO, 0), family.tensors(config, VIDEO)
    values = {spec.name: torch.zeros(spec.shape) for spec in specs}
    continued = ContinuedRepresentation(fresh, specs, values)
    matrices = {id(one) for group in continued.groups() if group.are_matrices for one in group.parameters}
    grouped = [id(one) for group in continued.groups() for one in group.parameters]
    assert sorted(grouped) == sorted(id(one) for one in continued.module.parameters())
    names = {name for name, one in continued.module.named_parameters() if id(one) in matrices}
    assert names == {
        f"network.{spec.name.replace('.', '_')}" for spec in specs if spec.name.endswith(".weight")
    }


def test_only_the_pipeline_of_the_papers_has_adam_for_all() -> None:
    others = {name: preset.optimizer for name, preset in PRESETS.items() if preset.optimizer != "muon"}
    assert others == {"paper": "adam"}


def test_an_optimizer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown optimizer 'sgd'; known: muon, adam"):
        EncodeSettings(model="hnerv", optimizer="sgd")


def test_a_rehearsal_changes_nothing() -> None:
    weight = nn.Parameter(torch.ones(3, 2, 1, 1))
    muon = Muon([{"params": [weight], "lr": 1.0}])
    muon.rehearse()
    assert torch.equal(weight, torch.ones_like(weight)) and not muon.state

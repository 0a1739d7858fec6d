"""Rate control reaches its target on a problem with one unknown, a quantisation step."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from inrcodec.fit.rate import laplace_bits, laplace_scale
from inrcodec.fit.training.clock import cosine_with_warmup
from inrcodec.fit.training.rate_control import RateControl

CPU = torch.device("cpu")
COUNT = 4000


def bits_after_a_fit(target_bits: float, steps: int = 600, error_scale: float = 1.0) -> float:
    """Bits that a Laplace tensor costs after its step was fitted, with the error of uniform quantisation."""
    generator = torch.Generator().manual_seed(0)
    sign = torch.randint(0, 2, (COUNT,), generator=generator) * 2 - 1
    values = sign * torch.empty(COUNT).exponential_(generator=generator)
    log_step = nn.Parameter(torch.tensor(-3.0))
    optimizer = torch.optim.Adam([log_step], lr=2e-2)
    control = RateControl(target_bits, CPU)

    def cost() -> tuple[Tensor, Tensor]:
        scaled = values / log_step.exp()
        noise = torch.rand(COUNT, generator=generator) - 0.5
        error = error_scale * (1e-3 + log_step.exp().square() / 12)
        return error, laplace_bits(scaled + noise, laplace_scale(scaled))

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-2 * cosine_with_warmup(step / steps)
        error, bits = cost()
        loss = error + control.penalty(error, bits, step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return cost()[1].item()


@pytest.mark.parametrize("bits_per_value", [3.5, 4.5])
def test_the_bits_reach_their_target(bits_per_value: float) -> None:
    assert bits_after_a_fit(bits_per_value * COUNT) == pytest.approx(bits_per_value * COUNT, rel=0.1)


def test_a_larger_target_spends_more() -> None:
    spent = [bits_after_a_fit(bits * COUNT) for bits in (2.5, 3.5, 5.0)]
    assert spent == sorted(spent)
    assert spent[2] > 1.5 * spent[0]


def test_the_unit_of_the_error_does_not_matter() -> None:
    assert bits_after_a_fit(3.5 * COUNT, error_scale=1e-4) == pytest.approx(
        bits_after_a_fit(3.5 * COUNT), rel=0.1
    )


def test_the_penalty_pushes_bits_down_and_leaves_the_error_alone() -> None:
    error, bits = torch.tensor(0.01, requires_grad=True), torch.tensor(5000.0, requires_grad=True)
    penalty = RateControl(4000.0, CPU).penalty(error, bits, 0.5)
    penalty.backward()
    assert penalty > 0
    assert bits.grad is not None
    assert bits.grad > 0
    assert error.grad is None


def test_overspending_costs_more_and_more() -> None:
    control = RateControl(1000.0, CPU)
    bits = torch.tensor(2000.0)
    penalties = [control.penalty(torch.tensor(0.01), bits, step / 50).item() for step in range(51)]
    assert penalties == sorted(penalties)
    assert penalties[-1] > 10 * penalties[0]


def test_targets_of_nothing_and_wild_bits_stay_finite() -> None:
    for target, bits in ((0.0, 0.0), (-50.0, 1e9), (1e9, 0.0)):
        control = RateControl(target, CPU)
        for step in range(50):
            assert torch.isfinite(control.penalty(torch.tensor(0.1), torch.tensor(bits), step / 50))

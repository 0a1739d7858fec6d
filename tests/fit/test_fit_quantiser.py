"""Learned quantisation steps: their effect on values, gradients and bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bitstream.coders import decode_section
from inrcodec.coding.sections import encode_section
from inrcodec.fit.flat import ROW, FlatLayout, form_of
from inrcodec.fit.quantiser import Quantiser, Rounding
from inrcodec.fit.rate import laplace_bits, laplace_scale
from inrcodec.models.family import Role, TensorSpec

SPECS = (
    TensorSpec("embedding", Role.EMBEDDING, (20, 3, 2, 4), per_frame=True),
    TensorSpec("weight", Role.WEIGHT, (40, 10, 3, 3)),
    TensorSpec("bias", Role.BIAS, (40,)),
    TensorSpec("levels", Role.LEVELS, (40, 10), level_count=3),
    TensorSpec("scales", Role.SCALE, (2, 3)),
)
STEPPED = ("embedding", "weight", "bias")


def sample_values() -> dict[str, Tensor]:
    draw = np.random.default_rng(5)
    return {
        spec.name: torch.from_numpy(draw.laplace(0, 0.1 + index, spec.shape).astype(np.float32))
        for index, spec in enumerate(SPECS)
    }


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_only_stepped_tensors_have_steps() -> None:
    quantiser = Quantiser(SPECS, sample_values(), bits_per_symbol=4.0)
    assert tuple(quantiser.steps()) == STEPPED
    assert all(step > 0 for step in quantiser.steps().values())
    assert [parameter.numel() for parameter in quantiser.parameters()] == [3]


@pytest.mark.parametrize("bits_per_symbol", [3.0, 4.5, 7.0])
def test_the_first_steps_cost_about_what_was_asked(bits_per_symbol: float) -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS, values, bits_per_symbol)
    count = sum(spec.count for spec in SPECS if spec.name in STEPPED)
    estimated = quantiser(values, Rounding.NONE, generator()).bits.item() / count
    assert estimated == pytest.approx(bits_per_symbol, abs=0.15)
    weight = encode_section(SPECS[1], values["weight"].numpy(), quantiser.steps()["weight"])
    assert 8 * len(weight.payload) / SPECS[1].count == pytest.approx(bits_per_symbol, abs=0.25)


def test_without_rounding_values_pass() -> None:
    values = sample_values()
    quantised = Quantiser(SPECS, values, 4.0)(values, Rounding.NONE, generator())
    assert all(torch.equal(quantised.tensors[name], values[name]) for name in values)


def test_noise_stays_within_half_a_step_and_reaches_the_step() -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS, values, 4.0)
    quantised = quantiser(values, Rounding.NOISE, generator())
    for name in STEPPED:
        moved = (quantised.tensors[name] - values[name]).abs() / quantiser.steps()[name]
        assert 0.4 < moved.max() <= 0.5 + 1e-4
    assert torch.equal(quantised.tensors["levels"], values["levels"])
    assert torch.equal(quantised.tensors["scales"], values["scales"].half().float())
    quantised.tensors["weight"].square().sum().backward()
    assert quantiser.log_steps.grad is not None
    assert quantiser.log_steps.grad[1] != 0


def test_rounded_values_are_what_the_file_holds_and_gradients_pass_straight_through() -> None:
    values = sample_values()
    values["weight"].requires_grad_()
    quantiser = Quantiser(SPECS, values, 4.0)
    quantised = quantiser(values, Rounding.STRAIGHT_THROUGH, generator())
    for name in STEPPED:
        step = quantiser.steps()[name]
        spec = next(spec for spec in SPECS if spec.name == name)
        section = encode_section(spec, values[name].detach().numpy(), step)
        symbols = np.sort(decode_section(section, spec.count))
        decoded = torch.from_numpy(symbols.astype(np.float32)) * step
        rounded = quantised.tensors[name].detach().flatten().sort().values
        torch.testing.assert_close(rounded, decoded, rtol=1e-5, atol=1e-6)
    quantised.tensors["weight"].sum().backward()
    assert values["weight"].grad is not None
    torch.testing.assert_close(values["weight"].grad, torch.ones_like(values["weight"]))


def test_a_batch_of_frames_is_charged_for_all_frames() -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS, values, 4.0)
    whole = quantiser(values, Rounding.NONE, generator()).bits.item()
    batches = [
        quantiser(
            values | {"embedding": values["embedding"][i : i + 5]}, Rounding.NONE, generator()
        ).bits.item()
        for i in range(0, 20, 5)
    ]
    assert sum(batches) / 4 == pytest.approx(whole, rel=0.02)


def test_finer_steps_cost_more_and_the_gradient_says_so() -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS, values, 4.0)
    before = quantiser(values, Rounding.NONE, generator()).bits
    before.backward()
    assert quantiser.log_steps.grad is not None
    assert (quantiser.log_steps.grad < 0).all()
    with torch.no_grad():
        quantiser.log_steps -= 0.6931
    after = quantiser(values, Rounding.NONE, generator()).bits.item()
    count = sum(spec.count for spec in SPECS if spec.name in STEPPED)
    assert (after - before.item()) / count == pytest.approx(1.0, abs=0.1)


def test_the_same_generator_gives_the_same_noise() -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS, values, 4.0)
    first, again = (quantiser(values, Rounding.NOISE, generator()) for _ in range(2))
    assert first.bits.item() == again.bits.item()
    assert torch.equal(first.tensors["weight"], again.tensors["weight"])


def test_a_family_without_stepped_tensors_costs_nothing() -> None:
    values = sample_values()
    quantiser = Quantiser(SPECS[3:], values, 4.0)
    assert quantiser.steps() == {}
    assert quantiser(values, Rounding.STRAIGHT_THROUGH, generator()).bits.item() == 0


def test_tensors_of_zeros_have_a_usable_step() -> None:
    values = {name: torch.zeros_like(value) for name, value in sample_values().items()}
    quantised = Quantiser(SPECS, values, 4.0)(values, Rounding.STRAIGHT_THROUGH, generator())
    assert torch.isfinite(quantised.bits)
    assert not quantised.tensors["weight"].any()


@pytest.mark.parametrize("rounding", Rounding)
def test_all_tensors_at_once_are_as_each_by_itself(rounding: Rounding) -> None:
    """Values, bits and gradients are those of the formulas for one tensor, also for channels-last weights."""
    first, second = sample_values(), sample_values()
    for values in (first, second):
        values["embedding"] = values["embedding"][3:8].clone()
        values["weight"] = values["weight"].to(memory_format=torch.channels_last)
        for name in STEPPED:
            values[name].requires_grad_()
    quantiser = Quantiser(SPECS, first, 4.0)
    quantised = quantiser(first, rounding, generator())
    layout, _ = quantiser._layout_of([first[name] for name in STEPPED])
    (rows, _) = layout.is_value.shape
    noises = layout.parted(torch.rand((rows, ROW), generator=generator()) - 0.5)
    log_steps = quantiser.log_steps.detach().clone().requires_grad_()
    bits, expected = torch.zeros(()), {}
    for name, noise, log_step in zip(STEPPED, noises, log_steps, strict=True):
        value, step = second[name], log_step.exp()
        scaled = value / step
        count = next(spec.count for spec in SPECS if spec.name == name)
        bits = bits + count / value.numel() * laplace_bits(scaled + noise, laplace_scale(scaled))
        expected[name] = {
            Rounding.NONE: value,
            Rounding.NOISE: value + noise * step,
            Rounding.STRAIGHT_THROUGH: (scaled + (scaled.round() - scaled).detach()) * step,
        }[rounding]
    torch.testing.assert_close(quantised.bits, bits)
    for name in STEPPED:
        torch.testing.assert_close(quantised.tensors[name], expected[name])
        assert quantised.tensors[name].stride() == first[name].stride()
    for found, total in ((quantised.tensors, quantised.bits), (expected, bits)):
        (1e-3 * total + sum(found[name].square().sum() for name in STEPPED)).backward()
    assert quantiser.log_steps.grad is not None
    torch.testing.assert_close(quantiser.log_steps.grad, log_steps.grad, rtol=1e-4, atol=1e-4)
    for name in STEPPED:
        torch.testing.assert_close(first[name].grad, second[name].grad)


def test_tensors_survive_the_way_into_rows_and_back() -> None:
    values = [
        torch.randn(7, 5, 3, 3),
        torch.randn(ROW),
        torch.randn(1),
        torch.randn(2, 3, 1, 1),
        torch.randn(5, 130),
    ]
    values[0] = values[0].to(memory_format=torch.channels_last)
    layout = FlatLayout([form_of(one) for one in values], torch.device("cpu"))
    rows = layout.joined(values)
    assert rows.shape == layout.is_value.shape == (3 + 1 + 1 + 1 + 6, ROW)
    assert not rows[~layout.is_value].any()
    assert all(torch.equal(*pair) for pair in zip(values, layout.parted(rows), strict=True))
    torch.testing.assert_close(layout.means(rows), torch.stack([one.mean() for one in values]))
    numbers = torch.arange(5.0)
    spread = layout.spread(numbers) * torch.ones(1, ROW)
    assert all(
        bool((one == number).all()) for one, number in zip(layout.parted(spread), numbers, strict=True)
    )

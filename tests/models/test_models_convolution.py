"""Gradients of convolutions are the same whichever way they are computed."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
import torch.nn.functional as F

from inrcodec.models.layers.convolution import STRIP_PIXELS, convolve

LARGE = (2, 13, 40, 80)
"""A shape of features large enough that the weights' gradient is computed by matrix products."""


@pytest.fixture(autouse=True)
def without_avx512(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")


def tensors(shape: tuple[int, ...], outputs: int, size: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    made = (
        torch.randn(some, generator=generator).contiguous(memory_format=torch.channels_last)
        for some in (shape, (outputs, shape[1], size, size))
    )
    return *(one.requires_grad_() for one in made), torch.randn(outputs, generator=generator).requires_grad_()


def is_by_products(found: torch.Tensor) -> bool:
    return "GradientByProducts" in str(found.grad_fn)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize(
    ("shape", "outputs", "size", "strip"),
    [
        (LARGE, 400, 5, STRIP_PIXELS),
        (LARGE, 400, 5, 11 * 80),
        (LARGE, 400, 5, 20 * 80),
        (LARGE, 48, 7, 1),
        ((1, 56, 64, 50), 752, 3, 50 * 50),
        (LARGE, 400, 5, 13 * 80),
        ((2, 400, 40, 80), 400, 1, 1000),
        (LARGE, 3, 3, STRIP_PIXELS),
        (LARGE, 4, 5, 13 * 80),
        (LARGE, 1, 3, 1),
    ],
    ids=[
        *("one strip", "an odd last strip", "equal strips", "least of seven", "3x3", "a last row", "1x1"),
        *("head of three", "of four in strips", "of one in rows"),
    ],
)
def test_gradients_are_those_of_pytorch(
    shape: tuple[int, int, int, int],
    outputs: int,
    size: int,
    strip: int,
    has_bias: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inrcodec.models.layers.convolution.STRIP_PIXELS", strip)
    monkeypatch.setattr("inrcodec.models.layers.convolution.FEW_STRIP_PIXELS", strip)
    features, weight, bias = tensors(shape, outputs, size)
    wanted = [features, weight, *([bias] if has_bias else [])]
    found = convolve(features, weight, bias if has_bias else None)
    expected = F.conv2d(features, weight, bias if has_bias else None, padding=size // 2)
    assert is_by_products(found) and torch.equal(found, expected)
    upstream = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad(found, wanted, upstream),
        torch.autograd.grad(expected, wanted, upstream),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("outputs", [3, 400])
@pytest.mark.parametrize("layout", ["contiguous", "cropped", "an even gradient"])
def test_any_layout_has_the_gradient(layout: str, outputs: int) -> None:
    features, weight, bias = tensors(LARGE, outputs, 5)
    shown = features.contiguous() if layout == "contiguous" else features
    if layout == "cropped":
        shown = torch.cat([features, features], 3)[:, :, :, 7:87]
    found, expected = convolve(shown, weight, bias), F.conv2d(shown, weight, bias, padding=2)
    assert is_by_products(found)
    upstream = torch.randn_like(found)
    if layout == "an even gradient":
        upstream = torch.full((), 0.5).expand_as(found)
    for one, other in zip(
        torch.autograd.grad(found, (features, weight, bias), upstream, retain_graph=True),
        torch.autograd.grad(expected, (features, weight, bias), upstream, retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_a_gradient_has_no_gradient() -> None:
    features, weight, _ = tensors(LARGE, 400, 5)
    loss = convolve(features, weight, None).square().sum()
    (slope,) = torch.autograd.grad(loss, weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()  # type: ignore[no-untyped-call]


def test_features_that_nothing_learns_from_have_no_gradient() -> None:
    features, weight, _ = tensors(LARGE, 400, 5)
    found = convolve(features.detach(), weight, None)
    assert is_by_products(found)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None and features.grad is None


@pytest.mark.parametrize(
    ("shape", "outputs", "size", "context"),
    [
        ((1, 13, 20, 40), 400, 5, nullcontext()),
        (LARGE, 16, 3, nullcontext()),
        (LARGE, 3, 1, nullcontext()),
        (LARGE, 5, 3, nullcontext()),
        ((2, 13, 20, 40), 3, 3, nullcontext()),
        (LARGE, 400, 5, torch.autocast("cpu", torch.bfloat16)),
        (LARGE, 400, 5, torch.no_grad()),
    ],
    ids=[
        *("few pixels", "few multiplications", "1x1", "five outputs", "few pixels of a head"),
        *("bfloat16", "no gradient"),
    ],
)
def test_products_are_made_where_they_are_worth_it_only(
    shape: tuple[int, int, int, int], outputs: int, size: int, context: AbstractContextManager[None]
) -> None:
    features, weight, bias = tensors(shape, outputs, size)
    with context:
        assert not is_by_products(convolve(features, weight, bias))


def test_with_avx512_all_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    features, weight, bias = tensors(LARGE, 400, 5)
    assert is_by_products(convolve(features, weight, bias))
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    assert not is_by_products(convolve(features, weight, bias))


@pytest.mark.parametrize(
    ("capability", "outputs", "width", "places"),
    [
        ("AVX2", 1, 80, 8),
        ("AVX2", 3, 80, 2),
        ("AVX2", 3, 77, 1),
        ("AVX2", 6, 80, 1),
        ("AVX512", 1, 80, 16),
        ("AVX512", 3, 80, 5),
        ("AVX512", 3, 77, 1),
        ("AVX512", 6, 80, 2),
        ("AVX512", 9, 80, 1),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 5])
def test_few_outputs_are_computed_for_several_places_at_once(
    monkeypatch: pytest.MonkeyPatch, capability: str, outputs: int, width: int, places: int, size: int
) -> None:
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    features, weight, bias = tensors((2, 13, 40, width), outputs, size)
    strides: list[tuple[int, int]] = []
    original = F.conv2d

    def noted(*arguments: torch.Tensor, stride: tuple[int, int] = (1, 1), padding: int) -> torch.Tensor:
        strides.append(stride)
        return original(*arguments, stride=stride, padding=padding)

    monkeypatch.setattr(F, "conv2d", noted)
    for one in (bias, None):
        with torch.no_grad():
            found = convolve(features, weight, one)
            expected = original(features, weight, one, padding=size // 2)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
        assert found.is_contiguous(memory_format=torch.channels_last)
    assert strides == [(1, places)] * 2

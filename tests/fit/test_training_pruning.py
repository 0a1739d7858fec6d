"""Pruning: it removes the right weights, exactly as many as asked for, and the file keeps the zeros."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from codec_samples import moving_gradient
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from inrcodec.coding.sections import decode_sections
from inrcodec.coding.trim import SectionCoder
from inrcodec.errors import UsageError
from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.fit.training.pruning import PrunedRepresentation, masks
from inrcodec.models.family import ParameterGroup, Role, TensorSpec
from inrcodec.plan.network import SegmentPlan, plan_segment
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video import Clip, VideoProperties

SPECS = (
    TensorSpec("embedding", Role.EMBEDDING, (1, 2, 1, 1), per_frame=True),
    TensorSpec("a", Role.WEIGHT, (2, 3, 1, 1)),
    TensorSpec("b", Role.WEIGHT, (4, 1, 1, 1)),
    TensorSpec("bias", Role.BIAS, (4,)),
)
VALUES = {
    "embedding": [0.0, 0.001],
    "a": [0.5, -0.1, 0.2, -3.0, 0.05, 1.0],
    "b": [-0.02, 4.0, 0.3, -0.06],
    "bias": [0.0, 0.001, 0.001, 0.001],
}


class Fixed:
    """A representation of four fixed tensors."""

    def __init__(self) -> None:
        self.module = nn.Module()
        self.values = {
            spec.name: nn.Parameter(torch.tensor(VALUES[spec.name]).reshape(spec.shape)) for spec in SPECS
        }

    def groups(self) -> tuple[ParameterGroup, ...]:
        return (ParameterGroup(tuple(self.values.values())),)

    def transmitted(self, frames: Tensor | None, indices: Tensor) -> dict[str, Tensor]:
        return dict(self.values)

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return tensors["a"]


INDEX = torch.zeros(1, dtype=torch.int64)


def test_the_smallest_weights_of_all_layers_together_are_pruned() -> None:
    pruned = PrunedRepresentation(Fixed(), SPECS, 0.4)
    assert not pruned.is_pruned
    pruned.prune(pruned.transmitted(None, INDEX))
    assert pruned.is_pruned
    values = {name: value.flatten() for name, value in pruned.transmitted(None, INDEX).items()}
    expected = {**VALUES, "a": [0.5, 0.0, 0.2, -3.0, 0.0, 1.0], "b": [0.0, 4.0, 0.3, 0.0]}
    for name, value in values.items():
        assert torch.equal(value, torch.tensor(expected[name]))


def test_pruned_weights_get_no_gradient() -> None:
    fixed = Fixed()
    pruned = PrunedRepresentation(fixed, SPECS, 0.4)
    pruned.prune(pruned.transmitted(None, INDEX))
    values = pruned.transmitted(None, INDEX)
    sum(value.sum() for value in values.values()).backward()  # type: ignore[union-attr]
    for name, value in values.items():
        gradient = fixed.values[name].grad
        assert gradient is not None
        is_kept = value != 0 if name in ("a", "b") else torch.ones_like(value, dtype=torch.bool)
        assert torch.equal(gradient != 0, is_kept)


def test_a_share_of_zero_prunes_nothing() -> None:
    pruned = PrunedRepresentation(Fixed(), SPECS, 0.0)
    assert pruned.is_pruned
    assert torch.equal(pruned.transmitted(None, INDEX)["a"].flatten(), torch.tensor(VALUES["a"]))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.floats(0, 0.95),
    st.integers(0, 99),
    st.booleans(),
)
def test_exactly_the_share_is_pruned_and_nothing_smaller_is_kept(
    sizes: list[int], share: float, seed: int, has_ties: bool
) -> None:
    draw = torch.Generator().manual_seed(seed)
    weights = {str(at): torch.randn(size, 1, 1, 1, generator=draw) for at, size in enumerate(sizes)}
    if has_ties:
        weights = {name: value.round() for name, value in weights.items()}
    kept = masks(weights, share)
    assert {name: mask.shape for name, mask in kept.items()} == {n: v.shape for n, v in weights.items()}
    flags = torch.cat([mask.flatten() for mask in kept.values()]).bool()
    magnitudes = torch.cat([value.abs().flatten() for value in weights.values()])
    assert int((~flags).sum()) == round(share * len(flags))
    if flags.any() and not flags.all():
        assert magnitudes[~flags].max() <= magnitudes[flags].min()


FRAMES = moving_gradient(48, 32, 8)
PAPER = EncodeSettings(preset="paper", size_bytes=6000, device="cpu")


def fitted(settings: EncodeSettings) -> tuple[SegmentPlan, TrainedNetwork]:
    clip = Clip(FRAMES, VideoProperties(48, 32, len(FRAMES), Fraction(25), Fraction(1, 25)))
    plan = plan_segment(clip.properties, settings)
    return plan, train_network(FitJob(plan, clip, settings, torch.device("cpu")))


# A quarter of an epoch is one step, which ends before the fit reaches the point of pruning.
@pytest.mark.parametrize("epochs", [0.25, 3])
@pytest.mark.parametrize(("preset", "asked"), [("paper", None), ("paper", 0.5), ("draft", 0.3)])
def test_zeros_stay_zeros_through_the_file(preset: str, asked: float | None, epochs: float) -> None:
    plan, result = fitted(replace(PAPER, preset=preset, prune=asked, epochs=epochs))
    weights = [spec.name for spec in plan.specs if spec.role is Role.WEIGHT]
    values = np.concatenate([result.values[name].ravel() for name in weights])
    share = 0.1 if asked is None else asked
    assert np.count_nonzero(values == 0) == round(share * len(values))
    sections = SectionCoder(plan.specs, result.values, result.steps).code(1.07)
    decoded = decode_sections(plan.specs, sections)
    after = np.concatenate([decoded[name].ravel() for name in weights])
    assert not after[values == 0].any()
    assert after[values != 0].any()


def test_fine_tuning_changes_what_is_left() -> None:
    asked = replace(PAPER, epochs=3, model_options={"width": "12"})
    (_, tuned), (_, unpruned) = fitted(asked), fitted(replace(asked, prune=0.0))
    name = "stage1.weight"
    is_kept = tuned.values[name] != 0
    difference = np.abs(tuned.values[name] - unpruned.values[name])[is_kept]
    assert 0 < difference.max() < 0.05


def test_a_model_without_weights_cannot_be_pruned() -> None:
    properties = VideoProperties(48, 32, 8, Fraction(25), Fraction(1, 25))
    with pytest.raises(UsageError, match="prune: supermask has no weights"):
        plan_segment(properties, replace(PAPER, model="supermask", prune=0.1))
    assert plan_segment(properties, replace(PAPER, model="supermask")).family.name == "supermask"

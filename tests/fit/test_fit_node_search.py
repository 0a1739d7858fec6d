"""The search of nodes: its tiles are those of the decoder, and what it changes is worth its bits."""

import pytest
import torch
from torch import Tensor

from inrcodec.fit.grids.node_search import (
    MARGIN,
    UNMOVED,
    Costs,
    NodeSearch,
    References,
    _one_reference,
    _two_references,
)
from inrcodec.models.inrc.overlapped import predict_overlapped
from inrcodec.models.inrc.prediction import field_of
from inrcodec.models.inrc.shapes import CELL

ROWS, COLUMNS = 4, 5
SIZES = ((1, 1), (1, 2), (2, 3), (ROWS, COLUMNS))


def planes(count: int) -> Tensor:
    """Smooth noise, so that a wrong vector by a little is worse by a little."""
    rough = torch.rand(count, 1, 16, 20, generator=torch.Generator().manual_seed(0))
    size = (ROWS * CELL, COLUMNS * CELL)
    return torch.nn.functional.interpolate(rough, size, mode="bicubic", align_corners=False)


def grids(count: int, finest: Tensor | None = None) -> list[Tensor]:
    made = [torch.zeros(count, 5, *size) for size in SIZES]
    return made if finest is None else [*made[:-1], finest]


def no_bits(finest: Tensor) -> Tensor:
    return torch.zeros_like(finest[..., :1, :, :])


def search(now: Tensor, references: Tensor, pairs: list[list[int]], price: float = 0.0) -> NodeSearch:
    costs = Costs(torch.ones(len(now)), 1.0, price)
    return NodeSearch(now, References(references), pairs, costs)


@pytest.mark.parametrize("pair", [[0, 0], [0, 1]])
def test_its_tiles_are_those_of_the_decoder(pair: list[int]) -> None:
    images = planes(3)
    field = torch.randint(-60, 60, (1, 5, ROWS, COLUMNS), generator=torch.Generator().manual_seed(1)).float()
    field[:, 4] = field[:, 4].sign()
    tiles = (one := search(images[2:], images, [pair]))._tiles(field, None, {})
    found = one._joined(tiles)
    after = images[pair[1]][None] if pair[0] != pair[1] else None
    expected = predict_overlapped(images[pair[0]][None], after, field / 4)[:, :, ::2]
    assert torch.allclose(found, expected, atol=1e-5)


def test_motion_that_leads_beyond_the_margin_ends_there() -> None:
    images = planes(2)
    field = torch.full((1, 5, ROWS, COLUMNS), 4.0 * (MARGIN + 1000))
    tiles = search(images[1:], images, [[0, 0]])._tiles(field, None, {})
    assert torch.isfinite(tiles).all()


@pytest.mark.parametrize("pair", [[0, 0], [0, 1]])
def test_it_finds_a_small_shift(pair: list[int]) -> None:
    images = planes(2)
    field = torch.zeros(1, 5, ROWS, COLUMNS)
    field[:, 0], field[:, 1] = 5 / 4, -3 / 4
    after = images[pair[1]][None] if pair[0] != pair[1] else None
    now = predict_overlapped(images[pair[0]][None], after, field)
    one = search(now, images, [pair])
    finest = grids(1)[-1]
    errors = []
    for _ in range(4):
        predicted = predict_overlapped(images[pair[0]][None], after, field_of(grids(1, finest)) / 4)
        errors.append(float((predicted - now).square().sum()))
        finest = one.run(grids(1, finest), no_bits)
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.02 * errors[0]


def test_bits_that_cost_more_than_they_save_are_not_spent() -> None:
    images = planes(2)
    now = predict_overlapped(images[:1], None, torch.full((1, 5, ROWS, COLUMNS), 0.5))

    def magnitudes(finest: Tensor) -> Tensor:
        return finest.abs().sum(-3, keepdim=True)

    dear = search(now, images, [[0, 0]], price=1e9).run(grids(1), magnitudes)
    assert not dear.any()
    noise = torch.randint(-2, 3, (1, 5, ROWS, COLUMNS), generator=torch.Generator().manual_seed(3)).float()
    noise[:, 2:] = 0
    cleared = search(now, images, [[0, 0]], price=1e9).run(grids(1, noise), magnitudes)
    assert magnitudes(cleared).sum() < magnitudes(noise).sum()


def test_references_that_were_forgotten_are_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.fit.grids.node_search.KEPT_BYTES", 1)
    images = planes(6)
    references = References(images)
    first = references[0].clone()
    for frame in range(6):
        references[frame]
    assert len(references._kept) == 4 and torch.equal(references[0], first)


@pytest.mark.parametrize("has_two", [False, True])
def test_equal_moves_are_equal_motion_of_each_reference(has_two: bool) -> None:
    field = torch.randint(-9, 9, (1, 5, ROWS, COLUMNS), generator=torch.Generator().manual_seed(4)).float()
    one = search(planes(1), planes(2), [[0, 1 if has_two else 0]])
    known: dict[tuple[int, tuple[int, int]], Tensor] = {}
    one._tiles(field, UNMOVED, known)
    for group in _two_references() if has_two else _one_reference():
        for change in group:
            changed = change.make(field, field)
            found, expected = one._tiles(changed, change.moves, known), one._tiles(changed, None, {})
            assert torch.equal(found, expected)

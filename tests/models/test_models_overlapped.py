"""Overlapped prediction: its weights, its edges, and its agreement with a look-up pixel by pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inrc_reference import moved, shares
from torch import Tensor

from inrcodec.models.inrc.overlapped import predict_moving, predict_overlapped, window


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def shifted(image: Tensor, down: int, across: int) -> Tensor:
    """The image (h, w) seen `down` and `across` pixels further, with repeated edges."""
    rows = (torch.arange(image.shape[0]) + down).clamp(0, image.shape[0] - 1)
    columns = (torch.arange(image.shape[1]) + across).clamp(0, image.shape[1] - 1)
    return image[rows][:, columns]


@given(st.integers(1, 7), st.sampled_from([4, 8, 16]))
def test_the_weights_of_a_pixel_add_up_to_one(nodes: int, cell: int) -> None:
    weights = window(nodes, cell)
    over = cell // 4
    total = torch.zeros(nodes * cell + 2 * over)
    for node, tile in enumerate(weights):
        total[node * cell : node * cell + cell + 2 * over] += tile
    assert torch.allclose(total[over:-over], torch.ones(nodes * cell))
    assert total[:over].abs().max() == total[-over:].abs().max() == 0


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([8, 16]),
    st.integers(-70_000, 70_000),
    st.integers(-40, 40),
)
def test_whole_motion_shifts_the_frame(rows: int, columns: int, cell: int, down: int, across: int) -> None:
    image = noise(1, 2, rows * cell, columns * cell)
    field = torch.zeros(1, 5, rows, columns)
    field[:, 0], field[:, 1] = across, down
    found = predict_overlapped(image, None, field)
    for channel in range(2):
        expected = shifted(image[0, channel], down, across)
        assert torch.allclose(found[0, channel], expected, atol=1e-6)


@pytest.mark.parametrize("unit", [1, 2])
def test_it_is_the_mean_of_looked_up_pixels_by_weight(unit: int) -> None:
    rows, columns, cell = 2, 3, 16 // unit
    before, after = noise(1, 1, rows * cell, columns * cell), noise(1, 1, rows * cell, columns * cell, seed=1)
    field = (noise(1, 5, rows, columns, seed=2) - 0.5) * 40
    field[:, 4] /= 80
    found = predict_overlapped(before, after, field, float(unit))[0, 0].numpy()
    one, two, vectors = before[0].double().numpy(), after[0].double().numpy(), field[0].numpy()
    for y, x in np.ndindex(*found.shape):
        value = 0.0
        for i, down in shares(y, cell, rows):
            for j, across in shares(x, cell, columns):
                half, common = vectors[:2, i, j] / unit, vectors[2:4, i, j] / unit
                first, second = common - half, common + half
                seen = moved(one, y + first[1], x + first[0])[0], moved(two, y + second[1], x + second[0])[0]
                value += (
                    down * across * ((0.5 + vectors[4, i, j]) * seen[0] + (0.5 - vectors[4, i, j]) * seen[1])
                )
        assert abs(value - found[y, x]) < 1e-5


def test_frames_of_a_batch_do_not_touch_each_other() -> None:
    before, field = noise(3, 2, 32, 48), (noise(3, 5, 2, 3, seed=1) - 0.5) * 30
    together = predict_overlapped(before, None, field)
    for frame in range(3):
        alone = predict_overlapped(before[frame : frame + 1], None, field[frame : frame + 1])
        assert torch.allclose(together[frame : frame + 1], alone, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 12), st.sampled_from([1.0, 2.0]), st.booleans(), st.integers(0, 9))
def test_still_nodes_need_no_tiles(moving: int, unit: float, has_two: bool, seed: int) -> None:
    cell = int(16 / unit)
    before, after = noise(2, 2, 3 * cell, 4 * cell, seed=seed), noise(2, 2, 3 * cell, 4 * cell, seed=seed + 1)
    field = torch.zeros(2, 5, 12)
    field[:, :, :moving] = (noise(2, 5, moving, seed=seed + 2) - 0.5) * 30
    field[1] = field[1].flip(1)
    references = (before, after if has_two else None)
    found = predict_moving(*references, field.view(2, 5, 3, 4), unit)
    assert torch.allclose(found, predict_overlapped(*references, field.view(2, 5, 3, 4), unit), atol=1e-5)
    assert found.data_ptr() not in (before.data_ptr(), after.data_ptr())

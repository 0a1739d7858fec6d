"""Contexts of latents and motion: agreement with a slow implementation of SPEC.md, and round trips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bitstream import BitstreamError
from bitstream.coders.conditional import ConditionalDecoder, ConditionalEncoder, class_count
from inrcodec.models.inrc.contexts import LOG_TABLE, ContextModel
from inrcodec.models.inrc.frequencies import CHANNELS, GROUP_COUNT, GROUPS, KERNEL_SIDES, ORDER
from inrcodec.models.inrc.latent_contexts import LatentModels, code_latents
from inrcodec.models.inrc.motion_contexts import code_motion
from inrcodec.models.inrc.shapes import LatentFeature, MotionFeature

Integers = NDArray[Any]
steady = settings(deadline=None, derandomize=True, database=None, max_examples=15)
KNOTS = np.stack([np.linspace(255 - 60 * at, -120, 24).astype(np.int64) for at in range(4)], axis=1)
EXTREME = (1 << 15) - 1


@dataclass
class Recorder:
    """A coder that records the classes of each pass and returns the symbols."""

    passes: list[list[int]] = field(default_factory=list)

    def code(self, classes: Integers, symbols: Integers | None) -> Integers:
        assert symbols is not None
        assert symbols.shape == classes.shape
        self.passes.append(classes.ravel().tolist())
        return symbols

    def code_flags(self, classes: Integers, flags: Integers | None) -> Integers:
        return self.code(classes, flags)


# A slow implementation of SPEC.md: one symbol at a time, in Python integers


def logarithm(count: int) -> int:
    value = 0
    while 2 ** (value + 1) <= (min(count, 4095) + 1) ** 16:
        value += 1
    return value


def class_of(bias: int, weights: list[int], counts: list[int], knots: int, more: int = 0) -> int:
    total = more + 64 * bias + sum(w * logarithm(n) for w, n in zip(weights, counts, strict=True)) + 8192
    return min(max(total // 256, 0), 4 * (knots - 1))


def diagonal_walk(side: int) -> list[tuple[int, int]]:
    """Cells in zigzag order: from (0, 0) to the right, then down and up the diagonals in turn."""
    walk = []
    for diagonal in range(2 * side - 1):
        cells = [(u, diagonal - u) for u in range(side) if 0 <= diagonal - u < side]
        walk += cells if diagonal % 2 else cells[::-1]
    return walk


def channel_number(component: int, u: int, v: int) -> int:
    return u * 8 + v if component == 0 else 48 + 16 * component + u * 4 + v


def magnitude_of(values: Integers, frame: int, channel: int, y: int, x: int) -> int:
    """Magnitude of a symbol, at most 15; 0 outside the grid."""
    if not (0 <= y < values.shape[2] and 0 <= x < values.shape[3]):
        return 0
    return min(abs(int(values[frame, channel, y, x])), 15)


def four(read: Callable[[int, int], int], y: int, x: int) -> int:
    return read(y - 1, x) + read(y + 1, x) + read(y, x - 1) + read(y, x + 1)


def latent_counts(
    values: Integers, references: Integers, frame: int, component: int, at: tuple[int, int], y: int, x: int
) -> list[int]:
    u, v = at
    lower = [
        (channel_number(component, u - du, v - dv), weight)
        for du, dv, weight in ((1, 0, 2), (0, 1, 2), (1, 1, 1), (2, 0, 1), (0, 2, 1))
        if u >= du and v >= dv
    ]
    walk = diagonal_walk((8, 4, 4)[component])
    earlier = [(channel_number(component, *place), 1) for place in walk[: walk.index(at)]]
    others = [[], [(u * 8 + v, 1)], [(u * 8 + v, 1), (64 + u * 4 + v, 2)]][component]

    def plane(listed: list[tuple[int, int]]) -> Callable[[int, int], int]:
        return lambda row, column: sum(
            weight * magnitude_of(values, frame, channel, row, column) for channel, weight in listed
        )

    energy = 0
    for reference in references[frame].tolist():
        if reference >= 0:
            sums = [plane_sum(values, reference, y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            energy += 9 * sums[4] + 2 * sum(sums)
    return [
        plane(lower)(y, x),
        plane(earlier)(y, x),
        plane(others)(y, x),
        four(plane(lower), y, x),
        four(plane(earlier), y, x),
        energy // 18,
    ]


def plane_sum(values: Integers, frame: int, y: int, x: int) -> int:
    return sum(magnitude_of(values, frame, channel, y, x) for channel in range(96))


def has_latents(values: Integers, part: int, frame: int, y: int, x: int) -> bool:
    """Whether a block has nonzero luma (`part` 0) or chroma (1) latents; False outside the grid."""
    inside = 0 <= y < values.shape[2] and 0 <= x < values.shape[3]
    channels = range(64, 96) if part else range(64)
    return inside and any(values[frame, channel, y, x] for channel in channels)


def flag_counts(
    values: Integers, references: Integers, frame: int, part: int, half: int, y: int, x: int
) -> list[int]:
    def luma(row: int, column: int) -> int:
        return sum(magnitude_of(values, frame, channel, row, column) for channel in range(64))

    def flag(row: int, column: int) -> int:
        return int(has_latents(values, part, frame, row, column))

    return [
        latent_counts(values, references, frame, 0, (0, 0), y, x)[5],
        4 * four(flag, y, x) if half else 0,
        luma(y, x) if part else 0,
        four(luma, y, x) if part else 0,
    ]


def latent_passes(
    models: LatentModels, values: Integers, levels: Integers, references: Integers, order: list[list[int]]
) -> list[list[int]]:
    passes = []
    for batch in order:
        places = [
            (frame, y, x) for frame in batch for y in range(values.shape[2]) for x in range(values.shape[3])
        ]
        for part, components in enumerate(([0], [1, 2])):
            for half in range(2):
                passes.append(
                    [
                        class_of(
                            int(models.flags.bias[levels[frame], 2 * part + half]),
                            models.flags.weights[2 * part + half].tolist(),
                            flag_counts(values, references, frame, part, half, y, x),
                            len(models.flags.knots),
                        )
                        for frame, y, x in places
                        if (y + x) % 2 == half
                    ]
                )
            flagged = [place for place in places if has_latents(values, part, *place)]
            for component in components if flagged else ():
                for u, v in diagonal_walk((8, 4, 4)[component]):
                    group = sum(u + v >= start for start in (1, 2, 3, 5, 8)) + (6 if component else 0)
                    channel = channel_number(component, u, v)
                    passes.append(
                        [
                            class_of(
                                int(models.symbols.bias[levels[frame], channel]),
                                models.symbols.weights[group].tolist(),
                                latent_counts(values, references, frame, component, (u, v), y, x),
                                len(models.symbols.knots),
                            )
                            for frame, y, x in flagged
                        ]
                    )
    return passes


def motion_counts(grids: list[Integers], k: int, frame: int, channel: int, y: int, x: int) -> list[int]:
    def parent(of: int, row: int, column: int) -> int:
        return magnitude_of(grids[k - 1], frame, of, row // 2, column // 2) if k else 0

    height, width = grids[k].shape[2:]
    cells = [
        (row, column)
        for row in (y - 1, y, y + 1)
        for column in (x - 1, x, x + 1)
        if 0 <= row < height and 0 <= column < width
    ]
    return [
        parent(channel, y, x),
        magnitude_of(grids[k], frame, channel - 1, y, x) if channel else 0,
        4 * sum(parent(channel, *cell) for cell in cells) // len(cells),
        sum(parent(of, y, x) for of in range(5)),
    ]


def motion_passes(
    model: ContextModel, grids: list[Integers], levels: Integers, has_two: Integers, is_coded: Integers
) -> list[list[int]]:
    return [
        [
            class_of(
                int(model.bias[4 * levels[frame] + k, channel]),
                model.weights[k].tolist(),
                motion_counts(grids, k, frame, channel, y, x),
                len(model.knots),
            )
            for frame in range(len(levels))
            if is_coded[frame] and (channel < 2 or has_two[frame])
            for y in range(grids[k].shape[2])
            for x in range(grids[k].shape[3])
        ]
        for k in range(4)
        for channel in range(5)
    ]


# Samples


@dataclass(frozen=True)
class Case:
    """Random arguments of both functions; some symbols are large, most are zero."""

    generator: np.random.Generator
    frames: int
    height: int
    width: int
    largest: int
    strength: int

    def symbols(self, shape: tuple[int, ...]) -> Integers:
        drawn = self.generator.laplace(0, 1, shape) * self.generator.choice([0.1, 1, 12], shape[:2] + (1, 1))
        # Half of the blocks are entirely zero.
        drawn *= self.generator.choice([0, 1], (shape[0], 1, *shape[2:]))
        return np.clip(np.rint(drawn), -self.largest, self.largest).astype(np.int32)

    def latent_models(self, rows: int = 3) -> LatentModels:
        symbols = self.model(rows, CHANNELS, GROUP_COUNT, len(LatentFeature))
        return LatentModels(symbols, self.model(rows, 4, 4, 4))

    def model(self, rows: int, columns: int, groups: int, features: int) -> ContextModel:
        if self.strength == EXTREME:
            bias = self.generator.choice([-EXTREME - 1, EXTREME], (rows, columns))
            return ContextModel(
                bias, self.generator.choice([-EXTREME - 1, EXTREME], (groups, features)), KNOTS
            )
        bias = self.generator.integers(-128, 100, (rows, columns))
        weights = self.generator.integers(-self.strength, self.strength + 1, (groups, features))
        return ContextModel(bias, weights, KNOTS)

    def latents(self) -> tuple[LatentModels, Integers, Integers, Integers, list[list[int]]]:
        """Models, symbols, levels, references and order: the intra frame, the last frame, then the others."""
        levels = np.minimum(np.arange(self.frames), 2)
        references = np.full((self.frames, 2), -1)
        order = [[0]]
        if self.frames > 1:
            references[-1], order = (0, 0), [[0], [self.frames - 1]]
        if self.frames > 2:
            references[1:-1] = (0, self.frames - 1)
            order.append(list(range(self.frames - 2, 0, -1)))
        values = self.symbols((self.frames, CHANNELS, self.height, self.width))
        return self.latent_models(), values, levels, references, order

    def motion(self) -> tuple[ContextModel, list[Integers], Integers, Integers, Integers]:
        """Model, grids, levels, has_two and is_coded."""
        levels = np.minimum(np.arange(self.frames), 2)
        is_coded, has_two = levels > 0, levels > 1
        sizes = [(-(-self.height // s), -(-self.width // s)) for s in (8, 4, 2, 1)]
        grids = [self.symbols((self.frames, 5, *size)) for size in sizes]
        for grid in grids:
            grid[~is_coded] = 0
            grid[~has_two, 2:] = 0
        return self.model(12, 5, 4, len(MotionFeature)), grids, levels, has_two, is_coded


cases = st.builds(
    Case,
    st.integers(0, 1 << 30).map(np.random.default_rng),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from((1, 15, 40)),
    st.sampled_from((0, 20, 64, EXTREME)),
)


# Tests


def test_logarithms_are_exact() -> None:
    assert LOG_TABLE.tolist() == [logarithm(count) for count in range(4096)]
    assert LOG_TABLE[[0, 1, 3, 15, 4095]].tolist() == [0, 16, 32, 64, 192]


def test_layout_of_the_channels() -> None:
    assert KERNEL_SIDES == (8, 4, 4) and CHANNELS == 96 and len(LatentFeature) == 6
    assert ORDER[:7] == (0, 1, 8, 16, 9, 2, 3)
    assert list(ORDER) == [
        channel_number(component, u, v)
        for component, side in enumerate((8, 4, 4))
        for u, v in diagonal_walk(side)
    ]
    assert [GROUPS[at] for at in (0, 1, 8, 2, 3, 4, 5, 7, 15, 63)] == [0, 1, 1, 2, 3, 3, 4, 4, 5, 5]
    assert [GROUPS[at] for at in (64, 80, 65, 66, 67, 71, 75, 95)] == [6, 6, 7, 8, 9, 9, 10, 10]


@given(case=cases)
@steady
def test_latents_follow_the_specification(case: Case) -> None:
    model, values, levels, references, order = case.latents()
    recorder = Recorder()
    code_latents(recorder, model, values, values.shape, levels, references, order)
    assert recorder.passes == latent_passes(model, values, levels, references, order)


@given(case=cases)
@steady
def test_motion_follows_the_specification(case: Case) -> None:
    model, grids, levels, has_two, is_coded = case.motion()
    recorder = Recorder()
    code_motion(recorder, model, grids, [grid.shape for grid in grids], levels, has_two, is_coded)
    assert recorder.passes == motion_passes(model, grids, levels, has_two, is_coded)


@given(case=cases)
@steady
def test_latents_and_motion_in_one_payload_round_trip(case: Case) -> None:
    model, values, levels, references, order = case.latents()
    motion_model, grids, _, has_two, is_coded = case.motion()
    shapes = [grid.shape for grid in grids]
    encoder = ConditionalEncoder(KNOTS, case.largest)
    code_motion(encoder, motion_model, grids, shapes, levels, has_two, is_coded)
    assert np.array_equal(
        code_latents(encoder, model, values, values.shape, levels, references, order), values
    )
    decoder = ConditionalDecoder(KNOTS, case.largest, encoder.getvalue())
    decoded = code_motion(decoder, motion_model, None, shapes, levels, has_two, is_coded)
    assert all(np.array_equal(*pair) for pair in zip(decoded, grids, strict=True))
    latents = code_latents(decoder, model, None, values.shape, levels, references, order)
    assert latents.dtype == np.int16 and np.array_equal(latents, values)
    decoder.expect_end()


def golden() -> tuple[LatentModels, ContextModel, Integers, list[Integers]]:
    """Models of latents and motion, latents and grids of three frames, from integer arithmetic."""

    def spread(shape: tuple[int, ...], low: int, high: int) -> Integers:
        places = np.arange(np.prod(shape))
        return (places * (places + 37) // 5 % (high - low + 1) + low).reshape(shape)

    def symbols(shape: tuple[int, ...]) -> Integers:
        values = spread(shape, -4, 4)
        return np.where(np.arange(values.size).reshape(shape) % 7 < 2, values, 0)

    latent_models = LatentModels(
        ContextModel(spread((3, 96), -60, 20), spread((12, 6), -10, 40), KNOTS),
        ContextModel(spread((3, 4), -60, 20), spread((4, 4), -10, 40), KNOTS),
    )
    motion_model = ContextModel(spread((12, 5), -60, 20), spread((4, 4), -10, 40), KNOTS)
    grids = [symbols((3, 5, size, size)) for size in (1, 1, 1, 2)]
    for grid in grids:
        grid[0] = grid[1, 2:] = 0
    latents = symbols((3, 96, 2, 2))
    latents[0, :64, 0, 1] = latents[1:, 64:, 1] = 0
    return latent_models, motion_model, latents, grids


GOLDEN = (
    "fcffffe070e235655dcad5181491f2c7e96d5ed3f3ffffa37069704a63621efe47850077250e32e76006c82a5170ba1e"
    "ead99e60d3865b8d7e064340ab2a0097dc669ee83374fa791c00e1440e5921f67f8f863237b6d939e4f3b32b55cb96e1"
    "98105ca5d09edaa1f5fb75c12533322493474386dd9d1ac2bf6f743a46f207d8fdffff68fdffff3cfaffff35a86cba97"
    "d7c763789ffdffbef8e7ff4b29c3a7e1d72b0000020000ec862a2975fd578a983f0a10314bf16e6a01000078c0fa5704"
    "11ea914056a7c05b51ca92cda6faffcdde1334414f7597fd2ae41f8e242cf216986711797c0764abcc2dacf3aaf80728"
    "7e48330aecffff678318b7d9547ae6b9efbd10057c6d3555fdffff32fd59182a6ab4df5afdffff4b8ed73d7b07e8161b"
    "382405450a39b9d731d4e45dc03ada815b5d713011ffff29e7f7ffd72ed1ffe37a1e0017b07bd42103d7be36436d48dd"
    "b99a4e4e0687c809010000c87ef3ea642c348730af7b026318d9aca3c5c4dfe6b58a7b698ff9ffa1ffaec445c1ffffd4"
    "e8ae59582416d5db0f29b1a291b06f6bae0486b2fcfffffb03ddd4ec30d86040f310c560c9e43e747c80953b4fc4f9fd"
    "94ce390b87c9c11f6072cca9c64e3986cd80a64f613fbb35a85a53974eba1d078f0675fc0ea1e449408bd81f489a1141"
    "e2030010598342255ffe97c8c1eb8f709e74e0bc5155fe79698b4b61cb28583a3df13d9d4c41598efdffff434ef9ac68"
    "f00d9d858f88fe887104"
)


def test_golden_payload() -> None:
    """Every later version must decode these bytes."""
    latent_models, motion_model, values, grids = golden()
    levels, references = np.arange(3), np.array([[-1, -1], [0, 0], [0, 1]])
    decoder = ConditionalDecoder(KNOTS, 5, bytes.fromhex(GOLDEN))
    shapes = [grid.shape for grid in grids]
    decoded = code_motion(decoder, motion_model, None, shapes, levels, levels > 1, levels > 0)
    assert [grid.tolist() for grid in decoded] == [grid.tolist() for grid in grids]
    latents = code_latents(decoder, latent_models, None, values.shape, levels, references, [[0], [1], [2]])
    assert latents.tolist() == values.tolist()
    decoder.expect_end()


def test_extreme_weights_reach_the_first_and_the_last_class() -> None:
    case = Case(np.random.default_rng(4), 4, 3, 3, 40, EXTREME)
    model, values, levels, references, order = case.latents()
    recorder = Recorder()
    code_latents(recorder, model, values, values.shape, levels, references, order)
    seen = {number for listed in recorder.passes for number in listed}
    assert min(seen) == 0 and max(seen) == class_count(len(KNOTS)) - 1


def test_contexts_make_a_payload_smaller() -> None:
    """The counts predict energy that clusters in blocks and persists from frame to frame."""
    generator = np.random.default_rng(5)
    scale = np.exp(generator.normal(-1, 1.2, (1, 1, 6, 8)))
    values = np.rint(generator.laplace(0, 1, (4, CHANNELS, 6, 8)) * scale).astype(np.int32)
    bound = int(np.abs(values).max())
    levels, references = np.array([0, 1, 1, 1]), np.array([[-1, -1], [0, 0], [1, 1], [2, 2]])
    order = [[0], [1], [2], [3]]
    # Knot k is a distribution of scale 2^((k - 12) / 2.5) / 2.
    log_odds = np.log(np.expm1(2 / np.exp2((np.arange(24) - 12) / 2.5)))
    rows = np.stack([log_odds - np.log(2), log_odds, log_odds, log_odds], axis=1)
    knots = np.clip(np.rint(16 * rows), -255, 255).astype(np.int64)

    def size(weight: int, bias: int) -> int:
        weights = np.zeros((GROUP_COUNT, len(LatentFeature)), dtype=np.int64)
        weights[:, 5] = weight
        flags = ContextModel(np.zeros((2, 4), dtype=np.int64), np.zeros((4, 4), dtype=np.int64), knots)
        models = LatentModels(ContextModel(np.repeat([[0], [bias]], CHANNELS, axis=1), weights, knots), flags)
        encoder = ConditionalEncoder(knots, bound)
        code_latents(encoder, models, values, values.shape, levels, references, order)
        return len(encoder.getvalue())

    # Scales double every 2.5 knots; the sixth count is that scale times 96.
    told = min(size(160, bias) for bias in range(-320, -160, 16))
    assert told < 0.9 * min(size(0, bias) for bias in range(-48, 48, 8))


def test_damaged_payload_gives_latents_or_an_error() -> None:
    model, values, levels, references, order = Case(np.random.default_rng(6), 3, 2, 2, 15, 20).latents()
    encoder = ConditionalEncoder(KNOTS, 15)
    code_latents(encoder, model, values, values.shape, levels, references, order)
    payload = encoder.getvalue()
    places = range(0, len(payload), len(payload) // 8)
    damaged = [payload[:at] for at in places]
    damaged += [payload[:at] + bytes([payload[at] ^ 16]) + payload[at + 1 :] for at in places]
    for bad in damaged:
        try:
            decoder = ConditionalDecoder(KNOTS, 15, bad)
            decoded = code_latents(decoder, model, None, values.shape, levels, references, order)
            decoder.expect_end()
        except BitstreamError:
            continue
        assert int(np.abs(decoded).max()) <= 15 and not np.array_equal(decoded, values)


@pytest.mark.parametrize(
    ("bias", "weights", "knots"),
    [
        (np.full((1, 96), EXTREME + 1), np.zeros((12, 6), dtype=np.int64), KNOTS),
        (np.zeros((1, 96), dtype=np.int64), np.full((12, 6), -EXTREME - 2), KNOTS),
        (np.zeros((1, 96)), np.zeros((12, 6), dtype=np.int64), KNOTS),
        (np.zeros(96, dtype=np.int64), np.zeros((12, 6), dtype=np.int64), KNOTS),
        (np.zeros((1, 96), dtype=np.int64), np.zeros((12, 6), dtype=np.int64), KNOTS[:1]),
    ],
)
def test_models_are_checked(bias: Integers, weights: Integers, knots: Integers) -> None:
    with pytest.raises(ValueError, match="expected"):
        ContextModel(bias, weights, knots)


def test_what_does_not_fit_is_refused() -> None:
    case = Case(np.random.default_rng(7), 3, 3, 3, 15, 20)
    model, values, levels, references, order = case.latents()
    motion_model, grids, _, has_two, is_coded = case.motion()
    shapes = [grid.shape for grid in grids]
    for bad in (order[:-1], [*order, [0]]):
        with pytest.raises(ValueError, match="each once"):
            code_latents(Recorder(), model, values, values.shape, levels, references, bad)
    with pytest.raises(ValueError, match="channels"):
        code_latents(Recorder(), model, values[:, :95], (3, 95, 3, 3), levels, references, order)
    with pytest.raises(ValueError, match="bias"):
        code_latents(Recorder(), model, values, values.shape, levels + 1, references, order)
    for bad_models in (LatentModels(motion_model, model.flags), LatentModels(model.symbols, motion_model)):
        with pytest.raises(ValueError, match="bias"):
            code_latents(Recorder(), bad_models, values, values.shape, levels, references, order)
    with pytest.raises(ValueError, match="bias"):
        code_motion(Recorder(), motion_model, grids, shapes, levels + 1, has_two, is_coded)
    with pytest.raises(ValueError, match="grids"):
        code_motion(Recorder(), motion_model, grids[:3], shapes[:3], levels, has_two, is_coded)
    with pytest.raises(ValueError, match="coarser"):
        code_motion(Recorder(), motion_model, None, [*shapes[:3], (3, 5, 5, 3)], levels, has_two, is_coded)
    with pytest.raises(ValueError, match="zeros"):
        code_motion(Recorder(), motion_model, [grid + 1 for grid in grids], shapes, levels, has_two, is_coded)

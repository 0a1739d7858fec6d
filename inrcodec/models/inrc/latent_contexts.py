"""Context modelling of latents and of their coded-block flags. Normative; see `contexts`.

Most blocks of most frames have no latents at all. Each block therefore has two flags, one for luma and one
for both chroma components, and only the latents of flagged blocks are coded. Flags are coded in two
checkerboard passes, so that the second has all four neighbours as context.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inrcodec.models.inrc.contexts import (
    MAX_COUNT,
    Coder,
    ContextModel,
    Integers,
    box_sum,
    check_rows,
    cut_magnitudes,
    square_sum,
)
from inrcodec.models.inrc.frequencies import (
    CHANNELS,
    FIRST_CHANNELS,
    GROUP_COUNT,
    GROUPS,
    KERNEL_SIDES,
    component_neighbours,
    frequency_neighbours,
    zigzag,
)
from inrcodec.models.inrc.latent_network import NEAR_CHANNELS, RECENT, NetworkCount, References, logarithms
from inrcodec.models.inrc.latent_sums import CHANGING, TOLD, WEIGHTED, ComponentSums, NetworkSums
from inrcodec.models.inrc.shapes import FLAG_PASSES, FlagFeature, LatentFeature

PARTS = ((0,), (1, 2))
"""The components that share a flag: part 0 is luma, part 1 both chroma components."""


@dataclass(frozen=True)
class LatentModels:
    """The context models of a segment's latents and flags; both have the same knots."""

    symbols: ContextModel
    """Biases (levels, 96) and weights (12, 6), one row per channel group (`frequencies.GROUPS`)."""
    flags: ContextModel
    """Biases (levels, 4) and weights (4, 4), with one column and one row for each flag pass."""
    has_network: bool = False
    """Whether the networks of `latent_network` add to the class sums of latents: from version 1 on."""

    def check(self, level_count: int) -> None:
        """Raise `ValueError` unless the biases cover `level_count` levels and the shapes fit."""
        check_rows(self.symbols, level_count, CHANNELS, GROUP_COUNT, len(LatentFeature))
        check_rows(self.flags, level_count, FLAG_PASSES, FLAG_PASSES, len(FlagFeature))


_LOOKED_AT = frozenset(NEAR_CHANNELS.tolist())
"""Channels in the context of later components."""


def _doubled_last(neighbours: Sequence[tuple[int, int]]) -> tuple[tuple[int, bool], ...]:
    """Neighbours by falling weight, and whether the sum doubles after each: weights are 2 and 1."""
    twice = [one for one, weight in neighbours if weight == 2]
    once = [one for one, weight in neighbours if weight == 1]
    return (*((one, one == twice[-1]) for one in twice), *((one, False) for one in once))


_NEIGHBOURS = tuple(_doubled_last(frequency_neighbours(channel)) for channel in range(CHANNELS))


def part_channels(part: int) -> slice:
    """The channels that a flag of this part covers."""
    first, last = PARTS[part][0], PARTS[part][-1]
    return slice(FIRST_CHANNELS[first], FIRST_CHANNELS[last] + KERNEL_SIDES[last] ** 2)


def code_latents(
    coder: Coder,
    models: LatentModels,
    symbols: Integers | None,
    shape: tuple[int, int, int, int],
    levels: Integers,
    references: Integers,
    order: Sequence[Sequence[int]],
) -> NDArray[np.int16]:
    """Encode latents `symbols` (T, 96, h, w), or decode them if `symbols` is None; return them either way.

    `shape` is (T, 96, h, w). `levels` (T,) are the frames' rows of the biases. `references` (T, 2) are their
    reference frames, in earlier batches, or -1. `order` lists the batches; together they contain each frame
    once.

    A batch codes the luma flags, the luma channels, the chroma flags and the chroma channels. A channel is
    one pass over the flagged blocks by frame (in the batch's order), row and column; flags take two passes.

    Raises `ValueError` for inconsistent shapes, models or batches.
    """
    frames, channels, height, width = shape
    if channels != CHANNELS or (symbols is not None and symbols.shape != shape):
        raise ValueError(f"expected {CHANNELS} channels and symbols of shape {shape}")
    if sorted(frame for batch in order for frame in batch) != list(range(frames)):
        raise ValueError(f"expected batches of the frames 0..{frames - 1}, each once")
    levels, references = np.asarray(levels), np.asarray(references)
    models.check(int(levels.max(initial=-1)) + 1)
    tables = _Tables(_told_weights(models.symbols), models.flags.weighted_tables())
    # The last entry stays zero: the reference -1, no frame, picks it.
    energies = np.zeros((frames + 1, height, width), dtype=np.int64)
    # Channels last, so that a block's latents are written together and blocks without latents not at all.
    # Here, too, the last frame stays zero.
    latents = np.zeros((frames + 1, height, width, channels), dtype=np.int16)
    for batch in order:
        listed = np.array(batch, dtype=np.int64)
        first, second = references[listed].T
        reference_count = np.minimum((energies[first] + energies[second]) // 18, MAX_COUNT)
        known = None if symbols is None else np.moveaxis(symbols[listed], 1, 0).reshape(CHANNELS, -1)
        told = References(latents, references[listed]) if models.has_network else None
        coding = _Batch(coder, models, tables, levels[listed], reference_count, known, told)
        coding.code()
        for places, first, values in coding.coded:
            frame, inside = np.divmod(places, height * width)
            rows = listed[frame] * (height * width) + inside
            latents.reshape(-1, channels)[rows, first : first + len(values)] = values.T
        energies[listed] = 9 * coding.total + 2 * square_sum(coding.total)
    return np.moveaxis(latents[:frames], 3, 1)


@dataclass(frozen=True)
class _Tables:
    """The weights of the models by group, as the passes use them."""

    symbols: NDArray[np.float32]
    """The weights of the counts `TOLD`, (12, 2, 8); see `ContextModel.split_weights`."""
    flags: NDArray[np.int32]
    """See `ContextModel.weighted_tables`."""


def _told_weights(model: ContextModel) -> NDArray[np.float32]:
    """See `_Tables.symbols`; counts that only the network has weigh nothing."""
    weights = model.split_weights()[..., list(WEIGHTED)]
    return np.pad(weights, ((0, 0), (0, 0), (len(TOLD) - len(WEIGHTED), 0)))


class _Batch:
    """Encodes or decodes the F frames of a batch. A *place* is a flat index of a block into (F, h, w)."""

    def __init__(
        self,
        coder: Coder,
        models: LatentModels,
        tables: _Tables,
        levels: Integers,
        reference_count: NDArray[np.int64],
        known: Integers | None,
        references: References | None,
    ) -> None:
        """`reference_count` (F, h, w) is the sixth count; `known` (96, F h w) are latents to encode."""
        self._coder, self._models, self._tables = coder, models, tables
        self._biases = models.symbols.biases(levels)
        self._flag_biases = models.flags.biases(levels)
        self._reference_count, self._known = reference_count, known
        self._references, self._kinds = references, np.minimum(levels, 2)
        self._shape = reference_count.shape
        self._seen = np.zeros((CHANNELS, reference_count.size), dtype=np.int16)
        """Clipped magnitudes of channels that later components look at, by channel and place."""
        self.coded: list[tuple[NDArray[np.intp], int, NDArray[np.int16]]] = []
        """For each coded component, its flagged places, first channel and latents (side^2, places)."""
        self.total = np.zeros(self._shape, dtype=np.int64)
        """The sum of clipped magnitudes over all channels coded so far, (F, h, w)."""

    def code(self) -> None:
        """Code the batch into `coded` and `total`."""
        for part, components in enumerate(PARTS):
            flags = self._code_flags(part)
            places = np.flatnonzero(flags)
            luma = self.total.copy()
            # A pass without symbols codes nothing, so it can be skipped.
            for component in components if len(places) else ():
                sums = self._sums(component, places, flags, luma)
                self._code_component(component, places, sums)

    def _code_flags(self, part: int) -> NDArray[np.bool_]:
        """Code whether each block has latents of a part, (F, h, w)."""
        flags = np.zeros(self._shape, dtype=np.bool_)
        wanted = None
        if self._known is not None:
            wanted = np.asarray(self._known[part_channels(part)].any(axis=0)).reshape(self._shape)
        around = _cross_sum(self.total)
        count, height, width = self._shape
        rows, columns = np.indices((height, width))
        for half in range(2):
            row = 2 * part + half
            table, where = self._tables.flags[row], np.flatnonzero((rows + columns) % 2 == half)
            counts = {
                FlagFeature.REFERENCES: self._reference_count,
                FlagFeature.FLAGS_AROUND: 4 * _cross_sum(flags.astype(np.int64)),
                FlagFeature.LUMA: self.total,
                FlagFeature.LUMA_AROUND: around,
            }
            sums = np.repeat(self._flag_biases[:, row], len(where))
            for feature, values in counts.items():
                sums += table[feature].take(values.reshape(count, -1).take(where, axis=1).ravel())
            known = None if wanted is None else wanted.reshape(count, -1).take(where, axis=1).ravel()
            coded = self._coder.code_flags(self._models.flags.classes(sums), known)
            flags.reshape(count, -1)[:, where] = coded.reshape(count, -1)
        return flags

    def _sums(
        self, component: int, places: NDArray[np.intp], flags: NDArray[np.bool_], luma: NDArray[np.int64]
    ) -> ComponentSums:
        """The class sums at the flagged places. `luma` (F, h, w) is `total` after luma was coded."""
        if self._references is None:
            return ComponentSums(len(places))
        frames, rows, columns = np.unravel_index(places, self._shape)
        constant: dict[NetworkCount, Integers] = {
            NetworkCount.FLAGS_AROUND: _cross_sum(flags.astype(np.int64)).reshape(-1)[places],
            NetworkCount.FLAGS_NEAR: box_sum(flags).reshape(-1)[places],
        }
        if component:
            constant[NetworkCount.LUMA] = luma.reshape(-1)[places]
        if component == 2:
            constant[NetworkCount.FIRST_CHROMA] = (self.total - luma).reshape(-1)[places]
        references = self._references.magnitudes(component, frames, rows, columns)
        seen = self._seen[NEAR_CHANNELS[:, None], places] if component else self._seen[:0]
        return NetworkSums(component, self._kinds[frames], constant, references, seen)

    def _code_component(self, component: int, places: NDArray[np.intp], sums: ComponentSums) -> None:
        """Code all channels of a component at the flagged places."""
        height, width = self._shape[1:]
        side, first = KERNEL_SIDES[component], FIRST_CHANNELS[component]
        frames, inside = np.divmod(places, height * width)
        # One channel's magnitudes, bordered by zeros so that neighbours are at fixed offsets everywhere.
        step = width + 2
        bordered = np.zeros((self._shape[0], height + 2, step), dtype=np.int16).reshape(-1)
        centre = frames * (height + 2) * step + (inside // width + 1) * step + inside % width + 1
        above, below, left, right = centre - step, centre + step, centre - 1, centre + 1
        coded = np.zeros((side * side, len(places)), dtype=np.int16)
        # Clipped magnitudes at each place, and their sums over its four neighbours: by channel.
        counted = np.zeros((side * side, 2, len(places)), dtype=np.int16)
        # All counts that change from channel to channel, in the order of `TOLD`.
        changing = np.zeros((CHANGING, len(places)), dtype=np.int16)
        recent, nonzero, lower, earlier = changing[0], changing[1], changing[2:4], changing[4:]
        logs = sums.told[:CHANGING]
        sums.told[CHANGING:] = 0
        logarithms(self._reference_count.reshape(-1)[places], out=sums.told[-1])
        walk = zigzag(side)
        for place, number in enumerate(walk):
            channel = first + number
            lower[:] = 0
            for neighbour, is_doubled in _NEIGHBOURS[channel]:
                lower += counted[neighbour - first]
                if is_doubled:
                    lower += lower
            logarithms(changing, out=logs)
            if others := component_neighbours(channel):
                seen = sum(self._seen[one].take(places) * weight for one, weight in others)
                logarithms(seen, out=sums.told[CHANGING])
            found = sums.of(number, self._tables.symbols[GROUPS[channel]])
            found += self._biases[:, channel].take(frames)
            known = None if self._known is None else self._known[channel, places]
            symbols = self._coder.code(self._models.symbols.classes(found), known)
            coded[number] = symbols
            own, around = counted[number]
            cut_magnitudes(symbols, out=own)
            bordered[centre] = own
            for there in (above, below, left, right):
                around += bordered.take(there)
            earlier += counted[number]
            nonzero += own > 0
            recent += own
            if place >= RECENT:
                recent -= counted[walk[place - RECENT], 0]
            if channel in _LOOKED_AT:
                self._seen[channel, places] = own
        self.coded.append((places, first, coded))
        self.total.reshape(-1)[places] += earlier[0]


def _cross_sum(plane: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sum of the four neighbours of each cell of the last two axes, zeros outside."""
    total = np.zeros_like(plane)
    total[..., 1:, :] += plane[..., :-1, :]
    total[..., :-1, :] += plane[..., 1:, :]
    total[..., 1:] += plane[..., :-1]
    total[..., :-1] += plane[..., 1:]
    return total

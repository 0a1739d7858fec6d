"""The network of latents is that of SPEC.md, section 10.12, and exact in binary32."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from test_models_contexts import (
    KNOTS,
    Case,
    Recorder,
    cases,
    channel_number,
    class_of,
    diagonal_walk,
    four,
    has_latents,
    latent_counts,
    logarithm,
    magnitude_of,
    steady,
)

from bitstream.coders.conditional import ConditionalDecoder, ConditionalEncoder
from inrcodec.models.inrc.latent_contexts import LatentModels, code_latents
from inrcodec.models.inrc.latent_network import COUNTS, LARGEST_HIDDEN, latent_networks
from inrcodec.models.inrc.latent_network_weights import WEIGHTS

SPEC = Path(__file__).parents[2] / "bitstream" / "SPEC.md"
Latents = NDArray[np.int64]


class SymbolRecorder(Recorder):
    """A recorder that leaves flags out."""

    def code_flags(self, classes: Latents, flags: Latents | None) -> Latents:
        assert flags is not None
        return flags


def network_counts(
    values: Latents,
    references: Latents,
    frame: int,
    component: int,
    at: tuple[int, int],
    y: int,
    x: int,
    sums: list[int],
) -> list[int]:
    """The counts of section 10.12; `sums` are those of 10.9."""
    side = (8, 4, 4)[component]
    walk = diagonal_walk(side)
    place, part = walk.index(at), min(component, 1)

    def mine(places: list[tuple[int, int]], row: int, column: int, frame: int = frame) -> list[int]:
        return [magnitude_of(values, frame, channel_number(component, *one), row, column) for one in places]

    def told(places: list[tuple[int, int]], row: int, column: int) -> int:
        known = [one for one in references[frame].tolist() if one >= 0]
        return sum(sum(mine(places, row, column, reference)) for reference in known)

    u, v = at
    beside = [(u, v), (u - 1, v), (u + 1, v), (u, v - 1), (u, v + 1)]
    same = [(u, v)] + [(a, b) for a, b in beside if 0 <= a < side and 0 <= b < side]
    higher = walk[place:]

    def flag(row: int, column: int) -> int:
        return int(has_latents(values, part, frame, row, column))

    counts = [
        sums[0],
        sums[1],
        sums[3],
        sums[4],
        sums[5],
        sum(mine(walk[max(0, place - 6) : place], y, x)),
        sum(one > 0 for one in mine(walk[:place], y, x)),
        told(same, y, x),
        told(higher, y, x),
        four(lambda row, column: told(same, row, column), y, x),
        four(lambda row, column: told(higher, row, column), y, x),
        four(flag, y, x),
        sum(flag(y + dy, x + dx) for dy in range(-2, 3) for dx in range(-2, 3)),
    ]
    if component == 0:
        return counts
    near = 0
    for du in (-1, 0, 1):
        for dv in (-1, 0, 1):
            if u + du >= 0 and v + dv >= 0:
                near += magnitude_of(values, frame, channel_number(0, u + du, v + dv), y, x)
            if component == 2 and 0 <= u + du < 4 and 0 <= v + dv < 4:
                near += 2 * magnitude_of(values, frame, channel_number(1, u + du, v + dv), y, x)
    luma = sum(magnitude_of(values, frame, channel, y, x) for channel in range(64))
    first = sum(magnitude_of(values, frame, channel, y, x) for channel in range(64, 80))
    return [*counts, sums[2], luma, near, first if component == 2 else 0]


def network_term(part: int, group: int, at: tuple[int, int], kind: int, counts: list[int]) -> int:
    """The output of the network for a latent whose row of weights is `group` of its part."""
    tables = WEIGHTS[part]
    inputs = [logarithm(min(count, 4095)) for count in counts] + [16 * at[0], 16 * at[1]]
    total = 0
    for unit, output in enumerate(tables["outputs"][0]):
        hidden = tables["groups"][group][unit] + tables["kinds"][kind][unit]
        hidden += sum(value * row[unit] for value, row in zip(inputs, tables["inputs"], strict=True))
        total += output * min(max(hidden >> 6, 0), 4095)
    return total >> 2


def symbol_passes(
    models: LatentModels, values: Latents, levels: Latents, references: Latents, order: list[list[int]]
) -> list[list[int]]:
    """The classes of all passes of latents, without those of flags."""
    passes = []
    for batch in order:
        places = [(frame, y, x) for frame in batch for y, x in np.ndindex(*values.shape[2:])]
        for part, components in enumerate(([0], [1, 2])):
            flagged = [place for place in places if has_latents(values, part, *place)]
            for component in components if flagged else ():
                for at in diagonal_walk((8, 4, 4)[component]):
                    group = sum(sum(at) >= start for start in (1, 2, 3, 5, 8))
                    channel, listed = channel_number(component, *at), []
                    for frame, y, x in flagged:
                        sums = latent_counts(values, references, frame, component, at, y, x)
                        counts = network_counts(values, references, frame, component, at, y, x, sums)
                        term = network_term(part, group, at, min(int(levels[frame]), 2), counts)
                        bias = int(models.symbols.bias[levels[frame], channel])
                        weights = models.symbols.weights[group + 6 * part].tolist()
                        listed.append(class_of(bias, weights, sums, len(KNOTS), term))
                    passes.append(listed)
    return passes


@given(case=cases)
@steady
def test_latents_follow_the_specification(case: Case) -> None:
    model, values, levels, references, order = case.latents()
    model = replace(model, has_network=True)
    recorder = SymbolRecorder()
    code_latents(recorder, model, values, values.shape, levels, references, order)
    assert recorder.passes == symbol_passes(model, values, levels, references, order)


@given(case=cases)
@steady
def test_latents_round_trip(case: Case) -> None:
    model, values, levels, references, order = case.latents()
    model = replace(model, has_network=True)
    encoder = ConditionalEncoder(KNOTS, case.largest)
    code_latents(encoder, model, values, values.shape, levels, references, order)
    decoder = ConditionalDecoder(KNOTS, case.largest, encoder.getvalue())
    latents = code_latents(decoder, model, None, values.shape, levels, references, order)
    assert np.array_equal(latents, values)
    decoder.expect_end()


@pytest.mark.parametrize("part", range(2))
def test_no_sum_leaves_the_exact_integers_of_binary32(part: int) -> None:
    network = latent_networks()[part]
    assert all(np.array_equal(one, np.rint(one)) for one in vars(network).values())
    hidden = 192 * np.abs(network.counts).sum(0) + np.abs(network.channels).max(0)
    assert network.counts.shape[0] == COUNTS[part]
    assert float((hidden + np.abs(network.kinds).max(0)).max()) < 1 << 24
    assert LARGEST_HIDDEN * float(np.abs(network.outputs).sum()) < 1 << 24


def test_the_weights_are_those_of_the_specification() -> None:
    chapter = SPEC.read_text().split("### 10.12 ")[1].split("\n#")[0]
    parts = re.split(r"^    (luma|chroma) ([a-z]+)$", chapter, flags=re.M)[1:]
    listed = {
        (part, name): [int(word) for word in re.findall(r"-?\d+", numbers)]
        for part, name, numbers in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    }
    assert listed == {
        (part, name): [value for row in rows for value in row]
        for part, tables in zip(("luma", "chroma"), WEIGHTS, strict=True)
        for name, rows in tables.items()
    }

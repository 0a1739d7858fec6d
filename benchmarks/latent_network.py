"""Fits the networks of `inrcodec.models.inrc.latent_network` and the usual values that go with them to files.

    python -m benchmarks.latent_network FILE.inrv... --folder inrcodec/models/inrc

It writes the modules `latent_network_weights` and `latent_prior` to the folder. The files are of version 1 of
the `inrc` family with groups of 16 frames, from several clips and rates. All have the same weight, whatever
their size. Both modules are part of the format: changing them would make existing files unreadable. So this
is run before a version is released, and is kept to document their origin.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import bitstream
from bitstream.coders.conditional import QUARTERS
from inrcodec.coding.grid_sections import decode_contextual
from inrcodec.coding.opened_segment import open_segment
from inrcodec.fit.grids.entropy import ZERO_KNOT, parameters, shapes_of
from inrcodec.fit.grids.latent_entropy import LAST_CLASS, LatentEntropy, flags_of, reference_magnitudes
from inrcodec.fit.grids.latent_network import NetworkTerms
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS, GROUP_COUNT, GROUPS, KERNEL_SIDES, component_of
from inrcodec.models.inrc.hierarchy import hierarchy
from inrcodec.models.inrc.latent_contexts import PARTS, part_channels
from inrcodec.models.inrc.latent_network import COUNTS, NetworkCount
from inrcodec.models.inrc.shapes import GROUP_FRAMES, NEWEST_VERSION, LatentFeature

HIDDEN = 24
STEPS = 2500
BLOCKS = (3000, 1500)
"""Most blocks of a file that are kept, of luma and of chroma."""
BATCH = (640, 512)
"""Blocks of all files together in one step."""
SCALE = 64
"""Integers for 1.0 in weights of counts, which are logarithms to the base of 16, and of hidden units."""
LARGEST_COUNT_WEIGHT, LARGEST_OUTPUT_WEIGHT = 255, 127
RATES = {"bias": 0.03, "level": 0.03, "weight": 0.015, "knots": 0.03, "offsets": 0.03}
"""Learning rates by the last part of a parameter's name; 0.02 for those of the networks."""
LINE, VALUES_A_LINE = 104, 18
HEADER = '''"""{}, from version 1 on; see `{}`.

Normative. `benchmarks.latent_network` fitted them to several clips at several rates.
"""

from __future__ import annotations

# fmt: off
'''


@dataclass(frozen=True)
class Blocks:
    """Sampled blocks of one part, of all files."""

    logs: Tensor
    """(n, channels, counts), in 1/16 of a doubling."""
    magnitudes: Tensor
    """(n, channels)."""
    levels: Tensor
    files: Tensor
    shares: Tensor
    """(n,): how many blocks of the file each one stands for, divided by the bits of the file."""


class Network(nn.Module):
    """The network of a part, in floats."""

    def __init__(self, part: int) -> None:
        super().__init__()
        self.part = part
        count = COUNTS[part]
        self.inputs = nn.Parameter(torch.randn(count + 2, HIDDEN) / math.sqrt(count))
        self.groups = nn.Parameter(torch.zeros(GROUP_COUNT // 2, HIDDEN))
        self.kinds = nn.Parameter(torch.zeros(3, HIDDEN))
        self.outputs = nn.Parameter(torch.zeros(HIDDEN))
        channels = range(part_channels(part).start, part_channels(part).stop)
        components = [(one, component_of(one)) for one in channels]
        places = [divmod(one - FIRST_CHANNELS[which], KERNEL_SIDES[which]) for one, which in components]
        self.places = torch.tensor(places, dtype=torch.float32) / 4
        self.rows = torch.tensor([GROUPS[one] % (GROUP_COUNT // 2) for one in channels])

    def forward(self, logs: Tensor, kinds: Tensor) -> Tensor:
        """The terms that are added to class sums, in knots: (n, channels)."""
        biases = self.places @ self.inputs[-2:] + self.groups[self.rows] + self.kinds[kinds][:, None]
        return torch.relu(logs @ self.inputs[:-2] / SCALE + biases) @ self.outputs

    @torch.no_grad()
    def limit(self) -> None:
        for weights, largest in ((self.inputs, LARGEST_COUNT_WEIGHT), (self.outputs, LARGEST_OUTPUT_WEIGHT)):
            weights.clamp_(-largest / SCALE, largest / SCALE)


class Model(nn.Module):
    """Both networks, and the usual values, which each file may offset for each kind of frame."""

    def __init__(self, entropy: LatentEntropy, file_count: int) -> None:
        super().__init__()
        self.entropy = entropy
        self.luma, self.chroma = Network(0), Network(1)
        self.offsets = nn.Parameter(torch.zeros(file_count, 3))

    @property
    def networks(self) -> tuple[Network, Network]:
        return self.luma, self.chroma

    def bits(self, blocks: Blocks, part: int, picked: Tensor) -> Tensor:
        """Bits of the latents of the `picked` blocks, as a share of all bits of the files."""
        entropy, channels = self.entropy, part_channels(part)
        logs, levels = blocks.logs[picked].float(), blocks.levels[picked]
        kinds = levels.clamp(max=2)
        biases = entropy.bias[kinds][:, channels] + entropy.level[levels][:, None]
        weights = entropy.weight[entropy.groups[channels]]
        linear = [
            logs[..., NetworkCount[feature.name]] / 16 * weights[:, feature]
            for feature in LatentFeature
            if NetworkCount[feature.name] < COUNTS[part]
        ]
        offsets = self.offsets[blocks.files[picked], kinds][:, None]
        sums = biases + offsets + sum(linear) + self.networks[part](logs, kinds)
        places = (QUARTERS * (sums + ZERO_KNOT) - 0.5).clamp(0, LAST_CLASS)
        bits = shapes_of(entropy.knots).between(blocks.magnitudes[picked].float(), places)
        return (bits.sum(1) * blocks.shares[picked]).sum()


@dataclass(frozen=True)
class Latents:
    """The latents of the first segment of a file."""

    symbols: Tensor
    """(T, 96, h, w), int16."""
    references: Tensor
    """Their `reference_magnitudes`."""
    levels: Tensor
    """(T,)."""
    bits: int
    """Bits of the file's latents."""


def load(path: str) -> tuple[Latents, int]:
    """The latents of a file, and the number of its levels."""
    stream = bitstream.load(Path(path).read_bytes())
    opened = open_segment(stream.segments[0], stream.header)
    sections = opened.segment.sections
    decoded = decode_contextual(opened.config, opened.video, opened.specs, sections)
    tree, symbols = opened.config.tree(opened.video), torch.from_numpy(decoded.symbols.latent.copy())
    references = reference_magnitudes(symbols, torch.from_numpy(tree.references))
    bits = 8 * len(sections[-1].payload)
    return Latents(symbols, references, torch.from_numpy(tree.levels), bits), tree.level_count


def blocks_of(
    entropy: LatentEntropy, files: Sequence[Latents], part: int, generator: torch.Generator
) -> Blocks:
    """A sample of the flagged blocks of all files."""
    found: list[tuple[Tensor, ...]] = []
    for number, file in enumerate(files):
        cells = flags_of(file.symbols, part).nonzero(as_tuple=True)
        kept = torch.randperm(len(cells[0]), generator=generator)[: BLOCKS[part]]
        frames, rows, columns = picked = tuple(axis[kept] for axis in cells)
        known = entropy.logarithms(file.symbols, file.references, part, picked)
        by_count = NetworkTerms().logarithms(known, file.symbols, file.references, part, picked)
        logs = by_count.permute(1, 2, 0).to(torch.uint8)
        magnitudes = file.symbols[:, part_channels(part)][frames, :, rows, columns].abs()
        shares = torch.full((len(kept),), len(cells[0]) / max(1, len(kept)) / file.bits)
        found.append((logs, magnitudes, file.levels[frames], torch.full((len(kept),), number), shares))
    return Blocks(*(torch.cat(values) for values in zip(*found, strict=True)))


def fit(entropy: LatentEntropy, files: Sequence[Latents]) -> Model:
    """Fit networks and usual values to all files; those of `entropy` are where they start."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    parts = [blocks_of(entropy, files, part, generator) for part in range(len(PARTS))]
    model = Model(entropy, len(files))
    groups = [
        {"params": [value], "base": RATES.get(name.rsplit(".", 1)[-1].removeprefix("flag_"), 0.02)}
        for name, value in model.named_parameters()
    ]
    descent = torch.optim.Adam(groups, lr=0.02)
    for number in range(STEPS):
        for group in descent.param_groups:
            group["lr"] = group["base"] * (0.5 + 0.5 * math.cos(math.pi * number / STEPS))
        descent.zero_grad()
        loss = 1e-4 * model.offsets.square().sum()
        for part, blocks in enumerate(parts):
            picked = torch.randint(len(blocks.levels), (BATCH[part],), generator=generator)
            scale = len(blocks.levels) / BATCH[part] / len(files)
            loss = loss + scale * model.bits(blocks, part, picked)
        loss = loss + _flag_bits(entropy, files[number % len(files)])
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
        for network in model.networks:
            network.limit()
        if number % 50 == 0:
            print(number, f"{float(loss.detach()):.4f}", file=sys.stderr, flush=True)
    return model


def _flag_bits(entropy: LatentEntropy, file: Latents) -> Tensor:
    """Bits of the flags of a file, as a share of its bits."""
    total = torch.zeros(())
    for part, bits in enumerate(entropy.flag_bits(file.symbols, file.references, file.levels)):
        total = total + torch.where(flags_of(file.symbols, part), bits[..., 1], bits[..., 0]).sum()
    return total / file.bits


def weights_module(model: Model) -> str:
    """The module `latent_network_weights`."""
    parts = []
    for network in model.networks:
        integers: dict[str, tuple[Tensor, int]] = {
            "inputs": (network.inputs, SCALE),
            "groups": (network.groups, SCALE**2),
            "kinds": (network.kinds, SCALE**2),
            "outputs": (network.outputs[None], SCALE),
        }
        rows = [
            _rows(name, (values * scale).round().long().tolist())
            for name, (values, scale) in integers.items()
        ]
        parts.append("    {\n" + "".join(rows) + "    },\n")
    return HEADER.format("The weights of the networks of luma and of chroma", "latent_network") + (
        "WEIGHTS: tuple[dict[str, tuple[tuple[int, ...], ...]], ...] = (\n" + "".join(parts) + ")\n"
    )


def prior_module(model: Model) -> str:
    """The module `latent_prior`."""
    usual = [
        f"    {name!r}: (\n".replace("'", '"') + _lines(values) for name, values in _usual(model).items()
    ]
    return HEADER.format("Usual values of the entropy models of latents and flags", "context_prior") + (
        "LATENT_TABLE: dict[str, tuple[int, ...]] = {\n" + "".join(usual) + "}\n"
    )


def _usual(model: Model) -> dict[str, NDArray[np.int64]]:
    """The usual values, with the mean of the files' offsets added to their biases."""
    with torch.no_grad():
        model.entropy.bias.add_(model.offsets.mean(0)[:, None])
        model.offsets.zero_()
    return parameters(model.entropy)


def _lines(values: NDArray[np.int64]) -> str:
    lines = []
    for row in values.reshape(len(values), -1).tolist():
        for first in range(0, len(row), VALUES_A_LINE):
            lines.append("        " + " ".join(f"{value}," for value in row[first : first + VALUES_A_LINE]))
    return "\n".join(lines) + "\n    ),\n"


def _rows(name: str, rows: Iterable[Sequence[int]]) -> str:
    lines = [f'        "{name}": (\n']
    for row in rows:
        line = " " * 12 + "("
        for word in [f"{value}," for value in row[:-1]] + [f"{row[-1]}),"]:
            if len(line) + len(word) > LINE:
                lines.append(line.rstrip() + "\n")
                line = " " * 13
            line += word + " "
        lines.append(line.rstrip() + "\n")
    return "".join(lines) + "        ),\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+")
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    loaded = [load(path) for path in arguments.files]
    deepest = max(loaded, key=lambda one: one[1])[0]
    entropy = LatentEntropy(hierarchy(len(deepest.levels), GROUP_FRAMES), NEWEST_VERSION)
    model = fit(entropy, [latents for latents, _ in loaded])
    (arguments.folder / "latent_network_weights.py").write_text(weights_module(model))
    (arguments.folder / "latent_prior.py").write_text(prior_module(model))


if __name__ == "__main__":
    main()

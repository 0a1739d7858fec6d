"""Chooses the latents of every frame in coding order, with the decoder in the loop.

The transform is orthogonal, or nearly so, so that an error of a latent is the same error in the frame. The
best latent, given all others, is therefore the integer with the least squared error plus price times bits, by
the entropy model (rate-distortion optimised quantisation). Blocks that other frames are predicted from have
finer steps and thus count for more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from inrcodec.coding.grid_sections import GridSymbols
from inrcodec.fit.grids.coded import Coded
from inrcodec.fit.grids.entropy import optimizer, rounded, shapes_of
from inrcodec.fit.grids.first_frames import choose_first, round_first
from inrcodec.fit.grids.latent_entropy import LatentEntropy, reference_magnitudes
from inrcodec.fit.grids.rated_blocks import RatedBlocks
from inrcodec.fit.grids.size_choice import SizeChoice, selected, summed
from inrcodec.fit.grids.source_planes import SegmentPlanes
from inrcodec.fit.grids.temporal_filter import TemporalFilter
from inrcodec.models.inrc.block_sizes import SIZES, in_blocks
from inrcodec.models.inrc.dc_prediction import restored
from inrcodec.models.inrc.frequencies import CHANNELS
from inrcodec.models.inrc.lapped import BLOCK, add_synthesis, analyse
from inrcodec.models.inrc.latent_contexts import part_channels
from inrcodec.models.inrc.planes import Planes, no_planes
from inrcodec.models.inrc.prediction import predict_batch
from inrcodec.models.inrc.quads import to_colours, to_quads
from inrcodec.models.layers.codes import fractions

FIRST_ROUNDING = 0.33
"""Offset of the deadzone rounding in the first pass, when there are no contexts yet."""
LARGEST_LATENT = 16_000
LEAST_SHARE = 0.02
"""Added to the share of each size of groups, so that a size that no group had is still tried."""
SAMPLED_BLOCKS = 8 * 800
"""Approximate blocks in the sample for one step of fitting the entropy model."""
ROUNDS_A_SAMPLE = 4
"""Rounds of fitting the entropy model to one sample of frames."""


class LatentFit:
    """The latents of a segment and their entropy model."""

    def __init__(self, segment: SegmentPlanes, is_filtered: bool = True) -> None:
        self._segment, self._filter = segment, TemporalFilter(segment)
        self.entropy = LatentEntropy(segment.tree, segment.config.version).to(segment.device)
        self._optimizer = optimizer(self.entropy)
        self._generator = torch.Generator().manual_seed(0)
        self._coded: Coded | None = None
        self.is_filtered = is_filtered
        """Whether latents of anchors are chosen for the filtered source, which takes a motion search more."""
        self._tried = range(SIZES)
        self._bits_of_sizes: dict[int, Tensor] = {}
        """`_size_bits` by kind of frame, of one pass."""
        self._rated_blocks = RatedBlocks()
        self.frames: dict[int, Planes] = {}
        """Decoded planes of each frame after the last `code`, in half precision."""

    @property
    def coded(self) -> Coded:
        """The result of the last `code` or `start`. Raises `RuntimeError` if there was none."""
        if self._coded is None:
            raise RuntimeError("no latents yet: call code or start first")
        return self._coded

    def start(self, symbols: GridSymbols) -> None:
        """Start from the latents of `symbols`, whose error is not known."""
        latents, sizes = (
            torch.from_numpy(array).to(self._segment.device) for array in (symbols.latent, symbols.sizes)
        )
        self._coded = Coded(latents, sizes, torch.ones(len(latents), device=latents.device))

    def start_like(self, other: LatentFit) -> None:
        """Start from the latents and the entropy model of another hierarchy of the same frames."""
        self.entropy.start_like(other.entropy)
        self._coded = other.coded

    @torch.no_grad()
    def code(self, field: Tensor, steps: Tensor, price: float, tried: int = SIZES) -> Coded:
        """Choose the latents of all frames again.

        `field` (T, 5, rows, columns) is in pixels, `steps` are (T, 1, h, w). `price` is the squared error per
        bit, in squared steps of each block; finer steps thus weight errors that propagate to other frames.
        Groups may have the first `tried` sizes.
        """
        self._tried = range(tried)
        coded = self._code(field, steps, price)
        if not self._rated_blocks.end_pass():
            # Its lists have twice the room that this choice needed; a block that is left out has no latents.
            coded = self._code(field, steps, price)
            self._rated_blocks.end_pass()
        self._coded = coded
        return coded

    def _code(self, field: Tensor, steps: Tensor, price: float) -> Coded:
        """`code` with the sizes that are tried now."""
        segment, tree = self._segment, self._segment.tree
        is_smooth = segment.config.is_smooth
        size = (segment.frame_count, CHANNELS, segment.height // BLOCK, segment.width // BLOCK)
        latents = torch.zeros(size, dtype=torch.int16, device=segment.device)
        sizes = torch.zeros(size[0], size[2] // 2, size[3] // 2, dtype=torch.uint8, device=segment.device)
        error = torch.zeros(segment.frame_count, device=segment.device)
        references = set(tree.references.ravel().tolist())
        self._bits_of_sizes.clear()
        if self.is_filtered:
            self._filter.begin(steps)
        # Freed before new frames are made: they take as much memory as the source.
        self.frames.clear()
        frames: dict[int, Planes] = {}
        for whole in tree.order:
            for batch in segment.chunks(whole):
                rows = segment.rows(batch)
                source = self._filter.planes(batch) if self.is_filtered else segment.planes(batch)
                if tree.levels[batch[0]] > 0:
                    predicted = predict_batch(frames, batch, tree, field[rows], segment.config.is_overlapped)
                else:
                    predicted = no_planes(len(batch), segment.height, segment.width, segment.device)
                wanted = analyse(source - predicted, is_smooth) / steps[rows]
                told = reference_magnitudes(latents, segment.references[rows])
                chosen, sizes[rows] = self._choose(batch, wanted, steps[rows], told, price)
                latents[rows] = chosen.to(torch.int16)
                is_dc_predicted = self._is_dc_predicted(batch)
                added = in_blocks(chosen, sizes[rows], is_dc_predicted)
                added = restored(added, steps[rows]) if is_dc_predicted else added
                add_synthesis(predicted, added, steps[rows], is_smooth)
                error[rows] = self._error(batch, predicted)
                for frame, planes in zip(batch, predicted.frames(), strict=True):
                    # Copies, because a view would keep the whole batch in memory.
                    frames[frame] = planes.map(Tensor.clone if frame in references else Tensor.half)
        self.frames = {frame: planes.map(Tensor.half) for frame, planes in frames.items()}
        return Coded(latents, sizes, error)

    def _is_dc_predicted(self, batch: list[int]) -> bool:
        return self._segment.config.is_dc_predicted and bool(self._segment.tree.levels[batch[0]] == 0)

    def _choose(
        self, batch: list[int], wanted: Tensor, steps: Tensor, references: Tensor, price: float
    ) -> tuple[Tensor, Tensor]:
        """Integers (B, 96, h, w) and sizes of groups for coefficients `wanted` in `steps` (B, 1, h, w).

        `references` are the frames' `reference_magnitudes`.
        """
        limited = wanted.clamp(-LARGEST_LATENT, LARGEST_LATENT)
        is_dc_predicted = self._is_dc_predicted(batch)
        if self._coded is None:
            whole = torch.zeros_like(wanted[:, 0, ::2, ::2], dtype=torch.uint8)
            if is_dc_predicted:
                return round_first(limited, steps, FIRST_ROUNDING), whole
            return rounded(limited, FIRST_ROUNDING), whole
        rows = self._segment.rows(batch)
        levels, before, sizes = self._segment.levels[rows], self.coded.latents[rows], self.coded.sizes[rows]
        if self._segment.config.version == 0:
            return self._rated(batch[0], limited, before, references, levels, price)[0], sizes
        choice = SizeChoice(limited, before, sizes, is_dc_predicted, self._tried)
        found = self._rated_each(batch[0], [*map(choice.option, self._tried)], references, levels, price)
        gains = torch.stack([summed(gain) for _, gain in found])
        sizes = (gains - price * self._size_bits(batch)[: len(self._tried)]).argmax(0).to(torch.uint8)
        if is_dc_predicted:
            wanted, before = choice.chosen(sizes)
            return choose_first(self.entropy, wanted, steps, before, references, levels, price), sizes
        return selected([chosen for chosen, _ in found], sizes), sizes

    def _size_bits(self, batch: list[int]) -> Tensor:
        """Bits of each size in a group with latents, (sizes, 1, 1, 1), as often as in the last pass."""
        kinds = np.minimum(self._segment.tree.levels, 2)
        kind = int(kinds[batch[0]])
        if kind not in self._bits_of_sizes:
            self._bits_of_sizes[kind] = self._size_bits_of((kinds == kind).nonzero()[0].tolist())
        return self._bits_of_sizes[kind]

    def _size_bits_of(self, frames: list[int]) -> Tensor:
        """`_size_bits` from how often these frames have each size."""
        like = self._segment.rows(frames)
        has_latents = summed(self.coded.latents[like].ne(0).any(1)) > 0
        sizes = self.coded.sizes[like]
        counts = torch.stack([((sizes == size) & has_latents).sum() for size in range(SIZES)])
        smoothed = counts + LEAST_SHARE * counts.sum() + 1
        return -(smoothed / smoothed.sum()).log2().view(-1, 1, 1, 1)

    def _rated_each(
        self,
        batch: int,
        options: list[tuple[Tensor, Tensor]],
        references: Tensor,
        levels: Tensor,
        price: float,
    ) -> list[tuple[Tensor, Tensor]]:
        """`_rated` for each of the options, `wanted` and `before`; on a GPU for all of them at once.

        A CPU has nothing to gain: its caches hold one of them better.
        """
        if references.is_cpu:
            return [self._rated(batch, *option, references, levels, price) for option in options]
        count = len(options)
        wanted, before = (torch.cat(each) for each in zip(*options, strict=True))
        repeated = references.repeat(count, 1, 1, 1), levels.repeat(count)
        chosen, saved = self._rated(batch, wanted, before, *repeated, price)
        return [*zip(chosen.chunk(count), saved.chunk(count), strict=True)]

    def _rated(
        self,
        batch: int,
        wanted: Tensor,
        before: Tensor,
        references: Tensor,
        levels: Tensor,
        price: float,
    ) -> tuple[Tensor, Tensor]:
        """The best integers (B, 96, h, w) for `wanted`, and the cost that they save in each block (B, h, w).

        Contexts are those of the latents `before`, of the previous pass. `batch` is the first frame's number.
        """
        shapes = shapes_of(self.entropy.knots)
        chosen, saved = torch.zeros_like(wanted), torch.zeros_like(wanted[:, 0])
        for part, flag_bits in enumerate(self.entropy.flag_bits(before, references, levels)):
            channels = part_channels(part)
            cells = self._rated_blocks.of(batch, part, wanted[:, channels])
            ideal = wanted[:, channels][cells[0], :, cells[1], cells[2]]
            flags = price * (flag_bits[..., 1] - flag_bits[..., 0])[cells]
            if wanted.is_cpu:
                # Others save nothing whatever their contexts, which take most of the time.
                some = shapes.may_save(ideal, price, flags).nonzero()[:, 0]
                cells, ideal, flags = tuple(axis[some] for axis in cells), ideal[some], flags[some]
            classes = self.entropy.places(before, references, levels, part, cells).long()
            best, cost = shapes.best(ideal.abs(), classes, price)
            gain = ideal.square().sum(1) - cost.sum(1) - flags
            chosen[:, channels][cells[0], :, cells[1], cells[2]] = best * ideal.sign() * (gain > 0)[:, None]
            saved[cells] += gain.clamp(min=0)
        return chosen, saved

    def _error(self, batch: list[int], planes: Planes) -> Tensor:
        """`Coded.squared_error` of the frames of a batch, (B,)."""
        video = self._segment.video
        colours = to_colours(to_quads(planes), self._segment.config.is_smooth)
        shown = colours[:, : video.height, : video.width].clamp_(0, 1)
        source = fractions(self._segment.clip[self._segment.rows(batch)])
        return (shown - source).square().mean((1, 2, 3))

    def fit_entropy(self, rounds: int, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Fit the entropy model to the current latents, on samples of frames, while `goes_on`."""
        for number in range(rounds):
            if not goes_on():
                break
            if number % ROUNDS_A_SAMPLE == 0:
                sampled_bits = self._sampled_bits()
            self._optimizer.zero_grad()
            (sampled_bits() + self.entropy.description_bits()).backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()

    def add_gradients(self, scale: float) -> float:
        """Add the gradients of `scale` times the bits, estimated on a sample; returns that estimate."""
        bits = scale * self._sampled_bits()()
        bits.backward()  # type: ignore[no-untyped-call]
        return float(bits.detach())

    def _sampled_bits(self) -> Callable[[], Tensor]:
        """A function that estimates all bits, differentiable by the parameters, on a new sample of frames."""
        # One batch of all kinds takes a third of the operations that one for each would.
        samples = self._samples()
        weights = [weight for frames, weight in samples for _ in frames]
        frames = [frame for frames, _ in samples for frame in frames]
        return self._bits(frames, torch.tensor(weights, device=self._segment.device))

    def _samples(self) -> list[tuple[list[int], float]]:
        """Sampled frames of each kind (first, anchor, between), with the frames that each one stands for."""
        levels = self._segment.tree.levels
        blocks = self._segment.height * self._segment.width // 64
        kinds = [(levels == 0, 2), (levels == 1, 2), (levels > 1, 5)]
        samples = []
        for kind, most in kinds:
            frames = kind.nonzero()[0]
            if not len(frames):
                continue
            count = min(len(frames), max(1, round(most * SAMPLED_BLOCKS / 8 / blocks)), most)
            picked = torch.randperm(len(frames), generator=self._generator)[:count]
            samples.append(([int(frames[place]) for place in picked], len(frames) / count))
        return samples

    def _bits(self, frames: list[int], weights: Tensor | None = None) -> Callable[[], Tensor]:
        """A function that computes the bits of these frames; see `LatentEntropy.prepared_bits`."""
        rows = self._segment.rows(frames)
        references = reference_magnitudes(self.coded.latents, self._segment.references[rows])
        levels = self._segment.levels[rows]
        latents, counts = self.coded.latents[rows], self.coded.flag_counts(frames)
        return self.entropy.prepared_bits(latents, references, levels, weights, counts)

    @torch.no_grad()
    def estimated_bits(self) -> float:
        """Bits of all latents and flags, by the entropy model."""
        chunks = self._segment.chunks(range(self._segment.frame_count))
        return sum(float(self._bits(chunk)()) for chunk in chunks)

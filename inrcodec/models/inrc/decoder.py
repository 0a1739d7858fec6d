"""The decoder of the `inrc` family: frames from motion, latents and the refining network."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inrcodec.models.graphs import FrameGraphs, Stored
from inrcodec.models.inrc.block_sizes import in_blocks
from inrcodec.models.inrc.dc_prediction import restored
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.interpolation import between, motion_from
from inrcodec.models.inrc.lapped import BLOCK, add_synthesis
from inrcodec.models.inrc.planes import Planes, no_planes
from inrcodec.models.inrc.prediction import field_of, predict_batch, step_sizes
from inrcodec.models.inrc.quads import refine, to_codes, to_colours, to_quads
from inrcodec.models.inrc.shapes import InrcConfig, split_grids
from inrcodec.models.layers.codes import CODES
from inrcodec.system.threads import P, T, Threads, done

AHEAD = 4
"""Frames that are decoded ahead for a caller that takes them in order."""


class Reconstruction:
    """A `FrameDecoder` that caches the anchors it has decoded, and the frames that the last request needed.

    A frame is decoded once its references are; frames that do not depend on each other are decoded in
    parallel.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        config: InrcConfig,
        tree: Hierarchy,
        display: tuple[int, int],
    ) -> None:
        """Prepare to decode the segment with these `tensors` (`coding.grid_sections.segment_tensors`).

        `display` is (height, width).
        """
        self._config, self._tree, self._display = config, tree, display
        self._latents, self._sizes = tensors["latent"], tensors.get("size")
        self._motion = tensors["motion"]
        self._motion_step = tensors.get("motion.step")
        network = {name: value for name, value in tensors.items() if name.startswith("refine.")}
        # A network that was not worth its bits is all zeros and changes nothing.
        self._weights = network if any(value.any() for value in network.values()) else {}
        self._field = self._field_of(tensors["motion"])
        self._steps = tensors["latent.step"] * step_sizes(self._field, tree, *config.fineness)
        self._frames: dict[int, Future[Planes]] = {}
        self._codes: dict[int, Future[Tensor]] = {}
        self._next = -1
        """The frame after those last requested."""
        self._threads = Threads(self._latents.device)

    def __call__(self, positions: Tensor) -> Tensor:
        """See `FrameDecoder`. A position between two frames gives a frame predicted from both.

        Between two shots it gives the last frame of the first.
        """
        ends = [(math.floor(at), self._end(at), at - math.floor(at)) for at in positions.tolist()]
        with self._forgetting_failures():
            planes = self._begin({frame for pair in ends for frame in pair[:2]})
            return torch.stack(
                [
                    self._colours(self._at(planes[a].result(), planes[b].result(), a, b, part))
                    for a, b, part in ends
                ]
            )

    def _at(self, before: Planes, after: Planes, first: int, last: int, part: float) -> Planes:
        """The planes at `part` of the way from frame `first` to `last`, which is the next or the same."""
        if first == last:
            return before
        with torch.autocast(self._latents.device.type, enabled=False):
            return between(before, after, motion_from(first, self._tree, self._field), part)

    def _end(self, position: float) -> int:
        """The frame at `position` or, in the same shot, after it."""
        before, after = math.floor(position), math.ceil(position)
        return before if after in self._tree.starts else after

    def _field_of(self, motion: Tensor) -> Tensor:
        rows, columns = self._latents.shape[2] // 2, self._latents.shape[3] // 2
        return field_of(split_grids(motion, rows, columns))

    def graphs(self) -> FrameGraphs:
        """See `GraphDecoder`."""
        from inrcodec.models.inrc.decoder_graphs import FixedReconstruction, frame_graphs

        motion = Stored(self._field)
        if self._motion_step is not None:
            # Integers take less space.
            symbols = (self._motion / self._motion_step).round().to(torch.int32)
            motion = Stored(self._field_of(symbols), float(self._motion_step))
        fixed = FixedReconstruction(self._weights, self._display, self._config)
        return frame_graphs(fixed, self._tree, motion, self._latents, self._steps, self._sizes)

    def codes(self, frames: Sequence[int], largest: int = CODES) -> Tensor:
        """See `CodesDecoder`."""
        # A caller that takes frames in order will want the following ones, too.
        last, is_in_row = max(frames), min(frames) == self._next and self._threads.are_many
        ahead = range(last + 1, min(last + 1 + (AHEAD if is_in_row else 0), len(self._latents)))
        self._next = last + 1
        with self._forgetting_failures():
            planes = self._begin({*frames, *ahead})
            for frame, one in planes.items():
                if frame not in self._codes:
                    self._codes[frame] = self._submit(len(planes), (one,), self._codes_of, one, largest)
            return torch.stack([self._codes[frame].result() for frame in frames])

    @contextmanager
    def _forgetting_failures(self) -> Iterator[None]:
        """After a failure, discard all work in progress, so that the next request starts afresh."""
        try:
            yield
        except BaseException:
            self._forget()
            raise

    def _forget(self) -> None:
        """Separate function: the traceback would otherwise keep the frames it passed alive."""
        begun: list[Future[Any]] = [*self._frames.values(), *self._codes.values()]
        self._frames.clear()
        self._codes.clear()
        # Dependants are cancelled before what they wait for.
        for one in reversed(begun):
            one.cancel()

    def _begin(self, frames: set[int]) -> dict[int, Future[Planes]]:
        """Start decoding the planes of these frames and their references; drop what is no longer needed."""
        needed = self._tree.needed(frames)
        for frame in self._codes.keys() - frames:
            self._codes.pop(frame).cancel()
        for frame in reversed([one for one in self._frames if self._is_between(one) and one not in needed]):
            self._frames.pop(frame).cancel()
        # References come first in coding order.
        for frame in (one for batch in self._tree.order for one in batch):
            if frame in needed and frame not in self._frames:
                references = {
                    one: self._frames[one] for one in self._tree.references[frame].tolist() if one >= 0
                }
                self._frames[frame] = self._submit(
                    len(frames), references.values(), self._planes, frame, references
                )
        return {frame: self._frames[frame] for frame in sorted(frames)}

    def _is_between(self, frame: int) -> bool:
        """Whether the frame is not an anchor."""
        return bool(self._tree.levels[frame] > 1)

    def _submit(
        self,
        count: int,
        earlier: Collection[Future[Planes]],
        work: Callable[P, T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> Future[T]:
        """Run `work` after `earlier`. A single frame runs in the caller's thread, which has all cores."""
        if count == 1:
            return done(work(*arguments, **named))
        return self._threads.submit_after(earlier, work, *arguments, **named)

    def _planes(self, frame: int, references: Mapping[int, Future[Planes]]) -> Planes:
        """Decode the planes of a frame, once its references are there."""
        at = slice(frame, frame + 1)
        frames = {reference: future.result() for reference, future in references.items()}
        with torch.autocast(self._latents.device.type, enabled=False):
            latents = self._latents[at]
            if self._sizes is not None:
                latents = in_blocks(latents, self._sizes[at], keeps_dc=not frames)
            if frames:
                field, is_overlapped = self._field[at], self._config.is_overlapped
                planes = predict_batch(frames, (frame,), self._tree, field, is_overlapped)
            else:
                rows, columns = self._latents.shape[2:]
                planes = no_planes(1, BLOCK * rows, BLOCK * columns, self._latents.device)
                if self._config.is_dc_predicted:
                    latents = restored(latents, self._steps[at])
            add_synthesis(planes, latents, self._steps[at], self._config.is_smooth)
        return planes.frames()[0]

    def _colours(self, planes: Planes) -> Tensor:
        """The frame as RGB (3, height, width) in [0, 1]."""
        return self._shown(planes, to_colours).permute(2, 0, 1).clamp_(0, 1)

    def _codes_of(self, planes: Future[Planes], largest: int) -> Tensor:
        """The frame as RGB (height, width, 3) in samples up to `largest`."""
        return self._shown(planes.result(), partial(to_codes, largest=largest)).contiguous()

    def _shown(self, planes: Planes, convert: Callable[[Tensor, bool], Tensor]) -> Tensor:
        """The refined frame, converted by `convert` and cropped for display: (height, width, 3)."""
        height, width = self._display
        refined = refine(to_quads(planes.map(lambda plane: plane[None])), self._weights)
        with torch.autocast(self._latents.device.type, enabled=False):
            return convert(refined, self._config.is_smooth)[0, :height, :width]

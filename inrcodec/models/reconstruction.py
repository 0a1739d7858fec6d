"""The decoder of the `inrc` family: motion, latents and the refining network to frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.hierarchy import Hierarchy
from inrcodec.models.lapped import synthesise, to_colours
from inrcodec.models.prediction import field_of, predict_batch, split_grids, spread, step_sizes

SHUFFLE = 2
"""The refining network sees 2 x 2 pixels as channels of one."""
INPUT_GAIN, OUTPUT_GAIN = 4.0, 0.1
"""Scales of what it sees and says, so that weights of ordinary size suit both."""


def refine(planes: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    """Planes (B, 3, h, w) with what two convolutions predict of their error added.

    `weights` are empty, or `refine.first.weight` (width, 12, 3, 3), `refine.last.weight` (12, width, 3, 3)
    and both biases.
    """
    if not weights:
        return planes
    seen = F.pixel_unshuffle(planes * INPUT_GAIN, SHUFFLE).contiguous(memory_format=torch.channels_last)
    hidden = F.conv2d(seen, weights["refine.first.weight"], weights["refine.first.bias"], padding=1)
    error = F.conv2d(F.gelu(hidden), weights["refine.last.weight"], weights["refine.last.bias"], padding=1)
    return planes + F.pixel_shuffle(error.float(), SHUFFLE) * OUTPUT_GAIN


def reconstruct(
    latents: Tensor,
    steps: Tensor,
    field: Tensor,
    tree: Hierarchy,
    frames: MutableMapping[int, Tensor],
    wanted: set[int],
) -> Iterator[tuple[int, ...]]:
    """Adds planes (3, h, w) of the `wanted` frames to `frames`, which holds all else that they need.

    `latents` (T, 96, h/8, w/8) in units of `steps` (T, 1, h/8, w/8). Yields each batch when it is there.
    """
    height, width = 8 * latents.shape[2], 8 * latents.shape[3]
    device = latents.device.type
    for whole in tree.order:
        batch = tuple(frame for frame in whole if frame in wanted)
        if not batch:
            continue
        at = list(batch)
        with torch.autocast(device, enabled=False):
            planes = synthesise(latents[at].float() * steps[at])
            if tree.levels[batch[0]] > 0:
                planes = planes + predict_batch(frames, batch, tree, spread(field[at], height, width))
        frames.update(zip(batch, planes, strict=True))
        yield batch


class Reconstruction:
    """A `FrameDecoder`: keeps the anchors it has made, and the frames of the groups last asked for."""

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        tree: Hierarchy,
        display: tuple[int, int],
        fineness: tuple[float, float],
    ) -> None:
        """`display` is (height, width); `fineness` are `exponent` and `most` of `step_sizes`."""
        self._tree, self._display = tree, display
        self._latents = tensors["latent"]
        self._weights = {name: value for name, value in tensors.items() if name.startswith("refine.")}
        rows, columns = self._latents.shape[2] // 2, self._latents.shape[3] // 2
        self._field = field_of(split_grids(tensors["motion"], rows, columns))
        self._steps = tensors["latent.step"] * step_sizes(self._field, tree, *fineness)
        self._frames: dict[int, Tensor] = {}

    def __call__(self, positions: Tensor) -> Tensor:
        """See `FrameDecoder`; between two frames there is their mean, weighted by the distance."""
        lower = positions.floor().long().tolist() if positions.is_floating_point() else positions.tolist()
        parts = (
            (positions - positions.floor()).tolist() if positions.is_floating_point() else [0.0] * len(lower)
        )
        ends = [(frame, frame + 1 if part else frame) for frame, part in zip(lower, parts, strict=True)]
        self._make({frame for pair in ends for frame in pair})
        shown = {frame: self._shown(frame) for frame in {frame for pair in ends for frame in pair}}
        return torch.stack(
            [torch.lerp(shown[a], shown[b], part) for (a, b), part in zip(ends, parts, strict=True)]
        )

    def _make(self, wanted: set[int]) -> None:
        needed = self._tree.needed(wanted)
        for frame in [one for one in self._frames if self._tree.levels[one] > 1 and one not in needed]:
            del self._frames[frame]
        missing = needed - self._frames.keys()
        for _ in reconstruct(self._latents, self._steps, self._field, self._tree, self._frames, missing):
            pass

    def _shown(self, frame: int) -> Tensor:
        """RGB (3, height, width) in [0, 1] of a frame that has been made."""
        height, width = self._display
        refined = refine(self._frames[frame][None], self._weights)
        with torch.autocast(refined.device.type, enabled=False):
            shown = to_colours(refined.float())
        return shown[0, :, :height, :width].clamp(0, 1)

"""The decoder of the `inrc` family as graphs of fixed shapes, for export to other programs.

    first      latents, their DC if it is predicted -> planes
    forward    motion, latents, planes of the frame before -> planes
    between    motion, latents, planes of the frames before and after -> planes
    shown      planes -> refined -> frame

`decoder` does the same in less time, because it skips blocks without latents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inrcodec.models.graphs import FrameGraphs, Graph, Stored
from inrcodec.models.inrc.block_sizes import in_blocks_fixed
from inrcodec.models.inrc.dc_prediction import restored
from inrcodec.models.inrc.frequencies import FIRST_CHANNELS, KERNEL_SIDES
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.lapped import synthesised
from inrcodec.models.inrc.planes import Planes
from inrcodec.models.inrc.prediction import predict_planes
from inrcodec.models.inrc.quads import as_images, refine
from inrcodec.models.inrc.shapes import InrcConfig

STATES = ("luma", "chroma")
Made = Callable[..., tuple[Tensor, ...]]


class FixedReconstruction:
    """Decodes frames one at a time, each from the arguments alone; the functions of a `FrameGraphs`."""

    def __init__(self, weights: Mapping[str, Tensor], display: tuple[int, int], config: InrcConfig) -> None:
        """`weights` are the refining network's; `display` is (height, width)."""
        self._weights, self._display, self.config = weights, display, config

    def first(self, latent: Tensor, step: Tensor) -> tuple[Tensor, ...]:
        """Luma (1, 1, h, w) and chroma (1, 2, h / 2, w / 2) of a frame without references."""
        made = synthesised(latent, step, self.config.is_smooth)
        return made.luma, made.chroma

    def first_sized(self, latent: Tensor, step: Tensor, size: Tensor, dc: Tensor) -> tuple[Tensor, ...]:
        """`first` of groups of sizes (1, h / 2, w / 2); `dc` (1, 3, h, w) replaces the DC of `latent`."""
        return self.first(in_blocks_fixed(with_dc(latent, dc), size, keeps_dc=True), step)

    def predicted(
        self, motion: Tensor, latent: Tensor, step: Tensor, *references: Tensor
    ) -> tuple[Tensor, ...]:
        """Luma and chroma of a frame with one or two `references`, each given by its luma and chroma."""
        before = Planes(*references[:2])
        after = Planes(*references[2:]) if len(references) > 2 else None
        difference = synthesised(latent, step, self.config.is_smooth)
        predicted = predict_planes(before, after, motion, self.config.is_overlapped)
        return predicted.luma + difference.luma, predicted.chroma + difference.chroma

    def predicted_sized(
        self, motion: Tensor, latent: Tensor, step: Tensor, size: Tensor, *references: Tensor
    ) -> tuple[Tensor, ...]:
        """`predicted` of groups of sizes (1, h / 2, w / 2)."""
        whole = in_blocks_fixed(latent, size, keeps_dc=False)
        return self.predicted(motion, whole, step, *references)

    def shown(self, luma: Tensor, chroma: Tensor) -> tuple[Tensor]:
        """The displayed frame, RGB (1, 3, height, width)."""
        height, width = self._display
        quads = torch.cat([F.pixel_unshuffle(luma, 2), chroma], 1)
        return (as_images(refine(quads, self._weights), self.config.is_smooth)[..., :height, :width],)


def with_dc(latents: Tensor, dc: Tensor) -> Tensor:
    """Latents (B, 96, h, w) with the DC channels `dc` (B, 3, h, w)."""
    parts = []
    for component, (first, side) in enumerate(zip(FIRST_CHANNELS, KERNEL_SIDES, strict=True)):
        parts += [dc[:, component : component + 1], latents[:, first + 1 : first + side * side]]
    return torch.cat(parts, 1)


def dc_of_first(latents: Tensor, steps: Tensor, tree: Hierarchy) -> Tensor:
    """The DC in steps, (T, 3, h, w), of frames without references, whose DC is predicted; else zeros."""
    dc = torch.zeros(len(latents), len(FIRST_CHANNELS), *latents.shape[2:], device=latents.device)
    first = torch.from_numpy(tree.levels == 0).to(latents.device)
    dc[first] = restored(latents[first], steps[first])[:, FIRST_CHANNELS]
    return dc


def frame_graphs(
    fixed: FixedReconstruction,
    tree: Hierarchy,
    motion: Stored,
    latents: Tensor,
    steps: Tensor,
    sizes: Tensor | None,
) -> FrameGraphs:
    """The graphs of a segment with the fields `motion` (T, 5, rows, columns).

    `latents` are (T, 96, h, w), `steps` (T, 1, h, w), `sizes` (T, h / 2, w / 2). If there are
    sizes, the DC of frames without references is predicted.
    """
    references = tuple(
        tuple(dict.fromkeys(one for one in pair if one >= 0)) for pair in tree.references.tolist()
    )
    values: tuple[str, ...] = ("motion", "latent", "step")
    kind = "smooth" if fixed.config.is_smooth else "repeated"
    kind += " overlapped" if fixed.config.is_overlapped else ""
    used = latents.ne(0).any(1, keepdim=True)
    stored = {"motion": motion, "latent": Stored(latents)}
    first: Made = fixed.first
    made: Made = fixed.predicted
    firsts = values[1:]
    if sizes is not None:
        dc = dc_of_first(latents, steps, tree)
        stored |= {"size": Stored(sizes), "dc": Stored(dc)}
        kind, values, firsts = f"{kind} sized", (*values, "size"), (*firsts, "size", "dc")
        first, made = fixed.first_sized, fixed.predicted_sized
        used = used | dc.ne(0).any(1, keepdim=True)
        used = F.interpolate(F.max_pool2d(used.float(), 2), scale_factor=2) > 0
    # The steps of blocks without latents are not used: zeros compress better.
    stored["step"] = Stored(steps * used)
    makers = {
        count: Graph(made, values, f"inrc {kind} from {count}") for count in {*map(len, references)} - {0}
    }
    return FrameGraphs(
        stored=stored,
        shown=Graph(fixed.shown, ()),
        states=STATES,
        makers={0: Graph(first, firsts, f"inrc {kind}"), **makers},
        references=references,
    )

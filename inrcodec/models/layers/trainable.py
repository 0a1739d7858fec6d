"""The trainable side of a family as one `nn.Module`: named tensors, and an encoder where one is needed."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from inrcodec.models.family import ParameterGroup
from inrcodec.models.layers.encoder import ConvNeXtEncoder
from inrcodec.models.layers.layout import Grid
from inrcodec.models.source import SourceFrames

STABLE_RATE = 0.22
"""Upper limit of Adam's learning rate times the width. For HNeRV, 8e-3 was best at width 27 but stayed at 15
dB at width 67. For supermasks of width 105, 200 steps gave 2 dB more at 2e-3 than at 4e-3 or 8e-3."""
MANY_STEPS = 600.0
"""Below about this many steps Muon's rate is raised (HNeRV, NeRV); see `fit.training.clock.rate_boost`."""
USUAL_WIDTH = 22
"""Networks narrower than this have their rates raised in longer fits, too. Carphone at 88x72, 20 epochs, dB:

                               usual rate   raised
    HNeRV of width 3           17.2         21.3 (by Adam 18.5)
    HNeRV of width 7           28.9         29.8
    NeRV of the latter size    24.7         25.8

Longer steps for all small matrices gained as much there, but cost HNeRV of width 27 0.3 dB in 8 epochs of
Bunny at quarter size."""
MANY_SPECTRAL_STEPS = 200.0
"""`MANY_STEPS` for SNeRV and SNeRV-T."""


def capped_groups(
    module: Trainable, width: int, many_steps: float = 0.0
) -> tuple[ParameterGroup, ParameterGroup]:
    """All parameters of `module`, a decoder of that width: convolution weights first, then the others.

    Adam's rate is limited to what is stable for the width. Depthwise weights are no matrices, so they are
    among the others. `many_steps` is that of `ParameterGroup` for a network of `USUAL_WIDTH` or wider.
    """
    convolutions = (one for one in module.modules() if isinstance(one, nn.Conv2d) and one.groups == 1)
    matrices = {id(one.weight) for one in convolutions}
    matrices |= {id(value) for name, value in module.tensors().items() if name.endswith(".weight")}
    parameters = tuple(module.parameters())
    chosen = tuple(one for one in parameters if id(one) in matrices)
    others = tuple(one for one in parameters if id(one) not in matrices)
    highest, scaled_steps = STABLE_RATE / width, many_steps * max(1.0, USUAL_WIDTH / width)
    return (
        ParameterGroup(chosen, highest_rate=highest, are_matrices=True, many_steps=scaled_steps),
        ParameterGroup(others, highest_rate=highest),
    )


def required(frames: SourceFrames | None) -> SourceFrames:
    """`frames`, which an encoder needs; raises `ValueError` for None."""
    if frames is None:
        raise ValueError("this representation makes embeddings from frames, but found none")
    return frames


class FrameEncoder(nn.Module):
    """Pads frames to the coded size by repeating their edges, and encodes them to embeddings."""

    def __init__(self, grid: Grid, embedding_channels: int, generator: Generator) -> None:
        super().__init__()
        self._grid = grid
        self.network = ConvNeXtEncoder(grid.strides, embedding_channels)
        self.network.initialise(generator)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, 3, height, width) in [0, 1] -> (B, d, rows, columns), float32."""
        height, width = frames.shape[-2:]
        padding = (0, self._grid.coded_width - width, 0, self._grid.coded_height - height)
        padded = F.pad(frames, padding, mode="replicate") if any(padding) else frames
        embedding: Tensor = self.network(padded)
        return embedding.float()


class Trainable(nn.Module):
    """Named parameters, and the encoder that is fitted along with them but never transmitted."""

    def __init__(self, parameters: Mapping[str, Tensor], encoder: FrameEncoder | None) -> None:
        super().__init__()
        # nn.ParameterDict forbids dots in keys, and names in the file contain them.
        self._names = {name: name.replace(".", "_") for name in parameters}
        self.named = nn.ParameterDict(
            {self._names[name]: nn.Parameter(value) for name, value in parameters.items()}
        )
        self.encoder = encoder

    def tensors(self) -> dict[str, Tensor]:
        """The parameters by their names in the file."""
        return {name: self.named[key] for name, key in self._names.items()}

    def shared(self) -> dict[str, Tensor]:
        """The transmitted tensors that all frames share, differentiable."""
        return self.tensors()

    def start(self, values: Mapping[str, Tensor]) -> None:
        """Initialise the parameters from `values`, the transmitted tensors that all frames share."""
        for name, value in self.tensors().items():
            value.data.copy_(values[name])

    def embed(self, frames: SourceFrames | None) -> Tensor:
        """Embeddings (B, d, rows, columns) of `frames`; raises `ValueError` for None."""
        return self.encode(required(frames).current)

    def encode(self, images: Tensor) -> Tensor:
        """Embeddings (B, d, rows, columns) of images (B, 3, height, width); `ValueError` without encoder."""
        if self.encoder is None:
            raise ValueError("this representation has no encoder")
        embedding: Tensor = self.encoder(images)
        return embedding

"""A family made from an `nn.Module` that renders frames at given times: a short way to a family of one's own.

The module's parameters are transmitted, and everything that the protocol of a family asks for follows from
the module: shapes, the coded size, and what rendering a frame costs. The module runs on PyTorch's meta
device for that, which computes shapes only, so a file is refused before it takes any memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from inrcodec.errors import InrcError
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    FrameDecoder,
    Network,
    ParameterGroup,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
    whole_number,
)
from inrcodec.models.layers.layout import widest_affordable
from inrcodec.models.layers.per_frame import PerFrameDecoder
from inrcodec.models.layers.trainable import MANY_STEPS, STABLE_RATE, Trainable
from inrcodec.models.source import SourceFrames

MOST_AXES = 4
"""Parameters of more axes are transmitted as matrices of their first axis and the rest."""


@dataclass(frozen=True)
class ModuleConfig:
    """The arguments that make one module."""

    width: int
    seed: int


class ModuleFamily(Network, ABC):
    """A family whose subclass names itself and makes its modules; see docs/own-family.md."""

    wire_id: int
    """One of 192 to 255."""
    name: str
    """The name of the entry point."""
    summary: str
    largest_width = 1024

    @abstractmethod
    def network(self, width: int, video: VideoInfo) -> nn.Module:
        """A module that maps times (B,), float32 in [0, 1), to frames (B, 3, height, width) in [0, 1].

        A wider module must have more parameters. Frames may be larger than the video: their top left part is
        shown. Frames must not depend on the others of their batch. Buffers are not transmitted, so they must
        follow from the arguments. The module is also made and run on the meta device.
        """

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> ModuleConfig:
        """See `Family.plan`. Option: `width`, which overrides the budget."""
        known_options(self.name, options, ("width",))
        if "width" in options:
            return ModuleConfig(whole_number(options["width"], 1, self.largest_width), seed)
        width = widest_affordable(
            lambda candidate: symbol_bits.total(self.tensors(ModuleConfig(candidate, seed), video)),
            budget_bits,
            self.largest_width,
        )
        return ModuleConfig(width, seed)

    def pack(self, config: ModuleConfig) -> bytes:
        writer = Writer()
        writer.varint(config.width)
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> ModuleConfig:
        reader = Reader(raw, block=f"{self.name} config")
        width = reader.varint()
        reader.expect_end()
        if not 1 <= width <= self.largest_width:
            raise reader.fault(Corrupt, f"expected a width of 1 to {self.largest_width}, found {width}")
        return ModuleConfig(width, seed)

    def coded_size(self, config: ModuleConfig, video: VideoInfo) -> tuple[int, int]:
        return _measures(self, config, video).coded_size

    def tensors(self, config: ModuleConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        return _measures(self, config, video).specs

    def activation_count(self, config: ModuleConfig, video: VideoInfo) -> int:
        return _measures(self, config, video).activations

    def multiplication_count(self, config: ModuleConfig, video: VideoInfo) -> int:
        return _measures(self, config, video).multiplications

    def representation(self, config: ModuleConfig, video: VideoInfo, seed: int) -> ModuleRepresentation:
        return ModuleRepresentation(_Rendered(self, config, video), config.width)

    def decoder(self, config: ModuleConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        rendered = _Rendered(self, config, video)
        return PerFrameDecoder(
            video.frame_count,
            lambda positions: {"time": rendered.times(positions)},
            lambda values: rendered(tensors, values["time"]),
        )


class ModuleRepresentation:
    """Trains the parameters of a module."""

    def __init__(self, rendered: _Rendered, width: int) -> None:
        self._rendered, self._width = rendered, width
        self.module = Trainable(rendered.initial(), encoder=None)

    def groups(self) -> tuple[ParameterGroup, ...]:
        """Matrices and convolution weights first, which Muon may fit, then all other parameters."""
        parameters = tuple(self.module.parameters())
        matrices = tuple(one for one in parameters if one.dim() > 1)
        others = tuple(one for one in parameters if one.dim() <= 1)
        highest = STABLE_RATE / self._width
        return (
            ParameterGroup(matrices, highest_rate=highest, are_matrices=True, many_steps=MANY_STEPS),
            ParameterGroup(others, highest_rate=highest),
        )

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        return self.module.tensors()

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        return self._rendered(tensors, self._rendered.times(indices))


class _Rendered:
    """A module that renders frames with transmitted tensors in place of its parameters."""

    def __init__(self, family: ModuleFamily, config: ModuleConfig, video: VideoInfo) -> None:
        # The seed of the process stays as it was.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(config.seed)
            self._module = family.network(config.width, video).eval()
        self._shapes = {name: one.shape for name, one in self._module.named_parameters()}
        self._video = video

    def initial(self) -> dict[str, Tensor]:
        """The values with which the module was made, by name."""
        values = self._module.named_parameters()
        return {name: one.detach().float().reshape(_stored_shape(one)).clone() for name, one in values}

    def times(self, positions: Tensor) -> Tensor:
        """The times (B, 1) of frames at `positions` (B,)."""
        exact = positions if positions.device.type == "mps" else positions.double()
        return (exact / self._video.frame_count).float()[:, None]

    def __call__(self, tensors: Mapping[str, Tensor], times: Tensor) -> Tensor:
        """Frames (B, 3, height, width) of the display size at `times` (B, 1)."""
        self._module.to(times.device)  # Does nothing but the first time.
        values = {name: tensors[name].reshape(shape) for name, shape in self._shapes.items()}
        frames: Tensor = functional_call(self._module, values, (times[:, 0],))
        return frames[..., : self._video.height, : self._video.width]


@dataclass(frozen=True)
class _Measures:
    """The shapes of a module and the cost of a frame."""

    specs: tuple[TensorSpec, ...]
    coded_size: tuple[int, int]
    activations: int
    multiplications: int


@lru_cache(maxsize=64)
def _measures(family: ModuleFamily, config: ModuleConfig, video: VideoInfo) -> _Measures:
    """Find shapes and costs without computing a frame.

    Raises `InrcError` for a module that does not run or makes no frames.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            module = family.network(config.width, video).eval()
            with FlopCounterMode(display=False) as flops, _LargestOperation() as largest:
                frames = module(torch.zeros(1))
    except (NotImplementedError, RuntimeError) as error:
        (said, *_) = str(error).splitlines() or [""]
        raise InrcError(f"{family.name}: the module does not run on the meta device: {said}") from error
    shape = tuple(getattr(frames, "shape", ()))
    if len(shape) != 4 or shape[:2] != (1, 3) or shape[2] < video.height or shape[3] < video.width:
        raise InrcError(
            f"{family.name}: expected frames of shape (1, 3, {video.height}, {video.width}) or larger from "
            f"the module, found {shape}"
        )
    specs = tuple(
        TensorSpec(name, Role.WEIGHT if one.dim() > 1 else Role.BIAS, _stored_shape(one))
        for name, one in module.named_parameters()
    )
    return _Measures(specs, (shape[3], shape[2]), largest.values, flops.get_total_flops() // 2)


def _stored_shape(parameter: Tensor) -> tuple[int, ...]:
    """The shape in which a parameter is transmitted: one to `MOST_AXES` axes."""
    shape = tuple(parameter.shape)
    return (shape or (1,)) if len(shape) <= MOST_AXES else (shape[0], parameter[0].numel())


class _LargestOperation(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Finds the most values that one operation holds: its inputs and twice its outputs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.values = max(self.values, _count(args) + 2 * _count(result))
        return result


def _count(values: Any) -> int:
    """Values of all tensors in a tree of arguments."""
    return sum(one.numel() for one in tree_leaves(values) if isinstance(one, Tensor))

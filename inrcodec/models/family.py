"""What a model family is: the protocol between the codec and one kind of network, free of torch at import."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from inrcodec.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from inrcodec.models.source import SourceFrames


Config = TypeVar("Config")


class Role(StrEnum):
    """What a transmitted tensor is for; it decides how the tensor is quantised and coded."""

    WEIGHT = "weight"
    BIAS = "bias"
    EMBEDDING = "embedding"
    LEVELS = "levels"
    """Nested masks: for each weight, in how many of the N masks it is (0..N)."""
    SCALE = "scale"
    """A factor that is stored as a float16 and not quantised further."""


STEPPED_ROLES = (Role.WEIGHT, Role.BIAS, Role.EMBEDDING)
"""Roles whose values are divided by a quantisation step and rounded; the symbols are the quotients."""


@dataclass(frozen=True)
class SymbolBits:
    """Bits that a coded symbol takes, which a network's width is planned by."""

    weight: float
    bias: float
    embedding: float

    def total(self, specs: Iterable[TensorSpec]) -> float:
        """Bits of weights, biases and embeddings."""
        per_symbol = {Role.WEIGHT: self.weight, Role.BIAS: self.bias, Role.EMBEDDING: self.embedding}
        return sum(spec.count * per_symbol[spec.role] for spec in specs)


TRAINED_FOR_RATE = SymbolBits(weight=4.5, bias=6.0, embedding=5.0)
"""After a fit that is charged for bits."""


@dataclass(frozen=True)
class VideoInfo:
    """What the shapes of a representation depend on: one run of frames of a video."""

    width: int
    """Display width, pixels."""
    height: int
    """Display height, pixels."""
    frame_count: int

    @property
    def pixel_count(self) -> int:
        """Pixels of all frames together, the denominator of bits per pixel."""
        return self.width * self.height * self.frame_count


@dataclass(frozen=True)
class TensorSpec:
    """One transmitted tensor; the specs of a family, in order, are the sections of a segment."""

    name: str
    role: Role
    shape: tuple[int, ...]
    per_frame: bool = False
    """True when the first axis counts the frames of the segment."""
    level_count: int = 0
    """N of `Role.LEVELS`; 0 for the other roles."""

    @property
    def count(self) -> int:
        """Number of symbols in the section."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product


def whole_number(text: str, minimum: int, maximum: int) -> int:
    """The option value `text` as an integer in the range given; raises `UsageError`."""
    try:
        number = int(text)
    except ValueError:
        number = minimum - 1
    if not minimum <= number <= maximum:
        raise UsageError(f"expected a whole number from {minimum} to {maximum}, found {text!r}")
    return number


def choice(text: str, expected: tuple[str, ...]) -> str:
    """The option value `text`, which must be one of `expected`; raises `UsageError`."""
    if text not in expected:
        raise UsageError(f"expected one of {', '.join(expected)}, found {text!r}")
    return text


def known_options(family: str, options: Mapping[str, str], known: tuple[str, ...]) -> None:
    """Raises `UsageError` when `options` holds a name that the family does not know."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"{family} has no option {unknown[0]!r}; it has: {', '.join(known)}")


class BudgetTooSmall(Exception):
    """No network of the family fits the budget; `minimum_bits` is the smallest that does."""

    def __init__(self, minimum_bits: float) -> None:
        super().__init__(f"the smallest network needs {minimum_bits:.0f} bits")
        self.minimum_bits = minimum_bits


class FrameDecoder(Protocol):
    """Renders frames from dequantised tensors; made once per segment, called once per batch."""

    def __call__(self, positions: Tensor) -> Tensor:
        """Frames at `positions` (B,), counted from the segment's first, as (B, 3, height, width) in [0, 1].

        An integer tensor picks coded frames. A float tensor, from 0 to the last frame, may lie between them:
        tensors of two frames are interpolated linearly (`blocks.frames_at`), times are taken as they are, and
        `inrc` mixes the two frames themselves.
        """


@runtime_checkable
class CodesDecoder(Protocol):
    """A `FrameDecoder` that can also make coded frames ready to be shown, while others are in the making."""

    def codes(self, frames: Sequence[int]) -> Tensor:
        """These frames as uint8 (B, height, width, 3); see `codes.as_codes`."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate: the fit's rate times `rate_factor`."""

    parameters: tuple[nn.Parameter, ...]
    rate_factor: float = 1.0
    highest_rate: float = math.inf
    """What Adam's rate is at most."""
    are_matrices: bool = False
    """Whether they are weights (outputs, inputs, ...) of convolutions, which Muon may fit."""
    many_steps: float = 0.0
    """In fits of fewer steps Muon's rate is higher; see `schedule.rate_boost`."""


class Representation(Protocol):
    """The trainable side of a family: an `nn.Module` whose parameters are what a fit may change."""

    @property
    def module(self) -> nn.Module:
        """Holds every trainable parameter, those that are not transmitted (an encoder) included."""

    def groups(self) -> tuple[ParameterGroup, ...]:
        """All trainable parameters, split by learning rate and by what may fit them."""

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        """The float values of the transmitted tensors, differentiable.

        `frames` are the source frames of `indices` (B,), or None where no encoder needs them. Per-frame
        tensors are returned for these frames only, every other tensor whole.
        """

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        """Frames (B, 3, height, width) from transmitted tensors, quantised or not; differentiable."""


class Family(Protocol[Config]):
    """One kind of model. A family is one file or folder in `models/` and one row in `registry.py`."""

    wire_id: int
    """Number in the file; never reused."""
    name: str
    """Name on the command line."""
    summary: str
    """One line for a list of families."""
    is_trained: bool
    """Whether the common loop trains it: then it is a `TrainedFamily`, and takes the options of training."""
    has_contexts: bool
    """Whether its embeddings are coded with contexts of its own (`coding.grid_sections`)."""

    def most_frames(self, width: int, height: int) -> int | None:
        """Frames of this size, pixels, that a segment may have; None where memory alone is the limit."""

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> Config:
        """The widest network that `budget_bits` can pay for when its symbols take `symbol_bits`.

        Raises `BudgetTooSmall`, and `UsageError` for an unknown option or value.
        """

    def pack(self, config: Config) -> bytes: ...

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> Config:
        """Inverse of `pack`; validates every field and raises `bitstream.Corrupt`."""

    def coded_size(self, config: Config, video: VideoInfo) -> tuple[int, int]:
        """Width and height of the frames the network renders before they are cropped for display."""

    def tensors(self, config: Config, video: VideoInfo) -> tuple[TensorSpec, ...]:
        """What is transmitted, in wire order."""

    def activation_count(self, config: Config) -> int:
        """About the most values that rendering one frame holds in memory at a time."""

    def decoder(self, config: Config, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder: ...


class TrainedFamily(Family[Config], Protocol[Config]):
    """A family whose networks the common loop trains."""

    def representation(self, config: Config, video: VideoInfo, seed: int) -> Representation:
        """A network to fit, initialised from `seed`."""


class Network:
    """What families of trained networks have in common."""

    is_trained = True
    has_contexts = False

    def most_frames(self, width: int, height: int) -> int | None:
        return None


AnyFamily = Family[Any]

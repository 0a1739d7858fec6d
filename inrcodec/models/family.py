"""The protocol between the codec and a model family. Importing this module does not load torch."""

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
    """The purpose of a transmitted tensor, which decides how the tensor is quantised and coded."""

    WEIGHT = "weight"
    BIAS = "bias"
    EMBEDDING = "embedding"
    GRID = "grid"
    """Features (moments, channels, rows, columns) that neighbouring frames share."""
    LEVELS = "levels"
    """Nested masks: for each weight, how many of the N masks contain it (0..N)."""
    SCALE = "scale"
    """A factor stored as float16 and not quantised further."""


STEPPED_ROLES = (Role.WEIGHT, Role.BIAS, Role.EMBEDDING, Role.GRID)
"""Roles coded with a quantisation step: a symbol is the value divided by its step, rounded."""
ROLES_OF_MOMENTS = (Role.EMBEDDING, Role.GRID)
"""Roles of tensors (moments, channels, ...), which are coded channel by channel."""


@dataclass(frozen=True)
class SymbolBits:
    """Expected bits per coded symbol, by role; the width of a network is planned with them."""

    weight: float
    bias: float
    embedding: float

    def total(self, specs: Iterable[TensorSpec]) -> float:
        """Bits of weights, biases and embeddings together; raises `KeyError` for other roles."""
        per_symbol = {
            Role.WEIGHT: self.weight,
            Role.BIAS: self.bias,
            Role.EMBEDDING: self.embedding,
            Role.GRID: self.embedding,
        }
        return sum(spec.count * per_symbol[spec.role] for spec in specs)


TRAINED_FOR_RATE = SymbolBits(weight=4.5, bias=6.0, embedding=5.0)
"""Typical after a fit whose loss includes the bitrate."""


@dataclass(frozen=True)
class VideoInfo:
    """One run of frames of a video: all that the shapes of a representation depend on."""

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
    """One transmitted tensor. A family's specs, in order, are the sections of a segment."""

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


def prunable_weights(specs: Sequence[TensorSpec]) -> list[str]:
    """Names of the weights that pruning sets to zero; a network with masks has none to spare."""
    if any(spec.role is Role.LEVELS for spec in specs):
        return []
    return [spec.name for spec in specs if spec.role is Role.WEIGHT]


def whole_number(text: str, minimum: int, maximum: int) -> int:
    """The option value `text` as an integer from `minimum` to `maximum`; raises `UsageError`."""
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
    """Raise `UsageError` if `options` contains a name that is not in `known`."""
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"{family} has no option {unknown[0]!r}; it has: {', '.join(known)}")


class BudgetTooSmall(Exception):
    """No network of the family fits the budget; the smallest one needs `minimum_bits`."""

    def __init__(self, minimum_bits: float) -> None:
        super().__init__(f"the smallest network needs {minimum_bits:.0f} bits")
        self.minimum_bits = minimum_bits


class FrameDecoder(Protocol):
    """Renders frames from dequantised tensors; made once per segment, called once per batch."""

    def __call__(self, positions: Tensor) -> Tensor:
        """Frames at `positions` (B,), counted from the segment's first, as (B, 3, height, width) in [0, 1].

        An integer tensor selects coded frames. A float tensor, from 0 to the last frame, may lie between
        them: per-frame tensors are interpolated linearly (`layers.blocks.frames_at`), times are used
        directly, and `inrc` mixes the two rendered frames.
        """


@runtime_checkable
class CodesDecoder(Protocol):
    """A `FrameDecoder` that also renders coded frames to whole samples, several concurrently."""

    def codes(self, frames: Sequence[int], largest: int) -> Tensor:
        """Coded frames, counted from the segment's first, as (B, height, width, 3).

        Samples are 0 to `largest`: 255 as uint8, or 1023 as int16. It is the same in every call.
        """


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a learning rate: the fit's rate times `rate_factor`."""

    parameters: tuple[nn.Parameter, ...]
    rate_factor: float = 1.0
    highest_rate: float = math.inf
    """Upper limit of Adam's learning rate."""
    are_matrices: bool = False
    """Whether these are convolution weights (outputs, inputs, ...), which Muon may fit."""
    many_steps: float = 0.0
    """In fits of fewer steps Muon's rate is higher; see `fit.training.clock.rate_boost`."""


class Representation(Protocol):
    """The trainable side of a family: an `nn.Module` with the parameters that a fit changes."""

    @property
    def module(self) -> nn.Module:
        """The module with every trainable parameter, including those not transmitted (an encoder)."""

    def groups(self) -> tuple[ParameterGroup, ...]:
        """All trainable parameters, grouped by learning rate and by the optimiser that may fit them."""

    def transmitted(self, frames: SourceFrames | None, indices: Tensor) -> dict[str, Tensor]:
        """The float values of the transmitted tensors, differentiable.

        `frames` are the source frames at `indices` (B,), or None where no encoder needs them. Per-frame
        tensors are returned for these frames only, every other tensor whole.
        """

    def render(self, tensors: Mapping[str, Tensor], indices: Tensor) -> Tensor:
        """Frames (B, 3, height, width) from transmitted tensors, quantised or not; differentiable."""


@runtime_checkable
class StartsFromClip(Protocol):
    """A representation whose first values depend on the frames to fit."""

    def start_from(self, clip: Tensor) -> None:
        """Set the first values for a clip (T, height, width, 3) of 8 or 10 bits, on any device."""


class Family(Protocol[Config]):
    """One kind of model. A family is one file or folder in `models/` and one row in `registry.py`."""

    wire_id: int
    """Number of the family in a file; never reused."""
    name: str
    """Name on the command line."""
    summary: str
    """One line for a list of families."""
    is_trained: bool
    """Whether the common loop trains it. It is then a `TrainedFamily` and accepts training options."""
    has_contexts: bool
    """Whether its per-frame tensors are coded with its own contexts (`coding.grid_sections`)."""

    def most_frames(self, width: int, height: int) -> int | None:
        """Maximum number of frames of this size (pixels) in a segment; None if only memory limits it."""

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> Config:
        """The widest network that fits `budget_bits` if its symbols take `symbol_bits`.

        Raises `BudgetTooSmall`, and `UsageError` for an unknown option or value.
        """

    def pack(self, config: Config) -> bytes: ...

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> Config:
        """Inverse of `pack`; validates every field and raises `bitstream.Corrupt`."""

    def coded_size(self, config: Config, video: VideoInfo) -> tuple[int, int]:
        """Width and height of rendered frames, pixels, before they are cropped for display."""

    def tensors(self, config: Config, video: VideoInfo) -> tuple[TensorSpec, ...]:
        """The transmitted tensors, in wire order."""

    def activation_count(self, config: Config, video: VideoInfo) -> int:
        """Estimated maximum number of values in memory at a time while one frame is rendered.

        Decoders refuse a segment above a limit, so the rule is normative: SPEC, section 9.
        """

    def multiplication_count(self, config: Config, video: VideoInfo) -> int:
        """Estimated number of multiplications that rendering one frame takes.

        Normative for the same reason.
        """

    def decoder(self, config: Config, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder: ...


class TrainedFamily(Family[Config], Protocol[Config]):
    """A family whose networks the common loop trains."""

    def representation(self, config: Config, video: VideoInfo, seed: int) -> Representation:
        """A network to fit, initialised from `seed`."""


class Network:
    """Defaults of families of trained networks."""

    is_trained = True
    has_contexts = False

    def most_frames(self, width: int, height: int) -> int | None:
        return None


AnyFamily = Family[Any]

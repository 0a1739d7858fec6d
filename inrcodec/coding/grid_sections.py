"""The sections of an `inrc` segment: entropy models, refining network, motion and latents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bitstream import DEFAULT_LIMITS, Corrupt, Limits, Section
from bitstream.coder_ids import CoderId
from bitstream.coders import decode_section, encode_smallest
from bitstream.coders.conditional import MAX_LOG_ODDS, ConditionalDecoder, ConditionalEncoder, class_count
from bitstream.fields import Reader, Writer
from bitstream.limits import MODEL_BYTES, SYMBOL_BYTES
from inrcodec.coding.opened_segment import OpenedSegment
from inrcodec.coding.sections import decode_sections
from inrcodec.models.family import TensorSpec, VideoInfo
from inrcodec.models.inrc.context_prior import context_prior
from inrcodec.models.inrc.contexts import Coder, ContextModel
from inrcodec.models.inrc.hierarchy import Hierarchy
from inrcodec.models.inrc.latent_contexts import LatentModels, code_latents
from inrcodec.models.inrc.motion_contexts import code_motion
from inrcodec.models.inrc.shapes import MOTION_CHANNELS, InrcConfig, context_specs, grid_sizes, split_grids
from inrcodec.models.inrc.size_codes import FLAGS, KINDS, best_classes, code_sizes

CONTEXT_STEPS = {"bias": 1 / 16, "level": 1 / 16, "weight": 1 / 64, "knots": 1 / 16}
"""Fixed quantisation steps of the entropy models' parameters, by the last part of their names."""
LARGEST_MOTION, LARGEST_VALUE = 1 << 16, 1 << 24
"""Largest magnitudes of motion (pixels) and of latents; sums of many such values stay precise."""
LARGEST_PARAMETER = (1 << 15) - 1

Parameters = Mapping[str, NDArray[np.int64]]
"""The entropy models' parameters as integers, by the names of their sections."""


@dataclass(frozen=True)
class GridSymbols:
    """Symbols coded with contexts, in whole quantisation steps."""

    motion: NDArray[np.int32]
    """(T, 5, nodes of the four grids)."""
    motion_step: float
    """In pixels; for the fifth channel, the balance between both references, a plain fraction."""
    latent: NDArray[np.int16]
    """(T, 96, rows of blocks, columns of blocks)."""
    latent_step: float
    """For a block from which no other frame is predicted; see `prediction.step_sizes`."""
    sizes: NDArray[np.uint8]
    """Sizes of groups of 2 x 2 blocks, (T, rows, columns); see `block_sizes`. Zeros in version 0."""


def latent_models(parameters: Parameters, version: int) -> LatentModels:
    """Models whose bias is the channel's for the frame's kind (first, anchor, between) plus the level's."""
    knots = parameters["context.latent.knots"]

    def model(name: str) -> ContextModel:
        kinds, levels = parameters[f"context.{name}.bias"], parameters[f"context.{name}.level"]
        bias = kinds[np.minimum(np.arange(len(levels)), 2)] + levels[:, None]
        limited = np.clip(bias, -LARGEST_PARAMETER, LARGEST_PARAMETER)
        return ContextModel(limited, parameters[f"context.{name}.weight"], knots)

    return LatentModels(model("latent"), model("flag"), has_network=version >= 1)


def motion_model(parameters: Parameters) -> ContextModel:
    return ContextModel(
        parameters["context.motion.bias"],
        parameters["context.motion.weight"],
        parameters["context.motion.knots"],
    )


def encode_contextual(
    config: InrcConfig,
    video: VideoInfo,
    parameters: Parameters,
    network: Sequence[Section],
    symbols: GridSymbols,
) -> tuple[Section, ...]:
    """Encode a segment's sections; `network` are the refining network's, coded as in other families."""
    tree, coded = config.tree(video), []
    prior = context_prior(tree.level_count, config.version)
    for spec in context_specs(tree.level_count, config.version):
        values = (parameters[spec.name] - prior[spec.name]).astype(np.int32).reshape(spec.shape[0], -1)
        coder, payload = encode_smallest(values)
        coded.append(Section(coder, (parameter_step(spec.name),), payload))
    motion = _Payload(parameters["context.motion.knots"], symbols.motion)
    grids = split_grids(symbols.motion, config.rows, config.columns)
    code_motion_grids(motion.encoder, parameters, grids, config, tree)
    latent = _Payload(parameters["context.latent.knots"], symbols.latent)
    code_latent_grids(latent.encoder, parameters, symbols.latent, symbols.latent.shape, tree, config.version)
    if config.version >= 1:
        knots = parameters["context.latent.knots"]
        latent.classes = best_classes(knots, tree.levels, symbols.latent, symbols.sizes)
        code_sizes(latent.encoder, latent.classes, tree.levels, symbols.latent, symbols.sizes)
    return (
        *coded,
        *network,
        Section(CoderId.CONTEXTUAL, (symbols.motion_step,), motion.value()),
        Section(CoderId.CONTEXTUAL, (symbols.latent_step,), latent.value()),
    )


@dataclass(frozen=True)
class DecodedGrids:
    """The decoded sections of an `inrc` segment."""

    parameters: Parameters
    network: Mapping[str, NDArray[Any]]
    """Tensors of the refining network."""
    symbols: GridSymbols


def segment_tensors(opened: OpenedSegment) -> dict[str, NDArray[Any]]:
    """Decode the tensors of a segment of any family, by name; raises `BitstreamError`."""
    specs, sections, limits = opened.specs, opened.segment.sections, opened.limits
    if not opened.family.has_contexts:
        return dict(decode_sections(specs, sections, limits))
    decoded = decode_contextual(opened.config, opened.video, specs, sections, limits)
    symbols = decoded.symbols
    return {
        **decoded.network,
        "motion": (symbols.motion * symbols.motion_step).astype(np.float32),
        "motion.step": np.array(symbols.motion_step, dtype=np.float32),
        "latent": symbols.latent,
        "latent.step": np.array(symbols.latent_step, dtype=np.float32),
        **({"size": symbols.sizes} if opened.config.version >= 1 else {}),
    }


def decode_contextual(
    config: InrcConfig,
    video: VideoInfo,
    specs: Sequence[TensorSpec],
    sections: Sequence[Section],
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedGrids:
    """Inverse of `encode_contextual`; raises `BitstreamError`."""
    if len(sections) != len(specs):
        raise Corrupt(f"expected {len(specs)} sections, found {len(sections)}", offset=None, block="SEGM")
    tree = config.tree(video)
    count = len(context_specs(tree.level_count, config.version))
    prior = context_prior(tree.level_count, config.version)
    parameters = {
        spec.name: _parameters(spec, section, prior[spec.name])
        for spec, section in zip(specs[:count], sections[:count], strict=True)
    }
    network = decode_sections(specs[count:-2], sections[count:-2], limits)
    motion, latent = sections[-2:]
    symbol_bytes = SYMBOL_BYTES * sum(spec.count for spec in specs)
    with _Opened(motion, parameters["context.motion.knots"], symbol_bytes, limits) as decoder:
        grids = code_motion_grids(decoder, parameters, None, config, tree)
    sizes = np.zeros((video.frame_count, config.rows, config.columns), dtype=np.uint8)
    opened = _Opened(latent, parameters["context.latent.knots"], symbol_bytes, limits, config.version)
    with opened as decoder:
        shape: tuple[int, int, int, int] = specs[-1].shape  # type: ignore[assignment]
        symbols = code_latent_grids(decoder, parameters, None, shape, tree, config.version)
        if config.version >= 1:
            sizes = code_sizes(decoder, opened.classes, tree.levels, symbols, None)
    flat = np.concatenate([grid.reshape(*grid.shape[:2], -1) for grid in grids], axis=2)
    steps = (float(motion.steps[0]), float(latent.steps[0]))
    for values, step, name, limit in (
        (flat, steps[0], "motion", LARGEST_MOTION),
        (symbols, steps[1], "latent", LARGEST_VALUE),
    ):
        if max(-int(values.min(initial=0)), int(values.max(initial=0))) * step > limit:
            raise Corrupt(f"{name}: a value is above {limit}", offset=None, block="SEGM")
    return DecodedGrids(parameters, network, GridSymbols(flat, steps[0], symbols, steps[1], sizes))


def parameter_step(section: str) -> float:
    """The fixed step of a section of the entropy models."""
    return CONTEXT_STEPS[section.rsplit(".", 1)[1]]


def parameter_limit(section: str) -> int:
    """The largest magnitude of the integers in a section of the entropy models."""
    return MAX_LOG_ODDS if section.endswith("knots") else LARGEST_PARAMETER


def _parameters(spec: TensorSpec, section: Section, prior: NDArray[np.int64]) -> NDArray[np.int64]:
    """Integers of an entropy model; raises `Corrupt` for a wrong step or values out of range."""
    if section.steps != (parameter_step(spec.name),):
        raise Corrupt(
            f"{spec.name}: expected a step of {parameter_step(spec.name)}", offset=None, block="SEGM"
        )
    values = prior + decode_section(section, spec.count).astype(np.int64).reshape(spec.shape)
    limit = parameter_limit(spec.name)
    if np.abs(values).max(initial=0) > limit:
        raise Corrupt(f"{spec.name}: a value is outside -{limit}..{limit}", offset=None, block="SEGM")
    return values


def largest_magnitude(symbols: NDArray[Any]) -> int:
    """The largest magnitude of symbols that a payload states; at least 1."""
    return max(1, int(symbols.max(initial=0)), -int(symbols.min(initial=0)))


class _Payload:
    """Encodes a contextual payload: the largest magnitude, the classes of sizes, then the coder's bytes."""

    classes = np.zeros((0, 0), dtype=np.int64)
    """See `best_classes`; none for motion and in version 0."""

    def __init__(self, knots: NDArray[np.int64], symbols: NDArray[Any]) -> None:
        self._largest = largest_magnitude(symbols)
        self.encoder = ConditionalEncoder(knots, self._largest)

    def value(self) -> bytes:
        writer = Writer()
        writer.varint(self._largest)
        for one in self.classes.ravel().tolist():
            writer.varint(one)
        writer.raw(self.encoder.getvalue())
        return writer.getvalue()


class _Opened:
    """Decodes a `_Payload`; raises `Corrupt` for a wrong section, and for bytes left over at the end.

    Raises `LimitExceeded` if the models of all classes may take more memory, beside `other_bytes`, than the
    `limits` allow.
    """

    def __init__(
        self,
        section: Section,
        knots: NDArray[np.int64],
        other_bytes: int,
        limits: Limits,
        version: int = 0,
    ) -> None:
        """`version` is that of the config for latents, and 0 for motion, which has no `classes`."""
        if section.coder != CoderId.CONTEXTUAL or len(section.steps) != 1:
            raise Corrupt("expected a contextual section with one step", offset=None, block="SEGM")
        reader = Reader(section.payload, block="coder contextual")
        largest = reader.varint()
        numbers = [reader.varint() for _ in range(KINDS * FLAGS if version >= 1 else 0)]
        if max(numbers, default=0) >= class_count(len(knots)):
            raise Corrupt("sizes: a class is out of range", offset=None, block="SEGM")
        self.classes = np.array(numbers, dtype=np.int64).reshape(-1, FLAGS)
        self._decoder = ConditionalDecoder(knots, largest, bytes(reader.raw(reader.remaining)))
        model_bytes = MODEL_BYTES * class_count(len(knots)) * (largest + 1)
        limits.check("max_memory", other_bytes + model_bytes, block="SEGM")

    def __enter__(self) -> ConditionalDecoder:
        return self._decoder

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._decoder.expect_end()


def _shapes(frame_count: int, config: InrcConfig) -> list[tuple[int, int, int, int]]:
    return [(frame_count, MOTION_CHANNELS, *size) for size in grid_sizes(config.rows, config.columns)]


def code_motion_grids(
    coder: Coder,
    parameters: Parameters,
    grids: list[NDArray[np.int32]] | None,
    config: InrcConfig,
    tree: Hierarchy,
) -> list[NDArray[np.int32]]:
    """Encode the motion `grids` of the frames of `tree`, or decode them if `grids` is None; return them."""
    return code_motion(
        coder,
        motion_model(parameters),
        grids,
        _shapes(len(tree.levels), config),
        tree.levels,
        tree.has_two,
        tree.levels > 0,
    )


def code_latent_grids(
    coder: Coder,
    parameters: Parameters,
    symbols: NDArray[np.int16] | None,
    shape: tuple[int, int, int, int],
    tree: Hierarchy,
    version: int,
) -> NDArray[np.int16]:
    """Encode the latents of the frames of `tree`, (T, 96, h, w), or decode them if `symbols` is None.

    `version` is that of the `InrcConfig`.
    """
    models = latent_models(parameters, version)
    return code_latents(coder, models, symbols, shape, tree.levels, tree.references, tree.order)

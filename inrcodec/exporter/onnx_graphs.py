"""Writes the graphs of a decoder as ONNX models, traced by PyTorch's exporter."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from inrcodec.exporter.manifest import OPSET, GraphFile
from inrcodec.models.graphs import FrameGraphs, FrameValues, Graph
from inrcodec.models.layers.codes import CODES
from inrcodec.system.signals import DeferredSignals

Shapes = tuple[tuple[int, ...], ...]
FRAME = "frame"
"""Name of the output that contains the frame."""


class _Traced(nn.Module):
    """Wraps a graph as a module in evaluation mode, as the exporter requires."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self.eval()

    def forward(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        return self._graph.function(*arguments)


class GraphWriter:
    """Writes the graphs of segments into a folder; equal graphs share a file."""

    def __init__(self, folder: Path, quarter_turns: int) -> None:
        """Frames are turned clockwise by `quarter_turns` for display."""
        self._folder, self._quarter_turns = folder, quarter_turns
        self._files: dict[str, str] = {}
        self._named: dict[tuple[str, Shapes], str] = {}

    def write(self, graphs: FrameGraphs, name: str) -> tuple[GraphFile, dict[str, GraphFile]]:
        """Write the graph that shows frames and the makers of states; names of their files begin with `name`.

        Returns them, the makers by their number of references. Raises `OSError`.
        """
        values = {key: _example(one.values) for key, one in graphs.stored.items()}
        states: tuple[Tensor, ...] = ()
        makers = {}
        for count, maker in sorted(graphs.makers.items()):
            inputs = [f"{state}{place}" for place in range(count) for state in graphs.states]
            # Cloned, because the tracer would merge a tensor that is passed twice into one input.
            given = [state.clone() for _ in range(count) for state in states]
            example = (*(values[key] for key in maker.stored), *given)
            makers[str(count)] = self._write(maker, inputs, graphs.states, example, f"{name}-made-of-{count}")
            states = maker.function(*example)
        example = (*(values[key] for key in graphs.shown.stored), *states)
        shown = Graph(_Codes(graphs.shown, self._quarter_turns), graphs.shown.stored)
        return self._write(shown, graphs.states, [FRAME], example, f"{name}-shown"), makers

    def _write(
        self,
        graph: Graph,
        states: Sequence[str],
        outputs: Sequence[str],
        example: tuple[Tensor, ...],
        name: str,
    ) -> GraphFile:
        inputs = (*graph.stored, *states)
        key = graph.name, tuple(tuple(tensor.shape) for tensor in example)
        file = self._named.get(key) if graph.name else None
        if file is None:
            model = traced(graph, example, inputs, outputs)
            file = self._files.setdefault(hashlib.sha256(model).hexdigest(), f"{name}.onnx")
            (self._folder / file).write_bytes(model)
            self._named[key] = file
        return GraphFile(file, graph.stored, inputs, tuple(outputs))


class _Codes:
    """Turns the frame of a graph upright, as uint8 (1, height, width, 3); see `models.layers.codes`."""

    def __init__(self, shown: Graph, quarter_turns: int) -> None:
        self._shown, self._quarter_turns = shown, quarter_turns

    def __call__(self, *arguments: Tensor) -> tuple[Tensor]:
        (frame,) = self._shown.function(*arguments)
        whole = (frame.float() * CODES).clamp(0, CODES).round()
        upright = torch.rot90(whole, -self._quarter_turns, (2, 3)) if self._quarter_turns else whole
        return (upright.permute(0, 2, 3, 1).to(torch.uint8),)


def traced(graph: Graph, example: tuple[Tensor, ...], inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The serialised ONNX model of a graph with the shapes of `example`."""
    # PyTorch's exporter reports an exception of a signal as a failure of its own.
    with DeferredSignals(), torch.no_grad(), _silenced():
        # Called once untraced, so that tensors cached between calls are not created by the tracer.
        graph.function(*example)
        program = torch.onnx.export(
            _Traced(graph),
            example,
            input_names=list(inputs),
            output_names=list(outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter returned no model")
    model = program.model_proto
    for node in model.graph.node:
        # The exporter records source locations, which mean nothing outside this program.
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    data: bytes = model.SerializeToString(deterministic=True)
    return data


@contextmanager
def _silenced() -> Iterator[None]:
    """Silence the exporter's remarks on libraries it misses and on its own use of deprecated functions."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _example(values: FrameValues) -> Tensor:
    """The first frame's values, as a graph takes them."""
    return values[:1].float()

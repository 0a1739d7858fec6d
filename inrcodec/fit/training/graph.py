"""Steps of a fit as one CUDA graph.

A step has hundreds of small operations, and launching each one takes longer than computing it. A graph
launches all of them at once. It computes from the same memory in each step, so a step that is replayed has no
number of the host in it: rates and progress are on the device. A graph is used only where it gives the values
of a step without one, in less time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from inrcodec.fit.training.checkpoint import Stateful
from inrcodec.fit.training.step_state import Noise, StepResult

WARM_STEPS = 3
"""Steps before anything is timed; libraries load and optimisers make their states."""
TIMED_STEPS = 10
MOST_DIFFERENCE = 0.01
"""Maximum difference of a replayed step, relative to the change that the step makes."""

Step = Callable[[Tensor, torch.Generator], StepResult]
"""A step on frames (B,), with the generator of its noise."""


@contextmanager
def stream_of_steps(device: torch.device) -> Iterator[None]:
    """A context with a stream of its own on a GPU, because the usual one cannot be captured."""
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    usual = torch.cuda.current_stream(device)
    stream.wait_stream(usual)
    try:
        with torch.cuda.stream(stream):
            yield
    finally:
        usual.wait_stream(stream)


@dataclass
class GraphedSteps:
    """Does the steps of a fit, and replaces them by replays of a graph after some of them.

    `parts` has everything that a step changes. `tell` receives which way was chosen, and why.
    """

    parts: Mapping[str, Stateful]
    tell: Callable[[str], None]
    is_possible: bool = True
    """Whether a graph may still be used."""
    _form: Hashable = None
    _done: int = 0
    """Steps since the form of the step changed."""
    _graph: torch.cuda.CUDAGraph | None = None
    _indices: Tensor = field(default_factory=lambda: torch.empty(0))
    _result: StepResult | None = None
    _seconds: float = 0.0
    """Time of `TIMED_STEPS` steps without a graph."""
    _since: float = 0.0

    def __call__(self, step: Step, indices: Tensor, noise: Noise, form: Hashable) -> StepResult:
        """Do one step on frames `indices` (B,); steps of the same `form` have the same operations."""
        if form != self._form:
            self._form, self._done, self._graph, self._result = form, 0, None, None
        number, self._done = self._done, self._done + 1
        if not self.is_possible:
            return step(indices, noise.next())
        if number == WARM_STEPS:
            self._lap()
        elif number == WARM_STEPS + TIMED_STEPS:
            self._seconds = self._lap()
            return self._first_replay(step, indices, noise)
        elif number == WARM_STEPS + TIMED_STEPS + 1:
            self._lap()
        elif number == WARM_STEPS + 2 * TIMED_STEPS + 1:
            self._decide(self._lap())
        if self._graph is None or self._result is None:
            return step(indices, noise.next())
        noise.next()
        self._indices.copy_(indices)
        self._graph.replay()
        return self._result

    def _lap(self) -> float:
        """Seconds since the last call; waits for the device."""
        torch.cuda.synchronize()
        before, self._since = self._since, time.monotonic()
        return self._since - before

    def _decide(self, seconds: float) -> None:
        """Leave the graph out if `TIMED_STEPS` replays took as many `seconds` as steps without it."""
        if seconds < self._seconds:
            milliseconds = [1000 * one / TIMED_STEPS for one in (seconds, self._seconds)]
            self.tell("a CUDA graph does a step in {:.2f} ms, without it {:.2f} ms".format(*milliseconds))
        else:
            self._leave_out("it is not faster")

    def _leave_out(self, why: str) -> None:
        self.tell(f"steps run without a CUDA graph: {why}")
        self.is_possible, self._graph, self._result = False, None, None

    def _first_replay(self, step: Step, indices: Tensor, noise: Noise) -> StepResult:
        """Capture the step, then do it with and without the graph and compare."""
        generator, self._indices, graph = noise.next(), indices.clone(), torch.cuda.CUDAGraph()
        # The graph must use the seed of each replay, not the one of the capture.
        generator.manual_seed(0)
        try:
            graph.register_generator_state(generator)
            stream = torch.cuda.current_stream()
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                captured = step(self._indices, generator).detached()
        except RuntimeError as error:
            self._leave_out(str(error).strip().partition("\n")[0])
            return step(indices, noise.again())
        before = self._copies()
        result = step(indices, noise.again())
        after = self._copies()
        torch._foreach_copy_(self._tensors(), before)
        noise.again()
        graph.replay()
        change, difference = _distance(after, before), _distance(self._tensors(), after)
        if difference <= MOST_DIFFERENCE * change:
            self._graph, self._result = graph, captured
            return captured
        torch._foreach_copy_(self._tensors(), after)
        self._leave_out(f"its values differ by {difference:.3g} of {change:.3g}")
        return result

    def _tensors(self) -> list[Tensor]:
        """All tensors of the states, which are those that a step changes in place."""
        return list(_tensors_of({name: part.state_dict() for name, part in self.parts.items()}))

    def _copies(self) -> list[Tensor]:
        return [one.clone() for one in self._tensors()]


def _tensors_of(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        for value in state.values():
            yield from _tensors_of(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _tensors_of(value)


def _distance(some: list[Tensor], others: list[Tensor]) -> float:
    """Root of the summed squared differences; NaN, which equals nothing, if any value is NaN."""
    squares = [
        (one.double() - other.double()).square().sum() for one, other in zip(some, others, strict=True)
    ]
    return float(torch.stack(squares).sum().sqrt())

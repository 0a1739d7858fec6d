"""Decoding in several threads: the same frames in any order of access, and nothing is leaked."""

from __future__ import annotations

import functools
import gc
import math
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread
from typing import Any

import numpy as np
import pytest
import torch
from command_line import GOLDEN

import bitstream
import inrcodec
from inrcodec.decoder import render as rendering
from inrcodec.models.inrc import decoder as reconstruction
from inrcodec.system import threads as side_by_side
from inrcodec.system.threads import Threads

FILE = GOLDEN / "inrc.inrv"


@pytest.fixture
def threads() -> Iterator[int]:
    """Set torch's number of threads for the duration of a test, and return it."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


@functools.cache
def alone_at(position: float) -> Any:
    """The frame at a position between two frames, by a decoder of its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        found = video.at(position)
    torch.set_num_threads(before)
    return found


@functools.cache
def alone() -> Any:
    """All frames, each decoded by a separate decoder."""
    frames = []
    for frame in range(6):
        with inrcodec.open(FILE, "cpu", "float32") as video:
            frames.append(video[frame])
    return np.stack(frames)


def assert_alike(one: Any, other: Any) -> None:
    """Allow one code value, because the number of threads changes the order of summation."""
    assert np.abs(one.astype(int) - other).max() <= 1


def test_frames_are_those_of_one_thread(threads: int) -> None:
    expected = alone()
    with inrcodec.open(FILE, "cpu", "float32") as video:
        assert len(video) == 6
        assert_alike(video[:], expected)
        assert_alike(video[2:5], expected[2:5])
        for frame in (5, 0, 3, 4):
            assert_alike(video[frame], expected[frame])
        assert_alike(video[::-1], expected[::-1])
        assert_alike(video.at(1.0), expected[1])


def test_a_frame_between_two_is_that_of_one_thread(threads: int) -> None:
    expected = alone_at(2.5)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        assert_alike(video.at(2.5), expected)


def test_frames_in_a_row_are_begun_ahead(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = reconstruction.Reconstruction._planes

    def counted(self: Any, frame: int, references: Any) -> Any:
        made.append(frame)
        return original(self, frame, references)

    monkeypatch.setattr(reconstruction.Reconstruction, "_planes", counted)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        next(video.batches(range(1)))
        decoder: Any = video._renderers.of(0).decoder
        assert made == [0]
        decoder.codes([5])
        # Only the anchor before it is made too, and nothing ahead.
        assert sorted(made) == [0, 3, 5]
        decoder.codes([1])
        assert sorted(made) == [0, 1, 3, 5]
        decoder.codes([2])
        assert {*decoder._codes} == {2, 3, 4, 5}


def test_a_failure_is_not_kept(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, original, calls = alone(), reconstruction.add_synthesis, []

    def failing(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError("no more")
        original(*arguments)

    monkeypatch.setattr(reconstruction, "add_synthesis", failing)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        with pytest.raises(MemoryError, match="no more"):
            video[:]
        assert_alike(video[:], expected)


def test_only_workers_have_fewer_threads(threads: int) -> None:
    workers, seen = Threads(torch.device("cpu")), []
    assert workers.are_many
    assert workers.submit_after((), torch.get_num_threads).result() == 1
    other = Thread(target=lambda: seen.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert (torch.get_num_threads(), seen) == (threads, [threads])


def test_no_worker_waits_for_work_that_others_do(threads: int) -> None:
    workers, gate, done = Threads(torch.device("cpu")), Event(), []
    first = workers.submit_after((), gate.wait, 60)
    waiting = [workers.submit_after([first, first], done.append, number) for number in range(4)]
    # If they occupied the workers, this work would never begin.
    workers.submit_after((), done.append, "beside").result(60)
    assert done == ["beside"] and not any(one.running() for one in waiting)
    gate.set()
    for one in waiting:
        one.result(60)
    assert sorted(done[1:]) == [0, 1, 2, 3]


def test_work_begins_after_work_that_failed_but_not_after_cancelled_work(threads: int) -> None:
    workers, gate = Threads(torch.device("cpu")), Event()
    blocking = [workers.submit_after((), gate.wait, 60) for _ in range(threads)]
    failing, never = workers.submit_after((), math.sqrt, -1), workers.submit_after((), math.sqrt, 4)
    after = workers.submit_after([*blocking, failing], math.sqrt, 9)
    skipped = workers.submit_after([after, never], math.sqrt, 16)
    last = workers.submit_after([skipped], math.sqrt, 25)
    assert never.cancel()
    gate.set()
    assert after.result(60) == 3 and all(one.result(60) for one in blocking)
    with pytest.raises(ValueError, match="math domain"):
        failing.result(60)
    for one in (skipped, last):
        with pytest.raises(CancelledError):
            one.result(60)


def test_at_the_end_of_the_process_waiting_work_fails() -> None:
    pool, first, coming = ThreadPoolExecutor(1), Future[None](), Future[None]()
    side_by_side._Task(pool, [first], coming, print)()
    pool.shutdown()
    first.set_result(None)
    with pytest.raises(RuntimeError, match="shutdown"):
        coming.result(60)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[torch.Tensor]]]:
    """Weak references to the planes that are made, while the garbage collector is disabled."""
    found: list[weakref.ref[torch.Tensor]] = []
    original = reconstruction.Reconstruction._planes

    def noted(self: Any, frame: int, references: Any) -> Any:
        planes = original(self, frame, references)
        found.append(weakref.ref(planes.luma))
        return planes

    monkeypatch.setattr(reconstruction.Reconstruction, "_planes", noted)
    gc.collect()
    gc.disable()
    yield found
    gc.enable()


def alive(made: list[weakref.ref[torch.Tensor]]) -> int:
    """Number of planes still held once the workers have released their results."""
    for _ in range(100):
        if not (held := sum(one() is not None for one in made)):
            break
        time.sleep(0.01)
    return held


def test_frames_that_are_not_asked_for_any_more_are_not_held(
    threads: int, made: list[weakref.ref[torch.Tensor]]
) -> None:
    with inrcodec.open(FILE, "cpu", "float32") as video:
        decoder: Any = video._renderers.of(0).decoder
        for first in range(4):
            decoder.codes([first, first + 1])
        decoder.codes([0])
        # Anchors are kept.
        assert {*decoder._frames} == {0, 3, 5} and decoder._codes.keys() == {0}
        assert alive(made) == 3
        decoder._frames.clear()
        decoder._codes.clear()
        assert alive(made) == 0


def test_frames_of_a_failure_are_not_held(
    threads: int, made: list[weakref.ref[torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = reconstruction.Reconstruction._codes_of

    def failing(self: Any, *arguments: Any) -> Any:
        original(self, *arguments)
        raise MemoryError("no more")

    monkeypatch.setattr(reconstruction.Reconstruction, "_codes_of", failing)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        with pytest.raises(MemoryError, match="no more"):
            video[:]
        assert made and alive(made) == 0


def test_a_failure_of_work_that_was_begun_ahead_is_forgotten(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, original, calls = alone(), reconstruction.Reconstruction._planes, []

    def failing(self: Any, frame: int, references: Any) -> Any:
        if frame == 5 and not calls:
            calls.append(frame)
            raise MemoryError("no more")
        return original(self, frame, references)

    monkeypatch.setattr(reconstruction.Reconstruction, "_planes", failing)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        video[0]
        assert_alike(video[1], expected[1])
        # The anchor of the frames ahead has failed by now, or fails here.
        with pytest.raises(MemoryError, match="no more"):
            video[4]
        assert_alike(video[4], expected[4])


def test_a_place_between_frames_leaves_no_cancelled_work_behind(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, original, gate = alone(), reconstruction.Reconstruction._planes, Event()

    def slow(self: Any, frame: int, references: Any) -> Any:
        # Frame 4, begun ahead, still waits for this one when something else is requested.
        if frame == 5:
            gate.wait(60)
        return original(self, frame, references)

    monkeypatch.setattr(reconstruction.Reconstruction, "_planes", slow)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        video[0]
        video[1]
        assert 4 in video._renderers.of(0).decoder._codes  # type: ignore[union-attr]
        between = video.at(1.5)
        gate.set()
        assert_alike(between, alone_at(1.5))
        assert_alike(video[4], expected[4])


def test_a_network_of_zeros_is_not_computed(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, original, computed = alone(), reconstruction.refine, []

    def counted(quads: Any, weights: Any) -> Any:
        computed.append(bool(weights))
        return original(quads, weights)

    monkeypatch.setattr(reconstruction, "refine", counted)
    with inrcodec.open(FILE, "cpu", "float32") as video:
        video[0]
        decoder: Any = video._renderers.of(0).decoder
        assert computed == [True] and len(decoder._weights) == 4
    tensors = {
        "motion": decoder._motion,
        "latent": decoder._latents,
        "latent.step": torch.tensor(0.1),
        **{name: torch.zeros_like(value) for name, value in decoder._weights.items()},
    }
    empty = reconstruction.Reconstruction(tensors, decoder._config, decoder._tree, decoder._display)
    frames = empty.codes(range(6))
    assert computed[1:] == [False] * 6
    assert frames.shape == expected.shape
    empty._weights = {name: value for name, value in tensors.items() if name.startswith("refine.")}
    empty._codes.clear()
    assert torch.equal(frames, empty.codes(range(6))) and computed[7:] == [True] * 6


def modes() -> tuple[bool, bool, bool, torch.dtype]:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
    )


def test_work_is_done_in_the_modes_of_the_caller(threads: int) -> None:
    workers = Threads(torch.device("cpu"))
    assert workers.submit_after((), modes).result() == modes()
    with torch.no_grad(), torch.autocast("cpu", torch.float16):
        assert workers.submit_after((), modes).result() == modes() == (False, False, True, torch.float16)
    with torch.inference_mode():
        assert workers.submit_after((), modes).result() == modes()


def test_other_devices_have_no_workers(threads: int) -> None:
    workers = Threads(torch.device("meta"))
    assert not workers.are_many
    assert workers.submit_after((), torch.get_num_threads).result() == threads


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A file that contains the golden file's segment three times."""
    stream = bitstream.load(FILE.read_bytes())
    (segment,) = stream.segments
    path = tmp_path / "three.inrv"
    segments = tuple(replace(segment, first_frame=first) for first in (0, 6, 12))
    header = replace(stream.header, frame_count=18)
    path.write_bytes(bitstream.dump(replace(stream, header=header, segments=segments)))
    return path


@pytest.fixture
def makers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the threads that make renderers."""
    names, original = [], rendering.SegmentRenderer.__init__

    def counted(self: Any, *arguments: Any) -> None:
        names.append(current_thread().name)
        original(self, *arguments)

    monkeypatch.setattr(rendering.SegmentRenderer, "__init__", counted)
    return names


def test_the_next_segment_is_decoded_beside_this_one(three: Path, makers: list[str]) -> None:
    with inrcodec.open(three, "cpu", "float32") as video:
        frames = video[:]
    assert_alike(frames, np.concatenate([frames[:6]] * 3))
    assert [name.startswith("segments") for name in makers] == [False, True, True]


def test_what_is_not_asked_for_is_not_decoded(three: Path, makers: list[str]) -> None:
    with inrcodec.open(three, "cpu", "float32") as video:
        assert len(video[1:6]) == 5
        assert len(video[13:15]) == 2
    assert [name.startswith("segments") for name in makers] == [False, False]


@pytest.mark.parametrize("kind", ["checksum", "symbols"])
def test_a_segment_that_is_damaged_is_told_of_when_it_is_met(three: Path, kind: str) -> None:
    if kind == "checksum":
        data = bytearray(three.read_bytes())
        data[len(data) // 2] ^= 1
        three.write_bytes(data)
    else:
        # The extra word is only detected when the symbols are decoded, in the background.
        stream = bitstream.load(three.read_bytes())
        first, second, third = stream.segments
        payload = second.sections[-1].payload
        latent = replace(second.sections[-1], payload=payload[:1] + b"more" + payload[1:])
        damaged = replace(second, sections=(*second.sections[:-1], latent))
        three.write_bytes(bitstream.dump(replace(stream, segments=(first, damaged, third))))
    shown = 0
    with inrcodec.open(three, "cpu", "float32") as video:
        with pytest.raises(bitstream.BitstreamError):
            for batch in video.batches(range(18)):
                shown += len(batch)
        assert shown == 6
        # The segment after it can still be decoded.
        assert len(video[12:18]) == 6


def test_a_file_may_be_closed_and_left_at_any_time(three: Path, makers: list[str]) -> None:
    video = inrcodec.open(three, "cpu", "float32")
    next(video.batches(range(18)))
    video.close()
    assert len(makers) <= 2
    with inrcodec.open(three, "cpu", "float32") as video:
        next(video.batches(range(18)))
        # The segment prepared in advance is not the one requested.
        frames = video[12:18]
        assert_alike(frames, video[0:6])

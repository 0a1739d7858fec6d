"""An open video in threads, in forked processes, in the workers of a `DataLoader`, and pickled."""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import Frames
from command_line import GOLDEN, environment
from torch.utils.data import DataLoader

import bitstream
import inrcodec
from bitstream import Limits
from inrcodec.decoder.render import SegmentRenderer

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.filterwarnings("ignore:This process .*multi-threaded:DeprecationWarning"),
]
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
SEGMENTS = 4


@pytest.fixture(scope="module", params=["inrc", "hnerv"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of several segments, which are one golden segment repeated with other first frames."""
    stream = bitstream.load((GOLDEN / f"{request.param}.inrv").read_bytes())
    (segment,) = stream.segments
    count = segment.frame_count
    repeated = tuple(replace(segment, first_frame=number * count) for number in range(SEGMENTS))
    header = replace(stream.header, frame_count=SEGMENTS * count)
    path = tmp_path_factory.mktemp("sharing") / f"{request.param}.inrv"
    path.write_bytes(bitstream.dump(replace(stream, header=header, segments=repeated)))
    return path


@pytest.fixture(scope="module")
def expected(path: Path) -> Frames:
    """The frames, read one by one."""
    with inrcodec.open(path, "cpu", "float32") as video:
        return np.stack([video[number] for number in range(len(video))])


def test_threads_get_the_frames_they_ask_for(
    path: Path, expected: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once: list[int] = []
    original = SegmentRenderer.render

    def slow(renderer: SegmentRenderer, positions: Sequence[float]) -> Frames:
        at_once.append(1)
        # Another thread would take its turn here, and change what the decoder has cached.
        time.sleep(0.002)
        assert sum(at_once) == 1
        frames = original(renderer, positions)
        at_once.pop()
        return frames

    monkeypatch.setattr(SegmentRenderer, "render", slow)

    def ask(seed: int) -> bool:
        numbers = random.Random(seed)
        for _ in range(4):
            first, last = sorted(numbers.choices(range(len(expected)), k=2))
            asked = slice(last, first, -1)
            if not np.array_equal(video[first], expected[first]):
                return False
            if not np.array_equal(video[asked], expected[asked]):
                return False
        return True

    with inrcodec.open(path, "cpu", "float32") as video, ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(6)))


def test_threads_get_their_own_iterators(path: Path, expected: Frames) -> None:
    def ask(_: int) -> Frames:
        return np.stack([*video])

    with inrcodec.open(path, "cpu", "float32") as video, ThreadPoolExecutor(4) as pool:
        for frames in pool.map(ask, range(4)):
            assert np.array_equal(frames, expected)


def loaded(video: Any, mode: str) -> Frames:
    """All frames in order, read by two workers of a `DataLoader`."""
    loader = DataLoader(video, batch_size=3, num_workers=2, multiprocessing_context=mode, timeout=100)
    frames: Frames = torch.cat([*loader]).numpy()
    return frames


@FORKS
def test_forked_workers_of_a_loader_after_the_parent_has_decoded(path: Path, expected: Frames) -> None:
    with inrcodec.open(path, "cpu", "float32") as video:
        following = iter(video)
        # The segment that follows is being prepared in a thread, which the workers do not have.
        assert np.array_equal(next(following), expected[0])
        assert np.array_equal(loaded(video, "fork"), expected)
        assert np.array_equal(np.stack([*following]), expected[1:])


def test_spawned_workers_of_a_loader(path: Path, expected: Frames) -> None:
    with inrcodec.open(path, "cpu", "float32") as video:
        assert np.array_equal(video[0], expected[0])
        assert np.array_equal(loaded(video, "spawn"), expected)


FORKING = """
import os, sys
import numpy as np, torch
import inrcodec

torch.set_num_threads(4)
torch.nn.functional.conv2d(torch.randn(4, 8, 128, 128), torch.randn(8, 8, 3, 3))
video = inrcodec.open(sys.argv[1], "cpu", "float32")
frames = iter(video)
first, rest = next(frames), video[1:]


def is_right():
    others = np.stack([*frames])
    return np.abs(video[0].astype(int) - first).max() <= 1 and np.abs(others.astype(int) - rest).max() <= 1


children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        fine = is_right()
        torch.nn.functional.conv2d(torch.randn(4, 8, 128, 128), torch.randn(8, 8, 3, 3))
        video.close()
        os._exit(0 if fine and torch.get_num_threads() == 1 else 1)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
assert codes == [0, 0], codes
assert is_right() and torch.get_num_threads() == 4
"""


@FORKS
def test_forked_processes_do_not_wait_for_threads_of_the_parent(path: Path) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, str(path)]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()


def test_a_video_is_pickled_as_its_path_and_options(path: Path, expected: Frames) -> None:
    limits = Limits(max_frames=len(expected))
    with inrcodec.open(path, "cpu", "float32", skip_damaged=True, limits=limits) as video:
        data = pickle.dumps(video)
    assert len(data) < path.stat().st_size
    with pickle.loads(data) as again:
        assert (again.device, again.dtype) == (torch.device("cpu"), torch.float32)
        assert again._reader.limits == limits and type(again._reader) is bitstream.SalvageReader
        assert np.array_equal(again[4], expected[4])


def test_a_copy_outlives_the_original(path: Path, expected: Frames) -> None:
    with inrcodec.open(path, "cpu", "float32") as video:
        again = copy.deepcopy(video)
    with again:
        assert np.array_equal(again[-1], expected[-1])


@FORKS
def test_a_pipe_says_why_it_is_neither_pickled_nor_forked(path: Path, expected: Frames) -> None:
    fifo = path.with_suffix(".fifo")
    os.mkfifo(fifo)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(lambda: fifo.write_bytes(path.read_bytes()))
        with inrcodec.open(fifo, "cpu", "float32") as video:
            assert np.array_equal(video[0], expected[0])
            with pytest.raises(TypeError, match="from a pipe for instance, cannot be pickled"):
                pickle.dumps(video)
            child = os.fork()
            if child == 0:
                try:
                    video[len(expected) - 1]
                except OSError as error:
                    os._exit(7 if "cannot continue to read a pipe" in str(error) else 1)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
            assert np.array_equal(np.stack([*video])[1:], expected[1:])
        written.result()
    fifo.unlink()

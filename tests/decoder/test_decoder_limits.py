"""Files of a few bytes that ask for a machine: refused when parsed, decoded in proportion, or lifted."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from command_line import GOLDEN, ROOT, environment
from fuzz.seeds import file_of_zeros

import inrcodec
from bitstream import LimitExceeded, Limits, Section, Segment, Stream, StreamHeader, dump
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect, verify
from inrcodec.errors import UsageError
from inrcodec.models.family import AnyFamily, Role, VideoInfo
from inrcodec.models.hnerv import HNeRV, HNeRVConfig
from inrcodec.models.inrc.inrc import Inrc
from inrcodec.models.layers.layout import covering_grid
from inrcodec.models.nerv import NeRV, NeRVConfig
from inrcodec.models.supermask.config import SupermaskConfig
from inrcodec.models.supermask.supermask import Supermask
from inrcodec.quality.evaluation import evaluate
from inrcodec.settings.notation import limit_name, parse_limits


def file_of(
    family: AnyFamily, config: Any, width: int, height: int, frames: int, times: bool = False
) -> bytes:
    """A file whose symbols are all 0 and take two bytes a section."""
    video = VideoInfo(width, height, frames)
    sections = tuple(
        Section(1, (0.125,) if spec.role not in (Role.LEVELS, Role.SCALE) else (), b"\0\0")
        for spec in family.tensors(config, video)
    )
    coded_width, coded_height = family.coded_size(config, video)
    stamps = (*range(frames - 1), frames) if times else None
    header = StreamHeader(
        width, height, coded_width, coded_height, frames, Fraction(25), Fraction(1, 25), timestamps=stamps
    )
    segment = Segment(0, frames, family.wire_id, 0, family.pack(config), sections)
    return dump(Stream(header, (segment,)))


def costly() -> bytes:
    """One frame of 32x32 pixels through 8 convolutions 7x7 of 100 channels."""
    grid = covering_grid(32, 32, (1,) * 8)
    return file_of(HNeRV(), HNeRVConfig(grid, 1, 100, (7, 7), 100), 32, 32, 1)


def long(frames: int, width: int = 31, height: int = 23) -> bytes:
    return file_of(NeRV(), NeRVConfig(covering_grid(width, height, (4, 2)), 4, 1), width, height, frames)


def many_embeddings(frames: int) -> bytes:
    grid = covering_grid(64, 64, (8,))
    return file_of(HNeRV(), HNeRVConfig(grid, 1, 1), 64, 64, frames)


REFUSED: dict[str, tuple[Callable[[], bytes], str, int]] = {
    "multiplications of a frame": (costly, "max_frame_multiplications", 10**6),
    "multiplications of a segment": (lambda: long(1000), "max_segment_multiplications", 10**6),
    "frames": (lambda: long(1000), "max_frames", 999),
    "memory of symbols": (lambda: many_embeddings(1 << 16), "max_memory", 1 << 24),
    "memory of activations": (lambda: long(2, 2048, 2048), "max_memory", 1 << 24),
    "memory of times": (
        lambda: file_of(NeRV(), NeRVConfig(covering_grid(2, 2, (1,)), 1, 1), 2, 2, 1000, times=True),
        "max_memory",
        63_999,
    ),
}


def first_frame(path: Path, limits: Limits) -> None:
    with inrcodec.open(path, "cpu", limits=limits) as video:
        assert video[0].dtype == "uint8"


@pytest.mark.parametrize("name", REFUSED)
def test_a_person_sets_each_limit(name: str, tmp_path: Path) -> None:
    make, limit, allowed = REFUSED[name]
    path = tmp_path / "a.inrv"
    path.write_bytes(make())
    limits = Limits(**{limit: allowed})
    for read in (
        lambda: inspect(str(path), limits=limits),
        lambda: verify(str(path), limits),
        lambda: first_frame(path, limits),
    ):
        with pytest.raises(LimitExceeded, match=f"expected at most {limit} = {allowed:,}, found") as caught:
            read()
        assert caught.value.limit == limit
    inspect(str(path), limits=Limits(**{limit: caught.value.found}))


def test_defaults_refuse_what_no_encoder_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    grid = covering_grid(512, 512, (1,) * 6)
    path.write_bytes(file_of(HNeRV(), HNeRVConfig(grid, 1, 600, (7, 7), 100), 512, 512, 1))
    with pytest.raises(LimitExceeded, match="max_frame_multiplications"):
        inspect(str(path))
    data = long(1 << 24)
    path.write_bytes(data)
    assert inspect(str(path)).header.frame_count == 1 << 24
    with pytest.raises(ValueError, match="max_frames"):
        long((1 << 24) + 1)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.inrv")), ids=lambda path: path.name)
def test_ordinary_files_take_little(path: Path) -> None:
    strict = Limits(max_memory=1 << 21, max_frame_multiplications=1 << 22, max_frames=6)
    assert inspect(str(path), limits=strict)


COMMANDS = (
    ["decode", "FILE", "-o", "OUT.png", "--frames", "0:1"],
    ["info", "FILE"],
    ["verify", "FILE"],
    ["eval", "FILE", "FILE"],
    ["report", "FILE", "FILE", "-o", "OUT.html"],
    ["export", "FILE", "-o", "OUT"],
)


@pytest.mark.end_to_end
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_every_command_that_reads_files_takes_limits(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.inrv"
    path.write_bytes((GOLDEN / "nerv.inrv").read_bytes())
    named = [word.replace("FILE", str(path)).replace("OUT", str(tmp_path / "out")) for word in words]
    assert run([*named, "--limits", "frames=2"]) == 4
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(
        "inrc: error: the file is beyond a limit: expected at most max_frames = 2, found 3"
    )
    assert line.endswith("[LimitExceeded]; --limits frames=3 allows it")


def test_limits_are_named_as_they_are_shown() -> None:
    assert parse_limits(["memory=2G", "frames=20M", "segment-multiplications=1.5t"]) == Limits(
        max_memory=2 * 10**9, max_frames=20 * 10**6, max_segment_multiplications=1_500_000_000_000
    )
    assert parse_limits([]) == Limits()
    assert {limit_name(name) for name in vars(Limits())} >= {"frames", "memory", "frame-multiplications"}
    for text in ("memory", "memory=", "memory=0", "memory=-1", "speed=3", "max_memory=3", "memory=many"):
        with pytest.raises(UsageError, match="limits: "):
            parse_limits([text])


def test_the_page_on_security_names_every_limit() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    for name, value in vars(Limits()).items():
        assert f"`{limit_name(name)}`" in page
        row = re.search(rf"^\| `{limit_name(name)}` \| 2\^(\d+) \|", page, re.MULTILINE)
        assert row is None or 1 << int(row[1]) == value, name
    assert Limits().max_memory == 4 * 2**31 + 12 * 2**27
    assert "| `memory` | 4 x 2^31 + 12 x 2^27 |" in page


def test_the_first_frame_of_many_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    path.write_bytes(long(1 << 24))
    started = time.process_time()
    with inrcodec.open(path, "cpu") as video:
        for frames in (range(len(video)), range(len(video) - 1, -1, -1), range(5, len(video), 2)):
            assert next(video.batches(frames)).shape[1:] == (23, 31, 3)
    # A loop over the frames took two seconds.
    assert time.process_time() - started < 1


def test_lengths_are_compared_first(tmp_path: Path) -> None:
    one, other = tmp_path / "a.inrv", tmp_path / "b.inrv"
    one.write_bytes(long(1 << 24))
    other.write_bytes(long(1 << 23))
    with pytest.raises(UsageError, match=r"has 16,777,216 frames, .* has 8,388,608"):
        evaluate(str(one), str(other), device="cpu")


PEAK = """
import resource, sys, inrcodec, torch
import inrcodec.decoder.render
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with inrcodec.open(sys.argv[1], "cpu", "float32") as video:
    video[0]
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


def models() -> bytes:
    """A few small frames whose contextual sections declare the largest magnitude."""
    video, family = VideoInfo(31, 23, 6), Inrc()
    config = family.plan(video, 1e5, {"width": "0", "group": "3"}, 0)
    return file_of_zeros(family, config, video, largest=b"\xff\xff\x01")


def required_memory(path: Path) -> int:
    """The smallest limit of memory with which the file is not refused for it."""
    allowed = 1
    while True:
        try:
            verify(str(path), Limits(max_memory=allowed))
        except LimitExceeded as error:
            assert error.limit == "max_memory"
            allowed = error.found
        else:
            return allowed


def test_models_of_contextual_sections_count_as_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    path.write_bytes(models())
    assert 48 * 77 << 15 < required_memory(path) < (48 * 77 << 15) + (1 << 20)


def masked(width: int) -> bytes:
    """A supermask of one wide stage: nearly all its weights are in one tensor."""
    grid = covering_grid(64, 64, (8, 8))
    config = SupermaskConfig("hnerv", "uniform", "learned", False, grid, 512, width, (60000,), 0)
    return file_of(Supermask(), config, 64, 64, 1)


@pytest.mark.end_to_end
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize(
    "make",
    [
        lambda: many_embeddings(1 << 18),
        lambda: masked(200),
        lambda: file_of(NeRV(), NeRVConfig(covering_grid(2, 2, (1,)), 1, 1), 2, 2, 1 << 19, times=True),
        lambda: long(1, 3072, 3072),
        models,
    ],
    ids=["embeddings", "supermask", "times", "activations", "models"],
)
def test_memory_is_within_the_estimate(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    path.write_bytes(make())
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    # Twenty megabytes for the libraries' own buffers.
    assert int(done.stdout) <= 1.05 * required_memory(path) + (20 << 20)

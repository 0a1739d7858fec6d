"""The fuzzer finds no fault, finds those that there are, and makes each file again from its number."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ROOT, environment

from bitstream import BitstreamError, load
from fuzz import campaign, reading, seeds
from fuzz.campaign import FAULTS, SECONDS, SLOTS, Tally, TooLong, Worker
from fuzz.fields import blocks_of, file_of
from fuzz.mutations import Mutator

SEEDS = seeds.seeds()


@pytest.mark.end_to_end
@pytest.mark.parametrize("seed", [1, 2])
def test_no_file_is_a_fault(seed: int, tmp_path: Path) -> None:
    """Half a minute each, in a process of its own; longer by hand: `python -m tests.fuzz --seconds 3600`."""
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "30", "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path), "--exports", "0"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    counts = dict(part.rsplit(" ", 1) for part in done.stdout.strip().split(", "))
    assert {name: counts[name] for name in FAULTS} == dict.fromkeys(FAULTS, "0"), done.stderr
    assert done.returncode == 0 and int(counts["loads"].replace(",", "")) > len(SEEDS), done.stderr


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_file_is_written_again_from_its_fields(number: int) -> None:
    assert file_of(blocks_of(SEEDS[number])) == SEEDS[number]


def test_a_number_makes_the_same_file_again() -> None:
    made = []
    for _ in range(2):
        rng = random.Random()
        mutator, files = Mutator(rng, SEEDS, seeds.counts_of(SEEDS)), []
        for number in range(200):
            rng.seed(f"0 {number}")
            files.append(mutator.mutated(number))
        made.append(files)
    assert made[0] == made[1]
    assert len({*made[0]}) > 150


def test_every_seed_is_read_by_the_second_decoder() -> None:
    for data in SEEDS:
        try:
            stream = load(data)
        except BitstreamError:
            continue
        reading.compare(data, stream, slowly=False)


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    path = tmp_path / "tally"
    path.write_bytes(bytes(8 * len(SLOTS)))
    options = campaign._arguments(["--folder", str(tmp_path)])
    assert isinstance(options, argparse.Namespace)
    return Worker(options, Tally(str(path)))


def _loop() -> None:
    ends = time.process_time() + 20
    while time.process_time() < ends:
        pass


def _unequal() -> None:
    data = SEEDS[0]
    reading.compare(data, load(SEEDS[1]), slowly=False)


def _allocate() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (lambda: [][1], "other exceptions"),
        (_allocate, "above the limits"),
        (_loop, "above the limits"),
        (_unequal, "disagreements"),
    ],
    ids=["index", "memory", "time", "unequal"],
)
def test_faults_are_counted(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, read: object, fault: str
) -> None:
    monkeypatch.setitem(SECONDS, "load", 0.2)
    previous = campaign.signal.signal(campaign.signal.SIGPROF, campaign._too_long)
    try:
        assert worker._attempt("load", 3, read) is None  # type: ignore[arg-type]
    except TooLong:
        pytest.fail("the time limit was not caught")
    finally:
        campaign.signal.signal(campaign.signal.SIGPROF, previous)
    assert {name: worker._tally[name] for name in FAULTS} == {**dict.fromkeys(FAULTS, 0), fault: 1}


def test_errors_that_a_file_may_cause_are_no_faults(worker: Worker) -> None:
    assert worker._attempt("load", 3, lambda: load(b"nothing")) is None
    assert not any(worker._tally[name] for name in FAULTS)


@pytest.mark.end_to_end
def test_a_process_that_dies_is_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tally"
    path.write_bytes(bytes(8 * len(SLOTS)))
    # A name of a folder where the worker expects its tally ends it at once.
    assert not campaign._survives(["--worker", str(tmp_path)], Tally(str(path)))

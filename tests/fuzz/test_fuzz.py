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
@pytest.mark.parametrize(("seed", "exports"), [(1, 0), (2, 1)])
def test_no_file_is_a_fault(seed: int, exports: int, tmp_path: Path) -> None:
    """Half a minute each, in a process of its own; longer by hand: `python -m tests.fuzz --seconds 3600`."""
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", "30", "--seed", str(seed)]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path), "--exports", str(exports)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    counts = counts_in(done.stdout)
    assert {name: counts[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0), done.stderr
    assert done.returncode == 0 and counts["exports"] == exports
    # The seeds come first: more than their share was made of mutated files.
    assert counts["loads"] > 2 * len(SEEDS)
    assert counts["decodes"] > 0.02 * len(SEEDS) + 2
    assert counts["muxings"] > 0.01 * len(SEEDS) + 2


def counts_in(output: str) -> dict[str, int]:
    parts = (part.rsplit(" ", 1) for part in output.strip().split(", "))
    return {name: int(count.replace(",", "")) for name, count in parts}


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


def test_without_a_number_of_loads_the_others_are_reached(worker: Worker) -> None:
    worker._options.decodes, worker._options.exports = 2, 0
    for number in range(5):
        worker._read(SEEDS[0], 8 * number)
    assert (worker._tally["decodes"], worker._tally["exports"]) == (2, 0)


@pytest.mark.end_to_end
def test_a_worker_that_never_starts_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(campaign.sys, "executable", "/bin/false")
    assert campaign.main(["--loads", "5"]) == 1
    assert "died before its first file" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_the_case_that_kills_a_worker_is_kept_without_a_folder_left_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign.tempfile, "tempdir", str(tmp_path))
    (kept := tmp_path / "kept").mkdir()

    def dies(words: list[str], tally: Tally) -> bool:
        tally["next"] += 1
        tally["loads"] += 1
        return False

    monkeypatch.setattr(campaign, "_survives", dies)
    assert campaign.main(["--loads", "1", "--keep", str(kept), "--start", "3"]) == 1
    assert [*tmp_path.iterdir()] == [kept]
    assert (kept / "0-3.inrv").read_bytes() == SEEDS[3]


CORPUS = sorted(seeds.CORPUS.glob("*.inrv"))


def test_the_corpus_is_small_and_there() -> None:
    assert len(CORPUS) > 20
    assert sum(path.stat().st_size for path in CORPUS) < 100_000


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_files_of_the_corpus_are_no_faults(worker: Worker, path: Path) -> None:
    worker._options.exports = 0
    for number in range(8):
        # The number decides which reader loads the file.
        worker._read(path.read_bytes(), number, is_first=number == 0)
    assert not any(worker._tally[name] for name in FAULTS)

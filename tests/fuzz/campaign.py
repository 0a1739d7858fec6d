"""Runs the fuzzer: a worker that reads mutated files, and a parent that outlives its crashes.

The worker reads all files in one process, under limits of memory and time, and keeps its counts in a shared
file. When it dies, the parent knows the case that killed it, and starts another worker behind that case.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

COUNTS = ("next", "loads", "accepted", "decodes", "muxings", "exports", "compared", "slowly")
FAULTS = ("crashes", "other exceptions", "above the limits", "disagreements")
SLOTS = (*COUNTS, *FAULTS)
SECONDS = {"load": 3.0, "compare": 30.0, "decode": 10.0, "mux": 20.0, "export": 60.0}
"""Processor seconds that each reading of a file may take, on a machine that is busy with other things."""
SHARES = {"decodes": 0.02, "muxings": 0.01, "exports": 2e-5, "slowly": 0.003}
"""How many of the files that load are read further, unless numbers are given."""
MORE_MEMORY = 1 << 30
"""Address space that the worker may add to that of its libraries."""
MORE_RESIDENT = 1 << 27
"""Memory by which one reading may raise the worker's peak: twice what a file may ask for."""
MORE_FOR_EXPORT = 1 << 29
"""The same for an export: its libraries keep more with each new kind of graph."""
SILENT_SECONDS = 300.0
MOST_LOADS = 1 << 60


class TooLong(BaseException):
    """A file took more time than it may. Not an `Exception`, so that nothing intercepts it."""


class Tally:
    """Counts that the worker and its parent share."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * len(SLOTS))
        self._slots = memoryview(self._map).cast("q")

    def __getitem__(self, name: str) -> int:
        return self._slots[SLOTS.index(name)]

    def __setitem__(self, name: str, value: int) -> None:
        self._slots[SLOTS.index(name)] = value


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_long(number: int, frame: FrameType | None) -> None:
    raise TooLong


class Worker:
    """Reads one file after another; see the module's docstring."""

    def __init__(self, options: argparse.Namespace, tally: Tally) -> None:
        # Imported here: the parent needs none of it, and survives where it crashes.
        from fuzz import reading, seeds
        from fuzz.mutations import Mutator

        self._options, self._tally, self._reading = options, tally, reading
        self._seeds = seeds.seeds()
        self._rng = random.Random()
        self._mutator = Mutator(self._rng, self._seeds, seeds.counts_of(self._seeds))
        self._is_warm = False
        """Whether every library is loaded and has made its buffers."""
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=options.folder))

    def case(self, number: int) -> bytes:
        """The file of this number: the seeds themselves first, then mutated ones."""
        self._rng.seed(f"{self._options.seed} {number}")
        if number < len(self._seeds):
            return self._seeds[number]
        return self._mutator.mutated(number)

    def run(self) -> None:
        """Read files until the time is over or the numbers are reached."""
        self._read(self._seeds[0], 0, is_first=True)
        self._is_warm = True
        signal.signal(signal.SIGPROF, _too_long)
        _limit_memory()
        options, tally, ends = self._options, self._tally, time.monotonic() + self._options.seconds
        while time.monotonic() < ends and tally["loads"] < options.loads:
            number = tally["next"]
            tally["next"] = number + 1
            self._read(self.case(number), number)

    def _read(self, data: bytes, number: int, is_first: bool = False) -> None:
        """Load a file, and read it further if it loads and such a reading is due."""
        reading, tally, rng = self._reading, self._tally, random.Random(number)
        tally["loads"] += 1
        stream = self._attempt("load", number, lambda: reading.load_any(data, rng))
        if stream is None:
            return
        tally["accepted"] += 1
        slowly = is_first or self._is_due("slowly")
        tally["compared"] += 1
        tally["slowly"] += slowly
        self._attempt("compare", number, lambda: reading.compare(data, stream, slowly))
        if is_first or self._is_due("decodes"):
            tally["decodes"] += 1
            self._attempt("decode", number, lambda: reading.decode_frame(data, rng))
        if is_first or self._is_due("muxings"):
            tally["muxings"] += 1
            self._attempt("mux", number, lambda: reading.mux(data, rng, self._folder))
        if (is_first and self._options.exports != 0) or self._is_due("exports"):
            tally["exports"] += 1
            self._attempt("export", number, lambda: reading.export(data, self._folder))

    def _is_due(self, what: str) -> bool:
        """Whether fewer files were read so than wanted, or than their share of the loads."""
        wanted = getattr(self._options, what)
        if wanted is not None and self._options.loads == MOST_LOADS:
            return bool(self._tally[what] < wanted)
        share = SHARES[what] if wanted is None else wanted / self._options.loads
        return self._tally[what] < share * self._tally["loads"]

    def _attempt(self, what: str, number: int, read: Callable[[], Any]) -> Any:
        """Return what `read` returns, or None if it raises; count faults."""
        from inrcodec.errors import is_out_of_memory

        before = _resident()
        try:
            with _within(SECONDS[what]):
                return read()
        except self._reading.EXPECTED as error:
            # Python raises it from our own wrappers of a library, too.
            if isinstance(error.__cause__, MemoryError):
                self._fault("above the limits", what, number, error)
        except TooLong as error:
            self._fault("above the limits", what, number, error)
        except self._reading.Disagreement as error:
            self._fault("disagreements", what, number, error)
        except Exception as error:
            kind = "above the limits" if is_out_of_memory(error) else "other exceptions"
            self._fault(kind, what, number, error)
        finally:
            allowed = MORE_FOR_EXPORT if what == "export" else MORE_RESIDENT
            if (more := _resident() - before) > allowed and self._is_warm:
                self._fault("above the limits", what, number, MemoryError(f"{more:,} bytes"))
        return None

    def _fault(self, kind: str, what: str, number: int, error: BaseException) -> None:
        self._tally[kind] += 1
        print(f"case {number}: {kind}: {what}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        if self._options.verbose:
            import traceback

            traceback.print_exception(error, limit=-4)
        _keep(self._options, self.case(number), number)


def _keep(options: argparse.Namespace, data: bytes, number: int) -> None:
    if options.keep:
        os.makedirs(options.keep, exist_ok=True)
        (Path(options.keep) / f"{options.seed}-{number}.inrv").write_bytes(data)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _resident() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--loads", type=int, default=MOST_LOADS, help="files to load")
    parser.add_argument("--decodes", type=int, help="of these, files to decode a frame of")
    parser.add_argument("--muxings", type=int, help="files to decode to .mkv and .mp4")
    parser.add_argument("--exports", type=int, help="files to export as ONNX")
    parser.add_argument("--slowly", type=int, help="files whose symbols the second decoder decodes")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="wall-clock time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first file")
    parser.add_argument("--case", type=int, help="read only the file of this number, in this process")
    parser.add_argument("--keep", help="folder for the files with faults")
    parser.add_argument("-v", "--verbose", action="store_true", help="print where faults happen")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    """Run the fuzzer and print its counts; return 1 if there were faults."""
    options = _arguments(words)
    if options.worker:
        warnings.simplefilter("error")
        Worker(options, Tally(options.worker)).run()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/tally"
        Path(path).write_bytes(bytes(8 * len(SLOTS)))
        tally, options.folder = Tally(path), folder
        tally["next"] = options.start
        if options.case is not None:
            words, tally["next"], options.loads = [*words, "--loads", "2"], options.case, 2
        ends = time.monotonic() + options.seconds
        while tally["loads"] < options.loads and time.monotonic() < ends:
            left = ["--seconds", str(ends - time.monotonic()), "--worker", path, "--folder", folder]
            before = tally["next"]
            if not _survives([*words, *left], tally):
                tally["crashes"] += 1
                if tally["next"] == before:
                    print("the process died before its first file", file=sys.stderr, flush=True)
                    break
                number = tally["next"] - 1
                print(f"case {number}: the process died", file=sys.stderr, flush=True)
                _keep(options, Worker(options, tally).case(number), number)
        print(", ".join(f"{name} {tally[name]:,}" for name in SLOTS if name != "next"))
        return int(any(tally[name] for name in FAULTS))


def _survives(words: list[str], tally: Tally) -> bool:
    """Run a worker to its end. A worker that is silent for long hangs, and is killed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz", *words]
    worker = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=environment)
    seen, since = tally["next"], time.monotonic()
    while True:
        try:
            return worker.wait(timeout=1.0) == 0
        except subprocess.TimeoutExpired:
            if tally["next"] != seen:
                seen, since = tally["next"], time.monotonic()
            elif time.monotonic() - since > SILENT_SECONDS:
                worker.kill()
        except BaseException:
            worker.kill()
            worker.wait()
            raise

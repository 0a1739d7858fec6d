"""Soak test: random encodes and decodes, stopped by random signals and restarted until they finish.

    python -m benchmarks.soak [--rounds 200] [--seed 0] [--json FILE]

A round runs one command, in a new process after every stop. After a stop the output must be absent, unchanged
or complete. The final output must equal that of an uninterrupted run (videos frame by frame, other files byte
for byte), and its folder must contain nothing else. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.inputs.makers import video
from benchmarks.record import write_report

EARLIER = b"an earlier file"
CODES = {
    signal.SIGKILL: {-9},
    # A signal that arrives before Python can handle it ends the process itself.
    signal.SIGINT: {130, -2},
    signal.SIGTERM: {143, -15},
}
MOST_STOPS = 3
CLIPS: dict[str, dict[str, Any]] = {
    "plain.mp4": {"size": (48, 32), "count": 12},
    "sound.mkv": {"size": (32, 24), "count": 16, "sound": "flac"},
    "uneven.mkv": {"size": (40, 24), "count": 10, "stamps": [0, 40, 90, 95, 200, 300, 310, 400, 450, 460]},
    "tiny.mp4": {"size": (2, 2), "count": 5},
}
FIT = ("--device", "cpu", "--checkpoint", "0.2s", "--no-audio")
ENCODES: dict[str, tuple[str, ...]] = {
    "hnerv": ("plain.mp4", "--epochs", "24", "--size", "9k", *FIT),
    "hnerv in segments": ("sound.mkv", "--epochs", "18", "--size", "9k", "--segment", "8", *FIT[:-1]),
    "nerv": ("uneven.mkv", "--model", "nerv", "--epochs", "24", "--size", "9k", *FIT),
    "supermask": ("plain.mp4", "--model", "supermask", "--epochs", "10", "--size", "9k", *FIT),
    "paper": ("plain.mp4", "--preset", "paper", "--epochs", "16", "--size", "12k", "--segment", "6", *FIT),
    "tiny": ("tiny.mp4", "--epochs", "40", "--size", "4k", *FIT),
    "piped": ("-", "--epochs", "16", "--size", "9k", "--segment", "8", *FIT),
}
"""Sources and options; `piped` reads plain.mp4 from standard input."""
TARGETS = ("out.mp4", "out.mkv", "out.webm", "out.y4m", "frames")


@dataclass
class Round:
    """One command, its stops and the problems found."""

    what: str
    stops: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        return {"what": self.what, "stops": self.stops, "problems": self.problems}


class Soak:
    """All rounds of one seed, in `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._seconds: dict[str, float] = {}
        """Duration of each command without stops."""
        # A shell makes background jobs ignore SIGINT, which the commands would inherit.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, made in CLIPS.items():
            video(folder / name, **made)

    def run(self, number: int) -> Round:
        """Run round `number`; the seed fixes everything but the speed of the machine."""
        random = np.random.default_rng([self._seed, number])
        name = str(random.choice(list(ENCODES)))
        if random.random() < 0.6:
            return self._rounds(random, f"encode {name}", "out.inrv", self._encode(name))
        target = str(random.choice(TARGETS))
        source = self._reference(f"encode {name}", "out.inrv", self._encode(name))
        return self._rounds(random, f"decode {name} to {target}", target, self._decode(source))

    def _encode(self, name: str) -> Callable[[Path], tuple[list[str], Path | None]]:
        source, *options = ENCODES[name]
        piped = self._folder / "plain.mp4" if source == "-" else None
        path = source if piped else str(self._folder / source)
        return lambda output: (["encode", path, "-o", str(output), *options, "-y", "-q"], piped)

    def _decode(self, source: Path) -> Callable[[Path], tuple[list[str], Path | None]]:
        return lambda output: (
            ["decode", str(source), "-o", str(output), "--device", "cpu", "-y", "-q"],
            None,
        )

    def _reference(
        self, what: str, name: str, command: Callable[[Path], tuple[list[str], Path | None]]
    ) -> Path:
        """Output of an uninterrupted run of the command."""
        folder = self._folder / f"reference {what}"
        if not folder.exists():
            folder.mkdir()
            started = time.monotonic()
            code, said = _finish(_start(*command(folder / name)))
            if code != 0 or os.listdir(folder) != [name]:
                raise SystemExit(f"{what} failed with exit code {code}: {said}")
            self._seconds[what] = time.monotonic() - started
        return folder / name

    def _rounds(
        self,
        random: np.random.Generator,
        what: str,
        name: str,
        command: Callable[[Path], tuple[list[str], Path | None]],
    ) -> Round:
        reference, done = self._reference(what, name, command), Round(what)
        folder = self._folder / "round"
        folder.mkdir()
        output = folder / name
        has_earlier = name != "frames" and random.random() < 0.3
        if has_earlier:
            output.write_bytes(EARLIER)
        was_killed = False
        for _ in range(random.integers(MOST_STOPS + 1)):
            number = signal.Signals(random.choice(list(CODES)))
            seconds = float(random.uniform(0.1, 1.1) * self._seconds[what])
            code, said = _stop(_start(*command(output)), number, seconds)
            done.stops.append(f"{number.name} after {seconds:.2f} s: {code}")
            if code not in CODES[number] | {0}:
                done.problems.append(f"{number.name}: exit code {code}: {said}")
            was_killed = was_killed or number == signal.SIGKILL
            done.problems += problems_after_stop(number, code, output, reference, has_earlier, was_killed)
        code, said = _finish(_start(*command(output)))
        if code != 0:
            done.problems.append(f"the last run failed with exit code {code}: {said}")
        elif not _is_same(output, reference):
            done.problems.append("the output differs from that of an uninterrupted run")
        if os.listdir(folder) != [name]:
            done.problems.append(f"left behind: {sorted(set(os.listdir(folder)) - {name})}")
        shutil.rmtree(folder)
        return done


def _start(words: Sequence[str], piped: Path | None) -> subprocess.Popen[str]:
    source = subprocess.DEVNULL if piped is None else open(piped, "rb")
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "inrcodec", *words], stdin=source, stderr=subprocess.PIPE, text=True
        )
    finally:
        if not isinstance(source, int):
            source.close()


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        _, said = process.communicate(timeout=600)
    return process.returncode, said.strip()


def _stop(process: subprocess.Popen[str], number: signal.Signals, seconds: float) -> tuple[int, str]:
    """Send the signal after `seconds`, unless the process ends before; returns exit code and stderr."""
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        return _finish(process)
    return process.returncode, said.strip()


def problems_after_stop(
    number: signal.Signals, code: int, output: Path, reference: Path, has_earlier: bool, was_killed: bool
) -> Iterator[str]:
    """Problems in the folder of an output whose process was stopped.

    If this or an earlier process `was_killed`, its temporary files may remain until a later run finishes.
    """
    allowed = {output.name}
    if code != 0:
        allowed.add(f"{output.name}.resume")
    if was_killed:
        allowed |= {f".{output.name}.partial", f".{output.name}.%05d.png.partial", f".{output.name}.source"}
        allowed |= {f".{output.name}..png.partial"}
    for name in sorted(set(os.listdir(output.parent)) - allowed):
        yield f"{number.name} leaves {name}"
    if output.is_file() and not (has_earlier and output.read_bytes() == EARLIER):
        if not _is_same(output, reference):
            yield f"{number.name} leaves an incomplete output"
    elif has_earlier and not output.exists():
        yield f"{number.name} removes the earlier file"


def _is_same(output: Path, reference: Path) -> bool:
    """Whether two outputs are equal: videos by their frames, images and other files by their bytes."""
    if output.is_dir():
        names = sorted(os.listdir(reference))
        return sorted(os.listdir(output)) == names and all(
            (output / name).read_bytes() == (reference / name).read_bytes() for name in names
        )
    if output.suffix in (".inrv", ".y4m"):
        return output.read_bytes() == reference.read_bytes()
    try:
        return _frames(output) == _frames(reference)
    except av.FFmpegError:
        return False


def _frames(path: Path) -> list[tuple[int | None, bytes]]:
    with av.open(str(path)) as container:
        return [(one.pts, one.to_ndarray(format="rgb24").tobytes()) for one in container.decode(video=0)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rounds: list[Round] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), options.seed)
        for number in range(options.rounds):
            rounds.append(soak.run(number))
            one = rounds[-1]
            verdict = "; ".join(one.problems) or "ok"
            print(f"{number:4} {one.what:40} {', '.join(one.stops) or 'not stopped'}: {verdict}", flush=True)
    stops = Counter(stop.split()[0] for one in rounds for stop in one.stops if not stop.endswith(": 0"))
    summary = {
        "rounds": len(rounds),
        "commands": dict(Counter(one.what.split()[0] for one in rounds)),
        "stopped": dict(stops),
        "done_before_the_signal": sum(stop.endswith(": 0") for one in rounds for stop in one.stops),
        "rounds_with_problems": sum(bool(one.problems) for one in rounds),
        "seconds": round(time.monotonic() - started),
    }
    print(summary)
    if options.json:
        write_report(options.json, "benchmarks.soak", [one.row() for one in rounds], summary=summary)
    sys.exit(summary["rounds_with_problems"] != 0)


if __name__ == "__main__":
    main()

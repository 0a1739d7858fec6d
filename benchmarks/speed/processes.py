"""Time and memory of complete commands, each in a separate process, and of coding, for `benchmarks.speed`."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import BENCHMARK_CLIPS
from bitstream.coders import CODERS

REPEATS, DECODES = 7, 5
SYMBOLS = 1 << 20
INRC = (sys.executable, "-m", "inrcodec")
_CHILD = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, time.perf_counter() - started, usage.ru_maxrss]))
"""


_READER = """
import json, resource, sys, time
import inrcodec, inrcodec.decoder.video
started = time.perf_counter()
with inrcodec.open(sys.argv[1]) as video:
    frames = sum(1 for frame in video)
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([frames, time.perf_counter() - started, usage.ru_maxrss]))
"""
KIB = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of `ru_maxrss`."""


def measured(*command: str) -> tuple[float, int]:
    """Wall-clock seconds and peak memory in bytes of a command; its child processes do not count.

    Raises `RuntimeError` if the command fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *command], capture_output=True, text=True, check=True
    )
    code, seconds, peak = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{' '.join(command)} failed with exit code {code}: {done.stderr}")
    return seconds, peak * KIB


def read(file: Path) -> tuple[float, int]:
    """Seconds to decode a file in a new process, excluding imports, and its peak memory in bytes."""
    child = subprocess.run([sys.executable, "-c", _READER, file], capture_output=True, text=True, check=True)
    _, seconds, peak = json.loads(child.stdout)
    return seconds, peak * KIB


def start_up(file: Path) -> list[dict[str, Any]]:
    """Duration and memory of commands that do little but start."""
    commands = {
        "python alone": (sys.executable, "-c", "pass"),
        "inrc --help": (*INRC, "--help"),
        "inrc info": (*INRC, "info", str(file)),
    }
    rows = []
    for name, command in commands.items():
        found = [measured(*command) for _ in range(REPEATS)]
        seconds, peaks = zip(*found, strict=True)
        rows.append(
            {
                "kind": "start-up",
                "command": name,
                "seconds": statistics.median(seconds),
                "peak_bytes": max(peaks),
            }
        )
    return rows


def encoding(folder: Path) -> list[dict[str, Any]]:
    """Complete encodes of Bunny: the default model with one segment and with two, and `hnerv` with one."""
    clip, rows = BENCHMARK_CLIPS["bunny"], []
    for frames, model in ((66, ()), (132, ()), (66, ("--model", "hnerv"))):
        options = (*clip.options, *model, "--frames", f"0:{frames}", "--no-audio", "--epochs", "1", "-y")
        seconds, peak = measured(*INRC, "encode", clip.path, "-o", str(folder / "speed.inrv"), *options)
        rows.append(
            {
                "kind": "encode",
                "command": " ".join([f"inrc encode, {frames} frames", *model]),
                "frames": frames,
                "seconds": seconds,
                "peak_bytes": peak,
            }
        )
    return rows


def decoding(file: Path, frames: int, pixels: int, folder: Path) -> list[dict[str, Any]]:
    """Complete decodes: by the library to memory, and by the command line including start-up and writing."""
    command = (*INRC, "decode", str(file), "-o")
    ways: dict[str, Callable[[], tuple[float, int]]] = {
        "inrcodec.open": lambda: read(file),
        "inrc decode to null": lambda: measured(*command, "-"),
        "inrc decode to mp4": lambda: measured(*command, str(folder / "speed.mp4"), "-y"),
    }
    rows = []
    for name, way in ways.items():
        found = [way() for _ in range(DECODES)]
        seconds, peak = statistics.median(one for one, _ in found), max(peak for _, peak in found)
        rows.append(
            {
                "kind": "decode",
                "command": name,
                "frames": frames,
                "pixels": pixels,
                "seconds": seconds,
                "frames_per_second": frames / seconds,
                "peak_bytes": peak,
            }
        )
    return rows


def one_frame(file: Path, frames: int) -> dict[str, Any]:
    """Latency of one frame from the middle of a newly opened file, and of the frame after it.

    Raises `RuntimeError` if the frames differ when they are decoded together.
    """
    import inrcodec

    at = frames // 2
    found = []
    for _ in range(REPEATS):
        with inrcodec.open(file) as video:
            started = time.perf_counter()
            frame = video[at]
            first = time.perf_counter() - started
            started = time.perf_counter()
            following = video[at + 1]
            found.append((first, time.perf_counter() - started))
    with inrcodec.open(file) as video:
        if np.abs(video[at : at + 2].astype(int) - [frame, following]).max() > 1:
            raise RuntimeError("frames that are decoded together differ from frames that are decoded singly")
    first, next_seconds = (statistics.median(one) for one in zip(*found, strict=True))
    return {"kind": "one frame", "frame": at, "first_seconds": first, "next_seconds": next_seconds}


def entropy_coding() -> list[dict[str, Any]]:
    """Symbols per second of each symbol coder for symbols from a Laplace distribution.

    Raises `RuntimeError` if a coder decodes other symbols.
    """
    symbols = np.rint(np.random.default_rng(0).laplace(0, 2, (64, SYMBOLS // 64))).astype(np.int32)
    rows = []
    for coder in CODERS.values():
        drawn = symbols.clip(0, 3) if coder.name == "levels" else symbols
        encode, decode = [], []
        for _ in range(REPEATS):
            started = time.perf_counter()
            payload = coder.encode(drawn)
            encode.append(drawn.size / (time.perf_counter() - started))
            started = time.perf_counter()
            decoded = coder.decode(payload, drawn.size)
            decode.append(drawn.size / (time.perf_counter() - started))
        if not np.array_equal(decoded, drawn.ravel()):
            raise RuntimeError(f"{coder.name} decoded symbols that differ from the encoded ones")
        rows.append(
            {
                "kind": "entropy coding",
                "coder": coder.name,
                "encoded_per_second": statistics.median(encode),
                "decoded_per_second": statistics.median(decode),
            }
        )
    return rows

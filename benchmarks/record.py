"""Clips of the benchmarks, and storage of figures with a description of the machine."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from inrcodec.settings.source import FrameRange, Size, SourceSettings

PACKAGES = ("torch", "av", "numpy", "constriction", "scipy")
CLIPS = Path(__file__).parent / "clips"
BUNNY = str(CLIPS / "bunny.mp4")


@dataclass(frozen=True)
class BenchmarkClip:
    """A video, the part of it to measure, and the rates to measure it at."""

    path: str
    crop: Size | None = None
    scale: Size | None = None
    frames: FrameRange = FrameRange()
    bpps: tuple[float, ...] = ()
    """Default bits per pixel of our files."""

    @property
    def source(self) -> SourceSettings:
        return SourceSettings(self.frames, self.crop, self.scale)

    @property
    def options(self) -> list[str]:
        """Options of `inrc encode` that select the part."""
        named = (("--crop", self.crop), ("--scale", self.scale))
        sizes = [word for name, size in named if size for word in (name, f"{size.width}x{size.height}")]
        stop = "" if self.frames.stop is None else self.frames.stop
        return sizes if self.frames == FrameRange() else [*sizes, "--frames", f"{self.frames.start}:{stop}"]

    @property
    def digest(self) -> str:
        """SHA-256 of the video file."""
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()


BENCHMARK_CLIPS = {
    "bunny": BenchmarkClip(BUNNY, Size(1280, 640)),
    "bunny-half": BenchmarkClip(BUNNY, Size(1280, 640), Size(640, 320)),
    "bunny-quarter": BenchmarkClip(BUNNY, Size(1280, 640), Size(320, 160)),
    "carphone": BenchmarkClip(str(CLIPS / "carphone.mp4")),
}
"""Clips behind all figures; `bunny` is the centre crop of the papers, half and quarter are box averages."""

_FINE, _COARSE = (0.03, 0.06, 0.12, 0.24), (0.02, 0.04, 0.08, 0.16)
DEVELOPMENT_CLIPS = {
    "bunny-quarter": replace(BENCHMARK_CLIPS["bunny-quarter"], bpps=_FINE),
    "carphone": replace(BENCHMARK_CLIPS["carphone"], bpps=_FINE),
    "dog": BenchmarkClip("dog.mp4", scale=Size(480, 270), frames=FrameRange(0, 64), bpps=_COARSE),
    "blocks": BenchmarkClip("blocks.mp4", scale=Size(480, 270), frames=FrameRange(0, 64), bpps=_COARSE),
    "coffee": BenchmarkClip("coffee.mp4", scale=Size(480, 270), frames=FrameRange(0, 64), bpps=_COARSE),
    "flower": BenchmarkClip("flower.264", scale=Size(320, 180), frames=FrameRange(0, 96), bpps=_COARSE),
    "foreman": BenchmarkClip("foreman.264", frames=FrameRange(0, 64), bpps=_COARSE),
    "signing": BenchmarkClip("signing.264", bpps=(0.05, 0.1, 0.2, 0.4)),
}
"""Eight clips of different kinds. Only the first two are in the project; benchmarks/clips/CREDITS.md names
the origin of the others, which `in_folder` looks for in a folder."""


def in_folder(clip: BenchmarkClip, folder: Path) -> BenchmarkClip:
    """The clip with its path in `folder`, unless it is in the project."""
    return clip if Path(clip.path).is_absolute() else replace(clip, path=str(folder / clip.path))


def clip_of(name: str, folder: Path) -> BenchmarkClip:
    """The benchmark clip with that name, otherwise the video with that path."""
    clip = DEVELOPMENT_CLIPS.get(name) or BENCHMARK_CLIPS.get(name)
    return BenchmarkClip(name) if clip is None else in_folder(clip, folder)


def machine() -> dict[str, object]:
    """Description of this machine: processor, cores, versions, and the GPU if torch has one."""
    description: dict[str, object] = {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        description["gpu"] = torch.cuda.get_device_name()
    return description


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    units = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{model or platform.processor()} ({', '.join(units)})" if units else model or platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """The measured commit, with `+` if code or benchmarks have local changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "../inrcodec", "../bitstream", "*.py"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


def stored_results(path: Path | None) -> list[dict[str, Any]]:
    """Results that an earlier `write_report` stored, so that a run can continue; empty without a file."""
    if path is None or not path.exists():
        return []
    results: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    return results


def run_record(module: str) -> dict[str, Any]:
    """The current command, the date and the measured commit."""
    return {
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
    }


def write_report(path: Path, module: str, results: Sequence[dict[str, Any]], **extra: Any) -> None:
    """Write figures as JSON with the command, machine and commit that produced them."""
    report = {
        **run_record(module),
        "machine": machine(),
        **extra,
        "results": list(results),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")

"""Rate against distortion: our files at several rates beside ordinary codecs, in one run, with BD-rates.

    python -m benchmarks.rd bunny-quarter carphone --time 5m --model hnerv --model supermask \\
        --against x264:medium,x265:veryslow,svtav1:3 --json FILE [--plot FILE.svg]

Every point is a real file, decoded again from its bytes by a fresh decoder. A clip is one of
`benchmarks.record`, or the path of any video. Points that the JSON file holds with the same options are kept:
an interrupted sweep goes on where it stopped, and another model or rival joins it. Options that are not
listed go to `inrc encode` as they are. Needs the extras `metrics` and `benchmarks`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.bdrate import draw, line
from benchmarks.codec import measure
from benchmarks.record import BENCHMARK_CLIPS, BenchmarkClip, commit, stored_results, write_report
from inrcodec.errors import UsageError
from inrcodec.quality.bdrate import Curve, compare_all
from inrcodec.quality.comparison.ordinary_codecs import rival_point
from inrcodec.video import read_clip
from inrcodec.video.ordinary_codecs import Frames, Rival, parse_rival

RIVALS = "x264:medium,x264:veryslow,x265:medium,x265:veryslow,svtav1:6,svtav1:3"
BPP = "0.04,0.07,0.12,0.2"
Point = dict[str, Any]
Points = dict[tuple[str, ...], Point]


@dataclass(frozen=True)
class Task:
    """One point to be measured, and what tells whether a stored point is the same."""

    clip: str
    contender: str
    """A model of ours, or a rival with its preset."""
    setting: str
    """Bits a pixel of ours, the rate factor of a rival."""
    options: tuple[str, ...] = ()
    rival: Rival | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self.clip, self.contender, self.setting, *self.options


def clip_of(name: str) -> BenchmarkClip:
    """A clip of the benchmarks by its name, or any video by its path."""
    return BENCHMARK_CLIPS.get(name) or BenchmarkClip(name)


def tasks_of(options: argparse.Namespace, others: list[str]) -> Iterator[Task]:
    """Rivals first: they take seconds, and show at once what is to be beaten."""
    length = ("--epochs", options.epochs) if options.epochs else ("--time", options.time)
    for clip in options.clips:
        for rival in options.against:
            for crf in rival.encoder.crf:
                yield Task(clip, rival.name, str(crf), rival=rival)
    for bpp in options.bpp.split(","):
        for clip in options.clips:
            for model in options.model:
                yield Task(clip, model, bpp, (*length, *others))


def our_point(task: Task, folder: Path) -> Point:
    """Bytes and quality of one encode through the command line."""
    stem = Path(task.clip).stem
    output = folder / f"rd-{stem}-{task.contender}-{task.setting}.inrv"
    figures = measure(clip_of(task.clip), task.contender, output, ["--bpp", task.setting, *task.options])
    wanted = ("file_bytes", "bpp", "psnr_db", "psnr_p1_db", "ms_ssim", "target_bytes", "steps", "epochs")
    return {name: figures[name] for name in (*wanted, "seconds", "parameter_count", "device")}


def sweep(tasks: Iterable[Task], points: Points, folder: Path, store: Callable[[], None]) -> None:
    """Measure what `points` lacks, storing after each."""

    @cache
    def frames_of(clip: str) -> Frames:
        return read_clip(clip_of(clip).path, clip_of(clip).source).frames

    for task in tasks:
        if task.key not in points:
            if task.rival is None:
                points[task.key] = our_point(task, folder)
            else:
                points[task.key] = rival_point(task.rival, int(task.setting), frames_of(task.clip))
            points[task.key]["commit"] = commit()
            store()
        point = points[task.key]
        print(
            f"{task.clip} {task.contender} {task.setting}: {point['bpp']:.4f} bpp, {point['psnr_db']:.2f} dB",
            file=sys.stderr,
            flush=True,
        )


def curves_of(points: Points) -> dict[str, dict[str, Curve]]:
    """By clip and contender (with its options, where it has any), the points from the smallest file up."""
    curves: dict[str, dict[str, Curve]] = {}
    for (clip, contender, _, *options), point in points.items():
        curves.setdefault(clip, {}).setdefault(" ".join([contender, *options]), []).append(point)
    for contenders in curves.values():
        for curve in contenders.values():
            curve.sort(key=lambda point: point["bpp"])
    return curves


def stored(path: Path | None) -> Points:
    """Points of an earlier run by their keys."""
    rows = stored_results(path)
    return {(row["clip"], row["contender"], row["setting"], *row["options"]): row["point"] for row in rows}


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rd", description=__doc__)
    parser.add_argument("clips", nargs="+", metavar="CLIP", help=f"{', '.join(BENCHMARK_CLIPS)}, or a file")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--bpp", default=BPP, help="of our files (default: %(default)s)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--time", default="5m", help="of each of our encodes (default: %(default)s)")
    length.add_argument("--epochs", help="instead of --time")
    parser.add_argument("--against", default=RIVALS, help="CODEC:PRESET,... (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, action="append", default=[], help="an .svg or .png file")
    options, others = parser.parse_known_args()
    try:
        options.against = [parse_rival(text) for text in options.against.split(",") if text]
    except UsageError as error:
        parser.error(str(error))
    return options, others


def main() -> None:
    options, others = parse_arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    tasks, points = list(tasks_of(options, others)), stored(options.json)

    def store() -> None:
        if options.json is not None:
            rows = [
                {"clip": clip, "contender": contender, "setting": setting, "options": others, "point": point}
                for (clip, contender, setting, *others), point in points.items()
            ]
            write_report(options.json, "benchmarks.rd", rows, comparisons=compare_all(curves_of(points)))

    sweep(tasks, points, options.out, store)
    store()
    curves = curves_of(points)
    for row in compare_all(curves):
        print(line(row))
    for path in options.plot:
        draw(curves, path)


if __name__ == "__main__":
    main()

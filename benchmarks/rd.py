"""Rate-distortion curves of our files and of ordinary codecs, with BD-rates, in one run.

    python -m benchmarks.rd bunny-quarter carphone --time 5m --model hnerv --model supermask \\
        --against x264:medium,x265:veryslow,svtav1:3 --json FILE [--plot FILE.svg]

    python -m benchmarks.rd dev --clips FOLDER --epochs 20 --jobs 2 --json FILE

Every point is a real file, decoded by a new decoder, with the seconds of both. A clip is a name from
`benchmarks.record` or the path of a video. `dev` is all eight clips of `DEVELOPMENT_CLIPS`; those that are
not in the project must be in FOLDER. An interrupted sweep continues and can be extended: points that the JSON
file contains with the same options are not measured again. Points of rivals are kept for all sweeps
(`benchmarks.rivals`). With `--jobs N`, N of our files are made at once, each on one thread; their work is
the same, and the JSON says so beside their seconds. Unknown options are passed to `inrc encode`. Needs the
extras `metrics` and `benchmarks`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.bdrate import draw, standings
from benchmarks.codec import measure
from benchmarks.record import (
    BENCHMARK_CLIPS,
    DEVELOPMENT_CLIPS,
    BenchmarkClip,
    clip_of,
    commit,
    stored_results,
    write_report,
)
from benchmarks.rivals import KEPT, RivalPoints, digest_of
from inrcodec.errors import UsageError
from inrcodec.quality.bdrate import Curve, compare_all
from inrcodec.video import read_clip
from inrcodec.video.ordinary_codecs import Frames, Rival, parse_rival

RIVALS = "x264:medium,x264:veryslow,x265:medium,x265:veryslow,svtav1:6,svtav1:3"
DEV_RIVALS = "x264:medium,x265:medium,svtav1:6"
DEV = "dev"
"""All of `DEVELOPMENT_CLIPS`."""
BPP = "0.04,0.07,0.12,0.2"
Point = dict[str, Any]
Points = dict[tuple[str, ...], Point]


@dataclass(frozen=True)
class Task:
    """One point to measure; `key` identifies it among stored points."""

    clip: str
    contender: str
    """Name of our model, or rival with preset."""
    setting: str
    """Bits per pixel for ours, rate factor for a rival."""
    options: tuple[str, ...] = ()
    rival: Rival | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self.clip, self.contender, self.setting, *self.options


def tasks_of(options: argparse.Namespace, others: list[str]) -> Iterator[Task]:
    """All points to measure, rivals first: they take seconds and show early what there is to beat."""
    length = ("--epochs", options.epochs) if options.epochs else ("--time", options.time)
    for clip in options.clips:
        for rival in options.against:
            for crf in rival.encoder.crf:
                yield Task(clip, rival.name, str(crf), rival=rival)
    for clip in options.clips:
        usual = ",".join(f"{bpp:g}" for bpp in clip_of(clip, options.folder).bpps) or BPP
        for bpp in (options.bpp or usual).split(","):
            for model in options.model:
                yield Task(clip, model, bpp, (*length, *others))


def our_point(task: Task, clip: BenchmarkClip, folder: Path) -> Point:
    """Size and quality of one encode with the command line."""
    stem = Path(task.clip).stem
    output = folder / f"rd-{stem}-{task.contender}-{task.setting}.inrv"
    figures = measure(clip, task.contender, output, ["--bpp", task.setting, *task.options])
    wanted = ("file_bytes", "bpp", "psnr_db", "psnr_p1_db", "ms_ssim", "target_bytes", "steps", "epochs")
    more = ("seconds", "decode_seconds", "parameter_count", "device")
    return {name: figures[name] for name in (*wanted, *more)}


def our_points(tasks: Sequence[Task], clips: Path, folder: Path, jobs: int) -> Iterator[tuple[Task, Point]]:
    """Yield each task with its point, `jobs` at once, in the order in which they are done.

    Several jobs are processes of their own, with one thread each.
    """
    if jobs == 1:
        for task in tasks:
            yield task, our_point(task, clip_of(task.clip, clips), folder)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _take_one_thread) as pool:
        begun = {pool.submit(our_point, task, clip_of(task.clip, clips), folder): task for task in tasks}
        try:
            for future in as_completed(begun):
                yield begun[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _take_one_thread() -> None:
    """Limit this process and the encodes that it starts to one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


def sweep(
    tasks: Sequence[Task],
    points: Points,
    clips: Path,
    folder: Path,
    kept: RivalPoints,
    jobs: int,
    store: Callable[[], None],
) -> None:
    """Measure rivals that are not `kept`, then our tasks that are missing in `points`, and store after each.

    Clips are read from the folder `clips`, files are written to `folder`.
    """

    @cache
    def frames_of(name: str) -> tuple[Frames, str]:
        clip = clip_of(name, clips)
        frames = read_clip(clip.path, clip.source).frames
        return frames, digest_of(frames)

    for task in tasks:
        if task.rival is not None:
            points[task.key] = kept.point(task.clip, task.rival, int(task.setting), *frames_of(task.clip))
            say(task, points[task.key])
    store()
    frames_of.cache_clear()
    ours = [task for task in tasks if task.rival is None]
    for task in ours:
        if task.key in points:
            say(task, points[task.key])
    measured = our_points([task for task in ours if task.key not in points], clips, folder, jobs)
    for task, point in measured:
        points[task.key] = {**point, "jobs": jobs, "commit": commit()}
        store()
        say(task, points[task.key])


def say(task: Task, point: Point) -> None:
    """Print a point on stderr."""
    name = f"{task.clip} {task.contender} {task.setting}"
    print(f"{name}: {point['bpp']:.4f} bpp, {point['psnr_db']:.2f} dB", file=sys.stderr, flush=True)


def curves_of(points: Points) -> dict[str, dict[str, Curve]]:
    """Points by clip and contender with its options, in order of bits per pixel."""
    curves: dict[str, dict[str, Curve]] = {}
    for (clip, contender, _, *options), point in points.items():
        curves.setdefault(clip, {}).setdefault(" ".join([contender, *options]), []).append(point)
    for contenders in curves.values():
        for curve in contenders.values():
            curve.sort(key=lambda point: point["bpp"])
    return curves


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and worst BD-rate of each pair and metric, if there are several clips and all have a BD-rate."""
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["test"], row["anchor"], row["metric"]), []).append(row)
    found = []
    for (test, anchor, metric), group in grouped.items():
        if len(group) > 1 and all(row["percent"] is not None for row in group):
            worst = max(group, key=lambda row: row["percent"])
            found.append(
                {
                    "test": test,
                    "anchor": anchor,
                    "metric": metric,
                    "clips": len(group),
                    "mean_percent": sum(row["percent"] for row in group) / len(group),
                    "worst_percent": worst["percent"],
                    "worst_clip": worst["clip"],
                }
            )
    return found


def stored(path: Path | None) -> Points:
    """Points of an earlier run by key."""
    rows = stored_results(path)
    return {(row["clip"], row["contender"], row["setting"], *row["options"]): row["point"] for row in rows}


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rd", description=__doc__)
    names = ", ".join((DEV, *(DEVELOPMENT_CLIPS | BENCHMARK_CLIPS)))
    parser.add_argument("clips", nargs="+", metavar="CLIP", help=f"{names}, or a file")
    parser.add_argument(
        "--clips", dest="folder", type=Path, default=Path(), help="folder with the clips of dev"
    )
    parser.add_argument("--model", action="append", help="may be repeated (default: inrc)")
    parser.add_argument("--bpp", help=f"rates of our files (default: those of the clip, or {BPP})")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--time", default="5m", help="time of each of our encodes (default: %(default)s)")
    length.add_argument("--epochs", help="passes over the frames, instead of --time")
    parser.add_argument(
        "--against", help=f"CODEC:PRESET,... (default: {RIVALS}; for {DEV} alone {DEV_RIVALS})"
    )
    parser.add_argument("--rivals", type=Path, default=KEPT, help="file that keeps the points of rivals")
    parser.add_argument("--jobs", type=int, default=1, help="encodes at once, with one thread each")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the files")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, action="append", default=[], help="an .svg or .png file")
    options, others = parser.parse_known_args()
    if options.against is None:
        options.against = DEV_RIVALS if options.clips == [DEV] else RIVALS
    options.model = options.model or ["inrc"]
    if options.jobs < 1 or (options.jobs > 1 and options.epochs is None):
        parser.error("--jobs above 1 takes --epochs, because encodes of equal time would do less work")
    options.clips = [one for name in options.clips for one in (DEVELOPMENT_CLIPS if name == DEV else [name])]
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
            compared = compare_all(curves_of(points))
            digests = {name: clip_of(name, options.folder).digest for name in options.clips}
            write_report(
                options.json,
                "benchmarks.rd",
                rows,
                clips=digests,
                comparisons=compared,
                means=means(compared),
            )

    kept = RivalPoints(options.rivals)
    sweep(tasks, points, options.folder, options.out, kept, options.jobs, store)
    store()
    curves = curves_of(points)
    for line in standings(curves, compare_all(curves)):
        print(line)
    for path in options.plot:
        draw(curves, path)


if __name__ == "__main__":
    main()

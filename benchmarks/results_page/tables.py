"""Tables of quality, size and robustness for the page that `results_page` writes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from benchmarks.rate_control import share
from inrcodec.quality.bdrate import METRICS, is_rival

Report = dict[str, Any]
Cell = str | int | float | None
METRIC_NAMES = {metric: name.removesuffix(", dB") for metric, name in METRICS.items()}
TIMES = {"seconds": "encode, s", "decode_seconds": "decode, s"}
BASE = "inrc"
"""The candidate that an ablation compares the others with."""


def cell(value: Cell, digits: int = 2) -> str:
    """Format one cell: thousands separated, floats to `digits` decimals, None as an empty cell."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else value.replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell(value) for value in row)} |"


def rate_distortion(report: Report) -> Iterator[str]:
    """Points of each model and its BD-rates against the other contenders, clip by clip."""
    clips = dict.fromkeys(row["clip"] for row in report["results"])
    if report.get("means"):
        yield from _means(report["means"])
        yield ""
        yield from _worst_first(report["comparisons"])
        yield ""
    for number, clip in enumerate(clips):
        yield from () if number == 0 else ("",)
        rows = [row for row in report["results"] if row["clip"] == clip and not is_rival(row["contender"])]
        rows.sort(key=lambda row: (row["contender"], row["options"], row["point"]["bpp"]))
        # Older runs did not store the time of decoding.
        is_timed = any("decode_seconds" in row["point"] for row in rows)
        head = (
            f"{clip}, model",
            "bytes",
            "bits per pixel",
            "PSNR, dB",
            "1st percentile, dB",
            "MS-SSIM",
            *(TIMES.values() if is_timed else ()),
            "commit",
        )
        yield from table(head, [_point(row, is_timed) for row in rows])
        found = [row for row in report["comparisons"] if row["clip"] == clip]
        pairs = dict.fromkeys((row["test"], row["anchor"]) for row in found)
        yield ""
        yield from table(
            (f"BD-rate of {clip}", "against", *METRIC_NAMES.values()),
            [(*pair, *(_percent(found, pair, metric) for metric in METRICS)) for pair in pairs],
        )


def _point(row: Report, is_timed: bool) -> list[Cell]:
    point, name = row["point"], " ".join([row["contender"], *row["options"]])
    ms_ssim = "" if point["ms_ssim"] is None else f"{point['ms_ssim']:.4f}"
    bpp = f"{point['bpp']:.4f}"
    figures = [point["file_bytes"], bpp, point["psnr_db"], point["psnr_p1_db"], ms_ssim]
    times = [point.get(one) for one in TIMES] if is_timed else []
    return [name, *figures, *times, point.get("commit")]


def _means(means: Sequence[Report]) -> Iterator[str]:
    """BD-rates over all clips of a report."""
    head = ("model", "against", "by", "clips", "mean BD-rate", "worst BD-rate", "worst clip")
    percents = ("mean_percent", "worst_percent")
    yield from table(
        head,
        [
            (
                row["test"],
                row["anchor"],
                METRIC_NAMES[row["metric"]],
                row["clips"],
                *(f"{row[one]:+.1f} %" for one in percents),
                row["worst_clip"],
            )
            for row in means
        ],
    )


def _worst_first(comparisons: Sequence[Report]) -> Iterator[str]:
    """BD-rates by PSNR of every clip, a table a model, by the mean over the contenders."""
    for number, test in enumerate(dict.fromkeys(row["test"] for row in comparisons)):
        yield from () if number == 0 else ("",)
        found = [row for row in comparisons if row["test"] == test and row["metric"] == "psnr_db"]
        anchors = [*dict.fromkeys(row["anchor"] for row in found)]
        percents: dict[str, dict[str, float | None]] = {}
        for row in found:
            percents.setdefault(row["clip"], {})[row["anchor"]] = row["percent"]

        def mean(clip: str, percents: dict[str, dict[str, float | None]] = percents) -> float:
            known = [value for value in percents[clip].values() if value is not None]
            return statistics.mean(known) if known else math.inf

        yield from table(
            (f"BD-rate of {test} by PSNR, worst first", *anchors),
            [
                (clip, *(_percent(found, (test, anchor), "psnr_db", clip) for anchor in anchors))
                for clip in sorted(percents, key=mean, reverse=True)
            ],
        )


def _percent(found: Sequence[Report], pair: tuple[str, str], metric: str, clip: str | None = None) -> str:
    """The BD-rate of a pair, of `clip` if there are several."""
    rows = [one for one in found if (one["test"], one["anchor"]) == pair and one["metric"] == metric]
    rows = [one for one in rows if clip in (None, one["clip"])]
    percent = rows[0]["percent"] if rows else None
    return "" if percent is None else f"{percent:+.1f} %"


def xray(report: Report) -> Iterator[str]:
    """Bits of each file by level of the hierarchy, in percent of the file, and PSNR."""
    head = ("file, level", "frames", "motion, %", "flags, %", "latents, %", "blocks without latents, %")
    return table(
        (*head, "prediction, dB", "PSNR, dB"),
        [
            (
                f"{row['clip']} at {row['bpp']:.3f} bpp, {level['level']}",
                level["frames"],
                *(
                    100 * level[f"{kind}_bits"] / (8 * row["file_bytes"])
                    for kind in ("motion", "flag", "latent")
                ),
                100 * level["empty_share"],
                level["prediction_psnr_db"],
                level["psnr_db"],
            )
            for row in report["results"]
            for level in row["levels"]
        ],
    )


def rate_control(report: Report) -> Iterator[str]:
    rows = report["results"]
    return table(
        ("clip", "model", "target, bits per pixel", "target, bytes", "bytes", "share of target", "PSNR, dB"),
        [
            (
                row["clip"],
                row["model"],
                row["target"],
                row["target_bytes"],
                row["file_bytes"] - row["extras_bytes"],
                f"{share(row):.2%}",
                row["psnr_db"],
            )
            for row in rows
        ],
    )


def rate_control_in_time(report: Report) -> Iterator[str]:
    return table(
        (
            "clip",
            "model",
            "time, s",
            "target, bits per pixel",
            "share of target",
            "PSNR, dB",
            "seconds",
            "short of",
        ),
        [
            (
                row["clip"],
                row["model"],
                row["time"],
                row["target"],
                f"{share(row):.2%}",
                row["psnr_db"],
                row["seconds"],
                row["short_of_size"] or "",
            )
            for row in report["results"]
        ],
    )


def single(report: Report) -> Iterator[str]:
    return table(
        ("frames", "model", "parameters", "seconds", "bytes", "bits per pixel", "PSNR, dB"),
        [
            (
                f"{row['frames']} of {row['width']}x{row['height']}",
                row["model"],
                row["parameter_count"],
                f"{row['seconds']:.0f}",
                row["file_bytes"],
                f"{row['bpp']:.4f}",
                row["psnr_db"],
            )
            for row in report["results"]
        ],
    )


def ablation(report: Report) -> Iterator[str]:
    """Differences to the PSNR of the unmodified model: their mean over clips, best first, and each."""
    clips = [*dict.fromkeys(row["clip"] for row in report["results"])]
    of_name: dict[str, dict[str, list[float]]] = {}
    for row in report["results"]:
        of_name.setdefault(row["candidate"], {}).setdefault(row["clip"], []).append(row["psnr_db"])
    base = {clip: statistics.mean(found) for clip, found in of_name.pop(BASE).items()}
    gains = {
        name: {clip: statistics.mean(found) - base[clip] for clip, found in of_clip.items()}
        for name, of_clip in of_name.items()
    }
    order = sorted(gains, key=lambda name: -statistics.mean(gains[name].values()))
    yield from table(
        ("difference in dB, mean of clips", "mean", *clips),
        [
            ("inrc, PSNR in dB", statistics.mean(base.values()), *(base[clip] for clip in clips)),
            *(
                (
                    name,
                    f"{statistics.mean(gains[name].values()):+.2f}",
                    *(f"{gains[name][clip]:+.2f}" if clip in gains[name] else "" for clip in clips),
                )
                for name in order
            ),
        ],
    )


def paper(report: Report) -> Iterator[str]:
    """The papers' tables, then the tasks."""
    fitted = [row for row in report["results"] if "psnr_db" in row]
    tasks = [line for row in report["results"] for line in row.get("lines", ())]
    names = dict.fromkeys(row["table"] for row in fitted)
    for number, name in enumerate(names):
        yield from () if number == 0 else ("",)
        yield from table(
            (name, "epochs", "parameters", "bytes", "PSNR, dB", "published, dB"),
            [
                (
                    row["name"],
                    f"{row['epochs']:g}",
                    row["parameter_count"],
                    row["file_bytes"],
                    row["psnr_db"],
                    row["paper_db"],
                )
                for row in fitted
                if row["table"] == name
            ],
        )
    if tasks:
        yield ""
        yield from table(
            ("task", "model", "bytes", "PSNR, dB"),
            [(row["task"], row["model"], row["file_bytes"], _figures(row)) for row in tasks],
        )


def _figures(row: Report) -> str:
    """All PSNR values of a task, each with its name."""
    found = {name: value for name, value in row.items() if name.startswith("psnr_") and value is not None}
    return ", ".join(
        f"{name.removeprefix('psnr_').removesuffix('_db').replace('_', ' ')} {value:.2f}"
        for name, value in found.items()
    )


def interpolation(report: Report) -> Iterator[str]:
    rows = sorted(report["results"], key=lambda row: (row["epochs"], row["parameter_count"], row["model"]))
    return table(
        ("model", "parameters", "epochs", "bytes", "held-out frames, dB", "fitted frames, dB"),
        [
            (
                row["model"],
                row["parameter_count"],
                f"{row['epochs']:g}",
                row["file_bytes"],
                row["psnr_held_out_db"],
                row["psnr_seen_db"],
            )
            for row in rows
        ],
    )


def motion_interpolation(report: Report) -> Iterator[str]:
    """Frames of `inrc` that were left out: the blend of both neighbours, and prediction by stored motion."""
    return table(
        ("clip", "bits per pixel", "bytes", "blend, dB", "by motion, dB", "difference, dB"),
        [
            (
                row["clip"],
                f"{row['bpp']:g}",
                row["file_bytes"],
                row["psnr_blend_db"],
                row["psnr_motion_db"],
                f"{row['psnr_motion_db'] - row['psnr_blend_db']:+.2f}",
            )
            for row in report["results"]
        ],
    )


def evenness(report: Report) -> Iterator[str]:
    """PSNR of each scene by allocation rule."""
    scenes = list(report["results"][0]["psnr_db"])
    return table(
        ("allocation, PSNR in dB of", *scenes, "standard deviation without noise, dB", "bytes"),
        [
            (
                row["rule"],
                *(row["psnr_db"][scene] for scene in scenes),
                row["deviation_without_noise_db"],
                row["file_bytes"],
            )
            for row in report["results"]
        ],
    )


def inputs(report: Report) -> Iterator[str]:
    failed = sum(bool(row["failures"]) for row in report["results"])
    yield f"{len(report['results'])} input files, of which {failed} failed."
    yield ""
    yield from table(
        ("input", "options", "result", "notes"),
        [
            (row["input"], row["options"], row["result"], "; ".join([*row["notes"], *row["failures"]]))
            for row in report["results"]
        ],
    )


def soak(report: Report) -> Iterator[str]:
    summary = report["summary"]
    stopped = ", ".join(f"{count} by {name}" for name, count in summary["stopped"].items())
    commands = " and ".join(f"{count} {name}s" for name, count in summary["commands"].items())
    yield (
        f"{summary['rounds']} commands ({commands}) were stopped at random ({stopped}) and restarted until "
        f"done: {summary['rounds_with_problems']} had problems. The test took {summary['seconds']:,} seconds."
    )
    problems = [(row["what"], "; ".join(row["problems"])) for row in report["results"] if row["problems"]]
    if problems:
        yield ""
        yield from table(("command", "problems"), problems)

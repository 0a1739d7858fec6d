"""Tables of speed, time and memory for the page that `results_page` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from benchmarks.prediction import cpu_seconds
from benchmarks.results_page.tables import Cell, Report, table

_UNITS = {"wall": "s", "cpu": "CPU s"}
_COST = ("cpu_seconds", "psnr_db")


def predictions(report: Report) -> Iterator[str]:
    """Predictions of `inrc probe` beside real fits; times are CPU seconds, which other work changes least."""
    rows = report["results"]
    head = (
        *("clip", "bits per pixel", "preset", "predicted bytes", "bytes", "predicted PSNR, dB", "PSNR, dB"),
        *("difference, dB", "predicted CPU, s", "CPU, s", "CPU of the prediction, s"),
    )
    lines: list[Sequence[Cell]] = []
    for row in rows:
        said, fit = row["predicted"], row["fit"]
        quality = said["psnr_db"]
        lines.append(
            (
                *(row["clip"], row["bpp"], row["preset"]),
                round(said["file_bytes"]["expected"]),
                fit["file_bytes"],
                f"{quality['expected']:.2f} ± {(quality['high'] - quality['low']) / 2:.2f}",
                fit["psnr_db"],
                f"{fit['psnr_db'] - quality['expected']:+.2f}",
                cpu_seconds(said),
                fit["cost"]["cpu_seconds"],
                said["cost"]["cpu_seconds"],
            )
        )
    return table(head, lines)


def presets(report: Report) -> Iterator[str]:
    """CPU seconds and PSNR of each preset: over all clips that have every preset, then for each clip."""
    found: dict[str, dict[str, Report]] = {}
    for row in report["results"]:
        found.setdefault(row["clip"], {})[row["preset"]] = row
    names = [name for name in ("draft", "fast", "medium", "slow") if any(name in of for of in found.values())]
    whole = [of for of in found.values() if all(name in of for name in names)]
    means: list[Cell] = [f"mean of {len(whole)}"]
    for name in names:
        means += [fmean(of[name][key] for of in whole) if whole else None for key in _COST]
    rows = [
        (clip, *(of[name][key] if name in of else None for name in names for key in _COST))
        for clip, of in found.items()
    ]
    head = [f"{name}, {what}" for name in names for what in ("CPU s", "PSNR, dB")]
    return table(("clip", *head), [means, *rows])


def decoding(report: Report) -> Iterator[str]:
    return table(
        ("frames", "width", "fps", "plain network, fps", "ratio", "bfloat16 - float32, dB"),
        [
            (
                f"{row['frames']} of {row['width']}x{row['height']}",
                row["decoder_width"],
                row["frames_per_second"],
                row["plain_frames_per_second"],
                row["ratio"],
                f"{row['psnr_difference_db']:+.4f}",
            )
            for row in report["results"]
        ],
    )


def speed(report: Report) -> Iterator[str]:
    """Ours beside the references, commands with their memory, and races; omits tables without rows."""
    rows = report["results"]

    def beside(rival: str, rate: str, ratio: str) -> tuple[Sequence[str], list[Sequence[Cell]]]:
        compared = [row for row in rows if ratio in row]
        head = ("", "network", "fps", rival, "ratio")
        lines: list[Sequence[Cell]] = [
            (row["kind"], row["network"], row["frames_per_second"], row[rate], row[ratio]) for row in compared
        ]
        # Older runs did not store ranges.
        if not all(f"{ratio}_range" in row for row in compared):
            return head, lines
        rounds = ["{:.2f} to {:.2f}".format(*row[f"{ratio}_range"]) for row in compared]
        return (*head, "rounds"), [(*line, one) for line, one in zip(lines, rounds, strict=True)]

    parts: tuple[tuple[Sequence[str], list[Sequence[Cell]]], ...] = (
        beside("plain reference, fps", "plain_frames_per_second", "ratio"),
        beside("authors' code, fps", "authors_frames_per_second", "authors_ratio"),
        (
            ("command", "seconds", "fps", "peak memory, MiB"),
            [
                (row["command"], row["seconds"], row.get("frames_per_second"), row["peak_bytes"] / 2**20)
                for row in rows
                if "peak_bytes" in row
            ],
        ),
        (
            (
                "race",
                "plain epochs",
                "plain PSNR, dB",
                "plain seconds",
                "our PSNR, dB",
                "our seconds",
                "speed-up",
            ),
            [
                (
                    row["network"],
                    row["plain_epochs"],
                    row["plain"]["psnr_db"],
                    row["plain"]["seconds"],
                    row["ours"][-1]["psnr_db"],
                    row["seconds"],
                    # A fit that never reached the PSNR has no ratio.
                    row["times_as_fast"] if row["is_reached"] else None,
                )
                for row in rows
                if row["kind"] == "convergence"
            ],
        ),
    )
    measured = [part for part in parts if part[1]]
    for number, (head, lines) in enumerate(measured):
        yield from [""] if number else []
        yield from table(head, lines)


def equal_time(report: Report) -> Iterator[str]:
    """PSNR by clip, rate, contender and `--time`; an empty cell means that the time was too short."""
    found: dict[tuple[str, float, str], dict[tuple[float, str], float]] = {}
    for row in report["results"]:
        time = row["time"], _UNITS[row["clock"]]
        found.setdefault((row["clip"], row["bpp"], row["contender"]), {})[time] = row["psnr_db"]
    times = sorted({time for psnr in found.values() for time in psnr})
    heads = (f"{seconds:g} {unit}" for seconds, unit in times)
    return table(
        ("clip", "bits per pixel", "contender, PSNR in dB after", *heads),
        [(*key, *(psnr.get(time) for time in times)) for key, psnr in found.items()],
    )


def coders(report: Report) -> Iterator[str]:
    return table(
        ("tensor", "coder", "bits per symbol", "encoding, million symbols/s", "decoding, million symbols/s"),
        [
            (
                row["tensor"],
                row["coder"],
                f"{row['bits_per_symbol']:.3f}",
                f"{row['encode_symbols_per_second'] / 1e6:.1f}",
                f"{row['decode_symbols_per_second'] / 1e6:.1f}",
            )
            for row in report["results"]
        ],
    )


def long_clip(report: Report) -> Iterator[str]:
    for row in report["results"]:
        encode = row["encode"]
        video_bytes = encode["file_bytes"] - encode["extras_bytes"]
        yield (
            f"{encode['frames']:,} frames of {encode['width']}x{encode['height']} in {encode['segments']} "
            f"segments of `{encode['family']}`: {video_bytes:,} bytes of video (target "
            f"{encode['target_bytes']:,}) and {encode['extras_bytes']:,} bytes of audio."
        )
        yield ""
        yield from table(
            ("", "seconds", "CPU seconds", "peak memory, MiB"),
            [
                (name, *(f"{row[name][key]:,.0f}" for key in ("seconds", "processor_seconds", "peak_mib")))
                for name in ("encode", "decode")
            ],
        )


def scaling(report: Report) -> Iterator[str]:
    """Costs that docs/scaling.md calculates with."""
    return table(
        ("", "value"),
        [
            (name.replace("_", " "), value if isinstance(value, int) else f"{value:.3g}")
            for row in report["results"]
            for name, value in row.items()
        ],
    )

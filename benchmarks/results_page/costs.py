"""Tables of what things cost, for the page that `results_page` writes: time, memory, symbols a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.results_page.tables import Cell, Report, table


def decoding(report: Report) -> Iterator[str]:
    return table(
        ("frames", "width", "frames a second", "plain network", "ratio", "bfloat16 - float32, dB"),
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
    """Ours beside the plain reference, commands with their memory, and races; each where it was measured."""
    rows = report["results"]

    def beside(rival: str, rate: str, ratio: str) -> tuple[Sequence[str], list[Sequence[Cell]]]:
        compared = [row for row in rows if ratio in row]
        head = ("", "network", "frames a second", rival, "ratio")
        lines: list[Sequence[Cell]] = [
            (row["kind"], row["network"], row["frames_per_second"], row[rate], row[ratio]) for row in compared
        ]
        # Older runs have none.
        if not all(f"{ratio}_range" in row for row in compared):
            return head, lines
        rounds = ["{:.2f} to {:.2f}".format(*row[f"{ratio}_range"]) for row in compared]
        return (*head, "rounds"), [(*line, one) for line, one in zip(lines, rounds, strict=True)]

    parts: tuple[tuple[Sequence[str], list[Sequence[Cell]]], ...] = (
        beside("plain reference", "plain_frames_per_second", "ratio"),
        beside("the authors' code", "authors_frames_per_second", "authors_ratio"),
        (
            ("command", "seconds", "frames a second", "peak memory, MiB"),
            [
                (row["command"], row["seconds"], row.get("frames_per_second"), row["peak_bytes"] / 2**20)
                for row in rows
                if "peak_bytes" in row
            ],
        ),
        (
            ("race", "its epochs", "its PSNR, dB", "its seconds", "our PSNR, dB", "our seconds", "times"),
            [
                (
                    row["network"],
                    row["plain_epochs"],
                    row["plain"]["psnr_db"],
                    row["plain"]["seconds"],
                    row["ours"][-1]["psnr_db"],
                    row["seconds"],
                    # Of a fit that never was as good there is no ratio.
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
    """PSNR by clip, rate, contender and `--time`; nothing where that was too short."""
    found: dict[tuple[str, float, str], dict[float, float]] = {}
    for row in report["results"]:
        found.setdefault((row["clip"], row["bpp"], row["contender"]), {})[row["time"]] = row["psnr_db"]
    times = sorted({row["time"] for row in report["results"]})
    return table(
        ("clip", "bits per pixel", "PSNR, dB, after", *(f"{seconds:g} s" for seconds in times)),
        [(*key, *(psnr.get(seconds) for seconds in times)) for key, psnr in found.items()],
    )


def coders(report: Report) -> Iterator[str]:
    return table(
        ("tensor", "coder", "bits a symbol", "million symbols a second, coded", "decoded"),
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
            f"segments of `{encode['family']}`: {video_bytes:,} bytes of {encode['target_bytes']:,}, and "
            f"{encode['extras_bytes']:,} of sound."
        )
        yield ""
        yield from table(
            ("", "seconds", "processor seconds", "peak memory, MiB"),
            [
                (name, *(f"{row[name][key]:,.0f}" for key in ("seconds", "processor_seconds", "peak_mib")))
                for name in ("encode", "decode")
            ],
        )


def scaling(report: Report) -> Iterator[str]:
    """What [Many workers](scaling.md) computes with."""
    return table(
        ("", "value"),
        [
            (name.replace("_", " "), value if isinstance(value, int) else f"{value:.3g}")
            for row in report["results"]
            for name, value in row.items()
        ],
    )

"""The result of a comparison, as plain values for JSON and as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inrcodec.quality.bdrate import LEAST_POINTS, is_installed
from inrcodec.quality.comparison.verdict import (
    FURTHER,
    BdRate,
    Comparison,
    Contender,
    further_of,
    times_text,
    title,
)
from inrcodec.quality.report.evidence import Foreword, SideBySide, Table
from inrcodec.quality.report.gather import ReportResult
from inrcodec.settings.notation import duration_text
from inrcodec.settings.source import FrameRange

_NONE = "–"


@dataclass(frozen=True)
class LeftOut:
    """A requested codec or rate that could not be compared, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ComparisonResult:
    """Result of `compare`."""

    page: ReportResult
    frames: FrameRange
    """Range of source frames that was compared."""
    contenders: tuple[Contender, ...]
    """Our models, then ordinary codecs."""
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    verdict: str
    kept_in: str | None
    """The folder that contains our files; None if they were not kept."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        quality = self.page.evidence.files[0].quality
        return {
            "output": self.page.output,
            "page_bytes": self.page.page_bytes,
            "source": self.page.evidence.source,
            "width": quality.width,
            "height": quality.height,
            "first_frame": self.frames.start,
            "frames": quality.frame_count,
            "contenders": [
                {
                    "name": one.name,
                    "is_rival": one.is_rival,
                    "mean_seconds": one.mean_seconds,
                    "points": one.points,
                }
                for one in self.contenders
            ],
            "equal_bytes": [_side(one) for one in self.page.evidence.side_by_side],
            "comparisons": [one.as_dict() for one in self.comparisons],
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.left_out],
            "kept_in": self.kept_in,
            "verdict": self.verdict,
        }


def _side(one: SideBySide) -> dict[str, Any]:
    """Plain values of our file and the streams at its bytes, with the PSNR of the frames that are shown."""
    frames = one.pictures.frames
    return {
        "file": one.file,
        "frames": {frame.title: frame.index for frame in frames},
        "streams": [
            {
                **asdict(stream),
                "frames_psnr_db": {frame.title: frame.files[number].psnr_db for frame in frames},
            }
            for number, stream in enumerate(one.streams)
        ],
    }


def points_table(contenders: Sequence[Contender]) -> Table:
    """One row per file: size, rate, quality and time."""
    further = further_of(contenders)
    titles = (FURTHER[name][0] for name in further)
    head = ("codec", "setting", "bytes", "bits per pixel", "PSNR, dB", "MS-SSIM", *titles, "encoding time")
    return Table(
        "All files and streams",
        head,
        tuple(
            (
                title(one.name),
                point["setting"],
                f"{point['file_bytes']:,}",
                f"{point['bpp']:.4f}",
                f"{point['psnr_db']:.2f}",
                _NONE if point["ms_ssim"] is None else f"{point['ms_ssim']:.4f}",
                *(f"{point[name]:.{FURTHER[name][1]}f}" for name in further),
                duration_text(point["seconds"]),
            )
            for one in contenders
            for point in one.points
        ),
    )


def rates_table(comparisons: Sequence[Comparison]) -> Table:
    """One row per model and codec: BD-rates with their range of quality, PSNR difference, relative time."""
    head = (
        "against",
        "model",
        "BD-rate by PSNR",
        "range, dB",
        "by MS-SSIM",
        "range",
        "PSNR at equal bits",
        "time",
    )
    return Table(
        "BD-rates and times",
        head,
        tuple(
            (
                title(one.anchor),
                one.test,
                *_bd_texts(one.psnr, 2),
                *_bd_texts(one.ms_ssim, 4),
                _NONE if one.difference_db is None else f"{one.difference_db:+.2f} dB",
                f"{times_text(one.times_as_long)} times",
            )
            for one in comparisons
        ),
    )


def further_tables(comparisons: Sequence[Comparison]) -> tuple[Table, ...]:
    """A table of the BD-rates by metrics that were asked for; none without them."""
    further = list(comparisons[0].further) if comparisons else []
    if not further:
        return ()
    head = ("against", "model", *(text for name in further for text in _rate_titles(name)))
    rows = [
        (
            title(one.anchor),
            one.test,
            *(text for name in further for text in _bd_texts(one.further[name], FURTHER[name][1])),
        )
        for one in comparisons
    ]
    names = " and ".join(FURTHER[name][0].partition(",")[0] for name in further)
    return (Table(f"BD-rates by {names}", head, tuple(rows)),)


def _rate_titles(name: str) -> tuple[str, str]:
    """The heads of the columns of a BD-rate and of its range."""
    metric, _, unit = FURTHER[name][0].partition(", ")
    return f"BD-rate by {metric}", f"range, {unit}" if unit else "range"


def _bd_texts(rate: BdRate, digits: int) -> tuple[str, str]:
    figure = _NONE if rate.percent is None else f"{rate.percent:+.1f} %"
    if rate.overlap is None:
        return figure, _NONE
    low, high = rate.overlap
    return figure, f"{low:.{digits}f} to {high:.{digits}f}"


def remarks(contenders: Sequence[Contender], left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """Remarks needed to read the figures, one per line."""
    said = []
    if not is_installed():
        said.append("No BD-rates: they need bjontegaard. To install it: pip install 'inrc[report]'")
    elif any(len(one.points) < LEAST_POINTS for one in contenders):
        said.append(f"A BD-rate needs {LEAST_POINTS} rates of each codec.")
    said += [f"{one.name} is left out: {one.reason}." for one in left_out]
    return tuple(said)


def foreword_of(
    said: str,
    contenders: Sequence[Contender],
    comparisons: Sequence[Comparison],
    left_out: Sequence[LeftOut],
) -> Foreword:
    """The start of the page; `said` is the verdict."""
    method = (
        "Sizes are those of our whole files without audio, and of the other codecs' streams without a "
        "container. Each was decoded again and compared with the same frames as RGB of their depth. BD-rate: "
        "difference in bits from the codec of the row at equal quality, over the range of quality that both "
        "reach; negative means fewer bits. Times are wall clock on one machine, means over the rates."
    )
    if further_of(contenders):
        method += " XPSNR and VMAF are measured in the samples that the source stores."
    return Foreword(
        said,
        (rates_table(comparisons), *further_tables(comparisons), points_table(contenders)),
        (*remarks(contenders, left_out), method),
    )

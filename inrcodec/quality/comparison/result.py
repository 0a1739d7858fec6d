"""What a comparison found: as plain values for JSON, and as tables of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inrcodec.quality.bdrate import LEAST_POINTS, is_installed
from inrcodec.quality.comparison.verdict import BdRate, Comparison, Contender, times_text, title
from inrcodec.quality.report.evidence import Foreword, Table
from inrcodec.quality.report.gather import ReportResult
from inrcodec.settings.notation import duration_text
from inrcodec.settings.source import FrameRange

_NONE = "–"


@dataclass(frozen=True)
class LeftOut:
    """What was asked for and could not be compared."""

    name: str
    reason: str


@dataclass(frozen=True)
class ComparisonResult:
    """What `compare` found."""

    page: ReportResult
    frames: FrameRange
    """Of the source."""
    contenders: tuple[Contender, ...]
    """Our models, then ordinary codecs."""
    comparisons: tuple[Comparison, ...]
    left_out: tuple[LeftOut, ...]
    verdict: str
    kept_in: str | None
    """The folder that our files were left in."""

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
            "comparisons": [one.as_dict() for one in self.comparisons],
            "left_out": [{"name": one.name, "reason": one.reason} for one in self.left_out],
            "kept_in": self.kept_in,
            "verdict": self.verdict,
        }


def points_table(contenders: Sequence[Contender]) -> Table:
    """A row for each file: size, rate, quality and time."""
    head = ("codec", "setting", "bytes", "bits a pixel", "PSNR, dB", "MS-SSIM", "encoded in")
    return Table(
        head,
        tuple(
            (
                title(one.name),
                point["setting"],
                f"{point['file_bytes']:,}",
                f"{point['bpp']:.4f}",
                f"{point['psnr_db']:.2f}",
                _NONE if point["ms_ssim"] is None else f"{point['ms_ssim']:.4f}",
                duration_text(point["seconds"]),
            )
            for one in contenders
            for point in one.points
        ),
    )


def rates_table(comparisons: Sequence[Comparison]) -> Table:
    """A row for each model against each codec: BD-rates with the quality that they are of, PSNR, time."""
    head = (
        "against",
        "model",
        "BD-rate by PSNR",
        "over, dB",
        "by MS-SSIM",
        "over",
        "PSNR at equal bits",
        "time",
    )
    return Table(
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


def _bd_texts(rate: BdRate, digits: int) -> tuple[str, str]:
    figure = _NONE if rate.percent is None else f"{rate.percent:+.1f} %"
    if rate.overlap is None:
        return figure, _NONE
    low, high = rate.overlap
    return figure, f"{low:.{digits}f} to {high:.{digits}f}"


def remarks(contenders: Sequence[Contender], left_out: Sequence[LeftOut]) -> tuple[str, ...]:
    """What must be known to read the figures, a line each."""
    said = []
    if not is_installed():
        said.append("No BD-rates: pip install 'inrc[report]' brings bjontegaard.")
    elif any(len(one.points) < LEAST_POINTS for one in contenders):
        said.append(f"A BD-rate needs {LEAST_POINTS} rates of each side.")
    said += [f"{one.name} is left out: {one.reason}." for one in left_out]
    return tuple(said)


def foreword_of(
    said: str,
    contenders: Sequence[Contender],
    comparisons: Sequence[Comparison],
    left_out: Sequence[LeftOut],
) -> Foreword:
    """What the page begins with; `said` is the verdict."""
    method = (
        "Sizes are of our whole files, and of the others' streams without a container; no sound is counted. "
        "Each was decoded again, and compared with the same frames as 8-bit RGB. BD-rate: bits at equal "
        "quality against the codec of the line, over the quality that both reach; less than nothing is fewer "
        "bits. Times are wall clock on one machine, means over the rates."
    )
    return Foreword(
        said,
        (rates_table(comparisons), points_table(contenders)),
        (*remarks(contenders, left_out), method),
    )

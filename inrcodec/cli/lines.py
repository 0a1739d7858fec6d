"""Lines of text that the commands print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from inrcodec.progress import EncodePlan, FitReport, JobReport
from inrcodec.settings.notation import duration_text
from inrcodec.system.names import STDIN
from inrcodec.text import counted

BLOCKS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 60
"""Maximum number of blocks in a line, so that it fits a terminal of 80 columns."""


def error_line(message: str) -> str:
    """The error message as one line."""
    return f"inrc: error: {' '.join(message.split())}"


def plan_lines(plan: EncodePlan) -> list[str]:
    """Size, model, device and effort of an encode that is about to begin."""
    pixels = plan.width * plan.height * plan.frame_count
    expected = [] if plan.expected_seconds is None else [f"about {duration_text(plan.expected_seconds)}"]
    epochs = [] if plan.epochs is None else [counted(plan.epochs, "epoch")]
    effort = ", ".join(epochs + expected)
    values = counted(plan.parameter_count, "transmitted value")
    return [
        f"{plan.source}: {counted(plan.frame_count, 'frame')} of {plan.width}x{plan.height} -> at most "
        f"{plan.target_bytes:,} bytes ({8 * plan.target_bytes / pixels:.4f} bpp)",
        f"{plan.model} with {values} on {plan.device}: {effort}",
    ]


def fit_text(report: FitReport) -> str:
    """PSNR so far, predicted size, speed and time left."""
    return (
        f"{report.psnr_db:.2f} dB  {report.predicted_bpp:.4f} bpp  "
        f"{report.steps_per_second:.1f} steps/s  {duration_text(max(0.0, report.seconds_left))} left"
    )


def job_text(report: JobReport) -> str:
    """The time left, what is done now, and quality and size so far; a narrow terminal cuts the end off."""
    quality = [] if report.psnr_db is None else [f"{report.psnr_db:.2f} dB"]
    size = [] if report.bpp is None else [f"{report.bpp:.4f} bpp"]
    left = [] if report.seconds_left is None else [f"{duration_text(max(0.0, report.seconds_left))} left"]
    place = [report.place] if report.place else []
    return "  ".join([*left, *place, report.doing, *quality, *size])


def encode_lines(output: str, result: Mapping[str, Any]) -> list[str]:
    """Size and quality of a finished encode, from the fields of `EncodeResult`."""
    extras_bytes = result["extras_bytes"]
    video_bytes = result["file_bytes"] - extras_bytes
    asked_db, asked_vmaf = result["psnr_target_db"], result["vmaf_target"]
    is_search = asked_db is not None or asked_vmaf is not None
    share = "" if is_search else f" ({100 * video_bytes / result['target_bytes']:.1f} % of the target)"
    wanted = "" if asked_db is None else f", target {asked_db:g} dB"
    vmaf = "" if asked_vmaf is None else f"VMAF {result['vmaf']:.2f}, target {asked_vmaf:g}; "
    beside = f", and {extras_bytes:,} bytes of audio, subtitles and metadata" if extras_bytes else ""
    masked = result["masked_share"]
    outside = f" over the {1 - masked:.1%} of pixels outside the mask" if masked else ""
    # The default model has a network, which takes steps, only where one is asked for.
    steps = f"{counted(result['steps'], 'step')} " if result["steps"] else ""
    return [
        f"{output}: {video_bytes:,} bytes{share}, {result['bpp']:.4f} bpp{beside}",
        f"{vmaf}{result['psnr_db']:.2f} dB{outside}{wanted} "
        f"(1st percentile {result['psnr_p1_db']:.2f} dB), "
        f"{steps}in {duration_text(result['seconds'])}",
    ]


def quality_line(values_db: Sequence[float]) -> str:
    """PSNR over the frames as a row of blocks, each the mean of a run of frames; empty for one frame."""
    count = min(len(values_db), SPARKLINE_WIDTH)
    if count < 2:
        return ""
    edges = [len(values_db) * place // count for place in range(count + 1)]
    parts = [values_db[first:last] for first, last in zip(edges[:-1], edges[1:], strict=True)]
    means = [sum(part) / len(part) for part in parts]
    least, most = min(means), max(means)
    heights = [(mean - least) / max(most - least, 1e-9) * (len(BLOCKS) - 1) for mean in means]
    blocks = "".join(BLOCKS[round(height)] for height in heights)
    return f"{blocks} {least:.1f} to {most:.1f} dB"


def decode_line(output: str, result: Mapping[str, Any]) -> str:
    """Frames and speed of a finished decode, from the fields of `DecodeResult`."""
    name = "standard output" if output == "-" else output
    return (
        f"{name}: {counted(result['frames'], 'frame')} in {duration_text(result['seconds'])} "
        f"({result['frames_per_second']:.1f} fps)"
    )


def report_line(output: str, result: Mapping[str, Any]) -> str:
    """Files and size of a finished report, from the fields of `ReportResult`."""
    files = counted(len(result["files"]), "file")
    return f"{output}: {files} compared with {result['source']}, {result['page_bytes']:,} bytes"


def export_lines(output: str, result: Mapping[str, Any]) -> list[str]:
    """Size and accuracy of a finished export, from the fields of `ExportResult`."""
    page = f", page and runtime of {result['page_bytes']:,} bytes" if result["page_bytes"] else ""
    return [
        f"{output}: {counted(result['frames'], 'frame')} of {', '.join(result['families'])} in "
        f"{counted(result['segments'], 'segment')}, models of {result['model_bytes']:,} bytes "
        f"(ONNX, opset {result['opset']}), inputs of "
        f"{result['input_bytes']:,} bytes{page}",
        f"{counted(result['checked_frames'], 'frame')} compared with `inrc decode`: largest difference "
        f"{result['largest_difference']} of 255, {duration_text(result['seconds'])}",
    ]


def comparison_line(output: str, result: Mapping[str, Any]) -> str:
    """Codecs and output of a finished comparison, from the fields of `ComparisonResult`."""
    kept = f"; the .inrv files are in {result['kept_in']}" if result["kept_in"] else ""
    return f"{output}: {counted(len(result['contenders']), 'codec')}, {result['page_bytes']:,} bytes{kept}"


def table_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each row of `several.encode_several`."""
    width = max(len(row["output"]) for row in rows)
    return [f"{row['output']:<{width}}  {_row_text(row)}" for row in rows]


def _row_text(row: Mapping[str, Any]) -> str:
    if "error" in row:
        return f"failed ({row['exit_code']}): {' '.join(row['error'].split())}"
    if "result" not in row:
        return "exists already; -y replaces it"
    result = row["result"]
    vmaf = "" if result["vmaf"] is None else f"  VMAF {result['vmaf']:.2f}"
    return f"{result['file_bytes']:>11,} bytes  {result['bpp']:.4f} bpp  {result['psnr_db']:.2f} dB{vmaf}"


class Lost(Protocol):
    """Something that a damaged file has lost; `str` describes it."""

    @property
    def frames(self) -> range | None:
        """The lost frames; None if the loss is not a run of frames."""


def written_text(lost: Sequence[Lost]) -> str:
    """The result of decoding a file with these losses."""
    frozen = ", with frozen frames for the rest" if any(loss.frames is not None for loss in lost) else ""
    return f"the intact parts were decoded and written{frozen}"


def lost_lines(source: str, lost: Sequence[Lost], result: str) -> list[str]:
    """A line for each loss of a damaged file, then its `result`; empty for an intact file."""
    if not lost:
        return []
    name = "standard input" if source == STDIN else source
    return [*(f"inrc: lost: {loss}" for loss in lost), error_line(f"{name} is damaged: {result}")]

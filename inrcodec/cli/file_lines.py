"""The first lines of `inrc info`: what a file holds as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inrcodec.text import counted

if TYPE_CHECKING:
    from bitstream import StreamHeader
    from inrcodec.decoder.info import FileReport

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer functions of HDR video by their code points (H.273)."""


def report_lines(report: FileReport) -> list[str]:
    """Lines on the file as a whole: size, video, rate, quality and metadata."""
    from bitstream.timestamps import duration

    header = report.header
    color = header.color
    color_range = "full" if color.full_range else "limited"
    rotation = f"turned {header.rotation} degrees clockwise for display, " if header.rotation else ""
    irregular = "" if header.timestamps is None else " (irregular)"
    psnr = "not measured" if report.psnr_db is None else f"{report.psnr_db:.2f} dB"
    return [
        f"{report.path}: {report.file_bytes:,} bytes, format {report.format_version}",
        f"video    {header.width}x{header.height}, {counted(header.frame_count, 'frame')} in "
        f"{float(duration(header)):.6g} s, "
        f"{float(header.frame_rate):.6g} fps{irregular}, {header.bit_depth} bits, "
        f"pixel aspect {header.sample_aspect_ratio}, {rotation}"
        f"colour {color.primaries}/{color.transfer}/{color.matrix} {color_range}",
        f"rate     {report.bpp:.4f} bpp",
        f"quality  {psnr}",
        *([] if (light := _light_text(header)) is None else [f"light    {light}"]),
        *([] if header.part is None else [f"source   {_part_text(header)}"]),
        *(f"{key:<8} {value}" for key, value in report.metadata.items()),
    ]


def _light_text(header: StreamHeader) -> str | None:
    """Transfer, mastering display and light levels of HDR video; None for other video."""
    name = _HDR_TRANSFERS.get(header.color.transfer)
    display, light = header.mastering_display, header.content_light
    said = [] if name is None else [name]
    if display is not None:
        least, most = display.least_luminance / 10_000, display.most_luminance / 10_000
        said.append(f"mastered at {least:g} to {most:g} cd/m2")
    if light is not None:
        said.append(f"MaxCLL {light.most_of_a_pixel}, MaxFALL {light.most_of_a_frame} cd/m2")
    return ", ".join(said) or None


def _part_text(header: StreamHeader) -> str:
    """The part of its source that a file holds."""
    part = header.part
    if part is None:
        return "whole"
    said = []
    stop = part.first_frame + (header.frame_count - 1) * part.every + 1
    said.append(f"frames {part.first_frame}:{stop}")
    if part.every > 1:
        said.append(f"every {part.every}")
    if part.crop_width:
        place = f"+{part.crop_x - 1}+{part.crop_y - 1}" if part.crop_x else ""
        said.append(f"cropped to {part.crop_width}x{part.crop_height}{place}")
    if part.scale_width:
        said.append(f"scaled to {part.scale_width}x{part.scale_height}")
    if part.bit_depth:
        said.append(f"of at most {part.bit_depth} bits")
    if part.stream:
        said.append(f"stream {part.stream - 1}")
    return ", ".join(said)

"""The parts of a report that are figures and tables: summary, bits, and details of each file."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from inrcodec.decoder.info import FileReport, SectionReport
from inrcodec.models.family import Role
from inrcodec.quality.evaluation import MetricSummary
from inrcodec.quality.report.charts import colour_class, swatch
from inrcodec.quality.report.evidence import Evidence, FileEvidence
from inrcodec.quality.report.markup import Markup, element, folded, joined, table
from inrcodec.text import counted

_SHOWN_FIRST = ("psnr", "ssim", "ms_ssim", "flip")
NETWORK, GRIDS, MASKS = "network", "grids", "masks and scales"
ENTROPY_MODELS = "entropy models"
CONTAINER, EXTRAS = "headers and index", "audio, subtitles and metadata"
_CONTEXT = "context"
"""First part of the names of sections that contain entropy models."""


def frames_text(evidence: Evidence) -> str:
    """Number, size and rate of the compared frames, for display."""
    first, header = evidence.files[0].quality, evidence.files[0].held.header
    rate = f"{float(header.frame_rate):.6g} fps"
    return f"{counted(first.frame_count, 'frame')} of {first.width} × {first.height} at {rate}"


def value_text(name: str, value: float) -> str:
    """Format a value of a metric: decibels with two digits, others with four."""
    return f"{value:.{2 if name.startswith('psnr') else 4}f}"


def foreword_section(evidence: Evidence) -> Markup | None:
    """The verdict, its tables and notes; None for a page without a foreword."""
    foreword = evidence.foreword
    if foreword is None:
        return None
    return joined(
        element("p", foreword.verdict),
        *(
            folded(one.title, table(list(one.head), [list(row) for row in one.rows]))
            for one in foreword.tables
        ),
        folded("Notes", *(element("p", note, class_="note") for note in foreword.notes)),
    )


def summary_section(evidence: Evidence) -> Markup:
    """Tiles for one file, a sentence and a folded table for several."""
    if len(evidence.files) == 1:
        return _tiles(evidence.files[0])
    head = ["file", "model", "bytes", "bits per pixel"]
    shown = [one for one in evidence.files[0].quality.summaries() if one.metric.name in _SHOWN_FIRST]
    head += [_titled(one) for one in shown]
    rows = []
    for number, file in enumerate(evidence.files):
        means = {one.metric.name: one.mean for one in file.quality.summaries()}
        name = joined(swatch(number), element("span", file.name))
        size = [f"{file.quality.file_bytes:,}", f"{file.quality.bpp:.4f}"]
        values = [value_text(one.metric.name, means[one.metric.name]) for one in shown]
        rows.append([name, file.held.segments[0].family, *size, *values])
    note = "Means over the frames. Audio, subtitles and metadata are not counted."
    return joined(
        element("p", _range_text(evidence)),
        folded("All files", table(head, rows), element("p", note, class_="note")),
    )


def _range_text(evidence: Evidence) -> str:
    """The worst and the best of several files in one sentence."""
    by_quality = sorted(evidence.files, key=lambda file: float(np.mean(file.quality.values["psnr"])))
    said = [
        f"{np.mean(file.quality.values['psnr']):.2f} dB in {file.quality.file_bytes:,} bytes ({file.name})"
        for file in (by_quality[0], by_quality[-1])
    ]
    return f"{counted(len(evidence.files), 'file')}, with a PSNR from {said[0]} to {said[1]}."


def _tiles(file: FileEvidence) -> Markup:
    size, bpp = file.quality.file_bytes or 0, file.quality.bpp or 0.0
    extras = file.held.extras_bytes
    beside = f"and {extras:,} of audio, subtitles and metadata" if extras else file.name
    tiles = [
        _tile("Size", f"{size:,}", "bytes", beside),
        _tile("Bits per pixel", f"{bpp:.4f}", "", f"1/{24 / bpp:,.0f} of 8-bit RGB"),
    ]
    for one in file.quality.summaries():
        if one.metric.name in _SHOWN_FIRST:
            worst = value_text(one.metric.name, one.worst)
            beside = f"worst {worst}, frame {one.worst_frame}"
            tiles.append(
                _tile(one.metric.title, value_text(one.metric.name, one.mean), one.metric.unit, beside)
            )
    return element("div", *tiles, class_="tiles")


def _tile(name: str, value: str, unit: str, beside: str) -> Markup:
    figure = element("p", element("strong", value), " ", element("span", unit), class_="value")
    return element("div", element("h3", name), figure, element("p", beside, class_="beside"), class_="tile")


def bits_section(evidence: Evidence) -> Markup:
    """One bar per file, whose length shows the file size, and a table of the groups."""
    groups = [bit_groups(file.held) for file in evidence.files]
    names = sorted(
        dict.fromkeys(name for one in groups for name in one),
        key=lambda name: (name == CONTAINER, -max(one.get(name, 0) for one in groups)),
    )
    colours = {name: number for number, name in enumerate(names)}
    most = max(sum(one.values()) for one in groups)
    bars = [_bar(file, one, colours, most) for file, one in zip(evidence.files, groups, strict=True)]
    rows: list[list[str]] = []
    for name in names:
        cells: list[str] = [joined(swatch(colours[name]), element("span", name))]
        for one in groups:
            bits, whole = one.get(name, 0), sum(one.values())
            cells.append(f"{bits / 8:,.0f} bytes, {bits / whole:.1%}" if bits else "–")
        rows.append(cells)
    head = ["spent on", *(file.name for file in evidence.files)]
    keys = (element("li", joined(swatch(colours[name]), element("span", name))) for name in names)
    return joined(
        element("div", *bars, class_="bars"),
        element("ul", *keys, class_="legend"),
        folded("Bits by purpose", table(head, rows)),
        *(_sections_table(file) for file in evidence.files),
    )


def _bar(file: FileEvidence, groups: dict[str, int], colours: dict[str, int], most: int) -> Markup:
    whole = sum(groups.values())
    parts = [
        element(
            "span",
            class_=colour_class(colours[name]),
            style=f"flex-grow:{bits}",
            title=f"{name}: {bits / 8:,.0f} bytes, {bits / whole:.1%}",
        )
        for name, bits in sorted(groups.items(), key=lambda item: colours[item[0]])
        if bits
    ]
    said = ", ".join(f"{name} {bits / whole:.1%}" for name, bits in groups.items())
    return element(
        "div",
        element("p", file.name, " ", element("span", f"{file.held.file_bytes:,} bytes")),
        element(
            "div",
            *parts,
            class_="bar",
            style=f"width:{100 * whole / most:.4g}%",
            role="img",
            aria_label=f"{file.name}: {said}",
        ),
    )


def _sections_table(file: FileEvidence) -> Markup:
    whole = 8 * file.held.file_bytes
    rows = [
        [one.name, one.role, one.coders, f"{one.value_count:,}", f"{one.bits:,}", f"{one.bits / whole:.1%}"]
        for one in merged_sections(file.held)
    ]
    count = len(file.held.segments)
    of_all = f", {count} segments combined" if count > 1 else ""
    head = ["section", "role", "coder", "values", "bits", "share"]
    return folded(f"Sections of {file.name}{of_all}", table(head, rows))


def about_section(evidence: Evidence) -> Markup:
    """All metrics and properties of each file, and how the figures were measured."""
    return joined(*(_about_file(file) for file in evidence.files), _method(evidence))


def _about_file(file: FileEvidence) -> Markup:
    rows = [
        [
            _titled(one),
            *(value_text(one.metric.name, value) for value in (one.mean, one.worst_in_hundred, one.worst)),
            str(one.worst_frame),
        ]
        for one in file.quality.summaries()
    ]
    held, segments = file.held, file.held.segments
    color = held.header.color
    color_range = "full" if color.full_range else "limited"
    values = sum(one.parameter_count for one in segments)
    facts = {
        "model": f"{segments[0].family}, {counted(values, 'transmitted value')}",
        "segments": f"{len(segments)}, seed {segments[0].seed}",
        "format": held.format_version,
        "colour": f"{color.primaries}/{color.transfer}/{color.matrix} {color_range}",
        **{name: f"{bits / 8:,.0f} bytes" for name, bits in held.extra_rows},
        **held.metadata,
    }
    if file.log is not None:
        epochs = counted(float(f"{file.log.epochs:.3g}"), "epoch")
        facts["encoded in"] = f"{file.log.seconds:,.0f} s, {epochs}, on {file.log.device}"
    head = ["metric", "mean", "worst percentile", "worst", "at frame"]
    pairs = (element("div", element("dt", key), element("dd", value)) for key, value in facts.items())
    return joined(
        element("h3", file.name),
        element("dl", *pairs),
        folded(f"All metrics of {file.name}", table(head, rows)),
    )


def _method(evidence: Evidence) -> Markup:
    is_lossless = evidence.pictures.is_lossless
    kept = "lossless WebP" if is_lossless else "high-quality JPEGs, which keep the page small"
    return element(
        "p",
        "All figures compare the decoded frames of a file with the same frames of the source, both as RGB "
        "of its depth: PSNR over the three colours; SSIM with windows of 11 pixels; MS-SSIM with five "
        "scales; LDR-FLIP at 67 pixels per degree. Frames are numbered from 0 at the start of the file. "
        f"The pictures are {kept}.",
        class_="note",
    )


def _titled(one: MetricSummary) -> str:
    return f"{one.metric.title}, {one.metric.unit}" if one.metric.unit else one.metric.title


@dataclass(frozen=True)
class MergedSection:
    """The sections of one name in all segments, combined."""

    name: str
    role: str
    coders: str
    value_count: int
    bits: int


def bit_groups(report: FileReport) -> dict[str, int]:
    """Bits of the whole file by purpose; they add up to the file size."""
    groups: dict[str, int] = {}
    for section in _all_sections(report):
        name = group_of(section)
        groups[name] = groups.get(name, 0) + section.bits
    overhead = sum(segment.overhead_bits for segment in report.segments)
    groups[CONTAINER] = report.container_bits + overhead
    if report.extras_bytes:
        groups[EXTRAS] = 8 * report.extras_bytes
    return groups


def group_of(section: SectionReport) -> str:
    """The purpose of a section; data that is sent per frame keeps its own name."""
    head = section.name.partition(".")[0]
    if head == _CONTEXT:
        return ENTROPY_MODELS
    if section.role == Role.EMBEDDING:
        return head.replace("_", " ")
    if section.role == Role.GRID:
        return GRIDS
    return MASKS if section.role in (Role.LEVELS, Role.SCALE) else NETWORK


def merged_sections(report: FileReport) -> list[MergedSection]:
    """The sections in wire order; sections of the same name are combined over segments."""
    merged: dict[str, list[SectionReport]] = {}
    for section in _all_sections(report):
        merged.setdefault(section.name, []).append(section)
    return [
        MergedSection(
            name=name,
            role=parts[0].role,
            coders=", ".join(dict.fromkeys(part.coder for part in parts)),
            value_count=sum(math.prod(part.shape) for part in parts),
            bits=sum(part.bits for part in parts),
        )
        for name, parts in merged.items()
    ]


def _all_sections(report: FileReport) -> Iterable[SectionReport]:
    return (section for segment in report.segments for section in segment.sections)

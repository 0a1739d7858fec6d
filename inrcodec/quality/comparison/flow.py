"""Runs a comparison: ordinary codecs, our encodes within their time, measurements, the page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inrcodec.errors import UsageError
from inrcodec.progress import Part, Progress
from inrcodec.quality.bdrate import Curve
from inrcodec.quality.comparison.equal_bytes import EQUAL_BYTES, side_by_side
from inrcodec.quality.comparison.further import Further
from inrcodec.quality.comparison.ordinary_codecs import rival_curve
from inrcodec.quality.comparison.ours import Encoded, encode_each, keep_files, our_contenders, planned_encodes
from inrcodec.quality.comparison.result import ComparisonResult, LeftOut, foreword_of
from inrcodec.quality.comparison.verdict import Contender, compare_each, verdict
from inrcodec.quality.frame_metrics import MEASURES
from inrcodec.quality.report.evidence import Evidence
from inrcodec.quality.report.gather import ReportInputs, gather, write_page
from inrcodec.quality.report.logs import log_of
from inrcodec.quality.report.rates import ClipResults
from inrcodec.settings.pages import ComparisonSettings
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.system.files import temporary_folder_beside
from inrcodec.system.locks import shortened
from inrcodec.system.private import resolved_output
from inrcodec.video import first_frames, read_clip
from inrcodec.video.ordinary_codecs import Rival, RivalFailed, parse_rival

_MEASURES = ("psnr", "ssim", "ms-ssim")
"""Measures taken for every frame. FLIP is not among them because it takes too long."""
_RIVALS_SHARE, _ENCODING_SHARE, _MEASURING_SHARE, _LAST_SHARE = 0.06, 0.8, 0.08, 0.06
"""Shares of the job: ordinary codecs, our encodes, measuring our files, and streams at equal bytes."""
_LONGEST_STEM = 180
"""Bytes. With model, rate and suffix, a file name stays within the 255 bytes of file systems."""


def compare_checked(
    source: str, output: str, settings: ComparisonSettings, progress: Part
) -> ComparisonResult:
    """Carry out `compare` for a checked request."""
    stem = os.path.splitext(os.path.basename(os.path.abspath(source)))[0].replace("%", "_")
    stem = shortened(stem, _LONGEST_STEM)
    selected = _selected(source, settings, progress)
    encodes = planned_encodes(stem, selected, settings)
    rivals, left_out = _installed_rivals(settings.against, progress)
    # The suffix leaves the temporary file named after `output` to the page.
    with temporary_folder_beside(Path(f"{resolved_output(output)}.compare")) as folder:
        measured_rivals = _of_rivals(progress, rivals)
        further = Further(settings.metrics, source, selected) if settings.metrics else None
        curves = _rival_curves(source, selected, rivals, settings.bpps, left_out, measured_rivals, further)
        measured_rivals.end()
        encoding = progress.part(_ENCODING_SHARE)
        made = encode_each(source, encodes, folder, settings.total_seconds, left_out, encoding)
        encoding.end()
        measuring = progress.part(_MEASURING_SHARE, predicts=False)
        evidence = _measured(source, selected, made, curves, settings, measuring)
        measuring.end()
        measured = [(rival, one.points) for rival in rivals for one in curves if one.name == rival.name]
        pairs = list(zip(made, evidence.files, strict=True))
        last = progress.part(_LAST_SHARE, phases=((EQUAL_BYTES, 1.0),), predicts=False)
        sides = side_by_side(source, selected, pairs, measured, left_out, settings.device, last)
        last.end()
        contenders = [*our_contenders(made, evidence.files), *curves]
        comparisons = compare_each(contenders)
        said = verdict(comparisons)
        foreword = foreword_of(said, contenders, comparisons, left_out)
        page = write_page(
            replace(evidence, foreword=foreword, side_by_side=sides, title=settings.title),
            output,
            settings.overwrite,
        )
        keep = None if settings.keep is None else os.fspath(settings.keep)
        if keep is not None:
            keep_files(made, keep, settings.overwrite)
    return ComparisonResult(
        page, selected.frames, tuple(contenders), tuple(comparisons), tuple(left_out), said, keep
    )


def _of_rivals(progress: Part, rivals: Sequence[Rival]) -> Part:
    """The part of the job in which ordinary codecs are measured."""
    phases = [("reading", 1.0), *((f"encoding with {one.name}", 1.0) for one in rivals)]
    return progress.part(_RIVALS_SHARE, phases=phases, predicts=False)


def _selected(source: str, settings: ComparisonSettings, progress: Progress) -> SourceSettings:
    """The part of the source to compare, without audio: by default the first seconds of a long video."""
    selected = replace(settings.source, audio=False)
    if selected.frames != FrameRange() or settings.first_seconds is None:
        return selected
    frames = first_frames(source, settings.first_seconds, selected.stream)
    if frames != FrameRange():
        progress.note(
            f"only the first {settings.first_seconds:g} seconds are compared; choose others by --frames "
            "(in Python, by the frames of the source)"
        )
    return replace(selected, frames=frames)


def _installed_rivals(texts: Sequence[str], progress: Progress) -> tuple[list[Rival], list[LeftOut]]:
    """The codecs that this build of FFmpeg has. Raises `UsageError` for unknown names, or if it has none."""
    rivals = [parse_rival(text) for text in dict.fromkeys(texts)]
    missing = [rival for rival in rivals if not rival.is_installed]
    left_out = [LeftOut(rival.name, f"this build of FFmpeg has no {rival.encoder.name}") for rival in missing]
    if len(missing) == len(rivals):
        raise UsageError("; ".join(f"{one.name}: {one.reason}" for one in left_out))
    for one in left_out:
        progress.note(f"{one.name} is left out: {one.reason}")
    return [rival for rival in rivals if rival not in missing], left_out


def _rival_curves(
    source: str,
    selected: SourceSettings,
    rivals: Sequence[Rival],
    bpps: Sequence[float],
    left_out: list[LeftOut],
    progress: Progress,
    further: Further | None,
) -> list[Contender]:
    """Measure the codecs; add those that refuse the frames to `left_out`. Raises `RivalFailed` if all do."""
    clip = read_clip(source, selected, progress)
    found: list[Contender] = []
    for rival in rivals:
        try:
            curve = rival_curve(rival, clip.frames, bpps, clip.properties.frame_rate, progress, further)
        except RivalFailed as error:
            left_out.append(LeftOut(rival.name, str(error)))
            progress.note(f"{rival.name} is left out: {error}")
            if len(rivals) == 1 or (rival == rivals[-1] and not found):
                raise
            continue
        found.append(Contender(rival.name, curve))
        progress.detail(f"measured {rival.name} at {len(curve)} rates")
    return found


def _measured(
    source: str,
    selected: SourceSettings,
    made: Sequence[Encoded],
    rivals: Sequence[Contender],
    settings: ComparisonSettings,
    progress: Progress,
) -> Evidence:
    """The report's evidence on our files, with the curves of the rivals."""
    measures = [name for name in _MEASURES if MEASURES[name].is_installed]
    if len(measures) < len(_MEASURES):
        progress.note("SSIM and MS-SSIM: left out; install with: pip install 'inrc[metrics]'")
    measures += settings.metrics
    curves: dict[str, Curve] = {one.name: one.points for one in rivals}
    point = rivals[0].points[0]
    name = os.path.basename(source.rstrip("/")) or source
    clip = ClipResults(name, curves, 8 * point["file_bytes"] / point["bpp"])
    logs = [log_of(one.path, one.result.as_dict()) for one in made]
    files = [one.path for one in made]
    return gather(ReportInputs(source, selected, files, [clip], logs, settings.device, measures), progress)

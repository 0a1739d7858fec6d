"""Our side of a comparison: encodes our files within a shared time, measures and keeps them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inrcodec.encoder.ladder import Rung, encode_rungs
from inrcodec.encoder.result import EncodeResult
from inrcodec.errors import InrcError, TargetUnreachable, UsageError
from inrcodec.models.registry import family_of
from inrcodec.progress import Part, Progress
from inrcodec.quality.bdrate import Curve
from inrcodec.quality.comparison.result import LeftOut
from inrcodec.quality.comparison.verdict import Contender
from inrcodec.quality.report.evidence import FileEvidence
from inrcodec.quality.report.rates import point_of
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import rung_path
from inrcodec.settings.pages import ComparisonSettings
from inrcodec.settings.source import SourceSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import atomic_output, check_output_file, output_errors


@dataclass(frozen=True)
class Encode:
    """A planned encode."""

    model: str
    """Name of the family."""
    settings: EncodeSettings
    bpp: float
    name: str
    """File name without a folder."""


@dataclass(frozen=True)
class Encoded:
    """A finished encode and its file."""

    encode: Encode
    path: str
    result: EncodeResult


def planned_encodes(stem: str, selected: SourceSettings, settings: ComparisonSettings) -> list[Encode]:
    """Our encodes, grouped by model.

    Raises `UsageError` for settings that suit no source, for files of the same name, and for existing ones.
    """
    encodes = []
    for model in dict.fromkeys(settings.models):
        own = EncodeSettings(
            model=model,
            preset=settings.preset or EncodeSettings.preset,
            time_seconds=settings.total_seconds,
            epochs=settings.epochs,
            device=settings.device,
            source=selected,
        )
        family = family_of(own).name
        for bpp in settings.bpps:
            encodes.append(Encode(family, own, bpp, rung_path(f"{stem}-{family}.inrv", bpp)))
    names = [one.name for one in encodes]
    if len(set(names)) < len(names):
        raise UsageError(f"two files would have the same name: {', '.join(names)}; change --bpp or --model")
    if settings.keep is not None and os.path.isdir(settings.keep):
        for name in names:
            check_output_file(os.path.join(settings.keep, name), settings.overwrite)
    return encodes


def encode_each(
    source: str,
    encodes: Sequence[Encode],
    folder: Path,
    total_seconds: float | None,
    left_out: list[LeftOut],
    progress: Progress,
) -> list[Encoded]:
    """Encode our files in `folder` within a shared time; add sizes that cannot be met to `left_out`."""
    deadline = Deadline(total_seconds)
    made: list[Encoded] = []
    errors: list[InrcError] = []
    whole, models = Part(progress), list(dict.fromkeys(one.model for one in encodes))
    for model in models:
        own = [one for one in encodes if one.model == model]
        settings = own[0].settings
        share = deadline.share(len(own) / (len(encodes) - len(made) - len(errors)))
        rungs = [Rung(source, str(folder / one.name), one.bpp) for one in own]
        part = whole.part(len(own) / len(encodes), place=model if len(models) > 1 else "")
        results = encode_rungs(rungs, settings, part, deadline=share)
        part.end()
        for one, rung, result in zip(own, rungs, results, strict=True):
            if isinstance(result, EncodeResult):
                made.append(Encoded(one, rung.output, result))
            elif isinstance(result, TargetUnreachable):
                errors.append(result)
                left_out.append(LeftOut(f"{model} at {one.bpp:g} bits per pixel", str(result)))
                progress.note(f"{left_out[-1].name} is left out: {result}")
            else:
                raise result
    if not made:
        raise errors[0]
    return made


def our_contenders(made: Sequence[Encoded], files: Sequence[FileEvidence]) -> list[Contender]:
    """Our curves, with the quality measured on the decoded files."""
    curves: dict[str, Curve] = {}
    for one, file in zip(made, files, strict=True):
        point = {
            **point_of(file.quality),
            "setting": f"{one.encode.bpp:g} bpp",
            "file": file.name,
            "seconds": one.result.seconds,
            "epochs": one.result.epochs,
        }
        curves.setdefault(one.encode.model, []).append(point)
    for curve in curves.values():
        curve.sort(key=lambda point: point["bpp"])
    return [Contender(name, curve) for name, curve in curves.items()]


def keep_files(made: Sequence[Encoded], folder: str, overwrite: bool) -> None:
    """Copy our files to `folder`. Raises `UsageError` for an existing file, and `OutputError`."""
    with output_errors(folder):
        os.makedirs(folder, exist_ok=True)
    for one in made:
        target = os.path.join(folder, one.encode.name)
        with open(one.path, "rb") as file, atomic_output(target, overwrite) as copy:
            shutil.copyfileobj(file, copy)

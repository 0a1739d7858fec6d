"""Entry point of a prediction: refuses what an encode would refuse, before torch is loaded."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec.encoder.checks import check_preview, refusals
from inrcodec.errors import UsageError
from inrcodec.models.registry import family_of
from inrcodec.progress import Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.names import StrPath, check_paths
from inrcodec.system.pipes import rereadable

if TYPE_CHECKING:
    from inrcodec.quality.prediction.result import Prediction


def predict(
    source: StrPath,
    settings: EncodeSettings | None = None,
    output: StrPath | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Prediction:
    """Predict bytes, PSNR and time of an encode of `source`, from short fits of samples; writes nothing.

    `options` are fields of `EncodeSettings` and replace those of `settings`. If `output` is given, an encode
    to it is checked, too. The source is read once, and a pipe is copied into a temporary folder.

    Raises what an encode raises before it fits: `UsageError`, `NotAVideo`, `OutputError` and
    `TargetUnreachable`.
    """
    settings, progress = replace(settings or EncodeSettings(), **options), progress or Silent()
    source = os.fspath(source)
    if settings.vmaf is not None:
        raise UsageError("--vmaf cannot be predicted: short fits are measured in dB; give --psnr or a size")
    named = None if output is None else os.fspath(output)
    family_of(settings)
    if named is not None:
        check_preview(settings, [(source, named)])
        for error in refusals([(source, named)], settings).values():
            raise error
    with tempfile.TemporaryDirectory(prefix="inrc-") as folder:
        copy = Path(folder) / "source.inrv"
        check_paths(source, copy, may_be_piped=True)
        progress.begin(f"predicting an encode of {source}")
        with rereadable(source, copy) as path:
            # Everything below needs torch, whose import takes two seconds.
            from inrcodec.quality.prediction.forecast import forecast

            return forecast(path, source, named, settings, progress)

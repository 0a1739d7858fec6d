"""inrc: a video codec whose files are models, each fitted to one video.

Names are imported on first use, so that `import inrcodec` loads neither torch nor PyAV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inrcodec.version import __version__

if TYPE_CHECKING:
    from bitstream import BitstreamError as BitstreamError
    from bitstream import Limits as Limits
    from inrcodec.decoder.decode import DecodeResult as DecodeResult
    from inrcodec.decoder.decode import decode as decode
    from inrcodec.decoder.info import inspect as info
    from inrcodec.decoder.info import verify as verify
    from inrcodec.decoder.video import Video as Video
    from inrcodec.decoder.video import open_video as open
    from inrcodec.encoder.encode import encode as encode
    from inrcodec.encoder.ladder import encode_ladder as encode_ladder
    from inrcodec.encoder.result import EncodeResult as EncodeResult
    from inrcodec.errors import InrcError as InrcError
    from inrcodec.errors import NotAVideo as NotAVideo
    from inrcodec.errors import OutputError as OutputError
    from inrcodec.errors import TargetUnreachable as TargetUnreachable
    from inrcodec.errors import UsageError as UsageError
    from inrcodec.exporter.export import export as export
    from inrcodec.models.module_family import ModuleFamily as ModuleFamily
    from inrcodec.progress import EncodePlan as EncodePlan
    from inrcodec.progress import FitReport as FitReport
    from inrcodec.progress import JobReport as JobReport
    from inrcodec.progress import Picture as Picture
    from inrcodec.progress import Progress as Progress
    from inrcodec.progress import Silent as Silent
    from inrcodec.quality.comparison.compare import compare as compare
    from inrcodec.quality.evaluation import evaluate as evaluate
    from inrcodec.quality.prediction.predict import predict as predict
    from inrcodec.quality.prediction.result import Prediction as Prediction
    from inrcodec.quality.report.write import write_report as write_report
    from inrcodec.settings.decode import DecodeSettings as DecodeSettings
    from inrcodec.settings.encode import EncodeSettings as EncodeSettings
    from inrcodec.settings.export import ExportSettings as ExportSettings
    from inrcodec.settings.pages import ComparisonSettings as ComparisonSettings
    from inrcodec.settings.pages import ReportSettings as ReportSettings
    from inrcodec.settings.source import FrameRange as FrameRange
    from inrcodec.settings.source import Size as Size
    from inrcodec.settings.source import SourceSettings as SourceSettings

_HOMES = {
    "BitstreamError": "bitstream:BitstreamError",
    "ComparisonSettings": "inrcodec.settings.pages:ComparisonSettings",
    "DecodeResult": "inrcodec.decoder.decode:DecodeResult",
    "DecodeSettings": "inrcodec.settings.decode:DecodeSettings",
    "EncodePlan": "inrcodec.progress:EncodePlan",
    "EncodeResult": "inrcodec.encoder.result:EncodeResult",
    "EncodeSettings": "inrcodec.settings.encode:EncodeSettings",
    "ExportSettings": "inrcodec.settings.export:ExportSettings",
    "FitReport": "inrcodec.progress:FitReport",
    "FrameRange": "inrcodec.settings.source:FrameRange",
    "InrcError": "inrcodec.errors:InrcError",
    "JobReport": "inrcodec.progress:JobReport",
    "Limits": "bitstream:Limits",
    "ModuleFamily": "inrcodec.models.module_family:ModuleFamily",
    "NotAVideo": "inrcodec.errors:NotAVideo",
    "OutputError": "inrcodec.errors:OutputError",
    "Picture": "inrcodec.progress:Picture",
    "Prediction": "inrcodec.quality.prediction.result:Prediction",
    "Progress": "inrcodec.progress:Progress",
    "ReportSettings": "inrcodec.settings.pages:ReportSettings",
    "Silent": "inrcodec.progress:Silent",
    "Size": "inrcodec.settings.source:Size",
    "SourceSettings": "inrcodec.settings.source:SourceSettings",
    "TargetUnreachable": "inrcodec.errors:TargetUnreachable",
    "UsageError": "inrcodec.errors:UsageError",
    "Video": "inrcodec.decoder.video:Video",
    "compare": "inrcodec.quality.comparison.compare:compare",
    "decode": "inrcodec.decoder.decode:decode",
    "encode": "inrcodec.encoder.encode:encode",
    "encode_ladder": "inrcodec.encoder.ladder:encode_ladder",
    "evaluate": "inrcodec.quality.evaluation:evaluate",
    "export": "inrcodec.exporter.export:export",
    "info": "inrcodec.decoder.info:inspect",
    "open": "inrcodec.decoder.video:open_video",
    "predict": "inrcodec.quality.prediction.predict:predict",
    "verify": "inrcodec.decoder.info:verify",
    "write_report": "inrcodec.quality.report.write:write_report",
}
"""The module that defines each public name."""

__all__ = [
    "BitstreamError",
    "ComparisonSettings",
    "DecodeResult",
    "DecodeSettings",
    "EncodePlan",
    "EncodeResult",
    "EncodeSettings",
    "ExportSettings",
    "FitReport",
    "FrameRange",
    "InrcError",
    "JobReport",
    "Limits",
    "ModuleFamily",
    "NotAVideo",
    "OutputError",
    "Picture",
    "Prediction",
    "Progress",
    "ReportSettings",
    "Silent",
    "Size",
    "SourceSettings",
    "TargetUnreachable",
    "UsageError",
    "Video",
    "__version__",
    "compare",
    "decode",
    "encode",
    "encode_ladder",
    "evaluate",
    "export",
    "info",
    "open",
    "predict",
    "verify",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__

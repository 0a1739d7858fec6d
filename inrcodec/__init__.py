"""inrc: a video codec whose files are neural networks, fitted to one video each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from inrcodec.version import __version__

if TYPE_CHECKING:
    from inrcodec.decoder.decode import decode as decode
    from inrcodec.decoder.video import Video as Video
    from inrcodec.decoder.video import open_video as open
    from inrcodec.encoder.encode import encode as encode
    from inrcodec.encoder.ladder import encode_ladder as encode_ladder
    from inrcodec.exporter.export import export as export
    from inrcodec.quality.comparison.compare import compare as compare
    from inrcodec.quality.report.write import write_report as write_report

__all__ = [
    "__version__",
    "compare",
    "decode",
    "encode",
    "encode_ladder",
    "export",
    "open",
    "write_report",
]

_LIBRARY = {
    "compare": ("inrcodec.quality.comparison.compare", "compare"),
    "encode": ("inrcodec.encoder.encode", "encode"),
    "encode_ladder": ("inrcodec.encoder.ladder", "encode_ladder"),
    "decode": ("inrcodec.decoder.decode", "decode"),
    "export": ("inrcodec.exporter.export", "export"),
    "open": ("inrcodec.decoder.video", "open_video"),
    "write_report": ("inrcodec.quality.report.write", "write_report"),
}


def __getattr__(name: str) -> Any:
    """Import the library's functions when they are first used: `inrc info` must not wait for torch."""
    if name not in _LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LIBRARY[name]
    return getattr(import_module(module), attribute)

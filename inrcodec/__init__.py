"""inrc: a video codec whose files are neural networks, fitted to one video each."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inrcodec.comparison.comparing import compare as compare
    from inrcodec.decoding import Video as Video
    from inrcodec.decoding import decode as decode
    from inrcodec.decoding import open_video as open
    from inrcodec.encoding import encode as encode
    from inrcodec.exporting.flow import export as export
    from inrcodec.ladder import encode_ladder as encode_ladder
    from inrcodec.report.making import write_report as write_report

__version__ = "0.1.0"
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
    "compare": ("inrcodec.comparison.comparing", "compare"),
    "encode": ("inrcodec.encoding", "encode"),
    "encode_ladder": ("inrcodec.ladder", "encode_ladder"),
    "decode": ("inrcodec.decoding", "decode"),
    "export": ("inrcodec.exporting.flow", "export"),
    "open": ("inrcodec.decoding", "open_video"),
    "write_report": ("inrcodec.report.making", "write_report"),
}


def __getattr__(name: str) -> Any:
    """Import the library's functions when they are first used: `inrc info` must not wait for torch."""
    if name not in _LIBRARY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LIBRARY[name]
    return getattr(import_module(module), attribute)

"""Settings of `inrc export`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from inrcodec.errors import UsageError
from inrcodec.system.names import StrPath

if TYPE_CHECKING:
    from bitstream.limits import Limits

EXPORT_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
EXPORT_CHECKS = ("some", "all")


@dataclass(frozen=True)
class ExportSettings:
    """The settings of `inrc export`.

    The constructor raises `UsageError` for an unknown check, a runtime without a page, and missing libraries.
    """

    web: bool = False
    """Whether to add a page that plays the export."""
    runtime: StrPath | None = None
    """Folder with onnxruntime-web for the page; None fetches it through npm."""
    check: str = "some"
    """Frames to compare with our decoder's: `some` (first, middle and last of each segment) or `all`."""
    overwrite: bool = False
    limits: Limits | None = None
    """Limits on the work and memory that the file asks for; None for the defaults."""

    def __post_init__(self) -> None:
        if self.check not in EXPORT_CHECKS:
            raise UsageError(f"--check: expected {' or '.join(EXPORT_CHECKS)}, found {self.check!r}")
        if self.runtime is not None and not self.web:
            raise UsageError("--runtime is for the page of --web: give --web too")
        missing = [name for name in EXPORT_LIBRARIES if find_spec(name) is None]
        if missing:
            raise UsageError(f"inrc export needs {', '.join(missing)}: pip install 'inrc[export]'")

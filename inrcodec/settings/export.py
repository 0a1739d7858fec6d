"""Settings of `inrc export`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from inrcodec.errors import UsageError

EXPORT_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
EXPORT_CHECKS = ("some", "all")


@dataclass(frozen=True)
class ExportSettings:
    """Everything `inrc export` can be told."""

    web: bool = False
    """A page that plays the export, too."""
    runtime: str | None = None
    """Folder with onnxruntime-web for the page; None to obtain it through npm."""
    check: str = "some"
    """Frames that are compared with our decoder's: `some` (three of each segment) or `all`."""
    overwrite: bool = False


def check_exporting(settings: ExportSettings) -> None:
    """Raise `UsageError` for settings that there are not, and where what an export needs is missing."""
    if settings.check not in EXPORT_CHECKS:
        raise UsageError(f"--check: expected {' or '.join(EXPORT_CHECKS)}, found {settings.check!r}")
    if settings.runtime is not None and not settings.web:
        raise UsageError("--runtime is of the page: give --web, too")
    missing = [name for name in EXPORT_LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(f"inrc export needs {', '.join(missing)}: pip install 'inrc[export]'")

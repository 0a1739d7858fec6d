"""Settings of `inrc export`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from inrcodec.errors import UsageError

EXPORT_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
EXPORT_CHECKS = ("some", "all")


@dataclass(frozen=True)
class ExportSettings:
    """Everything `inrc export` can be told.

    Making one raises `UsageError` for what there is not, and where libraries are missing.
    """

    web: bool = False
    """A page that plays the export, too."""
    runtime: str | None = None
    """Folder with onnxruntime-web for the page; None to obtain it through npm."""
    check: str = "some"
    """Frames that are compared with our decoder's: `some` (three of each segment) or `all`."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.check not in EXPORT_CHECKS:
            raise UsageError(f"--check: expected {' or '.join(EXPORT_CHECKS)}, found {self.check!r}")
        if self.runtime is not None and not self.web:
            raise UsageError("--runtime is for the page: give --web, too")
        missing = [name for name in EXPORT_LIBRARIES if find_spec(name) is None]
        if missing:
            raise UsageError(f"inrc export needs {', '.join(missing)}: pip install 'inrc[export]'")

"""Exporting a file as checked ONNX models, their inputs and a manifest, and a page that plays them.

.inrv -> parse -> entropy decode -> dequantise -> graphs and inputs -> check of frames -> folder
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from bitstream import DEFAULT_LIMITS
from bitstream.positions import FileSource
from inrcodec.coding.opened_segment import open_stream
from inrcodec.coding.stream_source import check_source, name_of
from inrcodec.exporter.folder import check_export_folder, exported_folder
from inrcodec.exporter.manifest import OPSET
from inrcodec.exporter.runtime import check_runtime, copy_runtime, runtime_digests
from inrcodec.progress import Progress, Silent
from inrcodec.settings.export import ExportSettings
from inrcodec.system.names import STDIN, StrPath

POSTER = "poster.jpg"
RUNTIME = "runtime"
"""Folder of the page's onnxruntime-web."""


@dataclass(frozen=True)
class ExportResult:
    """Result of an export."""

    frames: int
    segments: int
    families: tuple[str, ...]
    opset: int
    model_bytes: int
    input_bytes: int
    """Bytes of the inputs stored per frame: embeddings, or motion and latents."""
    page_bytes: int
    """Bytes of the page and of onnxruntime-web; 0 without them."""
    checked_frames: int
    largest_difference: int
    """Largest difference between a checked frame and our decoder's, of 255."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)


def export(
    source: FileSource,
    output: StrPath,
    settings: ExportSettings | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Write the decoder of an `.inrv` file as ONNX into a new folder.

    `source` is a path (`-` is standard input), the bytes of the file, or a binary file object.
    The folder `output` gets `manifest.json`, the models and their inputs, and with `settings.web` a page
    (docs/export.md says how they belong together). Frames made by the models are compared with our decoder's
    before the folder appears. Raises `UsageError`, `OutputError`, `BitstreamError`, and `InrcError` if a
    model's frames differ.
    """
    settings, progress, output = settings or ExportSettings(), progress or Silent(), os.fspath(output)
    started, name = time.monotonic(), name_of(source)
    check_source(source, output)
    check_export_folder(name, output, settings.overwrite)
    if settings.web:
        check_runtime(settings.runtime)
    # Imported late: torch and ONNX load only when there is something to export.
    from inrcodec.exporter.segments import SegmentExport
    from inrcodec.video.images import jpeg_bytes

    with (
        open_stream(source, limits=settings.limits or DEFAULT_LIMITS) as reader,
        exported_folder(name, output, settings.overwrite) as folder,
    ):
        if reader.header.bit_depth > 8:
            progress.note("frames of 10 bits are exported with 8: screens of browsers show no more")
        if settings.web:
            _write_page(folder, settings.runtime)
            digests = runtime_digests(folder / RUNTIME)
        page_bytes = _size_of([*folder.rglob("*")])
        work = SegmentExport(folder, reader.header, reader.limits, settings.check, progress)
        for number, _, segment in reader.segments():
            work.add(number, segment)
        shown = "video" if name in (STDIN, "<bytes>", "<file>") else os.path.basename(name)
        manifest = work.manifest(shown, reader.summary().file_bytes)
        if settings.web and work.first_picture is not None:
            (folder / POSTER).write_bytes(jpeg_bytes(work.first_picture))
            manifest = dataclasses.replace(manifest, poster=POSTER, runtime=digests)
        manifest.dump(folder)
        models = [*folder.glob("*.onnx")]
        inputs = [folder / one.file for part in manifest.segments for one in part.stored.values()]
        return ExportResult(
            frames=manifest.frame_count,
            segments=len(manifest.segments),
            families=tuple(dict.fromkeys(part.family for part in manifest.segments)),
            opset=OPSET,
            model_bytes=_size_of(models),
            input_bytes=_size_of(inputs),
            page_bytes=page_bytes,
            checked_frames=work.checked_frames,
            largest_difference=work.largest_difference,
            seconds=time.monotonic() - started,
        )


def _write_page(folder: Path, runtime: StrPath | None) -> None:
    """Write the page and the onnxruntime-web that it needs."""
    with as_file(files("inrcodec.exporter") / "web") as page:
        shutil.copytree(page, folder, dirs_exist_ok=True)
    copy_runtime(runtime, folder / RUNTIME)


def _size_of(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())

"""Whether settings agree with each other and with what is installed; else `UsageError`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec

from inrcodec.arguments import local_worker_count, parse_workers
from inrcodec.errors import UsageError
from inrcodec.files import check_output_file, check_paths, is_pipe, resume_folder
from inrcodec.settings import (
    FEWEST_BITS,
    LOSSES,
    MOST_BITS,
    MOST_FPS_SCALE,
    MOST_PRUNED,
    OPTIMIZERS,
    PRESETS,
    ComparisonSettings,
    DecodeSettings,
    EncodeSettings,
    ExportSettings,
    FrameRange,
    ReportSettings,
)

PREVIEW_MARK = "inrc --preview"
"""What the pictures of `--preview` say near their beginning of where they come from."""
EXPORT_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
EXPORT_CHECKS = ("some", "all")


def check_exclusive(settings: EncodeSettings) -> None:
    """Raise `UsageError` for settings that contradict each other or are no positive numbers."""
    targets = {"--bpp": settings.bpp, "--size": settings.size_bytes, "--psnr": settings.psnr_db}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other; give one of them")
    if settings.resume_from is not None and settings.psnr_db is not None:
        raise UsageError("--psnr looks for another network, --resume-from keeps one; give --bpp or --size")
    if settings.time_seconds is not None and settings.epochs is not None:
        raise UsageError("--time and --epochs exclude each other; give one of them")
    if settings.parameters is not None and "width" in settings.model_options:
        raise UsageError("--parameters and --model-option width exclude each other; give one of them")
    for name, value in (
        ("--bpp", settings.bpp),
        ("--size", settings.size_bytes),
        ("--psnr", settings.psnr_db),
        ("--time", settings.time_seconds),
        ("--epochs", settings.epochs),
        ("--parameters", settings.parameters),
        ("--learning-rate", settings.learning_rate),
        ("--batch", settings.batch_frames),
        ("--checkpoint", settings.checkpoint_seconds),
    ):
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"{name}: expected a positive number, found {value}")


def check_procedure(settings: EncodeSettings) -> None:
    """Raise `UsageError` for a way of fitting or quantising that does not exist or cannot run here."""
    if settings.preset not in PRESETS:
        raise UsageError(f"unknown preset {settings.preset!r}; known: {', '.join(PRESETS)}")
    loss = settings.procedure.loss
    if loss not in LOSSES:
        raise UsageError(f"unknown loss {loss!r}; known: {', '.join(LOSSES)}")
    if LOSSES[loss].metrics and find_spec("pytorch_msssim") is None:
        raise UsageError(f"--loss {loss} needs pytorch-msssim: pip install 'inrc[metrics]'")
    if settings.procedure.optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise UsageError(f"unknown optimizer {settings.procedure.optimizer!r}; known: {known}")
    if not 0 <= settings.procedure.prune <= MOST_PRUNED:
        raise UsageError(f"--prune: expected 0 to {MOST_PRUNED}, found {settings.prune}")
    for name, bits in (
        ("--weight-bits", settings.weight_bits),
        ("--embedding-bits", settings.embedding_bits),
    ):
        if bits is not None and PRESETS[settings.preset].minmax is None:
            by_range = ", ".join(name for name, preset in PRESETS.items() if preset.minmax)
            raise UsageError(
                f"{name}: preset {settings.preset} learns its steps; bits are for --preset {by_range}"
            )
        if bits is not None and not FEWEST_BITS <= bits <= MOST_BITS:
            raise UsageError(f"{name}: expected {FEWEST_BITS} to {MOST_BITS}, found {bits}")


def check_ladder(sources: Sequence[str], bpps: Sequence[float], settings: EncodeSettings) -> None:
    """Raise `UsageError` for a ladder of these `bpps` that there cannot be."""
    for name, value in (("bpp", settings.bpp), ("size", settings.size_bytes), ("psnr", settings.psnr_db)):
        if value is not None:
            raise UsageError(f"--ladder and --{name} exclude each other; give one of them")
    if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
        raise UsageError(f"--ladder: expected positive numbers, each once, found {list(bpps)}")
    for source in sources:
        if is_pipe(source):
            raise UsageError(
                f"--ladder reads its source for every file anew, which {source} cannot be: save it"
            )


def check_workers(settings: EncodeSettings) -> None:
    """Raise `UsageError` for workers that there cannot be here."""
    if settings.workers is None:
        return
    try:
        is_local = local_worker_count(parse_workers(settings.workers)) > 0
    except ValueError as error:
        raise UsageError(f"--workers: {error}") from None
    if is_local:
        return
    if find_spec("ray") is None:
        raise UsageError(f"--workers {settings.workers} needs Ray: pip install 'inrc[ray]'")
    if settings.workers != "ray" and find_spec("grpc") is None:
        raise UsageError(f"--workers {settings.workers} needs Ray's client: pip install 'inrc[ray]'")


def check_preview(settings: EncodeSettings, requests: Sequence[tuple[str, str]]) -> None:
    """Raise `UsageError` for a preview of the encodes (source, output) that there cannot be.

    One that exists is replaced with `settings.overwrite`, and an earlier preview by an encode that goes on.
    """
    path = settings.preview
    if path is None:
        return
    if not path.lower().endswith(".png"):
        raise UsageError(f"--preview is a picture: expected a name ending in .png, found {path}")
    if settings.workers is not None:
        raise UsageError(
            "--preview shows the fits of this process, and --workers has others; give one of them"
        )
    for taken in (settings.mask, settings.resume_from, *(name for pair in requests for name in pair)):
        if taken is not None and _is_in(path, taken):
            raise UsageError(f"{path} is or belongs to {taken}, which the encode needs; name another preview")
    goes_on = any(resume_folder(output).is_dir() for _, output in requests)
    check_output_file(path, settings.overwrite or (goes_on and _is_preview(path)))


def _is_preview(path: str) -> bool:
    """Whether a file is a picture that `--preview` has left."""
    try:
        with open(path, "rb") as file:
            return PREVIEW_MARK.encode() in file.read(128)
    except OSError:
        return False


def _is_in(path: str, taken: str) -> bool:
    """Whether a file is the one called `taken`, or one of the images of that folder or pattern."""
    folder, name = os.path.split(os.path.realpath(path))
    parent, pattern = os.path.split(os.path.realpath(taken))
    if os.path.isdir(taken):
        return folder == os.path.realpath(taken)
    return folder == parent and bool(re.fullmatch(re.sub("%[0-9]*d", "[0-9]+", re.escape(pattern)), name))


def check_decoding(settings: DecodeSettings) -> None:
    """Raise `UsageError` for settings that contradict each other, and for too many interpolated frames."""
    if settings.at_seconds is not None and settings.frames != FrameRange():
        raise UsageError("--at and --frames exclude each other; give one of them")
    if settings.at_seconds is not None and settings.fps_scale != 1:
        raise UsageError(
            "--at gives one frame, and --fps-scale makes frames between several; give one of them"
        )
    if not 1 <= settings.fps_scale <= MOST_FPS_SCALE:
        raise UsageError(
            f"--fps-scale: expected a whole number from 1 to {MOST_FPS_SCALE}, found {settings.fps_scale}"
        )


def check_report(source: str, files: Sequence[str], output: str, settings: ReportSettings) -> None:
    """Raise `UsageError` for what cannot be reported on, and `OutputError` where nothing can be written."""
    if not files:
        raise UsageError("name at least one .inrv file to report on")
    if len(set(files)) < len(files):
        raise UsageError(f"a file is named twice: {', '.join(files)}")
    _check_page((source, *files, *settings.results, *settings.logs), output, settings.overwrite)


def check_comparison(source: str, output: str, settings: ComparisonSettings) -> None:
    """Raise `UsageError` for what cannot be compared, and `OutputError` where nothing can be written."""
    if is_pipe(source):
        raise UsageError(f"compare reads its source several times, which {source} cannot be: save it")
    _check_page((source,), output, settings.overwrite)
    bpps = settings.bpps
    if not bpps or len(set(bpps)) < len(bpps) or not all(0 < bpp < math.inf for bpp in bpps):
        raise UsageError(f"--bpp: expected positive numbers, each once, found {list(bpps)}")
    if not settings.models or not settings.against:
        raise UsageError("name at least one --model, and one codec to compare it with (--against)")
    if settings.time_seconds is not None and settings.epochs is not None:
        raise UsageError("--time and --epochs exclude each other; give one of them")
    if settings.keep is not None and not os.path.isdir(settings.keep):
        if os.path.exists(settings.keep):
            raise UsageError(f"--keep: {settings.keep} is no folder")
        check_output_file(os.path.abspath(settings.keep), False)


def _check_page(inputs: Sequence[str], output: str, overwrite: bool) -> None:
    """Raise as the two above for a page that is made of these files."""
    if not output.endswith((".html", ".htm")):
        raise UsageError(f"-o: expected a name that ends with .html, found {output}")
    for path in inputs:
        check_paths(path, output)
    check_output_file(output, overwrite)


def check_exporting(settings: ExportSettings) -> None:
    """Raise `UsageError` for settings that there are not, and where what an export needs is missing."""
    if settings.check not in EXPORT_CHECKS:
        raise UsageError(f"--check: expected {' or '.join(EXPORT_CHECKS)}, found {settings.check!r}")
    if settings.runtime is not None and not settings.web:
        raise UsageError("--runtime is of the page: give --web, too")
    missing = [name for name in EXPORT_LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(f"inrc export needs {', '.join(missing)}: pip install 'inrc[export]'")

"""Encodes video files to `.inrv` files.

video file -> survey -> segments -> for each: frames -> plan -> fit -> code to size -> decode again -> .inrv

Requests that cannot work are refused before torch is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrcodec.encoder.checks import check_metric, check_preview, refusals
from inrcodec.encoder.preview import previewed
from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.errors import UsageError
from inrcodec.models.registry import family_of
from inrcodec.progress import JobReport, Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import check_output_file, temporary_folder_beside
from inrcodec.system.names import StrPath
from inrcodec.system.outputs import check_inrv_name
from inrcodec.system.private import resolved_output

if TYPE_CHECKING:
    from inrcodec.samples import Samples


class _Called(Silent):
    """A `Progress` that calls a function with the state of the job."""

    def __init__(self, callback: Callable[[JobReport], object]) -> None:
        self._callback = callback

    def job(self, report: JobReport) -> None:
        self._callback(report)


def encode(
    source: StrPath | Iterable[Samples],
    output: StrPath,
    settings: EncodeSettings | None = None,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
    *,
    fps: Fraction | float = 25,
    callback: Callable[[JobReport], object] | None = None,
    **options: Any,
) -> EncodeResult:
    """Encode the video `source` to `output`, an `.inrv` file that appears only when it is complete.

    `source` is a path, an array of RGB frames (T, height, width, 3) uint8, or uint16 for 10 bits, or an
    iterator over such frames, which are shown at `fps`. `options` are fields of `EncodeSettings` and replace
    those of `settings`.
    `callback` is called with the state of the job, in place of a `progress`.
    Repeating an interrupted encode resumes it; see `resume`. `deadline` is that of `settings.time_seconds` if
    the time began before this call.

    Raises `UsageError`, `NotAVideo`, `OutputError` and `TargetUnreachable`; if the target is a size, the last
    is raised before any fitting.
    """
    if callback is not None:
        if progress is not None:
            raise UsageError("give a callback or a progress, not both")
        progress = _Called(callback)
    settings = replace(settings or EncodeSettings(), **options)
    check_metric(settings)
    with _as_path(source, output, fps, settings) as path:
        (result,) = encode_all([(path, os.fspath(output))], settings, progress, deadline=deadline)
    if isinstance(result, Exception):
        raise result
    return result


@contextmanager
def _as_path(
    source: StrPath | Iterable[Samples],
    output: StrPath,
    fps: Fraction | float,
    settings: EncodeSettings,
) -> Iterator[str]:
    """The path of `source`; frames in memory are written to a file beside `output` for the while."""
    if isinstance(source, (str, os.PathLike)):
        yield os.fspath(source)
        return
    from inrcodec.video.arrays import write_lossless

    # Refused before an iterator is used up.
    check_inrv_name(os.fspath(output))
    check_output_file(output, settings.overwrite)
    with temporary_folder_beside(Path(f"{resolved_output(output)}.frames")) as folder:
        path = folder / "frames.mkv"
        write_lossless(source, path, fps)
        yield str(path)


def encode_all(
    requests: Sequence[tuple[str, str]],
    settings: EncodeSettings | None = None,
    progress: Progress | None = None,
    ended: Ended | None = None,
    deadline: Deadline | None = None,
) -> list[EncodeResult | Exception]:
    """Encode several sources, each to its own output, as if each were the only one.

    Their segments share the workers and the time of `settings`. A failed source does not stop the others: its
    exception takes the place of its result. Raises `UsageError` and `InrcError` for faults that affect all.
    """
    settings, progress = settings or EncodeSettings(), progress or Silent()
    if deadline is not None and deadline.is_limited and settings.time_seconds is None:
        raise UsageError("a deadline needs settings with time_seconds")
    deadline = deadline or Deadline(settings.time_seconds)
    family_of(settings)
    if settings.resume_from is not None and len(requests) > 1:
        raise UsageError(f"--resume-from takes one source, found {len(requests)}")
    check_metric(settings)
    check_preview(settings, requests)
    refused = refusals(requests, settings)
    if len(refused) == len(requests):
        return _all_refused(refused, ended)
    for index, (source, output) in enumerate(requests):
        if index not in refused:
            progress.begin(f"encoding {source} to {output}")
    with previewed(requests, settings, progress) as (plain, told):
        if plain.searched is not None:
            from inrcodec.encoder.quality_search import search_each

            return search_each(requests, plain, told, deadline, ended, refused, encode)
        from inrcodec.encoder.sources import encode_sources

        return encode_sources(requests, plain, told, deadline, ended, refused)


def _all_refused(refused: dict[int, Exception], ended: Ended | None) -> list[EncodeResult | Exception]:
    for index, error in refused.items():
        if ended is not None:
            ended(index, error)
    return list(refused.values())

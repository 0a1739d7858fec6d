"""Encoding: video files to `.inrv` files.

video file -> survey -> segments -> for each: frames -> plan -> fit -> code to size -> decode again -> .inrv

Torch is loaded when there is something to encode: what cannot work is refused before.
"""

from __future__ import annotations

from collections.abc import Sequence

from inrcodec.encoder.checks import check_preview, refusals
from inrcodec.encoder.preview import previewed
from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.errors import UsageError
from inrcodec.models.registry import family_of
from inrcodec.progress import Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline


def encode(
    source: str,
    output: str,
    settings: EncodeSettings | None = None,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
) -> EncodeResult:
    """Encode the video `source` to `output`, an `.inrv` file that appears only when it is complete.

    An encode that was interrupted goes on where it was when it is asked for again; see `resume`. `deadline`
    takes the place of `settings.time_seconds` where its time began before this call.

    Raises `UsageError`, `NotAVideo`, `OutputError`, and `TargetUnreachable`: for a size before any fitting.
    """
    (result,) = encode_all([(source, output)], settings, progress, deadline=deadline)
    if isinstance(result, Exception):
        raise result
    return result


def encode_all(
    requests: Sequence[tuple[str, str]],
    settings: EncodeSettings | None = None,
    progress: Progress | None = None,
    ended: Ended | None = None,
    deadline: Deadline | None = None,
) -> list[EncodeResult | Exception]:
    """Encode several sources to an output each, as if each were the only one.

    Their segments share the workers of `settings`, and the time. One that fails leaves the others alone: what
    it raised stands in the place of its result. Raises `UsageError` and `InrcError` for what is of all.
    """
    settings, progress = settings or EncodeSettings(), progress or Silent()
    deadline = deadline or Deadline(settings.time_seconds)
    family_of(settings)
    if settings.resume_from is not None and len(requests) > 1:
        raise UsageError(f"--resume-from is of one source, found {len(requests)}")
    check_preview(settings, requests)
    refused = refusals(requests, settings)
    if len(refused) == len(requests):
        return _all_refused(refused, ended)
    with previewed(requests, settings, progress) as (settings, progress):
        if settings.psnr_db is not None:
            from inrcodec.encoder.psnr_search import search_each

            return search_each(requests, settings, progress, deadline, ended, refused, encode)
        from inrcodec.encoder.sources import encode_sources

        return encode_sources(requests, settings, progress, deadline, ended, refused)


def _all_refused(refused: dict[int, Exception], ended: Ended | None) -> list[EncodeResult | Exception]:
    for index, error in refused.items():
        if ended is not None:
            ended(index, error)
    return list(refused.values())

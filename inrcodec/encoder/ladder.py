"""Encodes a ladder: one video at several sizes, from which a player chooses by its bandwidth.

Every rung is a separate fit, because networks of different widths share no tensors.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from inrcodec.encoder.checks import check_ladder, check_preview
from inrcodec.encoder.encode import encode_all
from inrcodec.encoder.preview import previewed
from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.progress import Part, Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import rung_path
from inrcodec.system.deadline import Deadline
from inrcodec.system.files import check_new_outputs
from inrcodec.system.names import StrPath, check_paths
from inrcodec.system.outputs import check_inrv_name


@dataclass(frozen=True)
class Rung:
    """One file of a ladder."""

    source: str
    output: str
    bpp: float


def encode_ladder(
    source: StrPath,
    output: StrPath,
    bpps: Sequence[float],
    settings: EncodeSettings | None = None,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
) -> list[EncodeResult]:
    """Encode `source` once for each of `bpps`, to files that `notation.rung_path` names after `output`.

    The time of `settings` covers the whole ladder, and every rung gets an equal share. Raises the error of
    the first failed rung, as `encode.encode` does; later rungs are still encoded.
    """
    settings = settings or EncodeSettings()
    rungs = ladder_rungs([(os.fspath(source), os.fspath(output))], bpps, settings)
    results = encode_rungs(rungs, settings, progress or Silent(), deadline=deadline)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return [result for result in results if isinstance(result, EncodeResult)]


def ladder_rungs(
    requests: Sequence[tuple[str, str]], bpps: Sequence[float], settings: EncodeSettings
) -> list[Rung]:
    """Rungs for every source at every bpp, ordered by bpp, with files named after the outputs.

    Raises `UsageError` for an impossible request, before any work.
    """
    check_ladder([source for source, _ in requests], bpps, settings)
    for _, output in requests:
        check_inrv_name(output)
    rungs = [Rung(source, rung_path(output, bpp), bpp) for bpp in bpps for source, output in requests]
    for rung in rungs:
        check_paths(rung.source, rung.output)
    check_new_outputs([rung.output for rung in rungs], settings.overwrite)
    return rungs


def encode_rungs(
    rungs: Sequence[Rung],
    settings: EncodeSettings,
    progress: Progress,
    ended: Ended | None = None,
    deadline: Deadline | None = None,
) -> list[EncodeResult | Exception]:
    """Encode every rung, all sources of one bpp together; a failed rung does not stop the others.

    Its exception takes the place of its result, as in `encode.encode_all`.
    """
    requests = [(rung.source, rung.output) for rung in rungs]
    check_preview(settings, requests)
    with previewed(requests, settings, progress) as (plain, told):
        return _encode_rungs(rungs, plain, told, deadline or Deadline(settings.time_seconds), ended)


def _encode_rungs(
    rungs: Sequence[Rung],
    settings: EncodeSettings,
    progress: Progress,
    deadline: Deadline,
    ended: Ended | None,
) -> list[EncodeResult | Exception]:
    results: dict[int, EncodeResult | Exception] = {}
    sizes = list(dict.fromkeys(rung.bpp for rung in rungs))
    whole = Part(progress)
    for number, bpp in enumerate(sizes):
        of_size = [index for index, rung in enumerate(rungs) if rung.bpp == bpp]

        def told(index: int, result: EncodeResult | Exception, of_size: Sequence[int] = of_size) -> None:
            if ended is not None:
                ended(of_size[index], result)

        own = replace(settings, bpp=bpp)
        share = deadline.share(1 / (len(sizes) - number))
        requests = [(rungs[index].source, rungs[index].output) for index in of_size]
        place = f"fit {number + 1} of {len(sizes)}" if len(sizes) > 1 else ""
        part = whole.part(1 / len(sizes), place=place)
        results |= zip(of_size, encode_all(requests, own, part, told, share), strict=True)
        part.end()
    return [results[index] for index in range(len(rungs))]

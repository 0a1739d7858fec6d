"""Encodes several sources, whose segments share the workers; a failed source does not stop the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inrcodec.encoder.result import EncodeResult, Ended
from inrcodec.encoder.source import SourceEncoding
from inrcodec.encoder.workers.choice import choose_workers
from inrcodec.encoder.workers.job import Outcome, SegmentJob, SegmentKey, Workers
from inrcodec.progress import Part, Progress, Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.system.deadline import Deadline


def encode_sources(
    requests: Sequence[tuple[str, str]],
    settings: EncodeSettings,
    progress: Progress,
    deadline: Deadline,
    ended: Ended | None,
    refused: Mapping[int, Exception],
) -> list[EncodeResult | Exception]:
    """Encode each source to its output, except those `refused`, which are keyed by index in `requests`.

    Returns the result of each source, or the exception that it raised. Raises `UsageError` and `InrcError`
    for faults that affect all sources.
    """
    under_way: dict[int, SourceEncoding] = {}
    try:
        with choose_workers(settings, progress) as workers:
            part = Part(progress)
            return _Encodes(requests, settings, workers, part, deadline, ended, refused, under_way).run()
    except BaseException as error:
        # No worker writes checkpoints any more, so other encodes may claim the outputs.
        for one in under_way.values():
            one.abandon(error)
        raise


@dataclass
class _Encodes:
    """Several sources and their results."""

    requests: Sequence[tuple[str, str]]
    settings: EncodeSettings
    workers: Workers
    progress: Part
    """Progress of all sources together."""
    deadline: Deadline
    ended: Ended | None
    refused: Mapping[int, Exception]
    _under_way: dict[int, SourceEncoding]
    """Sources that have claimed their outputs, by index."""
    _results: dict[int, EncodeResult | Exception] = field(init=False, default_factory=dict)
    _parts: dict[int, Part] = field(init=False, default_factory=dict)
    """Progress of each source, by index."""

    def run(self) -> list[EncodeResult | Exception]:
        for (index, number), outcome in self.workers.run(self._jobs(), self._progress_of):
            one = self._under_way.get(index)
            if one is not None:
                self._take(one, number, outcome)
        return [self._results[index] for index in range(len(self.requests))]

    def _jobs(self) -> Iterator[SegmentJob]:
        """The segments of all sources; each source is surveyed once all earlier segments are handed out."""
        is_only = len(self.requests) == 1
        for index, (source, output) in enumerate(self.requests):
            place = "" if is_only else f"source {index + 1} of {len(self.requests)}"
            part = self.progress.part(1 / len(self.requests), name="" if is_only else source, place=place)
            self._parts[index] = part
            if index in self.refused:
                self._end(index, self.refused[index])
                continue
            try:
                one = SourceEncoding(
                    index, source, output, self.settings, self.workers, part, self.deadline, is_only
                )
            except Exception as error:
                self._end(index, error)
                continue
            self._under_way[index] = one
            for number in range(len(one.runs)):
                if one.is_finished(number):
                    one.segments.of(number).end()
            self._finish_if_complete(one)
            yield from self._jobs_of(one)

    def _jobs_of(self, one: SourceEncoding) -> Iterator[SegmentJob]:
        """The segments of one source, until it ends."""
        jobs = one.jobs(len(self.requests) - one.index - 1)
        while one.index in self._under_way:
            try:
                job = next(jobs, None)
            except Exception as error:
                self._fail(one, error)
                return
            if job is None:
                return
            yield job

    def _take(self, one: SourceEncoding, number: int, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._fail(one, outcome, number)
            return
        one.accept(number, outcome)
        one.segments.of(number).end()
        if len(one.runs) > 1:
            self._parts[one.index].stage("segments finished", one.finished_count, len(one.runs))
        self._finish_if_complete(one)

    def _finish_if_complete(self, one: SourceEncoding) -> None:
        if one.finished_count < len(one.runs):
            return
        try:
            result: EncodeResult | Exception = one.finish()
        except Exception as error:
            result = error
        self._end(one.index, result)

    def _fail(self, one: SourceEncoding, error: Exception, number: int | None = None) -> None:
        """Stop the remaining work on a source that cannot be encoded."""
        self.workers.cancel(one.index)
        if number is not None:
            error = one.give_up(number, error)
        one.abandon(error)
        self._end(one.index, error)

    def _end(self, index: int, result: EncodeResult | Exception) -> None:
        self._results[index] = result
        self._under_way.pop(index, None)
        self._parts[index].end()
        if self.ended is not None:
            self.ended(index, result)

    def _progress_of(self, key: SegmentKey) -> Progress:
        """The progress of a segment's fit; silent once its source has ended."""
        one = self._under_way.get(key[0])
        return Silent() if one is None else one.segments.of(key[1])

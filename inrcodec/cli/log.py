"""`--log FILE.jsonl`: what happens in an encode, one JSON object a line, written while it happens."""

from __future__ import annotations

import json
import math
import time
from typing import Any

from inrcodec.errors import explained
from inrcodec.system.files import output_errors

_JOB_SECONDS = 1.0
"""Least time between two reports of the whole job."""


class EventLog:
    """Appends events to a file. Each has `time` (seconds since 1970), `event` and the values of the event.

    Raises `OutputError` if the file cannot be opened or written. Without a path it does nothing.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path or ""
        self._job_at = -math.inf
        self._file = None
        if path is not None:
            with output_errors(path):
                # A resumed encode goes on with its log.
                self._file = open(path, "a", encoding="utf-8")

    def write(self, event: str, **values: Any) -> None:
        """Append one event; reports of the whole job are written once a second at most."""
        if self._file is None:
            return
        if event == "job":
            now = time.monotonic()
            if now < self._job_at and values["fraction"] < 1:
                return
            self._job_at = now + _JOB_SECONDS
        # JSON has no infinity.
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }
        with output_errors(self._path):
            self._file.write(json.dumps({"time": time.time(), "event": event, **finite}) + "\n")
            self._file.flush()

    def close(self, error: BaseException | None = None) -> None:
        """Close the file, with an event for the `error` that ended the work, if any."""
        if self._file is None:
            return
        if isinstance(error, Exception):
            message, code = explained(error)
            self.write("error", message=message, exit_code=code)
        elif error is not None:
            self.write("stopped", message=type(error).__name__)
        self._file.close()
        self._file = None

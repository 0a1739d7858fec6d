"""Defers Ctrl-C, SIGTERM and SIGHUP to the end of a step, so that a saved state is complete."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

HANG_UP = getattr(signal, "SIGHUP", None)
"""The signal of a terminal that was closed; None on Windows."""
_SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None]


class DeferredSignals:
    """A context in which the first signal is only noted; `deliver` passes it to its original handler.

    A second signal is delivered at once. Outside the main thread, where Python handles no signals, nothing is
    deferred.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._pending: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a signal is waiting to be delivered."""
        return self._pending is not None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                # Keep a handler that ignores the signal (as under nohup) or was set outside Python.
                if handler is not None and handler != signal.SIG_IGN:
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()
        if kind is None:
            self.deliver()

    def deliver(self) -> None:
        """Do what the noted signal would have done, usually raise; do nothing if none was noted."""
        if self._pending is None:
            return
        number, self._pending = self._pending, None
        handlers = dict(self._handlers)
        self._restore()
        if callable(handlers[number]):
            handlers[number](number, None)
        else:
            signal.raise_signal(signal.Signals(number))

    def _note(self, number: int, frame: FrameType | None) -> None:
        is_second, self._pending = self._pending is not None, number
        if is_second:
            self.deliver()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

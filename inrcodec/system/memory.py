"""Keeps freed memory in the process while a segment is fitted, so that the next step reuses it.

The C library of Linux (glibc) requests each block of more than 32 MiB from the kernel and returns it when it
is freed, so the kernel clears the same pages at every step. For HNeRV at 1280x640 on two cores this took a
quarter to a third of the time (measured once: steps of 3.3 to 3.9 s, and 2.4 to 2.7 s with memory kept).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt`: free memory to keep, minimum size of mmapped blocks, and their maximum number."""
_NEVER, _USUAL_MAX = -1, 1 << 16
"""Values: never trim, and the default maximum number of mmapped blocks."""
_ADJUSTED = 1 << 25
"""The most to which glibc itself raises the mmap threshold; it then keeps twice as much free memory."""
_NEEDED = ("gnu_get_libc_version", "mallopt", "malloc_trim")
"""Required functions; only glibc has the first."""
_CHOSEN = ("mmap_max", "mmap_threshold", "trim_threshold")
"""Settings that the environment may determine, by MALLOC_..._ variables or GLIBC_TUNABLES."""


class KeptMemory:
    """A context that keeps the memory that its thread frees; the last thread to leave returns it.

    Outside the main thread only about 64 MiB are kept. Afterwards the thresholds are 32 and 64 MiB for the
    whole process, the most to which glibc raises them by itself. Nothing changes with another C library, or
    if the environment sets these thresholds.
    """

    def __init__(self) -> None:
        self._lock, self._within = threading.Lock(), 0

    def __enter__(self) -> None:
        library = _glibc()
        with self._lock:
            self._within += 1
            if self._within == 1 and library is not None:
                library.mallopt(_MMAP_MAX, 0)
                library.mallopt(_TRIM_THRESHOLD, _NEVER)

    def __exit__(self, *_: object) -> None:
        library = _glibc()
        with self._lock:
            self._within -= 1
            if not self._within and library is not None:
                library.mallopt(_MMAP_MAX, _USUAL_MAX)
                library.mallopt(_MMAP_THRESHOLD, _ADJUSTED)
                library.mallopt(_TRIM_THRESHOLD, 2 * _ADJUSTED)
                library.malloc_trim(0)


KEPT_MEMORY = KeptMemory()
"""The one instance of this process."""


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process; None unless it is glibc without settings from the environment."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    is_chosen = any(f"MALLOC_{one.upper()}_" in os.environ or f"malloc.{one}" in tunables for one in _CHOSEN)
    if sys.platform != "linux" or is_chosen:
        return None
    library = ctypes.CDLL(None)
    return library if all(hasattr(library, name) for name in _NEEDED) else None

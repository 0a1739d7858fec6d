"""Memory that is freed stays with the process while it fits, and the next step takes it again.

The C library of Linux (glibc) asks the kernel for each block of more than 32 MiB and gives it back when it is
freed, so the kernel clears the same pages at every step: a third of the time of a network that is fitted to
frames of 1280x640 on two cores (`benchmarks.speed`).
"""

from __future__ import annotations

import ctypes
import sys
import threading
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt`: free memory that is kept, least size of the kernel's blocks, and their number."""
_LARGEST, _USUAL_MAX = 2**31 - 1, 1 << 16
_ADJUSTED = 1 << 25
"""The threshold that glibc itself arrives at when large blocks are freed; it keeps twice as much."""


class KeptMemory:
    """While somebody is within, what this process frees stays with it; the last to leave gives it back.

    With another C library than glibc nothing changes.
    """

    def __init__(self) -> None:
        self._lock, self._within = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1
            library = _glibc()
            if self._within == 1 and library is not None:
                library.mallopt(_MMAP_MAX, 0)
                library.mallopt(_TRIM_THRESHOLD, _LARGEST)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            library = _glibc()
            if not self._within and library is not None:
                library.mallopt(_MMAP_MAX, _USUAL_MAX)
                library.mallopt(_MMAP_THRESHOLD, _ADJUSTED)
                library.mallopt(_TRIM_THRESHOLD, 2 * _ADJUSTED)
                library.malloc_trim(0)


KEPT_MEMORY = KeptMemory()
"""That of this process."""


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None

"""Memory that is freed stays with the process while a network is fitted, and the next step takes it again.

The C library of Linux (glibc) asks the kernel for each block of more than 32 MiB and gives it back when it is
freed, so the kernel clears the same pages at every step: a quarter to a third of the time of HNeRV fitted to
frames of 1280x640 on two cores (measured once: 3.3 to 3.9 s a step became 2.4 to 2.7).
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
"""Parameters of `mallopt`: free memory that is kept, least size of the kernel's blocks, and their number."""
_NEVER, _USUAL_MAX = -1, 1 << 16
"""To trim, and how many blocks of the kernel there may be."""
_ADJUSTED = 1 << 25
"""What glibc itself raises the least size to when large blocks are freed, at most; it keeps twice as much."""
_NEEDED = ("gnu_get_libc_version", "mallopt", "malloc_trim")
"""Functions that are used, and the one that only glibc has."""
_CHOSEN = ("mmap_max", "mmap_threshold", "trim_threshold")
"""Settings that a user may have chosen, by a variable MALLOC_..._ each or all by GLIBC_TUNABLES."""


class KeptMemory:
    """While a fit is within, what its thread frees stays with the process; the last to leave gives it back.

    In another thread than the main one about 64 MiB stay, and no more. Afterwards the thresholds are 32 and
    64 MiB, the most that glibc comes to by itself, and stay so for the whole process. Nothing changes with
    another C library, nor where the environment has settings for these thresholds.
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
"""That of this process."""


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc and nobody has chosen its settings."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    is_chosen = any(f"MALLOC_{one.upper()}_" in os.environ or f"malloc.{one}" in tunables for one in _CHOSEN)
    if sys.platform != "linux" or is_chosen:
        return None
    library = ctypes.CDLL(None)
    return library if all(hasattr(library, name) for name in _NEEDED) else None

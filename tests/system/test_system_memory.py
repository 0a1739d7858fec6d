"""Memory that the process keeps, as reported by the kernel."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from inrcodec.system import memory

_FILLED = """
import ctypes, json, os
from inrcodec.system.memory import KEPT_MEMORY

def kept():
    "MiB of an array that are still resident after it is freed."
    before = held()
    bytearray(64 << 20)
    return round((held() - before) / 2**20)

def held():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGESIZE")

def heap():
    "GiB of heap left after three are freed; nothing is written, so none are resident."
    blocks = [library.malloc(1 << 30) for _ in range(3)]
    assert all(blocks), "no room for three GiB"
    for block in reversed(blocks):
        library.free(block)
    return round((library.sbrk(0) - began) / 2**30)

library = ctypes.CDLL(None)
library.malloc.argtypes, library.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
library.sbrk.argtypes, library.sbrk.restype = [ctypes.c_ssize_t], ctypes.c_void_p
began = library.sbrk(0)
found = [kept(), heap()]
try:
    with KEPT_MEMORY:
        with KEPT_MEMORY:
            found += [kept()]
        found += [kept(), heap()]
        raise ValueError
except ValueError:
    found += [kept(), heap()]
print(json.dumps(found))
"""


def filled(**more: str) -> list[int]:
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith(("MALLOC", "GLIBC"))
    }
    child = subprocess.run(
        [sys.executable, "-c", _FILLED], env=environment | more, capture_output=True, text=True, check=True
    )
    found: list[int] = json.loads(child.stdout)
    return found


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_what_is_freed_is_kept_until_the_last_has_left() -> None:
    before, heap_before, inside, again, heap_inside, after, heap_after = filled()
    assert max(before, again, after) < 32 < inside
    assert heap_before == heap_after == 0 and heap_inside == 3


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
@pytest.mark.parametrize("setting", ["MMAP_MAX", "MMAP_THRESHOLD", "TRIM_THRESHOLD"])
@pytest.mark.parametrize("is_tunable", [False, True])
def test_what_a_user_chose_stays(setting: str, is_tunable: bool) -> None:
    number = 65536
    tunable = f"glibc.malloc.{setting.lower()}={number}"
    chosen = {"GLIBC_TUNABLES": tunable} if is_tunable else {f"MALLOC_{setting}_": str(number)}
    before, heap_before, inside, again, heap_inside, after, heap_after = filled(**chosen)
    assert max(before, inside, again, after) < 32
    assert max(heap_before, heap_inside, heap_after) == 0


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_other_settings_of_glibc_say_nothing_about_it() -> None:
    assert filled(GLIBC_TUNABLES="glibc.malloc.tcache_count=3")[2] > 32


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unset the environment's settings of malloc, and forget the cached library."""
    for name in [one for one in os.environ if one.startswith(("MALLOC_", "GLIBC_"))]:
        monkeypatch.delenv(name)
    memory._glibc.cache_clear()
    yield
    memory._glibc.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    asked: list[object] = []

    def library(name: object) -> object:
        asked.append(name)
        return object()

    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(sys, "platform", system)
    with memory.KEPT_MEMORY:
        pass
    # Only Linux can have glibc; on Windows even loading the library would fail.
    assert asked == ([None] if system == "linux" else [])

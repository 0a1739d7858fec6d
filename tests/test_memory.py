"""Memory that stays with the process, counted in pages that the kernel had to give it."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from inrcodec import memory

BYTES = 64 << 20
PAGES = BYTES // 4096
_FILLED = f"""
import json, resource
from inrcodec.memory import KEPT_MEMORY

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray({BYTES})
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

found = [pages(), pages()]
try:
    with KEPT_MEMORY:
        found += [pages(), pages()]
        with KEPT_MEMORY:
            found += [pages()]
        found += [pages()]
        raise ValueError
except ValueError:
    found += [pages(), pages()]
print(json.dumps(found))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left alone")
def test_what_is_freed_is_taken_again_until_the_last_has_left() -> None:
    child = subprocess.run([sys.executable, "-c", _FILLED], capture_output=True, text=True, check=True)
    filled = [round(pages / PAGES, 1) for pages in json.loads(child.stdout)]
    assert filled == [1, 1, 1, 0, 0, 0, 1, 1]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with memory.KEPT_MEMORY:
        pass

"""Encoders leave the threads of this process at an ordinary priority."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest
from codec_samples import moving_gradient

from inrcodec.system.priority import ordinary_priority
from inrcodec.video.ordinary_codecs import encode_stream, parse_rival

HAS_SVT = "libsvtav1" in av.codecs_available
MAY_BE_REAL_TIME = hasattr(os, "geteuid") and os.geteuid() == 0 and os.path.isdir("/proc/self/task")


def policies() -> set[int]:
    """The scheduling policies of all threads of this process."""
    return {os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")}


@pytest.mark.skipif(not MAY_BE_REAL_TIME, reason="only root may take a real-time priority, on Linux")
def test_a_real_time_priority_is_undone_for_all_threads() -> None:
    code = """
import os, threading, time
from inrcodec.system.priority import ordinary_priority
ended = threading.Event()
def take():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    threading.Thread(target=ended.wait).start()
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
except PermissionError:
    print("may not")
    raise SystemExit
try:
    with ordinary_priority():
        # This thread was real-time before, and stays so.
        other = threading.Thread(target=take)
        other.start()
        other.join()
        raise ValueError("an encoder that refuses its options")
except ValueError:
    pass
print(os.sched_getscheduler(0) == os.SCHED_FIFO)
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
print({os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")} == {os.SCHED_OTHER})
ended.set()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if done.stdout.strip() == "may not":
        pytest.skip("this container may not take a real-time priority")
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.skipif(not HAS_SVT or not MAY_BE_REAL_TIME, reason="SVT-AV1 takes real time from root on Linux")
def test_svt_av1_leaves_an_ordinary_priority() -> None:
    assert encode_stream(moving_gradient(64, 64, 3), parse_rival("svtav1:10"), 40)
    assert policies() == {os.SCHED_OTHER}


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs the threads of Linux")
def test_where_the_system_lists_no_threads_nothing_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = policies()
    monkeypatch.setattr("inrcodec.system.priority._TASKS", str(tmp_path / "none"))
    with ordinary_priority():
        pass
    assert policies() == before

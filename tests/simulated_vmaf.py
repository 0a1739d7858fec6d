"""A program `ffmpeg` that answers as one with libvmaf, with a figure that falls with the error of luma."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

_PROGRAM = f"""#!{sys.executable}
import json, sys
import numpy as np
if "-filters" in sys.argv:
    print(" .. libvmaf  VV->V  Calculate the VMAF")
    raise SystemExit
width, height = map(int, sys.argv[sys.argv.index("-s") + 1].split("x"))
kind, peak = (np.dtype("<u2"), 1023) if "yuv444p10le" in sys.argv else (np.dtype("u1"), 255)
frames = []
while data := sys.stdin.buffer.read(3 * width * height * kind.itemsize):
    reference, decoded = np.frombuffer(data, kind)[: width * height].reshape(2, -1) / peak
    frames.append({{"metrics": {{"vmaf": 100 / (1 + 500 * ((reference - decoded) ** 2).mean())}}}})
json.dump({{"frames": frames}}, open("vmaf.json", "w"))
"""


def write_ffmpeg(folder: Path) -> Path:
    """Write the program to a folder, which is created, and return it."""
    folder.mkdir()
    program = folder / "ffmpeg"
    program.write_text(_PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program

"""VMAF by a program `ffmpeg` that has libvmaf, because PyAV is built without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import replace
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import numpy as np

from inrcodec.errors import InrcError
from inrcodec.samples import depth_of
from inrcodec.video.arrays import bounded_rate
from inrcodec.video.planes import Picture, common_sampling

VMAF_NEEDS = "needs an ffmpeg that has libvmaf, on PATH or by: pip install imageio-ffmpeg"
"""How to get it, for a message that begins with what needs it."""
_LOG = "vmaf.json"
_SECONDS = 20
"""Time limit for listing the filters of ffmpeg."""


@cache
def vmaf_program() -> str | None:
    """The first ffmpeg that has the filter libvmaf: on PATH, or of the package imageio-ffmpeg."""
    programs = [shutil.which("ffmpeg")]
    if find_spec("imageio_ffmpeg") is not None:
        import imageio_ffmpeg

        try:
            programs.append(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError:
            # The package has none for this machine.
            pass
    # It runs in a folder of its own, where a relative name on PATH would mean another file.
    found = (os.path.abspath(one) for one in programs if one is not None)
    return next((one for one in found if _has_filter(one)), None)


def _has_filter(program: str) -> bool:
    try:
        listed = subprocess.run([program, "-hide_banner", "-filters"], capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b" libvmaf " in listed.stdout


class Vmaf:
    """Sends the luma of two videos to ffmpeg, one above the other in each frame, and reads its scores."""

    def __init__(self, reference: Picture, decoded: Picture, frame_rate: Fraction) -> None:
        """Start ffmpeg for frames like these two, of one size and depth. Raises `InrcError`."""
        self._sampling = replace(common_sampling(reference, decoded), full_range=False)
        height, width = reference.pixels.shape[:2]
        bit_depth = depth_of(reference.pixels)
        program = vmaf_program()
        if program is None:
            raise InrcError("VMAF: found no ffmpeg that has libvmaf")
        self._folder = tempfile.TemporaryDirectory()
        # Only luma counts; 4:4:4 can be cut at any row.
        name = "yuv444p" if bit_depth == 8 else "yuv444p10le"
        self._kind = "<u1" if bit_depth == 8 else "<u2"
        self._grey = np.full((4 * height, width), 1 << (bit_depth - 1), self._kind)
        graph = (
            f"[0:v]split[a][b];[a]crop={width}:{height}:0:0[r];[b]crop={width}:{height}:0:{height}[d];"
            f"[d][r]libvmaf=log_fmt=json:log_path={_LOG}[o]"
        )
        command = [program, "-v", "error", "-f", "rawvideo", "-pix_fmt", name]
        command += ["-s", f"{width}x{2 * height}", "-r", str(bounded_rate(frame_rate)), "-i", "-"]
        command += ["-lavfi", graph, "-map", "[o]", "-f", "null", "-"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self._folder.name
            )
        except OSError as error:
            self._folder.cleanup()
            raise InrcError(f"VMAF: ffmpeg cannot be started: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def add(self, reference: Picture, decoded: Picture) -> None:
        """Send the luma of the next frames, in the matrix of the reference and limited range.

        Raises `InrcError`.
        """
        pipe = self._process.stdin
        if pipe is None:
            raise InrcError("VMAF: ffmpeg reads nothing")
        lumas = [one.planes(self._sampling)[0] for one in (reference, decoded)]
        try:
            for plane in (*lumas, self._grey):
                pipe.write(np.ascontiguousarray(plane, self._kind).data)
        except BrokenPipeError:
            self._raise()

    def scores(self) -> list[float]:
        """The scores of all frames, 0 to 100. Raises `InrcError`."""
        _, said = self._process.communicate()
        if self._process.returncode:
            self._raise(said)
        try:
            frames = json.loads((Path(self._folder.name) / _LOG).read_text())["frames"]
            return [float(frame["metrics"]["vmaf"]) for frame in frames]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InrcError("VMAF: ffmpeg wrote no scores") from error

    def _raise(self, said: bytes = b"") -> None:
        said = said or self._process.communicate()[1]
        lines = said.decode(errors="replace").strip().splitlines()
        raise InrcError(f"VMAF: ffmpeg failed: {lines[-1] if lines else self._process.returncode}")

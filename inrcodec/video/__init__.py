"""Frames in and out: the only user of PyAV."""

from __future__ import annotations

from inrcodec.video.mask import cut_holes
from inrcodec.video.properties import Clip, VideoProperties
from inrcodec.video.reading import read_clip
from inrcodec.video.tracks import cut_extras, read_extras
from inrcodec.video.writing import FrameWriter, check_target, open_writer

__all__ = [
    "Clip",
    "FrameWriter",
    "VideoProperties",
    "check_target",
    "cut_extras",
    "cut_holes",
    "open_writer",
    "read_clip",
    "read_extras",
]

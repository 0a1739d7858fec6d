"""Video input and output; the only package that imports PyAV."""

from __future__ import annotations

from inrcodec.video.mask import check_mask_length, cut_holes
from inrcodec.video.properties import Clip, VideoProperties
from inrcodec.video.reader import FrameReading, read_clip, stacked
from inrcodec.video.sources import first_frames
from inrcodec.video.survey import Survey, survey_video
from inrcodec.video.tracks import cut_extras, read_extras
from inrcodec.video.writer import FrameWriter, check_one_picture, check_target, open_writer

__all__ = [
    "Clip",
    "FrameReading",
    "FrameWriter",
    "Survey",
    "VideoProperties",
    "check_mask_length",
    "check_one_picture",
    "check_target",
    "cut_extras",
    "cut_holes",
    "first_frames",
    "open_writer",
    "read_clip",
    "read_extras",
    "stacked",
    "survey_video",
]

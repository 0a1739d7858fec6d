"""Progress reports of the library: a small protocol that the command line implements."""

from __future__ import annotations

from inrcodec.progress.parts import FIT, Part
from inrcodec.progress.reports import (
    MOST_COURSE_POINTS,
    Course,
    CoursePoint,
    EncodePlan,
    FitReport,
    JobReport,
    Picture,
    Progress,
    Silent,
)

__all__ = [
    "FIT",
    "MOST_COURSE_POINTS",
    "Course",
    "CoursePoint",
    "EncodePlan",
    "FitReport",
    "JobReport",
    "Part",
    "Picture",
    "Progress",
    "Silent",
]

"""What the bits of a file are spent on, in a few groups, and its sections over all segments."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from inrcodec.inspect import FileReport, SectionReport
from inrcodec.models.family import Role

NETWORK, MASKS = "network", "masks and scales"
ENTROPY_MODELS = "entropy models"
CONTAINER, EXTRAS = "headers and index", "sound, subtitles and tags"
_CONTEXT = "context"
"""First part of the names of sections that hold entropy models."""


@dataclass(frozen=True)
class Section:
    """Sections of one name, of all segments."""

    name: str
    role: str
    coders: str
    value_count: int
    bits: int


def bit_groups(report: FileReport) -> dict[str, int]:
    """Bits of the whole file by what they are for; they add up to the file."""
    groups: dict[str, int] = {}
    for section in _all_sections(report):
        name = group_of(section)
        groups[name] = groups.get(name, 0) + section.bits
    overhead = sum(segment.overhead_bits for segment in report.segments)
    groups[CONTAINER] = report.container_bits + overhead
    if report.extras_bytes:
        groups[EXTRAS] = 8 * report.extras_bytes
    return groups


def group_of(section: SectionReport) -> str:
    """What a section is for; what is sent for each frame goes by its own name."""
    head = section.name.partition(".")[0]
    if head == _CONTEXT:
        return ENTROPY_MODELS
    if section.role == Role.EMBEDDING:
        return head.replace("_", " ")
    return MASKS if section.role in (Role.LEVELS, Role.SCALE) else NETWORK


def merged_sections(report: FileReport) -> list[Section]:
    """The sections in wire order, those of one name in all segments together."""
    merged: dict[str, list[SectionReport]] = {}
    for section in _all_sections(report):
        merged.setdefault(section.name, []).append(section)
    return [
        Section(
            name=name,
            role=parts[0].role,
            coders=", ".join(dict.fromkeys(part.coder for part in parts)),
            value_count=sum(math.prod(part.shape) for part in parts),
            bits=sum(part.bits for part in parts),
        )
        for name, parts in merged.items()
    ]


def _all_sections(report: FileReport) -> Iterable[SectionReport]:
    return (section for segment in report.segments for section in segment.sections)

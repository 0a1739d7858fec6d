"""Light of an HDR video: the display on which it was graded, and the levels of its content."""

from __future__ import annotations

from dataclasses import dataclass

from bitstream.fields import MAX_U16
from bitstream.records import Record, Varint, wire


@dataclass(frozen=True)
class MasteringDisplay(Record):
    """The display on which an HDR video was graded (SMPTE ST 2086).

    Chromaticities are CIE 1931 coordinates in 1/50000, luminances are in 1/10000 cd/m2. 0 means unknown.
    """

    red_x: int = wire(Varint(maximum=MAX_U16), 0)
    red_y: int = wire(Varint(maximum=MAX_U16), 0)
    green_x: int = wire(Varint(maximum=MAX_U16), 0)
    green_y: int = wire(Varint(maximum=MAX_U16), 0)
    blue_x: int = wire(Varint(maximum=MAX_U16), 0)
    blue_y: int = wire(Varint(maximum=MAX_U16), 0)
    white_x: int = wire(Varint(maximum=MAX_U16), 0)
    white_y: int = wire(Varint(maximum=MAX_U16), 0)
    most_luminance: int = wire(Varint(), 0)
    least_luminance: int = wire(Varint(), 0)


@dataclass(frozen=True)
class ContentLight(Record):
    """Light levels of an HDR video in cd/m2 (CTA-861.3). 0 means unknown."""

    most_of_a_pixel: int = wire(Varint(maximum=MAX_U16), 0)
    """MaxCLL, the brightest pixel."""
    most_of_a_frame: int = wire(Varint(maximum=MAX_U16), 0)
    """MaxFALL, the largest mean of a frame."""

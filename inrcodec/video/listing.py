"""Reads what FFmpeg's listing of an opened source says and no attribute of PyAV does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import av
from av.container import InputContainer

from inrcodec.video.cropping import Cropping
from inrcodec.video.demuxer import ffmpeg_log

_PROGRAM = re.compile(r"  (?:No )?Program\b")
_STREAM = re.compile(r" +Stream #0:(\d+)(.*)")
_LAYOUT = re.compile(r".*?: Audio: .*?, \d+ Hz, ([^,]+)")
_CROPPING = re.compile(r" +Frame Cropping: (\d+)/(\d+)/(\d+)/(\d+)")


@dataclass(frozen=True)
class Listing:
    """Properties of the streams of a source, by stream index."""

    stream_count: int
    """Number of streams found so far; streams may appear after opening."""
    layouts: Mapping[int, str]
    """Channel layouts by FFmpeg's names."""
    croppings: Mapping[int, Cropping]
    programs: tuple[frozenset[int], ...]
    """The streams of each programme of a transport stream."""

    def other_programs(self, stream: int) -> frozenset[int]:
        """The streams that are only in programmes without `stream`."""
        own = frozenset[int]().union(*(program for program in self.programs if stream in program))
        return frozenset[int]().union(*self.programs) - own if own else frozenset()


def list_streams(container: InputContainer) -> Listing:
    """Read FFmpeg's listing of an opened source."""
    with ffmpeg_log(av.logging.VERBOSE):
        # PyAV documents the method, but its stubs do not list it.
        lines = cast(Any, container).dumps_format().splitlines()
    layouts: dict[int, str] = {}
    croppings: dict[int, Cropping] = {}
    programs: list[set[int]] = []
    found: set[int] = set()
    current, number = set[int](), -1
    for line in lines:
        if _PROGRAM.match(line):
            current = set()
            if not line.startswith("  No"):
                programs.append(current)
        elif match := _STREAM.match(line):
            number = int(match[1])
            found.add(number)
            current.add(number)
            if layout := _LAYOUT.match(match[2]):
                layouts[number] = layout[1]
        elif match := _CROPPING.match(line):
            croppings[number] = Cropping(*map(int, match.groups()))
    return Listing(len(found), layouts, croppings, tuple(map(frozenset, programs)))

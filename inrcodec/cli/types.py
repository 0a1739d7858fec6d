"""Types of option values: each is parsed by a function of `settings.notation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from inrcodec.settings import notation
from inrcodec.settings.decode import MOST_FPS_SCALE
from inrcodec.settings.presets import PRESETS

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
    _Choice = click.Choice[str]
else:
    # click 8.1 has no subscript for them at run time.
    _ParamType, _Choice = click.ParamType, click.Choice


class _Parsed(_ParamType):
    """A type whose values are parsed by a function of `notation`; its `ValueError` is a usage error."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), parameter, context)


_PRESETS_OF_X264 = {
    **dict.fromkeys(("ultrafast", "superfast", "veryfast"), "draft"),
    "faster": "fast",
    **dict.fromkeys(("slower", "veryslow", "placebo"), "slow"),
}
"""Names that x264 and x265 have and we lack, and the preset of ours that means about the same."""


class _PresetType(_Choice):
    """One of `PRESETS`; a preset of x264 is answered with the one that is meant."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        meant = _PRESETS_OF_X264.get(str(value).lower())
        if meant is not None:
            self.fail(f"{value} is a preset of x264; give --preset {meant}", parameter, context)
        return super().convert(value, parameter, context)


FILE_SIZE = _Parsed("bytes", notation.parse_file_size)
BITRATE = _Parsed("bits/s", notation.parse_bitrate)
COUNT = _Parsed("count", notation.parse_count)
LADDER = _Parsed("BPP,BPP,...", notation.parse_ladder)
DURATION = _Parsed("duration", notation.parse_duration)
MOMENT = _Parsed("time", notation.parse_moment)
FRAMES = _Parsed("a:b", notation.parse_frames)
CROP = _Parsed("WxH[+X+Y]", notation.parse_crop)
SCALE = _Parsed("WxH|P%", notation.parse_scale)
SEGMENT = _Parsed("auto|scene|N", notation.parse_segment_rule)
WORKERS = _Parsed("workers", notation.parse_workers)
DEVICE = _Parsed("auto|cpu|cuda[:n]|mps", notation.parse_device)
PRESET = _PresetType(list(PRESETS), case_sensitive=False)
POSITIVE = click.FloatRange(min=0, min_open=True, max=float("inf"), max_open=True)
FPS_SCALE = click.IntRange(1, MOST_FPS_SCALE)

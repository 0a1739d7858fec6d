"""Mastering display and light levels of HDR video: from FFmpeg's side data, and as options of encoders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from av.sidedata.sidedata import SideData, Type

from bitstream.light import ContentLight, MasteringDisplay
from inrcodec.video.properties import VideoProperties

LIGHT = "the mastering display and light levels"
CHROMATICITY, LUMINANCE = 50_000, 10_000
"""Units of SMPTE ST 2086 in 1, and in 1 cd/m2."""
_RATIONALS = 10
"""Rationals in FFmpeg's AVMasteringDisplayMetadata: x and y of red, green, blue and white, and luminances."""
_MOST_CHROMATICITY, _MOST_LUMINANCE = (1 << 16) - 1, (1 << 32) - 1
_OPTIONS = {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}
"""The option by which each encoder takes them; PyAV attaches no side data to frames."""


class Light:
    """Collects mastering display and light levels from the side data of frames; the first ones count."""

    def __init__(self) -> None:
        self.mastering_display: MasteringDisplay | None = None
        self.content_light: ContentLight | None = None

    def add(self, side_data: Iterable[SideData]) -> None:
        for data in side_data:
            if data.type == Type.MASTERING_DISPLAY_METADATA and self.mastering_display is None:
                self.mastering_display = _mastering_display(memoryview(data).tobytes())
            elif data.type == Type.CONTENT_LIGHT_LEVEL and self.content_light is None:
                self.content_light = _content_light(memoryview(data).tobytes())


def _mastering_display(data: bytes) -> MasteringDisplay | None:
    """From AVMasteringDisplayMetadata: ten rationals of two int32, and flags that tell which are known."""
    terms: list[int] = np.frombuffer(data, "<i4", 2 * _RATIONALS + 2).tolist()
    ratios = [(terms[at], terms[at + 1]) for at in range(0, 2 * _RATIONALS, 2)]
    colours = [_units(ratio, CHROMATICITY, _MOST_CHROMATICITY) for ratio in ratios[:8]]
    least, most = (_units(ratio, LUMINANCE, _MOST_LUMINANCE) for ratio in ratios[8:])
    has_primaries, has_luminance = terms[-2:]
    known = [*(colours if has_primaries else 8 * [0]), *((most, least) if has_luminance else (0, 0))]
    found = MasteringDisplay(*known)
    return None if found == MasteringDisplay() else found


def _units(ratio: tuple[int, int], unit: int, largest: int) -> int:
    """A rational in units of ST 2086; 0, for unknown, if it is none or out of range."""
    numerator, denominator = ratio
    units = round(numerator * unit / denominator) if denominator else 0
    return units if 0 <= units <= largest else 0


def _content_light(data: bytes) -> ContentLight | None:
    """From AVContentLightMetadata: MaxCLL and MaxFALL as uint32."""
    levels: list[int] = np.frombuffer(data, "<u4", 2).tolist()
    found = ContentLight(*(min(level, _MOST_CHROMATICITY) for level in levels))
    return None if found == ContentLight() else found


def has_light(properties: VideoProperties) -> bool:
    """Whether the video has a mastering display or light levels."""
    return properties.mastering_display is not None or properties.content_light is not None


def takes_light(encoder: str) -> bool:
    """Whether this encoder can write them."""
    return encoder in _OPTIONS


def light_options(encoder: str, properties: VideoProperties, options: dict[str, str]) -> dict[str, str]:
    """The options of an encoder that writes the light of a video, together with those that it has already."""
    name = _OPTIONS.get(encoder)
    if name is None or not has_light(properties):
        return options
    display, light = properties.mastering_display, properties.content_light
    texts = [options[name]] if name in options else []
    if display is not None:
        key = "master-display" if encoder == "libx265" else "mastering-display"
        texts.append(f"{key}={_display_text(display, is_in_units=encoder != 'libsvtav1')}")
    if light is not None:
        key = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}[encoder]
        texts.append(f"{key}={light.most_of_a_pixel},{light.most_of_a_frame}")
    return {**options, name: ":".join(texts)}


def _display_text(display: MasteringDisplay, is_in_units: bool) -> str:
    """G(x,y)B(x,y)R(x,y)WP(x,y)L(most,least), in units of ST 2086 or as plain numbers."""

    def pair(name: str, one: int, other: int, unit: int) -> str:
        if is_in_units:
            return f"{name}({one},{other})"
        return f"{name}({one / unit:.6f},{other / unit:.6f})"

    return "".join(
        (
            pair("G", display.green_x, display.green_y, CHROMATICITY),
            pair("B", display.blue_x, display.blue_y, CHROMATICITY),
            pair("R", display.red_x, display.red_y, CHROMATICITY),
            pair("WP", display.white_x, display.white_y, CHROMATICITY),
            pair("L", display.most_luminance, display.least_luminance, LUMINANCE),
        )
    )

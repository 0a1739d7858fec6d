"""Channel layouts that PyAV can be given: those that FFmpeg stores without a map of channels."""

from __future__ import annotations

from av.audio.layout import AudioLayout

_NATIVE_ORDER = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR", "DL", "DR", "WL", "WR", "SDL", "SDR", "LFE2"),
    *("TSL", "TSR", "BFC", "BFL", "BFR", "SSL", "SSR", "TTL", "TTR", "BIL", "BIR"),
)
"""FFmpeg's channels by the bits of its masks."""
_MOST_NAMED = 24
"""Channels of the largest layout with a name, 22.2; a description of more may not fit into PyAV's buffer."""
_MOST_CHANNELS = 512
"""The limit of FFmpeg's decoders."""


def plain_layout(name: str) -> str:
    """The layout `name` if its channels are in FFmpeg's native order, else their number: `3 channels`.

    PyAV 18 copies layouts by value, so the map that any other layout has in memory of its own would be freed
    twice. Raises `ValueError` for a name that FFmpeg does not know, and for more than 512 channels.
    """
    layout = AudioLayout(name)
    count = layout.nb_channels
    if count > _MOST_CHANNELS:
        raise ValueError(f"expected at most {_MOST_CHANNELS} channels, found {count}")
    names = [channel.name for channel in layout.channels] if count <= _MOST_NAMED else []
    remaining = iter(_NATIVE_ORDER)
    if names and all(channel in remaining for channel in names):
        return AudioLayout("+".join(names)).name
    return f"{count} channels"

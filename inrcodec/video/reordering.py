"""Times of frames from a container that has only the times at which packets are decoded."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from av import VideoFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

_WITHOUT_DISPLAY_TIMES = ("avi",)
_GUESSED_AS_DECODED = ("h264", "hevc")
"""Codecs whose frames FFmpeg then shows at a constant distance from the times at which they are decoded."""


class DisplayTimes:
    """Gives each frame, in display order, the earliest time of the packets sent and not yet shown."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._is_needed = (
            container.format.name in _WITHOUT_DISPLAY_TIMES
            and stream.codec_context.codec.canonical_name in _GUESSED_AS_DECODED
        )
        self._waiting: list[int] = []

    def sent(self, packet: Packet[Stream]) -> None:
        """Note a packet that is about to be decoded."""
        if self._is_needed and packet.size and packet.pts is not None:
            heappush(self._waiting, packet.pts)

    def failed(self, packet: Packet[Stream]) -> None:
        """Note that a packet could not be decoded, so that no frame of it is shown."""
        if packet.pts in self._waiting:
            self._waiting.remove(packet.pts)
            heapify(self._waiting)

    def shown(self, frame: VideoFrame) -> None:
        """Set the time of the next frame."""
        if self._waiting:
            frame.pts = heappop(self._waiting)

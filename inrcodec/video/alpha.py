"""Transparency that WebM stores beside the pictures, which FFmpeg's own decoders of VP8 and VP9 leave out."""

from __future__ import annotations

from typing import Literal

import av
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from inrcodec.video.pixel_planes import plane_samples

_CODECS = ("vp8", "vp9")
_ADDITION: Literal["matroska_block_additional"] = "matroska_block_additional"
_ALPHA = (1).to_bytes(8)
"""Number of the addition that holds the alpha of a block (RFC 9559, section 5.1.3.5.2.3)."""
_OPAQUE = 255


class AlphaLayer:
    """Decodes the alpha of a stream, packet by packet, as the luma of a video of its own."""

    def __init__(self, stream: VideoStream) -> None:
        name = stream.codec_context.codec.canonical_name
        context = av.CodecContext.create(name, "r") if name in _CODECS else None
        self._context = context if isinstance(context, VideoCodecContext) else None

    def is_transparent(self, packet: Packet[Stream]) -> bool:
        """Whether a pixel of the picture in the next packet is not opaque."""
        if self._context is None or not packet.has_sidedata(_ADDITION):
            return False
        addition = bytes(packet.get_sidedata(_ADDITION))
        if not addition.startswith(_ALPHA):
            return False
        try:
            frames = self._context.decode(av.Packet(addition[len(_ALPHA) :]))
        except av.FFmpegError:
            return False
        return any(plane_samples(frame.planes[0], np.uint8).min() < _OPAQUE for frame in frames)

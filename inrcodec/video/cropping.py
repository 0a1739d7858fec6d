"""Cropping that a container asks for; decoders leave it to their callers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import cast

from av import VideoFrame
from av.filter import Graph

from inrcodec.video.listing import Cropping


def cropped(frames: Iterable[VideoFrame], cropping: Cropping) -> Iterator[VideoFrame]:
    """The frames without the pixels that `cropping` removes; a frame that would have none left is unchanged.

    Chroma of half the resolution starts at the sample that covers the first pixel, as in FFmpeg's decoders.
    """
    graph, fits = Graph(), None
    for frame in frames:
        width = frame.width - cropping.left - cropping.right
        height = frame.height - cropping.top - cropping.bottom
        if min(width, height) < 1:
            yield frame
            continue
        if (frame.width, frame.height, frame.format.name) != fits:
            graph = _graph(frame, f"{width}:{height}:{cropping.left}:{cropping.top}:exact=1")
            fits = (frame.width, frame.height, frame.format.name)
        graph.push(frame)
        yield cast(VideoFrame, graph.pull())


def _graph(frame: VideoFrame, crop: str) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )
    graph.link_nodes(source, graph.add("crop", crop), graph.add("buffersink")).configure()
    return graph

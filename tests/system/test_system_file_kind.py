"""Kinds of files are recognised by their first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bitstream.blocks import MAGIC
from bitstream.errors import FOUND_BYTES
from inrcodec.system.file_kind import look_of

WRITTEN = {
    "a.mp4": "MP4",
    "a.mov": "QuickTime (MOV)",
    "a.3gp": "MP4",
    "a.mkv": "Matroska (MKV)",
    "a.webm": "WebM",
    "a.avi": "AVI",
    "a.ts": "MPEG-TS",
    "a.m2ts": "MPEG-TS",
    "a.mpg": "MPEG-PS",
    "a.h264": "raw H.264 or H.265",
    "a.flv": "FLV",
    "a.ivf": "IVF",
    "a.mxf": "MXF",
    "a.wmv": "WMV (ASF)",
    "a.ogg": "Ogg",
    "a.y4m": "YUV4MPEG2 (Y4M)",
    "a.gif": "GIF",
    "a.png": "PNG",
    "a.jpg": "JPEG",
    "a.bmp": "BMP",
    "a.tiff": "TIFF",
    "a.webp": "WebP",
}
CODECS = {
    ".webm": "libvpx", ".ivf": "libvpx", ".mpg": "mpeg2video", ".mxf": "mpeg2video", ".ogg": "libvpx",
    ".gif": "gif", ".png": "png", ".jpg": "mjpeg", ".bmp": "bmp", ".tiff": "tiff", ".webp": "libwebp",
    ".y4m": "wrapped_avframe", ".wmv": "wmv2",
}  # fmt: skip


AS_TEXT = " (it looks like an .inrv file damaged by a transfer as text)"


def write(path: Path) -> None:
    """Write three pictures with FFmpeg's muxer for this suffix."""
    codec = CODECS.get(path.suffix, "libx264")
    images = path.suffix in (".png", ".jpg", ".bmp", ".tiff", ".webp")
    kind = {"format": "image2", "options": {"update": "1"}} if images else {}
    kind |= {"format": "yuv4mpegpipe"} if path.suffix == ".y4m" else {}
    with av.open(str(path), "w", **kind) as container:  # type: ignore[call-overload]
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height = 352, 288
        formats = stream.codec_context.codec.video_formats
        stream.pix_fmt = formats[0].name if formats else "yuv420p"
        for _ in range(1 if images else 3):
            picture = av.VideoFrame.from_ndarray(np.zeros((288, 352, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_ffmpeg(tmp_path: Path, name: str) -> None:
    try:
        write(tmp_path / name)
    except (ValueError, av.error.LookupError):
        pytest.skip("this build of FFmpeg cannot write it")
    begin = (tmp_path / name).read_bytes()[:FOUND_BYTES]
    assert look_of(begin) == f" (it looks like {WRITTEN[name]})"


@pytest.mark.parametrize(
    ("begin", "look"),
    [
        (b"", " (it is empty)"),
        (b"\0" * 100, ""),
        (bytes(range(128, 256)), ""),
        (b"a line\nof text\n", " (it looks like text)"),
        (b"  <!DOCTYPE HTML><p>", " (it looks like HTML)"),
        (MAGIC.replace(b"\r\n", b"\n"), " (it looks like an .inrv file damaged by a transfer as text)"),
        (MAGIC.decode("latin-1").encode(), " (it looks like an .inrv file damaged by a transfer as text)"),
        (
            MAGIC.decode(errors="replace").encode(),
            " (it looks like an .inrv file damaged by a transfer as text)",
        ),
    ],
)
def test_files_of_other_programs(begin: bytes, look: str) -> None:
    assert look_of(begin) == look

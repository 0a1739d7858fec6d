"""Opens a source with the demuxers of FFmpeg that read one file only, and reads its packets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import av
from av.container import InputContainer
from av.logging import Capture
from av.packet import Packet
from av.stream import Stream

from bitstream import DEFAULT_LIMITS
from inrcodec.errors import NotAVideo, UsageError
from inrcodec.video.truncation import is_cut_off

FORMATS = (
    *("3dostr", "4xm", "anm", "apng", "apv", "asf", "asf_o", "av1", "avi", "avs", "avs2", "avs3"),
    *("bethsoftvid", "bfi", "bink", "bmv", "cavsvideo", "cdxl", "cine", "dhav", "dirac", "dnxhd", "dv"),
    *("dxa", "ea", "evc", "film_cpk", "filmstrip", "flic", "flv", "gif", "gxf", "h261", "h263", "h264"),
    *("hevc", "idcin", "iff", "ifv", "ingenient", "ipmovie", "ipu", "ivf", "ivr", "jpegxl_anim", "jv"),
    *("kux", "live_flv", "lmlm4", "luodat", "lvf", "lxf", "m4v", "matroska", "mgsts", "mjpeg", "mjpeg_2000"),
    *("mlv", "mm", "moflex", "mov", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "msnwctcp", "mtv", "mv", "mvi"),
    *("mxf", "mxg", "nc", "nsv", "nut", "nuv", "obu", "ogg", "paf", "pdv", "pmp", "psxstr", "pva", "r3d"),
    *("rl2", "rm", "roq", "rpl", "sdr2", "ser", "sga", "siff", "smjpeg", "smk", "smush", "swf", "thp"),
    *("tiertexseq", "tmv", "ty", "usm", "vc1", "vc1test", "vivo", "vividas", "vmd", "vvc", "wc3movie"),
    *("wsvqa", "wtv", "xmv", "yop", "yuv4mpegpipe"),
    *("bmp_pipe", "dds_pipe", "dpx_pipe", "exr_pipe", "gem_pipe", "gif_pipe", "hdr_pipe", "j2k_pipe"),
    *("jpeg_pipe", "jpegls_pipe", "jpegxl_pipe", "pam_pipe", "pbm_pipe", "pcx_pipe", "pfm_pipe", "pgm_pipe"),
    *("pgmyuv_pipe", "pgx_pipe", "phm_pipe", "png_pipe", "ppm_pipe", "psd_pipe", "qoi_pipe", "sgi_pipe"),
    *("sunrast_pipe", "tiff_pipe", "vbn_pipe", "webp_pipe", "xbm_pipe", "xpm_pipe", "xwd_pipe"),
)
"""FFmpeg's names of the formats that are read: each is one file with pictures of its own.

Playlists, scripts and descriptions of streams (`hls`, `concat`, `dash`, `sdp`, `image2`) are left out: they
read further files or the network.
"""
_SOUND = (
    "aac",
    "ac3",
    "aiff",
    "amr",
    "ape",
    "au",
    "caf",
    "dts",
    "eac3",
    "flac",
    "mp3",
    "tta",
    "w64",
    "wav",
    "wv",
)
"""Formats without pictures; read so that the refusal can say that they contain only audio."""
_APPEARING = frozenset({"dhav", "flv", "kux", "live_flv", "mpeg", "mpegts", "nsv", "pva", "swf", "ty", "wtv"})
"""Formats without a header that lists the streams: a stream is known once a packet of it was found."""

_PROBED_BYTES = 1 << 26
"""Part of a file without a list of streams that is searched for them."""
_PROBED_SECONDS = 3600
_ENDLESS_FRAMES = 1 << 30
_CODEC_OPTIONS = {"max_pixels": str(DEFAULT_LIMITS.max_pixels)}
_OVERSIZED = re.compile(r"Picture size (\d+)x(\d+)")

_log = Lock()
"""PyAV has one level of logging for the whole process."""


def open_input(path: str, probed_bytes: int = 0) -> InputContainer:
    """Open the file at `path` alone, with decoders that refuse pictures beyond the limits.

    At least `probed_bytes` of the file are searched for streams if its format has no list of them.
    Raises `UsageError` for a missing file, and `NotAVideo` for other formats and larger pictures.
    """
    if not Path(path).exists():
        raise UsageError(f"{path} does not exist")
    container = _opened(path, {})
    if container.format.name in _APPEARING:
        container.close()
        probed = {"probesize": str(max(probed_bytes, _PROBED_BYTES))}
        limit = {"analyzeduration": str(_PROBED_SECONDS * av.time_base)}
        # FFmpeg stops searching when it knows all streams found so far, unless it still measures frame rates.
        container = _opened(path, {**probed, **limit, "fpsprobesize": str(_ENDLESS_FRAMES)})
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = dict(_CODEC_OPTIONS)
    return container


def _opened(path: str, probe: Mapping[str, str]) -> InputContainer:
    allowed = {"format_whitelist": ",".join((*FORMATS, *_SOUND)), "protocol_whitelist": "file"}
    try:
        with ffmpeg_log(av.logging.ERROR) as messages:
            # Without `file:`, FFmpeg would take a name with a colon for a protocol.
            container = av.open(
                f"file:{path}",
                options=_CODEC_OPTIONS,
                container_options={**allowed, **probe},
                metadata_errors="replace",
            )
    except av.FFmpegError as error:
        refused = [name for _, name, text in messages if text.startswith("Format not on whitelist")]
        reason = f"inrc does not read the format {refused[0]}" if refused else error.strerror or error
        if not refused and is_cut_off(path):
            reason = "it is cut off before the index that says where its frames are"
        raise NotAVideo(f"{path} is not a video: {reason}") from error
    sizes = [match for _, _, text in messages if (match := _OVERSIZED.match(text)) is not None]
    videos = [stream.codec_context for stream in container.streams.video]
    if sizes and not any(context is not None and context.width for context in videos):
        container.close()
        check_size(path, int(sizes[0][1]), int(sizes[0][2]))
    return container


def check_size(path: str, width: int, height: int) -> None:
    """Raise `NotAVideo` for pictures with more pixels than an .inrv can hold."""
    if width * height > DEFAULT_LIMITS.max_pixels:
        raise NotAVideo(
            f"{path} has pictures of {width}x{height} pixels, and at most {DEFAULT_LIMITS.max_pixels:,} "
            "pixels are supported"
        )


def demux(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """The packets of `streams` in file order, then an empty one for each. Raises `av.FFmpegError`.

    Packets of streams that appear after opening are left out.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        # PyAV yields the empty packets last, and fails at the first stream that appeared after opening.
        return


@contextmanager
def ffmpeg_log(level: int) -> Iterator[list[tuple[int, str, str]]]:
    """The messages of FFmpeg up to `level` from the block: level, name of the component, and text of each."""
    with _log, Capture(local=False) as messages:
        level_before, skips_before = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_level(level)
        av.logging.set_skip_repeated(False)
        try:
            yield messages
        finally:
            av.logging.set_skip_repeated(skips_before)
            av.logging.set_level(level_before)

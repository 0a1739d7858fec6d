"""Finds the line that is meant by a command line written as other programs take it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

_QUALITY = (
    "--psnr 36 searches for a quality in dB, --vmaf 93 for one of VMAF; --size, --bpp and --bitrate limit "
    "the size"
)
_PERCEPTUAL = "--psnr 36 or --vmaf 93 searches for a quality; `inrc eval --metric xpsnr` measures it later"
_ENCODE = {
    **dict.fromkeys(("crf", "cq", "q", "q:v", "qp", "quality", "ssim"), _QUALITY),
    "xpsnr": _PERCEPTUAL,
    "psnr": "write --psnr 36",
    "vmaf": "write --vmaf 93",
    **dict.fromkeys(("b", "b:v", "rate", "vb"), "give --bitrate 200k"),
    **dict.fromkeys(("c", "c:v", "codec", "vcodec", "encoder"), "give --model; `inrc models` lists them"),
    **dict.fromkeys(("vf", "filter:v", "s", "resize", "width", "height"), "give --scale 640x360 or --crop"),
    **dict.fromkeys(("r", "fps", "framerate"), "--every 2 keeps every second frame"),
    **dict.fromkeys(("ss", "seek"), "give --start 1:30"),
    **dict.fromkeys(("t", "to", "duration"), "give --end 1:30"),
    **dict.fromkeys(("vframes", "frames:v", "limit"), "--frames 0:100 takes the first hundred frames"),
    "an": "give --no-audio",
    **dict.fromkeys(("g", "gop", "keyint"), "--segment 250 cuts the video into models of 250 frames"),
    **dict.fromkeys(("pix_fmt", "pix-fmt"), "--bit-depth 8 reduces deeper sources"),
    **dict.fromkeys(("j", "jobs"), "give --workers local:4, or --threads 4"),
    **dict.fromkeys(("gpu", "hwaccel"), "give --device cuda"),
    **dict.fromkeys(("overwrite", "force", "f"), "-y replaces an existing output"),
    "tune": "--loss chooses what a trained network minimises",
}
_DECODE = {
    **dict.fromkeys(("c", "c:v", "vcodec", "encoder"), "give --codec h264"),
    **dict.fromkeys(("q", "q:v", "qp", "quality"), "give --crf 18"),
    **dict.fromkeys(("ss", "seek"), "give --start 1:30"),
    **dict.fromkeys(("t", "to", "duration"), "give --end 1:30"),
    "an": "give --no-audio",
    **dict.fromkeys(("r", "fps", "framerate"), "--fps-scale 2 doubles the frame rate"),
    **dict.fromkeys(("gpu", "hwaccel"), "give --device cuda"),
    **dict.fromkeys(("overwrite", "force", "f"), "-y replaces an existing output"),
}
_BY_COMMAND = {"encode": _ENCODE, "probe": _ENCODE, "decode": _DECODE}
_INPUT = ("-i", "--input", "--in")


def option_hint(command: str, word: str, words: Sequence[str]) -> str | None:
    """The line that is meant by an unknown option `word` among the `words` of a command, or None."""
    name, _, value = word.partition("=")
    if name in _INPUT:
        place = words.index(word)
        source = value or (words[place + 1] if place + 1 < len(words) else "in.mp4")
        if command in ("encode", "decode", "inrc"):
            return f"write `{_line(source, 'decode' if command == 'decode' else None)}`"
        return f"write `inrc {command} {shlex.quote(source)}`"
    return _BY_COMMAND.get(command, {}).get(name.lstrip("-").lower())


def command_hint(word: str) -> str | None:
    """The line that is meant by a file in place of a command, or None for a word that names no file."""
    is_file = os.path.exists(word) or bool(os.path.splitext(word)[1])
    return f"write `{_line(word)}`" if is_file else None


def _line(source: str, command: str | None = None) -> str:
    """The command line that encodes a video, or decodes an .inrv file."""
    stem, suffix = os.path.splitext(source.rstrip("/"))
    is_ours = suffix.lower() == ".inrv" or command == "decode"
    output = f"{stem}.{'mp4' if is_ours else 'inrv'}"
    return shlex.join(["inrc", "decode" if is_ours else "encode", source, "-o", output])

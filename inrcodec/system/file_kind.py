"""Recognises common kinds of files by their first bytes, for messages about files of the wrong kind."""

from __future__ import annotations

import re

_KINDS = {
    "QuickTime (MOV)": rb".{4}(ftypqt  |moov|mdat|wide|free|skip|pnot)",
    "HEIF or AVIF": rb".{4}ftyp(hei[cx]|hev[cx]|mi[fa]1|msf1|avi[fs])",
    "MP4": rb".{4}(ftyp|styp|sidx|moof)",
    "WebM": rb"\x1a\x45\xdf\xa3.{0,64}webm",
    "Matroska (MKV)": rb"\x1a\x45\xdf\xa3",
    "AVI": rb"RIFF.{4}AVI ",
    "WAV": rb"RIFF.{4}WAVE",
    "WebP": rb"RIFF.{4}WEBP",
    "MPEG-TS": rb"\x47.{187}\x47|.{4}\x47.{191}\x47|\x47.{203}\x47",
    "MPEG-PS": rb"\x00\x00\x01\xba",
    "raw MPEG video": rb"\x00\x00\x01\xb3",
    "raw H.264 or H.265": rb"\x00\x00\x00?\x01[\x09\x27\x40\x46\x47\x67]",
    "FLV": rb"FLV\x01",
    "Ogg": rb"OggS",
    "WMV (ASF)": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    "IVF": rb"DKIF",
    "MXF": rb"\x06\x0e\x2b\x34",
    "YUV4MPEG2 (Y4M)": rb"YUV4MPEG2 ",
    "GIF": rb"GIF8[79]a",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "BMP": rb"BM.{4}\x00{4}",
    "TIFF": rb"II\*\x00|MM\x00\*",
    "RealMedia": rb"\.RMF",
    "AAC": rb"\xff[\xf1\xf9]",
    "FLAC": rb"fLaC",
    "MP3": rb"ID3|\xff[\xf2\xf3\xfa\xfb]",
    "ZIP": rb"PK\x03\x04",
    "gzip": rb"\x1f\x8b",
    "PDF": rb"%PDF-",
    "HTML": rb"(?i:\s*<(!doctype html|html|head))",
    "an HLS playlist": rb"#EXTM3U",
    "an .inrv file damaged by a transfer as text": rb"[\x89\x09?]INR|\xc2\x89INR|\xef\xbf\xbdINR",
    "text": rb"[\t\n\r\x20-\x7e]+\Z",
}
"""Beginnings of files, by the name of their kind; the first that matches counts."""


def look_of(begin: bytes) -> str:
    """A remark in parentheses on the kind of a file that begins with these bytes; empty if unknown."""
    if not begin:
        return " (it is empty)"
    kinds = (name for name, pattern in _KINDS.items() if re.match(pattern, begin, re.DOTALL))
    kind = next(kinds, None)
    return "" if kind is None else f" (it looks like {kind})"

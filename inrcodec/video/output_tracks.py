"""Streams of an output file for coded tracks, with the parameters that PyAV lets no one set."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import floor, lcm
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.packet import PacketSideData
from av.stream import Disposition, Stream

from bitstream import Packet, Padding, Track, TrackInfo, TrackKind
from bitstream.extras import NO_PADDING
from inrcodec.video.layouts import plain_layout
from inrcodec.video.properties import LARGEST_TERM

_NANOSECONDS = 10**9
_MATROSKA_CODECS = {
    "aac": b"A_AAC",
    "ac3": b"A_AC3",
    "alac": b"A_ALAC",
    "dts": b"A_DTS",
    "eac3": b"A_EAC3",
    "flac": b"A_FLAC",
    "mlp": b"A_MLP",
    "mp1": b"A_MPEG/L1",
    "mp2": b"A_MPEG/L2",
    "mp3": b"A_MPEG/L3",
    "opus": b"A_OPUS",
    "truehd": b"A_TRUEHD",
    "vorbis": b"A_VORBIS",
}
"""Names of codecs that have padding, or that PyAV cannot encode.

From the codec registry of Matroska, draft-ietf-cellar-codec.
"""
_LATEST = 1 << 62
"""Limit of times, so that FFmpeg's 64 bits hold sums of two."""
_SKIP_SAMPLES = 11
"""FFmpeg's AV_PKT_DATA_SKIP_SAMPLES."""


def lasting(track: Track) -> Track:
    """The track of audio whose last packets last as long as those before them, if the source does not say.

    An .mp4 or .mov plays nothing of a last packet without a duration. Matroska states none for ALAC.
    """
    steps = [after.pts - before.pts for before, after in pairwise(track.packets[-3:])]
    step = min(steps, default=0)
    if track.info.kind != TrackKind.AUDIO or step <= 0:
        return track
    last = (one._replace(duration=one.duration or step) for one in track.packets[-2:])
    return replace(track, packets=(*track.packets[:-2], *last))


def timed_by_samples(track: Track, snap: Fraction) -> Track:
    """The track with times that can express its padding, and a first packet that begins exactly that early.

    Containers with coarse units round the time of the first packet. The first sample that is played begins at
    a whole unit; if that is less than `snap` seconds before frame 0, the track is moved to begin there.
    """
    info, padding = track.info, track.padding
    if padding == NO_PADDING or not track.packets or not info.sample_rate:
        return replace(track, padding=NO_PADDING)
    unit = Fraction(1, lcm(info.time_base.denominator, info.sample_rate))
    latest = max(abs(time) for one in track.packets for time in (one.pts, one.dts, one.duration))
    if unit.denominator > LARGEST_TERM or latest * info.time_base / unit > _LATEST:
        return replace(track, padding=NO_PADDING)
    begin = track.packets[0].pts * info.time_base + Fraction(padding.start, info.sample_rate)
    # FFmpeg rounds halves away from 0, and here the rounded time is that before 0.
    heard = floor(begin / info.time_base + Fraction(1, 2)) * info.time_base if padding.start else begin
    shift = -heard if padding.start and -snap < heard < 0 else Fraction(0)

    def ticks(time: int) -> int:
        return int(time * info.time_base / unit)

    move = int(shift / unit)
    packets = [
        Packet(ticks(one.pts) + move, ticks(one.dts) + move, ticks(one.duration), one.is_key, one.data)
        for one in track.packets
    ]
    first = int((heard + shift) / unit) - int(Fraction(padding.start, info.sample_rate) / unit)
    packets[0] = packets[0]._replace(pts=first, dts=first)
    # Some sources state the played part of the last packet as its duration, others all of it.
    played = packets[-2:][0].duration - int(Fraction(padding.end, info.sample_rate) / unit)
    packets[-1] = packets[-1]._replace(duration=min(packets[-1].duration, max(1, played)))
    return Track(replace(info, time_base=unit), tuple(packets), padding)


def muxed_packet(packet: Packet, stream: Stream, time_base: Fraction, unplayed: int = 0) -> av.Packet[Stream]:
    """The packet for PyAV and a stream of the output; its last `unplayed` samples are not played."""
    muxed: av.Packet[Stream] = av.Packet(packet.data)
    muxed.stream, muxed.time_base = stream, time_base
    muxed.pts, muxed.dts, muxed.duration = packet.pts, packet.dts, packet.duration
    muxed.is_keyframe = packet.is_key
    if unplayed:
        # The stubs of PyAV do not list the constructor.
        data = cast(Any, PacketSideData)(_SKIP_SAMPLES, 10)
        data.update(bytes(4) + unplayed.to_bytes(4, "little") + bytes(2))
        muxed.set_sidedata(data)
    return muxed


def add_stream(container: OutputContainer, track: Track) -> tuple[Stream, Fraction]:
    """A stream for packets of `track`, and the time base they get in the file.

    Raises `ValueError`, `OverflowError` or an error of PyAV if the container refuses them.

    Without an encoder PyAV adds only copies of a template stream, and the copy gets the parameters. A
    rehearsal first writes a file with only this track's first packet, because a container that has refused a
    stream can no longer be written.
    """
    name, info = container.format.name, track.info
    with _template(track, name) as template:
        if template.type != TrackKind(info.kind).name.lower():
            raise ValueError(f"{info.codec} is not a codec for this kind of track")
        with av.open(io.BytesIO(), "w", format=name) as rehearsal:
            stream = rehearsal.add_stream_from_template(template, opaque=True)
            _set_parameters(stream, info)
            rehearsal.start_encoding()
            written_base = stream.time_base or info.time_base
            for packet in track.packets[:1]:
                first = packet._replace(dts=min(packet.pts, packet.dts))
                rehearsal.mux_one(muxed_packet(first, stream, info.time_base))
        stream = container.add_stream_from_template(template, opaque=True)
    _set_parameters(stream, info)
    return stream, written_base


@contextmanager
def _template(track: Track, container_name: str) -> Iterator[Stream]:
    """A stream of the track's codec, and of its delay if it has one."""
    info = track.info
    if info.codec in _MATROSKA_CODECS and (track.padding.start or not _has_encoder(info.codec)):
        # PyAV cannot set the delay of a codec, but copies that of a template from a demuxer. Nor does it make
        # a stream of a codec without an encoder.
        with av.open(io.BytesIO(_matroska_header(info, track.padding)), format="matroska") as delayed:
            yield delayed.streams[0]
    else:
        with av.open(io.BytesIO(), "w", format=container_name) as scratch:
            yield scratch.add_stream(info.codec)


def _has_encoder(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except UnknownCodecError:
        return False
    return True


def _matroska_header(info: TrackInfo, padding: Padding) -> bytes:
    """The shortest Matroska file with a track of these parameters (RFC 9559, section 5.1)."""
    delay = round(Fraction(padding.start * _NANOSECONDS, max(1, info.sample_rate)))
    audio = _element("b5", np.array(info.sample_rate, ">f8").tobytes()) + _number("9f", 1)
    track = _number("d7", 1) + _number("73c5", 1) + _number("83", 2)
    track += _element("86", _MATROSKA_CODECS[info.codec]) + _number("56aa", delay) + _element("e1", audio)
    if info.extradata:
        track += _element("63a2", info.extradata)
    segment = _element("1549a966", _number("2ad7b1", 10**6)) + _element("1654ae6b", _element("ae", track))
    segment += _element("1f43b675", _number("e7", 0))
    return _element("1a45dfa3", _element("4282", b"matroska")) + _element("18538067", segment)


def _element(name: str, payload: bytes) -> bytes:
    return bytes.fromhex(name) + (len(payload) | 1 << 56).to_bytes(8) + payload


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(8))


def _set_parameters(stream: Stream, info: TrackInfo) -> None:
    """Set the stream's parameters; raises `ValueError` or `OverflowError` for values FFmpeg does not know."""
    stream.time_base = info.time_base
    stream.disposition = Disposition(info.disposition)
    stream.metadata.update(info.metadata)
    context = stream.codec_context
    context.bit_rate = info.bit_rate
    context.extradata = info.extradata or None
    if isinstance(stream, AudioStream):
        audio = stream.codec_context
        audio.sample_rate = info.sample_rate
        if info.layout:
            audio.layout = plain_layout(info.layout)
        if info.sample_format:
            audio.format = info.sample_format

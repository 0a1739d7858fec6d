"""Packets of one stream of a source, and which of their samples are played."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import av
from av.stream import Stream

from bitstream import Packet, Padding, Track, TrackInfo

PRIMED_CODECS = frozenset({"aac", "ac3", "eac3", "mp2", "mp3", "opus", "vorbis"})
"""Codecs whose first packets only fill the decoder."""
_MOST_PRIMING_PACKETS = 3
"""An edit list that hides more packets at the start has cut away sound."""
_MOST_PADDING = (1 << 31) - 1


class _Unplayed(NamedTuple):
    """Decoded samples of each channel that a player leaves out of a packet."""

    start: int = 0
    end: int = 0


class PacketCollector:
    """Takes the packets of one stream in file order, and leaves out what an edit list removes."""

    def __init__(self, info: TrackInfo) -> None:
        self._info = info
        self._hidden: list[Packet] = []
        """Packets before the first one that is played."""
        self._packets: list[Packet] = []
        self._first, self._last = _Unplayed(), _Unplayed()
        self.lost = 0
        """Packets without a timestamp, which cannot be carried."""

    def add(self, packet: av.Packet[Stream]) -> None:
        """Take the next packet."""
        data, pts = bytes(packet), packet.dts if packet.pts is None else packet.pts
        if not data:
            return
        if pts is None:
            self.lost += 1
            return
        dts, duration = pts if packet.dts is None else packet.dts, max(packet.duration or 0, 0)
        carried = Packet(pts, dts, duration, packet.is_keyframe, data)
        unplayed = _unplayed(packet)
        if not self._packets and not self._hidden:
            self._first = unplayed
        if not packet.is_discard:
            self._packets.append(carried)
            self._last = unplayed
        elif not self._packets:
            self._hidden.append(carried)

    def track(self) -> Track:
        """The stream with all packets that belong into a file."""
        is_primed = self._info.codec in PRIMED_CODECS and len(self._hidden) <= _MOST_PRIMING_PACKETS
        packets = (*self._hidden, *self._packets) if is_primed else tuple(self._packets)
        track = Track(self._info, packets, Padding(self._start(packets), self._last.end))
        return _cut_samples(track) if self._info.codec.startswith("pcm_") else track

    def _start(self, packets: tuple[Packet, ...]) -> int:
        """Samples of the first packets that are not played; those of packets left out no longer count."""
        if not packets or not self._first.start:
            return 0
        left_out = packets[0].pts - (self._hidden or self._packets)[0].pts
        samples = self._first.start - left_out * self._info.time_base * self._info.sample_rate
        return min(max(0, round(samples)), _MOST_PADDING)


def _unplayed(packet: av.Packet[Stream]) -> _Unplayed:
    """The samples that FFmpeg's demuxer says to skip."""
    if not packet.has_sidedata("skip_samples"):
        return _Unplayed()
    data = bytes(packet.get_sidedata("skip_samples"))
    return _Unplayed(int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little"))


def _cut_samples(track: Track) -> Track:
    """A track of uncompressed samples without those at the start that are not played."""
    info, skipped = track.info, track.padding.start
    if not skipped or not track.packets:
        return track
    first = track.packets[0]
    samples, ticks = first.duration * info.time_base * info.sample_rate, skipped / _ticks(info)
    if samples <= skipped or ticks.denominator != 1 or (len(first.data) / samples).denominator != 1:
        return track
    shift, begin = int(ticks), int(skipped * len(first.data) / samples)
    cut = Packet(
        first.pts + shift, first.dts + shift, first.duration - shift, first.is_key, first.data[begin:]
    )
    return replace(track, packets=(cut, *track.packets[1:]), padding=Padding(0, track.padding.end))


def _ticks(info: TrackInfo) -> Fraction:
    """Samples in a unit of the track's times."""
    return info.time_base * info.sample_rate

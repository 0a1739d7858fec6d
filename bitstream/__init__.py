"""Read, write and check the `.inrv` file format, without any neural network.

    stream = bitstream.load(data)        # the whole file, every byte checked
    data = bitstream.dump(stream)
    summary = bitstream.probe(path)      # header and index only
    reader = bitstream.SalvageReader(path)    # the intact part of a damaged file; `losses` lists the rest
    reader = bitstream.ForwardReader(pipe)    # one segment after another, as they arrive

SPEC.md in this folder specifies the format.
"""

from bitstream.blocks import Block, BlockHead, Version, iterate_blocks
from bitstream.container import StreamWriter, dump, load
from bitstream.damage import Loss
from bitstream.errors import BadMagic, BitstreamError, Corrupt, LimitExceeded, Truncated, UnsupportedVersion
from bitstream.extras import Chapter, Extras, Packet, Padding, Track, TrackInfo, TrackKind
from bitstream.forward import ForwardReader
from bitstream.header import (
    ColorTags,
    IndexEntry,
    Quality,
    Section,
    Segment,
    SourcePart,
    Stream,
    StreamHeader,
)
from bitstream.light import ContentLight, MasteringDisplay
from bitstream.limits import DEFAULT_LIMITS, Limits
from bitstream.reader import StreamReader, Summary, probe
from bitstream.salvage import SalvageReader

__all__ = [
    "DEFAULT_LIMITS",
    "BadMagic",
    "BitstreamError",
    "Block",
    "BlockHead",
    "Chapter",
    "ColorTags",
    "ContentLight",
    "Corrupt",
    "Extras",
    "ForwardReader",
    "IndexEntry",
    "LimitExceeded",
    "Limits",
    "Loss",
    "MasteringDisplay",
    "Packet",
    "Padding",
    "Quality",
    "SalvageReader",
    "Section",
    "Segment",
    "SourcePart",
    "Stream",
    "StreamHeader",
    "StreamReader",
    "StreamWriter",
    "Summary",
    "Track",
    "TrackInfo",
    "TrackKind",
    "Truncated",
    "UnsupportedVersion",
    "Version",
    "dump",
    "iterate_blocks",
    "load",
    "probe",
]

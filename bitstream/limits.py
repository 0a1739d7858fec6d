"""Limits on the sizes that a file declares, so that a small file cannot exhaust a machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Largest values accepted. Each is checked before memory of that size is allocated.

    SPEC.md requires every reader to accept files within the defaults. A reader may be given smaller limits,
    on a server for instance, or larger ones.
    """

    max_dimension: int = 1 << 15
    """Pixels of width and of height, coded and displayed."""
    max_pixels: int = 1 << 27
    """Pixels of one coded frame."""
    max_frames: int = 1 << 28
    max_segments: int = 1 << 16
    max_block_bytes: int = 1 << 30
    """Payload bytes of one block."""
    max_ancillary_blocks: int = 1 << 10
    max_config_bytes: int = 1 << 16
    max_sections: int = 1 << 12
    """Sections of one segment."""
    max_steps: int = 1 << 20
    """Quantisation steps of one section."""
    max_metadata_entries: int = 1 << 10
    max_metadata_bytes: int = 1 << 20
    max_tracks: int = 1 << 6
    """Audio and subtitle tracks of a file."""
    max_packets: int = 1 << 22
    """Packets of all tracks of a file."""
    max_extradata_bytes: int = 1 << 20
    max_chapters: int = 1 << 12
    max_timestamps: int = 1 << 22
    """Frames of a file with a TIME block."""
    max_symbols: int = 1 << 27
    """Symbols of one section, and of all sections of a segment together."""


DEFAULT_LIMITS = Limits()

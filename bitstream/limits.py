"""Limits on the sizes and the work that a file declares, so that a small file cannot exhaust a machine."""

from __future__ import annotations

from dataclasses import dataclass

from bitstream.errors import LimitExceeded

ACTIVATION_BYTES, SYMBOL_BYTES, TIMESTAMP_BYTES, MODEL_BYTES = 4, 12, 64, 48
"""Bytes of memory for each value that rendering a frame holds, for each symbol of a segment, for each frame
of a file with a TIME block, and for each magnitude in each class of a contextual section. SPEC.md, section 9.
"""


@dataclass(frozen=True)
class Limits:
    """Largest values accepted. Each is checked before memory or time of that size is spent.

    SPEC.md requires every reader to accept files within the defaults. A reader may be given smaller limits,
    on a server for instance, or larger ones.
    """

    max_dimension: int = 1 << 15
    """Pixels of width and of height, coded and displayed."""
    max_pixels: int = 1 << 27
    """Pixels of one coded frame."""
    max_frames: int = 1 << 24
    """Frames of a file: three days at 60 frames per second."""
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
    max_frame_multiplications: int = 1 << 44
    """Multiplications that rendering one frame takes: about three minutes of a processor."""
    max_segment_multiplications: int = 1 << 54
    """Multiplications that rendering all frames of a segment takes."""
    max_memory: int = ACTIVATION_BYTES * (1 << 31) + SYMBOL_BYTES * (1 << 27)
    """Bytes that decoding a segment and rendering one of its frames takes, as SPEC.md estimates them.

    Earlier readers accepted 2^31 activations and 2^27 symbols, and files for such readers exist.
    """

    def check(self, name: str, found: int, *, offset: int | None = None, block: str | None = None) -> None:
        """Raise `LimitExceeded` if `found` is above the limit `name`; `offset` and `block` say where."""
        allowed = getattr(self, name)
        if found > allowed:
            raise LimitExceeded(
                f"expected at most {name} = {allowed:,}, found {found:,}",
                limit=name,
                found=found,
                offset=offset,
                block=block,
            )


DEFAULT_LIMITS = Limits()

"""Where the bits of an `inrc` file are: by level of the hierarchy and by kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Any

from inrcodec.coding.grid_bits import LevelBits


@dataclass(frozen=True)
class Detail:
    """The bits of a file's video. The kinds add up to all of its bytes but those of the extras."""

    levels: tuple[LevelBits, ...]
    """Each level of the hierarchy, summed over the segments."""
    network_bits: int
    """Bits of the sections of the refining network, with their quantisation steps."""
    entropy_model_bits: int
    """Bits of the sections of the entropy models, with their quantisation steps."""
    other_bits: float
    """All other bits: headers, the container, two quantisation steps, and what the coder adds to an ideal
    one."""

    @property
    def kinds(self) -> dict[str, float]:
        """Bits by kind, for the whole file."""
        return {
            "motion": sum(level.motion_bits for level in self.levels),
            "flags": sum(level.flag_bits for level in self.levels),
            "latents": sum(level.latent_bits for level in self.levels),
            "network": self.network_bits,
            "entropy_models": self.entropy_model_bits,
            "other": self.other_bits,
        }

    @property
    def empty_share(self) -> float:
        """The share of all blocks that have no latents, 0 to 1."""
        return sum(level.empty_blocks for level in self.levels) / sum(level.blocks for level in self.levels)

    def as_dict(self) -> dict[str, Any]:
        """The detail as plain values for JSON."""
        return {
            "kinds": self.kinds,
            "empty_share": self.empty_share,
            "levels": [{**asdict(level), "empty_share": level.empty_share} for level in self.levels],
        }


def detail_of(
    levels: Iterable[LevelBits], network_bits: int, entropy_model_bits: int, total_bits: int
) -> Detail:
    """The detail of a file of `total_bits` from the `levels` of all segments, in any order."""
    summed: dict[int, LevelBits] = {}
    for one in levels:
        before = astuple(summed.get(one.level, LevelBits(one.level, 0, 0.0, 0.0, 0.0, 0, 0)))
        values = (a + b for a, b in zip(before[1:], astuple(one)[1:], strict=True))
        summed[one.level] = LevelBits(one.level, *values)
    ordered = tuple(summed[level] for level in sorted(summed))
    known = network_bits + entropy_model_bits + sum(level.bits for level in ordered)
    return Detail(ordered, network_bits, entropy_model_bits, total_bits - known)

"""inrc: motion grids and latents in a hierarchy of frames, with a small refining network on request.

    motion grids -> field -> frames around, moved -----+
    latents x steps -> lapped transform --------------(+)-> planes [-> two convolutions] -> frame

Motion grids hold motion vectors at nodes, at four resolutions that add up to a motion vector field. Latents
are quantised coefficients of a lapped transform of the prediction residual. A segment contains both for every
frame, the entropy models that code them, and the network's weights, all fitted to this one video, in the line
of COOL-CHIC video (Leguay et al., 2024), C3 (Kim et al., 2024) and FFNeRV (Lee et al., 2023). See
`prediction`, `overlapped`, `lapped`, `contexts` and `decoder`.

Latents are not learned by gradient descent. The transform is orthogonal, or nearly so, and the encoder finds
the best latents directly, frame after frame, with the decoder in the loop (`inrcodec.fit.grids`).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from bitstream.errors import Corrupt
from bitstream.fields import Reader, Writer
from bitstream.limits import DEFAULT_LIMITS
from inrcodec.errors import UsageError
from inrcodec.models.family import (
    TRAINED_FOR_RATE,
    BudgetTooSmall,
    FrameDecoder,
    Role,
    SymbolBits,
    TensorSpec,
    VideoInfo,
    known_options,
    whole_number,
)
from inrcodec.models.inrc.frequencies import CHANNELS
from inrcodec.models.inrc.hierarchy import LEAST_SHOT, MOST_GROUP_FRAMES
from inrcodec.models.inrc.shapes import (
    CELL,
    GROUP_FRAMES,
    MOTION_CHANNELS,
    NEWEST_VERSION,
    InrcConfig,
    context_specs,
    motion_cells,
    network_specs,
    node_counts,
)

if TYPE_CHECKING:
    from torch import Tensor


MAXIMUM_WIDTH = 64
"""The largest width of the refining network. New files have none unless `width` asks for one."""
NETWORK_BITS = 5.5
"""Approximate bits of one weight of the refining network."""
MOST_FRAMES = 2048
"""Maximum frames in a segment: each anchor is a batch of its own, which costs time however small it is."""
OTHER_SYMBOLS = 1 << 16
"""An upper bound of the symbols of a segment's entropy models and network together."""
LEAST_BITS = 8 * 700.0
"""The smallest budget: about the bits of the entropy models, with hardly any other data."""


class Inrc:
    """The `inrc` family; see the module docstring. `inrcodec.fit.grids` fits and codes its segments."""

    wire_id = 6
    name = "inrc"
    is_trained = False
    has_contexts = True
    summary = "inrc: latent and motion grids in a hierarchy of frames predicted from one another"

    def most_frames(self, width: int, height: int) -> int:
        """The most frames of `width` x `height` pixels that every reader accepts in one segment."""
        rows, columns = node_counts(VideoInfo(width, height, 1))
        symbols = CHANNELS * 4 * rows * columns + MOTION_CHANNELS * motion_cells(rows, columns)
        return min(MOST_FRAMES, (DEFAULT_LIMITS.max_symbols - OTHER_SYMBOLS) // symbols)

    def plan(
        self,
        video: VideoInfo,
        budget_bits: float,
        options: Mapping[str, str],
        seed: int,
        symbol_bits: SymbolBits = TRAINED_FOR_RATE,
    ) -> InrcConfig:
        """See `Family.plan`. Options: `group`, frames from anchor to anchor; `width` of the network.

        Raises:
            BudgetTooSmall: For fewer than `LEAST_BITS` bits.
            UsageError: For an unknown option or value, or more than `most_frames` frames.

        """
        known_options(self.name, options, ("group", "width"))
        group = whole_number(options.get("group", str(GROUP_FRAMES)), 1, MOST_GROUP_FRAMES)
        if budget_bits < LEAST_BITS:
            raise BudgetTooSmall(LEAST_BITS)
        longest = self.most_frames(video.width, video.height)
        if video.frame_count > longest:
            raise UsageError(f"{self.name} takes at most {longest} frames of this size in a segment")
        width = whole_number(options.get("width", "0"), 0, MAXIMUM_WIDTH)
        return InrcConfig(*node_counts(video), group, width, version=NEWEST_VERSION)

    def pack(self, config: InrcConfig) -> bytes:
        if config.cuts and not config.version:
            raise ValueError("expected version 1 or newer for a config with cuts")
        if config.returns and config.version < 2:
            raise ValueError("expected version 2 or newer for a config with returns")
        writer = Writer()
        differences = [cut - before for before, cut in pairwise((0, *config.cuts))]
        for value in (
            config.rows,
            config.columns,
            config.group_frames,
            config.width,
            config.exponent,
            config.most,
            config.is_smooth,
            # A file of version 0 ends here, as it did before there were versions.
            *([config.version] if config.version else []),
            *([len(config.cuts), *differences] if config.cuts else []),
            *(back + 1 for back in config.returns),
        ):
            writer.varint(int(value))
        return writer.getvalue()

    def unpack(self, raw: bytes, video: VideoInfo, seed: int) -> InrcConfig:
        reader = Reader(raw, block="inrc config")
        rows, columns, group, width, exponent, most, smooth = (reader.varint() for _ in range(7))
        version = reader.varint() if reader.remaining else None
        if video.frame_count > MOST_FRAMES:
            # Checked before the hierarchy is built, which takes memory and time for every frame.
            raise reader.fault(Corrupt, f"expected at most {MOST_FRAMES} frames, found {video.frame_count}")
        cuts = _read_cuts(reader, video.frame_count) if reader.remaining else ()
        returns = tuple(reader.varint() - 1 for _ in cuts) if reader.remaining else ()
        reader.expect_end()
        config = InrcConfig(
            rows, columns, group, width, exponent, most, bool(smooth), version or 0, cuts, returns
        )
        known = (
            (config.rows, config.columns) == node_counts(video)
            and 1 <= config.group_frames <= MOST_GROUP_FRAMES
            and 0 <= config.width <= MAXIMUM_WIDTH
            and 0 <= config.exponent <= 32
            and 1 <= config.most <= 64
            and smooth <= 1
            and (version is None or 1 <= version <= NEWEST_VERSION)
            and not (returns and config.version < 2)
        )
        if not known:
            raise reader.fault(Corrupt, f"{config}, smooth {smooth}, version {version}, is out of range")
        try:
            config.tree(video)
        except ValueError as error:
            raise reader.fault(Corrupt, str(error)) from error
        return config

    def coded_size(self, config: InrcConfig, video: VideoInfo) -> tuple[int, int]:
        return config.columns * CELL, config.rows * CELL

    def tensors(self, config: InrcConfig, video: VideoInfo) -> tuple[TensorSpec, ...]:
        frames, cells = video.frame_count, motion_cells(config.rows, config.columns)
        latent_shape = (frames, CHANNELS, 2 * config.rows, 2 * config.columns)
        return (
            *context_specs(config.tree(video).level_count, config.version),
            *network_specs(config.width),
            TensorSpec("motion", Role.EMBEDDING, (frames, MOTION_CHANNELS, cells), per_frame=True),
            TensorSpec("latent", Role.EMBEDDING, latent_shape, per_frame=True),
        )

    def activation_count(self, config: InrcConfig, video: VideoInfo) -> int:
        """The peak while planes are made, or in the network, whose hidden channels are per 2 x 2 pixels."""
        pixels = config.rows * config.columns * CELL * CELL
        return pixels * max(23, 15 + -(-config.width // 4))

    def multiplication_count(self, config: InrcConfig, video: VideoInfo) -> int:
        """Prediction, transform and border filter, and the network's convolutions."""
        pixels = config.rows * config.columns * CELL * CELL
        # Overlapped prediction takes up to 512 more, and blocks of other sizes 288.
        return pixels * ((1312 if config.version >= 1 else 512) + 27 * config.width)

    def decoder(self, config: InrcConfig, video: VideoInfo, tensors: Mapping[str, Tensor]) -> FrameDecoder:
        from inrcodec.models.inrc.decoder import Reconstruction

        display = video.height, video.width
        return Reconstruction(tensors, config, config.tree(video), display)


def _read_cuts(reader: Reader, frame_count: int) -> tuple[int, ...]:
    """The first frames of further shots: their number, at least 1, and their differences."""
    count = reader.varint()
    if not 1 <= count < frame_count // LEAST_SHOT:
        raise reader.fault(Corrupt, f"{count} cuts in {frame_count} frames are out of range")
    return tuple(accumulate(reader.varint() for _ in range(count)))

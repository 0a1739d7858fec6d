"""Coding of the sizes of groups of blocks (`block_sizes`), after all latents of a segment. Normative.

A group with latents has a flag that says whether it has another size than 8x8, and then one that says whether
it is split. The classes of both flags are constant for each kind of frames: first, anchor and between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bitstream.coders.conditional import ClassModels
from inrcodec.models.inrc.contexts import Coder, Integers

KINDS, FLAGS = 3, 2


def code_sizes(
    coder: Coder, classes: Integers, levels: Integers, latents: Integers, sizes: Integers | None
) -> NDArray[np.uint8]:
    """Encode the `sizes` of groups (T, h / 2, w / 2), or decode them if they are None; return them.

    `classes` are (3, 2), one row a kind of frames, `levels` (T,), `latents` (T, 96, h, w). Each flag is one
    pass over frames, rows and columns. Groups without latents have size 0.
    """
    has_latents = _with_latents(latents)
    kinds = np.minimum(np.asarray(levels), KINDS - 1)[:, None, None]
    found = np.zeros(has_latents.shape, dtype=np.uint8)
    where = has_latents
    for flag in range(FLAGS):
        known = None if sizes is None else np.asarray(sizes[where] > flag)
        of_kind = np.broadcast_to(np.asarray(classes)[:, flag][kinds], where.shape)[where]
        found[where] += coder.code_flags(of_kind.astype(np.int32), known).astype(np.uint8)
        where = where & (found > flag)
    return found


def best_classes(knots: Integers, levels: Integers, latents: Integers, sizes: Integers) -> NDArray[np.int64]:
    """The classes (3, 2) with which `code_sizes` takes the fewest bits."""
    models = ClassModels(knots, 1)
    bits = -np.log2(
        np.stack([models.flag_frequencies(index) for index in range(models.count)]).astype(np.float64)
    )
    has_latents, kinds = _with_latents(latents), np.minimum(np.asarray(levels), KINDS - 1)
    found = np.zeros((KINDS, FLAGS), dtype=np.int64)
    for kind in range(KINDS):
        own = sizes[kinds == kind][has_latents[kinds == kind]]
        for flag in range(FLAGS):
            coded = own[own >= flag]
            counts = np.bincount(coded > flag, minlength=2)
            found[kind, flag] = int((bits @ counts).argmin())
    return found


def _with_latents(latents: Integers) -> NDArray[np.bool_]:
    """Whether each group has latents, (T, h / 2, w / 2)."""
    frames, _, height, width = latents.shape
    blocks = (latents != 0).any(axis=1).reshape(frames, height // 2, 2, width // 2, 2)
    return np.asarray(blocks.any(axis=(2, 4)))

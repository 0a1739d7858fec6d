"""Rendering the frames of one segment: entropy decode -> dequantise -> decoder network -> frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inrcodec.compression.contextual import segment_tensors
from inrcodec.device import autocast, repeatable_convolutions
from inrcodec.models.codes import as_codes
from inrcodec.models.family import CodesDecoder
from inrcodec.opening import AnyReader, open_segment

Frames = NDArray[np.uint8]

BATCH_ACTIVATIONS = {"cpu": 1 << 27, "cuda": 1 << 30, "mps": 1 << 28}
"""Values that rendering one batch may hold, but at least one frame: enough to fill a device, no more."""


class SegmentRenderer:
    """Renders frames of one segment of a file; raises `BitstreamError` when it is not intact."""

    def __init__(self, reader: AnyReader, number: int, device: torch.device, dtype: torch.dtype) -> None:
        self.number = number
        opened = open_segment(reader.segment(number), reader.header)
        sections = opened.segment.sections
        arrays = segment_tensors(opened.family, opened.config, opened.video, opened.specs, sections)
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        self._decoder = opened.family.decoder(opened.config, opened.video, tensors)
        first = opened.segment.first_frame
        self._frames = range(first, first + opened.segment.frame_count)
        activations = opened.family.activation_count(opened.config)
        self.batch_frames = max(1, BATCH_ACTIVATIONS[device.type] // activations)
        self._device, self._dtype = device, dtype
        self._quarter_turns = reader.header.rotation // 90

    def holds(self, position: float) -> bool:
        return int(position) in self._frames

    def render(self, positions: Sequence[float]) -> Frames:
        """Frames, counted from the video's first, as they are displayed: uint8 (B, height, width, 3).

        Positions after the last frame, where the next segment begins, hold that frame.
        """
        last = len(self._frames) - 1
        local = [min(position - self._frames.start, last) for position in positions]
        at = torch.tensor(local, dtype=self._position_dtype(local), device=self._device)
        with torch.inference_mode(), autocast(self._device, self._dtype), repeatable_convolutions():
            if isinstance(self._decoder, CodesDecoder) and not at.is_floating_point():
                codes = self._decoder.codes(at.tolist())
            else:
                codes = as_codes(self._decoder(at).float())
        upright = codes.cpu().numpy()
        return np.ascontiguousarray(np.rot90(upright, -self._quarter_turns, axes=(1, 2)))

    def _position_dtype(self, positions: Sequence[float]) -> torch.dtype:
        """Whole positions pick frames; others are float64 where the device has it (Apple's GPU has not)."""
        if all(position == int(position) for position in positions):
            return torch.int64
        return torch.float32 if self._device.type == "mps" else torch.float64

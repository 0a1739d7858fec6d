"""Renders the frames of one segment: entropy decode -> dequantise -> decoder network -> frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from bitstream import DEFAULT_LIMITS, BitstreamError, Limits, Segment, StreamHeader, StreamReader
from inrcodec.coding.grid_sections import segment_tensors
from inrcodec.coding.opened_segment import AnyReader, open_segment
from inrcodec.models.family import CodesDecoder
from inrcodec.models.layers.codes import as_array, as_codes
from inrcodec.samples import Samples, coded_depth, peak_of_depth
from inrcodec.system.device import autocast, repeatable_convolutions

Frames = Samples

BATCH_ACTIVATIONS = {"cpu": 1 << 24, "cuda": 1 << 30, "mps": 1 << 28}
"""Most values that rendering one batch may hold, by device; a batch has at least one frame.

They are just enough to fill the device. For small frames, a CPU has as many as its C library keeps, because
the kernel would clear more memory anew for each batch.
"""
CODES_ACTIVATIONS = 1 << 27
"""The same for a `CodesDecoder`, which makes frames side by side, unless its device may hold more."""


def batch_frames(activations: int, device: torch.device, makes_codes: bool = False) -> int:
    """How many frames of `activations` values are rendered at once; `makes_codes` for a `CodesDecoder`."""
    most = BATCH_ACTIVATIONS[device.type]
    return max(1, (max(most, CODES_ACTIVATIONS) if makes_codes else most) // activations)


class Renderers:
    """Holds the renderers of the segment requested last and of the one expected next."""

    def __init__(self, reader: AnyReader, device: torch.device, dtype: torch.dtype) -> None:
        self._reader, self._device, self._dtype = reader, device, dtype
        self._number = -1
        self._renderer: SegmentRenderer | None = None
        self._coming: tuple[int, Future[SegmentRenderer]] | None = None
        self._beside = ThreadPoolExecutor(1, "segments")

    @property
    def looks_ahead(self) -> bool:
        """Whether the next segment is prepared in advance.

        In a pipe it may take long to arrive, and faults of a damaged file are reported when they are reached.
        """
        return type(self._reader) is StreamReader

    def of(self, number: int) -> SegmentRenderer:
        """The renderer of segment `number`; raises `BitstreamError`."""
        if self._renderer is None or self._number != number:
            (prepared, coming), self._coming = self._coming or (-1, None), None
            if coming is not None and prepared == number:
                self._renderer = coming.result()
            else:
                if coming is not None:
                    coming.cancel()
                self._renderer = self._make(self._reader.segment(number))
            self._number = number
        return self._renderer

    def prepare(self, number: int) -> None:
        """Decode the symbols of a segment while frames of another are rendered, if it `looks_ahead`."""
        if not self.looks_ahead or (self._coming and self._coming[0] == number):
            return
        if self._coming is not None:
            self._coming[1].cancel()
        try:
            segment = self._reader.segment(number)
        except (BitstreamError, OSError):
            # Raised again when the segment is reached.
            return
        self._coming = number, self._beside.submit(self._make, segment)

    def close(self) -> None:
        """Wait for a segment that is being decoded, which takes a second or two."""
        self._beside.shutdown(cancel_futures=True)

    def _make(self, segment: Segment) -> SegmentRenderer:
        reader = self._reader
        return SegmentRenderer(segment, reader.header, self._device, self._dtype, reader.limits)


class SegmentRenderer:
    """Renders frames of one segment of a file; raises `BitstreamError` if it is not intact."""

    def __init__(
        self,
        segment: Segment,
        header: StreamHeader,
        device: torch.device,
        dtype: torch.dtype,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        opened = open_segment(segment, header, limits)
        arrays = segment_tensors(opened)
        tensors = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        self.decoder = opened.family.decoder(opened.config, opened.video, tensors)
        first = opened.segment.first_frame
        self._frames = range(first, first + opened.segment.frame_count)
        activations = opened.family.activation_count(opened.config, opened.video)
        self.batch_frames = batch_frames(activations, device, isinstance(self.decoder, CodesDecoder))
        self._device, self._dtype = device, dtype
        self._quarter_turns = header.rotation // 90
        self._largest = peak_of_depth(coded_depth(header.bit_depth))

    @property
    def stop(self) -> int:
        """The frame after the segment's last."""
        return self._frames.stop

    def holds(self, position: float) -> bool:
        return int(position) in self._frames

    def render(self, positions: Sequence[float]) -> Frames:
        """`render_tensor` as an array on the host, uint8 or uint16."""
        return np.ascontiguousarray(as_array(self.render_tensor(positions)))

    def render_tensor(self, positions: Sequence[float]) -> Tensor:
        """Frames at positions from the video's first frame on, as displayed: (B, height, width, 3).

        Samples are uint8 or, for 10 bits, int16. The tensor is on the device of the renderer, and of
        inference mode. Positions between the segment's last frame and the next segment show that last frame.
        """
        last = len(self._frames) - 1
        local = [min(position - self._frames.start, last) for position in positions]
        at = torch.tensor(local, dtype=self._position_dtype(local), device=self._device)
        with torch.inference_mode(), autocast(self._device, self._dtype), repeatable_convolutions():
            if isinstance(self.decoder, CodesDecoder) and not at.is_floating_point():
                codes = self.decoder.codes(at.tolist(), self._largest)
            else:
                codes = as_codes(self.decoder(at).float(), self._largest)
            # It copies frames that it does not turn, too.
            return torch.rot90(codes, -self._quarter_turns, (1, 2)) if self._quarter_turns else codes

    def _position_dtype(self, positions: Sequence[float]) -> torch.dtype:
        """int64 for whole positions, which pick frames; else float64, or float32 on Apple's GPU."""
        if all(position == int(position) for position in positions):
            return torch.int64
        return torch.float32 if self._device.type == "mps" else torch.float64

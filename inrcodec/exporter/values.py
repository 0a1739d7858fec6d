"""Stores values of frames in files: in the smallest type that holds them, compressed if that is worth it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrcodec.exporter.manifest import StoredFile
from inrcodec.models.graphs import FrameValues, Stored

WORTH = 0.5
"""Largest share of a file's size that compression may leave; else it stays plain, for any program to read."""
CHUNK_FRAMES = 256
"""Frames in memory at a time. The first ones decide whether compression is worth it."""
_WHOLE = (np.int8, np.int16, np.int32)


def write_stored(folder: Path, name: str, stored: Stored) -> StoredFile:
    """Write the values of all frames to the file `name` in `folder`; raises `OSError`."""
    kind = _smallest_type(stored.values)
    first = [*islice(_frames(stored.values, kind), CHUNK_FRAMES)]
    is_packed = sum(len(_packed(frame)) for frame in first) <= WORTH * sum(map(len, first))
    offsets = [0]
    with open(folder / name, "wb") as file:
        for frame in _frames(stored.values, kind):
            data = _packed(frame) if is_packed else frame
            file.write(data)
            if is_packed:
                offsets.append(offsets[-1] + len(data))
    shape = (1, *stored.values[:1].shape[1:])
    return StoredFile(name, str(kind), shape, stored.scale, tuple(offsets) if is_packed else None)


def _packed(frame: bytes) -> bytes:
    return gzip.compress(frame, 9, mtime=0)


def read_stored(folder: Path, stored: StoredFile, frame: int) -> NDArray[np.float32]:
    """The value of one frame as a graph takes it: float32, with a first axis of 1."""
    kind = np.dtype(stored.type).newbyteorder("<")
    count = int(np.prod(stored.shape))
    begin, end = frame * count * kind.itemsize, (frame + 1) * count * kind.itemsize
    if stored.offsets is not None:
        begin, end = stored.offsets[frame], stored.offsets[frame + 1]
    with open(folder / stored.file, "rb") as file:
        file.seek(begin)
        data = file.read(end - begin)
    plain = data if stored.offsets is None else gzip.decompress(data)
    values = np.frombuffer(plain, kind).reshape(stored.shape).astype(np.float32)
    return values * np.float32(stored.scale)


def _chunks(values: FrameValues) -> Iterator[NDArray[np.generic]]:
    """Yield the values of a few frames at a time, (frames, ...)."""
    for start in range(0, len(values), CHUNK_FRAMES):
        yield values[start : start + CHUNK_FRAMES].detach().cpu().numpy()


def _frames(values: FrameValues, kind: np.dtype[Any]) -> Iterator[bytes]:
    """Yield the little-endian bytes of each frame's values."""
    for chunk in _chunks(values):
        for frame in chunk.astype(kind.newbyteorder("<")):
            yield frame.tobytes()


def _smallest_type(values: FrameValues) -> np.dtype[Any]:
    """The smallest type that holds all integers, or float32 for other values."""
    if values[:1].is_floating_point():
        return np.dtype(np.float32)
    ranges = [(int(chunk.min()), int(chunk.max())) for chunk in _chunks(values)]
    least, most = min(low for low, _ in ranges), max(high for _, high in ranges)
    for kind in _WHOLE:
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return np.dtype(kind)
    raise ValueError(f"expected values of 32 bits, found {least}..{most}")

"""Stores values of frames in files: in the smallest type that holds them, compressed if that is worth it."""

from __future__ import annotations

import gzip
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrcodec.exporter.manifest import StoredFile
from inrcodec.models.graphs import Stored

WORTH = 0.5
"""Largest share of a file's size that compression may leave; else it stays plain, for any program to read."""
_WHOLE = (np.int8, np.int16, np.int32)


def write_stored(folder: Path, name: str, stored: Stored) -> StoredFile:
    """Write the values of all frames to the file `name` in `folder`; raises `OSError`."""
    values = _smallest(stored.values.detach().cpu().numpy())
    plain = [np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes() for value in values]
    packed = [gzip.compress(frame, 9, mtime=0) for frame in plain]
    is_packed = sum(map(len, packed)) <= WORTH * sum(map(len, plain))
    (folder / name).write_bytes(b"".join(packed if is_packed else plain))
    offsets = tuple(accumulate(map(len, packed), initial=0)) if is_packed else None
    return StoredFile(name, str(values.dtype), (1, *values.shape[1:]), stored.scale, offsets)


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


def _smallest(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Integers in the smallest type that holds them, all else as float32."""
    if not np.issubdtype(values.dtype, np.integer):
        return values.astype(np.float32)
    least, most = int(values.min(initial=0)), int(values.max(initial=0))
    for kind in _WHOLE:
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return values.astype(kind)
    raise ValueError(f"expected values of 32 bits, found {least}..{most}")

"""A second decoder of `inrc`, from tensors to frames in binary64, written from SPEC.md, section 10.10.

It is slow and plain: it loops over cells wherever the text says "each".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Tree = tuple[dict[int, int], dict[int, tuple[int, int]], list[list[int]]]
Pair = list[Array]
"""Luma (1, height, width) and chroma (2, height / 2, width / 2)."""
ANGLES = {8: (0.596076, 0.129592, 0.049055, 0.406760, 0.033634, 0.178721), 4: (0.327792,)}
PLANES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1))
"""Rows and columns of the blocks to the left, above, and above to the left."""
GAINS = (1.030176, 1.146783, 1.428231, 1.804515)


def hierarchy(count: int, group: int, cuts: Sequence[int] = (), returns: Sequence[int] = ()) -> Tree:
    """Return levels and references by frame, and the batches of frames in decoding order."""
    levels: dict[int, int] = {}
    references: dict[int, tuple[int, int]] = {}
    bounds = [0, *cuts, count]
    for number, (first, stop) in enumerate(zip(bounds[:-1], bounds[1:], strict=True)):
        of_shot, pairs, _ = shot(stop - first, group)
        levels |= {first + frame: level for frame, level in of_shot.items()}
        references |= {first + frame: (first + p, first + q) for frame, (p, q) in pairs.items()}
        if number and returns and returns[number - 1] >= 0:
            levels[first], references[first] = 1, (returns[number - 1],) * 2
    batches: dict[tuple[int, int], list[int]] = {}
    for frame in range(count):
        depth, at = 0, frame
        while levels[frame] < 2 and at in references:
            depth, at = depth + 1, references[at][0]
        batches.setdefault((max(1, levels[frame]), depth), []).append(frame)
    return levels, references, [batches[key] for key in sorted(batches)]


def shot(count: int, group: int) -> Tree:
    """Return the `hierarchy` of a single shot."""
    a = -(-(count - 1) // group)
    anchors = [(2 * i * (count - 1) + a) // (2 * a) for i in range(a + 1)] if a else [0]
    levels, references, batches = {0: 0}, {}, [[anchor] for anchor in anchors]
    spans, level = list(zip(anchors[:-1], anchors[1:], strict=True)), 2
    for p, q in spans:
        levels[q], references[q] = 1, (p, p)
    while spans := [(p, q) for p, q in spans if q - p > 1]:
        batches.append(sorted((p + q) // 2 for p, q in spans))
        for p, q in spans:
            levels[(p + q) // 2], references[(p + q) // 2] = level, (p, q)
        spans = [part for p, q in spans for part in ((p, (p + q) // 2), ((p + q) // 2, q))]
        level += 1
    return levels, references, batches


def taps(y: float, x: float, height: int, width: int) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield the four cells around a place, each with its bilinear weight."""
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = math.floor(y), math.floor(x)
    for i, down in ((top, 1 - (y - top)), (min(top + 1, height - 1), y - top)):
        for j, across in ((left, 1 - (x - left)), (min(left + 1, width - 1), x - left)):
            yield (i, j), down * across


def field_of(motion: NDArray[Any], rows: int, columns: int) -> Array:
    field, at = np.zeros((len(motion), 5, rows, columns)), 0
    for s in (8, 4, 2, 1):
        height, width = -(-rows // s), -(-columns // s)
        grid = motion[:, :, at : at + height * width].reshape(-1, 5, height, width)
        field += grid[:, :, np.arange(rows)[:, None] // s, np.arange(columns) // s]
        at += height * width
    return field


def spread(field: Array, height: int, width: int) -> Array:
    rows, columns = field.shape[1:]
    found = np.zeros((5, height, width))
    for y, x in np.ndindex(height, width):
        place = (y + 0.5) * rows / height - 0.5, (x + 0.5) * columns / width - 0.5
        for (i, j), weight in taps(*place, rows, columns):
            found[:, y, x] += weight * field[:, i, j]
    return found


def sources(
    field: Array, references: tuple[int, int], y: int, x: int
) -> Iterator[tuple[int, tuple[int, int], float]]:
    """Yield frame, cell and factor of each value from which a cell is predicted."""
    half_x, half_y, common_x, common_y, balance = field[:, y, x]
    first, second = references
    if first == second:
        looked_up = [(first, y + half_y, x + half_x, 1.0)]
    else:
        looked_up = [
            (first, y + common_y - half_y, x + common_x - half_x, 0.5 + balance),
            (second, y + common_y + half_y, x + common_x + half_x, 0.5 - balance),
        ]
    for frame, down, across, share in looked_up:
        for cell, weight in taps(down, across, *field.shape[1:]):
            yield frame, cell, share * weight


def step_sizes(field: Array, tree: Tree, exponent: float, most: int) -> Array:
    _, references, batches = tree
    height, width = 2 * field.shape[2], 2 * field.shape[3]
    importance = np.ones((len(field), height, width))
    for frame in (frame for batch in reversed(batches) for frame in batch if frame in references):
        blocks = spread(field[frame], height, width)
        blocks[:4] /= 8
        for y, x in np.ndindex(height, width):
            for reference, (i, j), weight in sources(blocks, references[frame], y, x):
                importance[reference, i, j] += 0.95 * importance[frame, y, x] * weight
    padded = np.pad(importance, ((0, 0), (1, 1), (1, 1)), mode="edge")
    mean = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9
    return np.maximum(1 / most, np.maximum(1, mean) ** -exponent)


def border_filter(n: int) -> Array:
    rotation = np.eye(n // 2)
    for (a, b), angle in zip(PLANES[: len(ANGLES[n])], ANGLES[n], strict=True):
        turn = np.eye(n // 2)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[b, a], turn[a, b] = math.sin(angle), -math.sin(angle)
        rotation = rotation @ turn
    one, zero = np.eye(n // 2), np.zeros((n // 2, n // 2))
    h = np.block([[one, one[:, ::-1]], [one[:, ::-1], -one]]) / math.sqrt(2)
    result: Array = h @ np.block([[one, zero], [zero, rotation]]) @ h
    return result


def synthesis(latents: Array, smooth: bool) -> Pair:
    rows, columns = latents.shape[1:]
    made = [np.zeros((1, 8 * rows, 8 * columns)), np.zeros((2, 4 * rows, 4 * columns))]
    for plane, n, first in ((made[0][0], 8, 0), (made[1][0], 4, 64), (made[1][1], 4, 80)):
        cosines = np.array(
            [
                [math.sqrt((2 if k else 1) / n) * math.cos(math.pi * (i + 0.5) * k / n) for i in range(n)]
                for k in range(n)
            ]
        )
        if smooth and n == 4:
            cosines *= np.array(GAINS)[:, None]
        for y, x in np.ndindex(rows, columns):
            block = latents[first : first + n * n, y, x].reshape(n, n)
            plane[n * y : n * y + n, n * x : n * x + n] = cosines.T @ block @ cosines
        matrix, half = border_filter(n), n // 2
        for y in range(n, n * rows, n):
            plane[y - half : y + half] = matrix @ plane[y - half : y + half]
        for x in range(n, n * columns, n):
            plane[:, x - half : x + half] = plane[:, x - half : x + half] @ matrix.T
    return made


def with_dc(latents: Array, steps: Array) -> Array:
    """The latents (96, h, w) of a first frame, in units of the planes, with its predicted DC."""
    found = latents.copy()
    for channel in (0, 64, 80):
        for y, x in np.ndindex(*latents.shape[1:]):
            a, b, c = (found[:, y + i, x + j] if min(y + i, x + j) >= 0 else None for i, j in NEIGHBOURS)
            if a is None or b is None or c is None:
                known = a if b is None else b
                found[channel, y, x] += 0 if known is None else known[channel]
            elif channel == 0:
                found[0, y, x] += sorted([a[0], b[0], a[0] + b[0] - c[0]])[1]
            else:
                u = (abs(found[0, y, x] - b[0]) + 2 * steps[y, x]) ** 2
                v = (abs(found[0, y, x] - a[0]) + 2 * steps[y, x]) ** 2
                found[channel, y, x] += (u * a[channel] + v * b[channel]) / (u + v)
    return found


def dct(n: int) -> Array:
    rows = [
        [math.sqrt((2 if k else 1) / n) * math.cos(math.pi * (i + 0.5) * k / n) for i in range(n)]
        for k in range(n)
    ]
    return np.array(rows)


def in_the_middle(matrix: Array, n: int) -> Array:
    whole, first = np.eye(n), (n - len(matrix)) // 2
    whole[first : first + len(matrix), first : first + len(matrix)] = matrix
    return whole


def nearest(matrix: Array, n: int, keeps_dc: bool) -> Array:
    """`matrix`, or the nearest orthogonal one that keeps every n-th value."""
    if not keeps_dc:
        return matrix
    others = [i for i in range(len(matrix)) if i % n]
    left, _, right = np.linalg.svd(matrix[np.ix_(others, others)])
    found = np.eye(len(matrix))
    found[np.ix_(others, others)] = left @ right
    return found


def resized(symbols: Array, sizes: NDArray[Any], keeps_dc: bool) -> Array:
    """The symbols (96, h, w) of a frame as those of 8x8 blocks."""
    found = symbols.astype(np.float64)
    for n, first in ((8, 0), (4, 64), (4, 80)):
        twice = np.kron(np.eye(2), dct(n).T)
        m = dct(2 * n) @ in_the_middle(border_filter(n), 2 * n) @ twice
        s = np.kron(np.eye(2), dct(4)) @ in_the_middle(border_filter(4).T, 8) @ dct(8).T
        merging, splitting = np.zeros((4 * n * n, 4 * n * n)), np.zeros((64, 64))
        for a, b, u, v in np.ndindex(2, 2, n, n):
            merging[((2 * a + b) * n + u) * n + v] = (
                np.outer(m[2 * u + a], m[2 * v + b]).reshape(2, n, 2, n).transpose(0, 2, 1, 3).ravel()
            )
        for a, b, u, v in np.ndindex(2, 2, 4, 4):
            splitting[(2 * u + a) * 8 + 2 * v + b] = np.outer(s[4 * a + u], s[4 * b + v]).ravel()
        channels = slice(first, first + n * n)
        for y, x in np.ndindex(*sizes.shape):
            part = found[channels, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            if sizes[y, x] == 1:
                flat = part.transpose(1, 2, 0).ravel() @ nearest(merging, n * n, keeps_dc)
                part[:] = flat.reshape(2, 2, n * n).transpose(2, 0, 1)
            elif sizes[y, x] == 2 and n == 8:
                part[:] = np.einsum("sc,syx->cyx", nearest(splitting, 64, keeps_dc), part)
    return found


def convolution(values: Array, weights: NDArray[Any], biases: NDArray[Any]) -> Array:
    height, width = values.shape[1:]
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1)))
    found: Array = biases.astype(np.float64)[:, None, None] + sum(
        np.einsum("oc,chw->ohw", weights[:, :, i, j], padded[:, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )
    return found


def refined(planes: Pair, tensors: Mapping[str, NDArray[Any]]) -> Pair:
    if "refine.first.weight" not in tensors:
        return planes
    luma, chroma = planes
    seen = np.stack([luma[0, i::2, j::2] for i in range(2) for j in range(2)] + [*chroma])
    hidden = convolution(4 * seen, tensors["refine.first.weight"], tensors["refine.first.bias"])
    said = convolution(np.maximum(hidden, 0), tensors["refine.last.weight"], tensors["refine.last.bias"])
    luma = luma.copy()
    for i in range(2):
        for j in range(2):
            luma[0, i::2, j::2] += 0.1 * said[2 * i + j]
    return [luma, chroma + 0.1 * said[4:]]


def whole(chroma: Array, smooth: bool) -> Array:
    """Upsample chroma (2, h, w) to pixels, (2, 2 h, 2 w)."""
    found = np.zeros((2, 2 * chroma.shape[1], 2 * chroma.shape[2]))
    for y, x in np.ndindex(*found.shape[1:]):
        if smooth:
            for (i, j), weight in taps(y / 2 - 0.25, x / 2 - 0.25, *chroma.shape[1:]):
                found[:, y, x] += weight * chroma[:, i, j] / 2
        else:
            found[:, y, x] = chroma[:, y // 2, x // 2] / 2
    return found


def predicted(plane: int, field: Array, references: tuple[int, int], planes: Mapping[int, Pair]) -> Array:
    """Predict luma (`plane` 0) or chroma (1) from the references."""
    found = np.zeros_like(planes[references[0]][plane])
    spread_field = spread(field, *found.shape[1:])
    spread_field[:4] /= plane + 1
    for y, x in np.ndindex(*found.shape[1:]):
        for reference, (i, j), weight in sources(spread_field, references, y, x):
            found[:, y, x] += weight * planes[reference][plane][:, i, j]
    return found


def cubic(x: float) -> float:
    """The weight of a pixel at the distance x, for a = -3/4."""
    x = abs(x)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def shares(pixel: int, cell: int, nodes: int) -> list[tuple[int, float]]:
    """The nodes whose tiles cover a pixel along one axis, each with its weight."""
    own, inside, over = pixel // cell, pixel % cell + 0.5, cell // 4
    if inside < over and own > 0:
        return [(own, 0.5 + inside / (2 * over)), (own - 1, 0.5 - inside / (2 * over))]
    if inside > cell - over and own < nodes - 1:
        return [(own, 0.5 + (cell - inside) / (2 * over)), (own + 1, 0.5 - (cell - inside) / (2 * over))]
    return [(own, 1.0)]


def moved(plane: Array, y: float, x: float) -> Array:
    """The values (C,) of a plane (C, h, w) at a place, rounded to eighths of a pixel."""
    y, x = math.floor(8 * y + 0.5) / 8, math.floor(8 * x + 0.5) / 8
    top, left = math.floor(y), math.floor(x)
    found = np.zeros(len(plane))
    for i in range(top - 1, top + 3):
        for j in range(left - 1, left + 3):
            value = plane[:, min(max(i, 0), plane.shape[1] - 1), min(max(j, 0), plane.shape[2] - 1)]
            found += cubic(y - i) * cubic(x - j) * value
    return found


def overlapped(plane: int, field: Array, references: tuple[int, int], planes: Mapping[int, Pair]) -> Array:
    """Predict luma (`plane` 0) or chroma (1) by overlapped tiles."""
    first, second = (planes[reference][plane] for reference in references)
    found, cell = np.zeros_like(first), 16 // (plane + 1)
    for y, x in np.ndindex(*found.shape[1:]):
        for i, down in shares(y, cell, field.shape[1]):
            for j, across in shares(x, cell, field.shape[2]):
                half_x, half_y, common_x, common_y = field[:4, i, j] / (plane + 1)
                balance = field[4, i, j]
                if references[0] == references[1]:
                    value = moved(first, y + half_y, x + half_x)
                else:
                    before = moved(first, y + common_y - half_y, x + common_x - half_x)
                    after = moved(second, y + common_y + half_y, x + common_x + half_x)
                    value = (0.5 + balance) * before + (0.5 - balance) * after
                found[:, y, x] += down * across * value
    return found


def frames_of(tensors: Mapping[str, NDArray[Any]], config: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Decode frames (T, height, width, 3) from the tensors that `segment_tensors` returns."""
    count = len(tensors["latent"])
    tree = hierarchy(count, config.group_frames, config.cuts, config.returns)
    field = field_of(tensors["motion"], config.rows, config.columns)
    steps = float(tensors["latent.step"]) * step_sizes(field, tree, config.exponent / 16, config.most)
    planes: dict[int, Pair] = {}
    for frame in (frame for batch in tree[2] for frame in batch):
        latents = tensors["latent"][frame] * steps[frame]
        is_first = tree[0][frame] == 0
        if config.version >= 1:
            in_blocks = resized(tensors["latent"][frame], tensors["size"][frame], keeps_dc=is_first)
            latents = in_blocks * steps[frame]
        if is_first and config.version >= 1:
            latents = with_dc(latents, steps[frame])
        made = synthesis(latents, config.is_smooth)
        if frame in tree[1]:
            predict = overlapped if config.version >= 1 else predicted
            made = [made[i] + predict(i, field[frame], tree[1][frame], planes) for i in range(2)]
        planes[frame] = made
    shown = []
    for frame in range(count):
        luma, chroma = refined(planes[frame], tensors)
        first, (second, third) = luma[0] / 3**0.5, whole(chroma, config.is_smooth)
        second, third = second / 2**0.5, third / 6**0.5
        shown.append(np.stack([first + second + third, first - 2 * third, first - second + third], -1))
    codes: NDArray[np.uint8] = np.rint(255 * (np.stack(shown) + 0.5).clip(0, 1)).astype(np.uint8)
    return codes[:, :height, :width]

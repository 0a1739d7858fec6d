"""Writes a golden file of each model family: `python tests/regenerate_golden_families.py`.

Every later version must decode an existing golden file, so one that differs is only replaced with
`--overwrite`. The networks are not fitted: their symbols come from integer arithmetic, which no library can
change.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

import inrcodec  # noqa: E402
from bitstream import Section, Segment, Stream, StreamHeader, dump  # noqa: E402
from bitstream.private_families import PRIVATE_FAMILIES, named_config  # noqa: E402
from inrcodec.coding.grid_sections import GridSymbols, Parameters, encode_contextual  # noqa: E402
from inrcodec.coding.sections import Steps, encode_section, row_count  # noqa: E402
from inrcodec.models.family import ROLES_OF_MOMENTS, AnyFamily, Role, TensorSpec, VideoInfo  # noqa: E402
from inrcodec.models.hinerv.hinerv import HiNeRV  # noqa: E402
from inrcodec.models.hinerv.shapes import HiNeRVConfig, TemporalGrid  # noqa: E402
from inrcodec.models.hnerv import HNeRV, HNeRVConfig  # noqa: E402
from inrcodec.models.inrc.inrc import Inrc  # noqa: E402
from inrcodec.models.inrc.shapes import InrcConfig, context_specs  # noqa: E402
from inrcodec.models.layers.layout import NERV_FREQUENCIES, covering_grid  # noqa: E402
from inrcodec.models.nerv import NeRV, NeRVConfig  # noqa: E402
from inrcodec.models.snerv.snerv import SNeRV, SNeRVConfig  # noqa: E402
from inrcodec.models.snerv.snerv_t import SNeRVT  # noqa: E402
from inrcodec.models.snerv.temporal import SNeRVTConfig  # noqa: E402
from inrcodec.models.supermask.config import SupermaskConfig  # noqa: E402
from inrcodec.models.supermask.supermask import Supermask  # noqa: E402

GOLDEN = Path(__file__).parent / "golden"
PRIVATE = GOLDEN / "private" / "theirs.inrv"
"""A file of a family that is not installed, which every later version must refuse by name."""
VIDEO = VideoInfo(width=31, height=23, frame_count=3)
HIERARCHY = VideoInfo(width=31, height=23, frame_count=6)
"""For `inrc`: anchors 0, 3 and 5, then the batch of 1 and 4, then 2."""
SEED = 2024
DENSITIES = (39322, 19661, 6554)
STEPS = {Role.WEIGHT: 0.0625, Role.BIAS: 0.0625, Role.EMBEDDING: 0.25, Role.GRID: 0.25}


def configs() -> dict[str, tuple[AnyFamily, Any]]:
    """Family and config of each golden file, by its name."""
    hybrid, grid = covering_grid(31, 23, (2, 2, 2)), covering_grid(31, 23, (4, 2))
    bands = covering_grid(16, 12, (2, 2, 2))
    return {
        "hnerv": (HNeRV(), HNeRVConfig(hybrid, embedding_channels=3, width=4)),
        "supermask-hnerv-signed-learned": (
            Supermask(),
            SupermaskConfig("hnerv", "signed", "learned", True, hybrid, 3, 5, DENSITIES, SEED),
        ),
        "supermask-nerv-uniform-fixed": (
            Supermask(),
            SupermaskConfig("nerv", "uniform", "fixed", False, grid, 8, 4, DENSITIES, SEED),
        ),
        # The stem and the head are trained, and every scale is one of four.
        "supermask-hnerv-offset-trained": (
            Supermask(),
            SupermaskConfig("hnerv", "signed", "offset", True, hybrid, 3, 5, DENSITIES, SEED, (0, 4)),
        ),
        "nerv": (NeRV(), NeRVConfig(grid, frequencies=4, width=5)),
        "nerv-80-frequencies": (NeRV(), NeRVConfig(grid, NERV_FREQUENCIES, width=1)),
        # Kernels 3, 5, 5 and a reduction of 1.5; one step per row.
        "hnerv-variant-row-steps": (HNeRV(), HNeRVConfig(hybrid, 2, 3, kernels=(3, 5), reduction=150)),
        # Level 0 has two grids, one of them with a moment for each frame; level 1 has one.
        "hinerv": (
            HiNeRV(),
            HiNeRVConfig(
                grid, (4, 3, 2), (1, 3), (TemporalGrid(0, 3, 2), TemporalGrid(0, 2, 1), TemporalGrid(1, 2, 1))
            ),
        ),
        "snerv": (SNeRV(), SNeRVConfig(bands, embedding_channels=2, width=4, blocks=1)),
        "snerv-t": (SNeRVT(), SNeRVTConfig(bands, 2, 1, (2,), width=3, blocks=1)),
        # Some steps are a power of the importance, some minimal; frames have one or two references.
        "inrc": (Inrc(), InrcConfig(2, 2, group_frames=3, width=8, exponent=12, most=2)),
        "inrc-smooth": (Inrc(), InrcConfig(2, 2, 3, width=8, exponent=12, most=2, is_smooth=True)),
        "inrc-overlapped": (Inrc(), InrcConfig(2, 2, 3, width=8, exponent=12, most=2, version=1)),
        # The shots are frames 0 and 1, and 2 to 5 with anchors 2 and 5.
        "inrc-cuts": (Inrc(), InrcConfig(2, 2, 3, width=8, exponent=12, most=2, version=1, cuts=(2,))),
        # The shots are pairs of frames; the second returns to frame 1, the third to the second's first frame.
        "inrc-returns": (
            Inrc(),
            InrcConfig(2, 2, 3, width=8, exponent=12, most=2, version=2, cuts=(2, 4), returns=(1, 2)),
        ),
    }


def integers(count: int, stream: int) -> NDArray[np.int64]:
    """Integers 0..65535, (count,), from a linear congruential generator."""
    state, draws = stream + 1, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        draws.append(state >> 48)
    return np.array(draws, dtype=np.int64)


def step_of(name: str, spec: TensorSpec) -> Steps | None:
    """The quantisation steps of a tensor. Residual blocks of the wavelet families need small weights."""
    if spec.role not in STEPS:
        return None
    if spec.name == "range":
        return 2.0**-7
    step = STEPS[spec.role] / (2 if name.startswith("snerv") else 1)
    if not name.endswith("row-steps"):
        return step
    # Half the step, the step and twice the step, in turn.
    return tuple(step * 2.0 ** (row % 3 - 1) for row in range(row_count(spec)))


def tensor(spec: TensorSpec, step: Steps | None, stream: int) -> NDArray[np.float32]:
    """Values for a transmitted tensor: multiples of its steps, all exact in float32."""
    draws = integers(spec.count, stream).reshape(spec.shape)
    if spec.role is Role.LEVELS:
        edges = 65536 - np.array(DENSITIES)
        return (draws[..., None] >= edges).sum(axis=-1).astype(np.float32)
    if spec.role is Role.SCALE:
        return (0.5 + draws % 64 / 128).astype(np.float32)
    # The sum of two uniform integers, -15..15 steps, is triangular; weights with many inputs are halved.
    symbols = draws % 16 + draws // 16 % 16 - 15
    if spec.role is Role.WEIGHT and spec.shape[1] * spec.shape[2] > 12:
        symbols //= 2
    steps = np.atleast_1d(np.asarray(step, dtype=np.float32))
    shape = [1] * len(spec.shape)
    shape[1 if spec.role in ROLES_OF_MOMENTS else 0] = len(steps)
    return (symbols * steps.reshape(shape)).astype(np.float32)


def sections_of(name: str, specs: tuple[TensorSpec, ...]) -> tuple[Section, ...]:
    """Sections of tensors that are coded independently."""
    steps = {spec.name: step for spec in specs if (step := step_of(name, spec)) is not None}
    values = {spec.name: tensor(spec, steps.get(spec.name), stream) for stream, spec in enumerate(specs)}
    return tuple(encode_section(spec, values[spec.name], steps.get(spec.name)) for spec in specs)


def entropy_models(level_count: int, version: int) -> Parameters:
    """Entropy models with knots from almost always zero to wide, which use every count."""
    models = {}
    for stream, spec in enumerate(context_specs(level_count, version)):
        draws = integers(spec.count, 100 + stream).reshape(spec.shape)
        if spec.name.endswith("knots"):
            models[spec.name] = 90 - 9 * np.arange(spec.shape[0])[:, None] - draws % 5
        elif spec.name.endswith("weight"):
            models[spec.name] = draws % 24 - 4
        else:
            models[spec.name] = draws % 32 - 24
    return models


def grid_symbols(config: InrcConfig) -> GridSymbols:
    """Motion of a few pixels, and latents that are mostly zero, more often at higher frequencies."""
    tree = config.tree(HIERARCHY)
    motion_spec, latent_spec = Inrc().tensors(config, HIERARCHY)[-2:]
    draws = integers(motion_spec.count, 200).reshape(motion_spec.shape)
    motion = draws % 6 - draws // 8 % 6
    motion[:, 4] //= 4
    motion[tree.levels == 0] = 0
    motion[~tree.has_two, 2:] = 0
    draws = integers(latent_spec.count, 201).reshape(latent_spec.shape)
    largest = np.ones(latent_spec.shape[1], dtype=np.int64)
    largest[[0, 1, 8, 64, 80]] = (15, 5, 5, 5, 5)
    values = draws % (2 * largest + 1)[:, None, None] - largest[:, None, None]
    is_zero = draws // 256 % 16 > np.where(largest > 1, 12, 1)[:, None, None]
    latent = np.where(is_zero, 0, values)
    # Residuals of predicted frames are smaller.
    latent[tree.levels > 0] = np.fix(latent[tree.levels > 0] / 2)
    # Some blocks have no luma, some no chroma.
    frames, _, rows, columns = latent_spec.shape
    for channels, stream in ((slice(64), 202), (slice(64, 96), 203)):
        has_any = integers(frames * rows * columns, stream).reshape(frames, 1, rows, columns) % 3 > 0
        latent[:, channels] *= has_any
    groups = (frames, config.rows, config.columns)
    # The first group of each frame has no latents, and thus no size.
    latent[:, :, :2, :2] = 0 if config.version else latent[:, :, :2, :2]
    sizes = np.zeros(groups, dtype=np.uint8)
    if config.version:
        sizes = (integers(sizes.size, 204) % 3).reshape(groups).astype(np.uint8)
        sizes[:, 0, 0] = 0
    return GridSymbols(motion.astype(np.int32), 0.25, latent.astype(np.int16), 0.125, sizes)


def files() -> dict[str, bytes]:
    """The content of every golden file, by file name."""
    written = {}
    for name, (family, config) in configs().items():
        video = HIERARCHY if isinstance(family, Inrc) else VIDEO
        specs = family.tensors(config, video)
        if isinstance(family, Inrc):
            models = entropy_models(config.tree(video).level_count, config.version)
            network = sections_of(name, tuple(spec for spec in specs if spec.name.startswith("refine.")))
            sections = encode_contextual(config, video, models, network, grid_symbols(config))
        else:
            sections = sections_of(name, specs)
        coded_width, coded_height = family.coded_size(config, video)
        count = video.frame_count
        header = StreamHeader(31, 23, coded_width, coded_height, count, Fraction(25), Fraction(1, 25))
        segment = Segment(0, count, family.wire_id, SEED, family.pack(config), sections)
        written[f"{name}.inrv"] = dump(Stream(header, (segment,)))
    return written


def private_file() -> bytes:
    """A file of the private family `theirs`, which no package registers, with a config of one byte."""
    spec = TensorSpec("weights", Role.WEIGHT, (4, 6, 1, 1))
    sections = sections_of("theirs", (spec,))
    segment = Segment(0, 3, PRIVATE_FAMILIES[0], SEED, named_config("theirs", b"\5"), sections)
    return dump(Stream(StreamHeader(31, 23, 32, 24, 3, Fraction(25), Fraction(1, 25)), (segment,)))


def pixels(path: Path) -> bytes:
    """Every third row and column of a golden file's frames, as a .npy."""
    with inrcodec.open(path, "cpu", "float32") as video:
        thinned = video[:][:, ::3, ::3]
    buffer = BytesIO()
    np.save(buffer, thinned)
    return buffer.getvalue()


def write(path: Path, data: bytes) -> bool:
    """Write a file and return True; return False if a different one exists and `--overwrite` is not given."""
    if path.exists() and path.read_bytes() != data and "--overwrite" not in sys.argv[1:]:
        print(f"{path} exists and differs; --overwrite replaces it, breaking old files", file=sys.stderr)
        return False
    path.write_bytes(data)
    return True


def main() -> int:
    """Write the missing files or, with `--overwrite`, all files."""
    GOLDEN.mkdir(exist_ok=True)
    for name, data in files().items():
        path = GOLDEN / name
        if not write(path, data) or not write(path.with_suffix(".npy"), pixels(path)):
            return 1
    PRIVATE.parent.mkdir(exist_ok=True)
    return 0 if write(PRIVATE, private_file()) else 1


if __name__ == "__main__":
    raise SystemExit(main())

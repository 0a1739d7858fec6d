"""Rows that `benchmarks.paper` fits, by scale and table, as options of `inrc encode`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FLOAT = ("--preset", "paper", "--prune", "0", "--weight-bits", "12", "--embedding-bits", "12")
"""Options for a fit of float weights, stored finely enough that rounding them has no visible effect."""
PAPER_DB: dict[str, dict[str, float]] = {
    "nerv": {"0.35M": 26.99, "0.75M": 28.46, "1.5M": 30.87, "3M": 33.21},
    "hnerv": {"0.35M": 30.15, "0.75M": 32.81, "1.5M": 35.19, "3M": 37.43},
    "snerv": {"0.35M": 30.88, "0.75M": 33.25, "1.5M": 36.76, "3M": 39.64},
    "snerv-t": {"0.35M": 30.40, "0.75M": 33.19, "1.5M": 36.53, "3M": 39.09},
}
"""PSNR after 300 epochs by size: HNeRV, Table 2; SNeRV, Table 9."""


PUBLISHED: dict[str, dict[str, tuple[str, ...]]] = {
    "hnerv": {"0.35M": ("width=32",), "0.75M": ("width=48",), "1.5M": ("width=68",), "3M": ("width=97",)},
    "nerv": {"0.35M": ("width=15",), "0.75M": ("width=30",), "1.5M": ("width=54",), "3M": ("width=91",)},
    "snerv": {
        "0.35M": ("width=41", "blocks=2"),
        "0.75M": ("width=57", "blocks=3"),
        "1.5M": ("width=81", "blocks=4"),
        "3M": ("width=111", "blocks=6"),
    },
    "snerv-t": {
        "0.35M": ("width=39", "blocks=2"),
        "0.75M": ("width=61", "blocks=3"),
        "3M": ("width=103", "blocks=6"),
    },
}
"""Networks of the papers at 1280x640 (HNeRV, Table 15; SNeRV, Table 9 and code).

The temporal grid of SNeRV-T is not an option: the planner chooses the finest that fits the file size. No
width is published for its 1.5M network.
"""


@dataclass(frozen=True)
class Row:
    """One fit: its table and name, and its options of `inrc encode`."""

    table: str
    name: str
    options: tuple[str, ...]
    paper_db: float | None = None
    """PSNR in the papers, at full size."""

    @property
    def key(self) -> str:
        return f"{self.table}/{self.name}"


@dataclass(frozen=True)
class Scale:
    """Clip, sizes and training options of a scale."""

    name: str
    clip: str
    sizes: dict[str, str]
    """Parameter counts by the papers' name of the size."""
    ablated: str
    """Size, by the papers' name, for the ablations and the table by epochs."""
    epochs: float
    learning_rate: str
    batch: str
    bpp: str
    """Bits per pixel in the compression table."""
    loss: dict[str, str]
    """The authors' loss by model, if it is not l2."""
    published: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    """Model options of the papers' networks by model and size; others are the widest that `sizes` allows."""


SCALES = {
    "quick": Scale(
        name="quick",
        clip="bunny-quarter",
        sizes={"0.75M": "47k", "1.5M": "94k"},
        ablated="1.5M",
        epochs=12,
        learning_rate="5e-3",
        batch="1",
        bpp="0.10",
        loss={"snerv": "wavelet", "snerv-t": "wavelet"},
    ),
    "full": Scale(
        name="full",
        clip="bunny",
        sizes={"0.35M": "0.35M", "0.75M": "0.75M", "1.5M": "1.5M", "3M": "3M"},
        ablated="1.5M",
        epochs=300,
        learning_rate="1e-3",
        batch="1",
        bpp="0.06",
        loss={"snerv": "wavelet", "snerv-t": "wavelet"},
        published=PUBLISHED,
    ),
}
"""`quick` has a sixteenth of the pixels, and therefore a sixteenth of the parameters."""


def rows(scale: Scale) -> list[Row]:
    """All fits of a scale except the tasks, table by table."""
    return [*_sizes(scale), *_epochs(scale), *_ablations(scale), *_compression(scale)]


def _float_options(scale: Scale, model: str, size: str, is_published: bool = True) -> tuple[str, ...]:
    """Options for a network of a given size, fitted as in the papers and stored without visible rounding."""
    parameters = scale.sizes[size]
    # Three bytes per value are more than 12 bits need, so the file size never coarsens the steps.
    room = str(round(3 * _count(parameters)))
    published = scale.published.get(model, {}).get(size) if is_published else None
    if published is None:
        network: tuple[str, ...] = ("--parameters", parameters)
    else:
        network = tuple(word for option in published for word in ("--model-option", option))
    network = (*network, "--size", room, *FLOAT)
    procedure = ("--learning-rate", scale.learning_rate, "--batch", scale.batch)
    return (*network, *procedure, "--loss", scale.loss.get(model, "l2"))


def _float_row(scale: Scale, table: str, name: str, model: str, size: str, *options: str) -> Row:
    is_ablation = "--model-option" in options
    words = ("--model", model, *_float_options(scale, model, size, not is_ablation), *options)
    if "--epochs" not in options:
        words += ("--epochs", str(scale.epochs))
    return Row(table, name, words, PAPER_DB[model].get(size) if not options else None)


def _count(text: str) -> float:
    return float(text[:-1]) * {"k": 1e3, "M": 1e6}[text[-1]]


def _sizes(scale: Scale) -> Iterable[Row]:
    for size in scale.sizes:
        for model in PAPER_DB:
            yield _float_row(scale, "sizes", f"{model} {size}", model, size)


def _epochs(scale: Scale) -> Iterable[Row]:
    for model, factor in (("hnerv", 0.5), ("nerv", 2), ("hnerv", 2), ("snerv", 2)):
        epochs = f"{scale.epochs * factor:g}"
        yield _float_row(scale, "epochs", f"{model} {epochs}", model, scale.ablated, "--epochs", epochs)


def _ablations(scale: Scale) -> Iterable[Row]:
    """HNeRV, Tables 8 to 11; the paper's PSNR is for 1.5M parameters."""
    paper = {
        "kernels=1-3": 35.02,
        "kernels=1-7": 35.07,
        "kernels=3-3": 33.09,
        "reduction=1": 34.96,
        "reduction=1.5": 34.98,
        "reduction=2": 34.32,
        "channels=8": 35.13,
        "channels=32": 35.08,
        "cells=2": 34.79,
        "cells=32": 35.12,
    }
    for option, paper_db in paper.items():
        row = _float_row(scale, "ablations", option, "hnerv", scale.ablated, "--model-option", option)
        yield Row(row.table, row.name, row.options, paper_db)


def _compression(scale: Scale) -> Iterable[Row]:
    """Files of equal size: the papers' pipelines, supermasks, and fits trained for rate."""
    common = ("--bpp", scale.bpp, "--epochs", str(scale.epochs))
    papers = (*common, "--preset", "paper", "--batch", scale.batch, "--learning-rate", scale.learning_rate)
    yield Row("compression", "nerv dense", ("--model", "nerv", *papers, "--prune", "0"))
    yield Row("compression", "nerv sparse 10 %", ("--model", "nerv", *papers, "--prune", "0.1"))
    yield Row("compression", "nerv sparse 40 %", ("--model", "nerv", *papers, "--prune", "0.4"))
    mask = ("--model", "supermask", *common, "--model-option", "decoder=nerv")
    hybrid = ("--model", "supermask", *common)
    # The paper's networks: every layer is random, and its weights keep their signs.
    random, learned = ("--model-option", "trained=none"), ("--model-option", "scales=learned")
    yield Row("compression", "supermask nerv", mask)
    yield Row("compression", "supermask nerv, all random", (*mask, *random))
    yield Row("compression", "supermask nerv learned, small trained", (*mask, *learned))
    yield Row("compression", "supermask nerv learned", (*mask, *random, *learned))
    yield Row("compression", "supermask nerv fixed", (*mask, *random, "--model-option", "scales=fixed"))
    for densities in ("0.5", "0.6,0.2", "0.7,0.4,0.2,0.1"):
        name, option = f"supermask nerv N={densities.count(',') + 1}", f"densities={densities}"
        yield Row("compression", name, (*mask, *random, *learned, "--model-option", option))
    yield Row("compression", "supermask hnerv", hybrid)
    yield Row("compression", "supermask hnerv learned", (*hybrid, *random, *learned))
    yield Row("compression", "hnerv paper", ("--model", "hnerv", *papers))
    for model in ("nerv", "hnerv", "snerv"):
        yield Row("compression", f"{model} trained for rate", ("--model", model, *common))


def task_rows(scale: Scale) -> list[Row]:
    """Rows of the tasks; options are those of the fits, to which `benchmarks.tasks` adds its own."""
    wanted = [("interpolation", model) for model in PAPER_DB]
    wanted += [("inpainting", "hnerv"), ("inpainting", "snerv"), ("denoising", "hnerv")]
    length = ("--epochs", f"{scale.epochs:g}")
    return [
        Row("tasks", f"{task} {model}", (*_float_options(scale, model, scale.ablated), *length))
        for task, model in wanted
    ]

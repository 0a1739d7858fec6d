"""Ablation of the `inrc` model: encodes variants at equal time or epochs and equal size in one run.

    python -m benchmarks.ablation dev --clips FOLDER --epochs 20 --jobs 2 --json FILE [--only NAME ...]
    python -m benchmarks.ablation bunny-quarter carphone --bpp 0.1 --time 1m --json FILE

Every candidate is a real file of nearly the same size, so their PSNR values are comparable. `dev` is all
eight clips of `DEVELOPMENT_CLIPS`, each at its second rate unless `--bpp` names one. `--seeds` repeats each
encode with other seeds. An interrupted run continues: candidates that the JSON file already contains are not
measured again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.record import BENCHMARK_CLIPS, DEVELOPMENT_CLIPS, clip_of, stored_results, write_report
from inrcodec import encode
from inrcodec.fit.grids import fit, motion, motion_rounds, temporal_filter
from inrcodec.models.inrc import latent_network
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_duration

BASE, DEV = "inrc", "dev"
BPP = 0.1
Row = dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A variant of the encoder: model options, and module constants to patch as (owner, name, value)."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[Any, str, Any], ...] = ()
    model: str = "inrc"

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in self.constants:
                stack.enter_context(patch.object(owner, name, value))
            # Networks are kept between calls.
            latent_network.latent_networks.cache_clear()
            stack.callback(latent_network.latent_networks.cache_clear)
            yield


def _silent(part: int) -> latent_network.LatentNetwork:
    """The network of contexts of luma or chroma with an output of 0 for all symbols."""
    network = _network(part)
    return replace(network, outputs=0 * network.outputs)


_network = latent_network._network

CANDIDATES = (
    Candidate(BASE),
    Candidate("contexts without a network", constants=((latent_network, "_network", _silent),)),
    Candidate("nodes not searched", constants=((motion.MotionFit, "search_nodes", lambda *_: None),)),
    Candidate(
        "motion not refined by gradients",
        constants=((motion_rounds.MotionRounds, "refine", lambda *_: None),),
    ),
    Candidate("anchors coded as the source is", constants=((temporal_filter, "LAST_LEVEL", -1),)),
    Candidate("anchors 16 frames apart", (("group", "16"),)),
    Candidate("a refining network", (("width", "24"),)),
    Candidate("motion not pruned", constants=((motion.MotionFit, "prune", lambda *_: None),)),
    Candidate("bits at half the price", constants=((fit, "PRICE", 0.05),)),
    Candidate("bits at twice the price", constants=((fit, "PRICE", 0.2),)),
    Candidate("hnerv", model="hnerv"),
)
_BY_NAME = {one.name: one for one in CANDIDATES}


def run(name: str, clip: str, folder: Path, bpp: float | None, length: dict[str, float], seed: int) -> Row:
    """Figures of one file, encoded and decoded in this process, where the patched constants apply."""
    candidate, source = _BY_NAME[name], clip_of(clip, folder)
    bpp = bpp or (source.bpps[1] if source.bpps else BPP)
    with tempfile.TemporaryDirectory() as output, candidate.applied():
        settings = EncodeSettings(
            model=candidate.model,
            model_options=dict(candidate.options),
            source=replace(source.source, audio=False),
            seed=seed,
            bpp=bpp,
            **length,  # type: ignore[arg-type]
        )
        figures = encode(source.path, str(Path(output) / "one.inrv"), settings).as_dict()
    kept = ("psnr_db", "file_bytes", "bpp", "seconds")
    return {"clip": clip, "candidate": name, "seed": seed, **{one: figures[one] for one in kept}}


def table(results: list[Row]) -> list[str]:
    """One line per clip and candidate: bytes, mean PSNR and its difference from the unmodified model."""
    lines = [f"{'clip':14} {'candidate':32} {'bytes':>8} {'PSNR':>7} {'gain':>6} {'seeds':>5}"]
    means: dict[tuple[str, str], list[Row]] = {}
    for result in results:
        means.setdefault((result["clip"], result["candidate"]), []).append(result)
    for (clip, name), found in means.items():
        psnr = statistics.mean(one["psnr_db"] for one in found)
        base = statistics.mean(one["psnr_db"] for one in means.get((clip, BASE), found))
        size = statistics.mean(one["file_bytes"] for one in found)
        lines.append(f"{clip:14} {name:32} {size:8.0f} {psnr:7.2f} {psnr - base:+6.2f} {len(found):5}")
    return lines


def _take_one_thread() -> None:
    torch.set_num_threads(1)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    names = [DEV, *(DEVELOPMENT_CLIPS | BENCHMARK_CLIPS)]
    parser.add_argument("clips", nargs="+", choices=names, metavar="CLIP", help=", ".join(names))
    parser.add_argument("--clips", dest="folder", type=Path, default=Path(), help="folder with the clips")
    parser.add_argument("--bpp", type=float, help=f"default: the second rate of the clip, or {BPP}")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--time", default="1m", help="time of each encode (default: %(default)s)")
    length.add_argument("--epochs", type=float)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", action="append", help="name of a candidate; repeatable")
    parser.add_argument("--jobs", type=int, default=1, help="encodes at once, with one thread each")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args(words)
    if options.jobs > 1 and options.epochs is None:
        parser.error("--jobs above 1 takes --epochs, because encodes of equal time would do less work")
    effort = (
        {"epochs": options.epochs}
        if options.epochs is not None
        else {"time_seconds": parse_duration(options.time)}
    )
    asked_for = {"bpp": options.bpp, **effort}
    wanted = [one for one in _BY_NAME if not options.only or one in (BASE, *options.only)]
    clips = [one for name in options.clips for one in (DEVELOPMENT_CLIPS if name == DEV else [name])]
    stored = stored_results(options.json)
    others = [one for one in stored if one["asked"] != asked_for]
    results: dict[tuple[str, str, int], Row] = {
        (one["clip"], one["candidate"], one["seed"]): one for one in stored if one["asked"] == asked_for
    }
    asked = [(clip, name, seed) for name in wanted for clip in clips for seed in range(options.seeds)]
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), _take_one_thread) as pool:
        runs = {
            pool.submit(run, name, clip, options.folder, options.bpp, effort, seed): (clip, name, seed)
            for clip, name, seed in asked
            if (clip, name, seed) not in results
        }
        try:
            for done in as_completed(runs):
                results[runs[done]] = {**done.result(), "asked": asked_for}
                write_report(options.json, "benchmarks.ablation", [*others, *results.values()])
                print(table([done.result()])[-1], flush=True)
        except BaseException:
            # Other runs would only be waited for, and their results lost.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    print("\n".join(table([results[key] for key in sorted(results)])))


if __name__ == "__main__":
    main()

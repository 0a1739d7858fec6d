"""Ablation of the `inrc` model: encodes variants at equal time and equal size in one run.

    python -m benchmarks.ablation bunny-quarter carphone --bpp 0.1 --time 1m --json FILE [--only NAME ...]

Every candidate is a real file of nearly the same size, so their PSNR values are comparable. If a candidate is
less than 0.2 dB from the unmodified model, both are measured with two more seeds. An interrupted run
continues: candidates that the JSON file already contains are not measured again.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.record import BENCHMARK_CLIPS, stored_results, write_report
from inrcodec import encode
from inrcodec.fit.grids import fit, latent_entropy, motion, pace
from inrcodec.models.inrc import inrc, prediction
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.notation import parse_duration

BASE = "inrc"
NEAR_DB, MORE_SEEDS = 0.2, (1, 2)


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
            yield


def _without_contexts() -> Any:
    """`LatentEntropy.__init__` without contexts: latents only know channel and level, flags keep theirs."""
    original: Callable[..., None] = latent_entropy.LatentEntropy.__init__

    def initialise(self: latent_entropy.LatentEntropy, *arguments: Any) -> None:
        original(self, *arguments)
        self.weight.data.zero_()
        self.weight.requires_grad_(False)

    return initialise


CANDIDATES = (
    Candidate(BASE),
    Candidate("anchors 8 frames apart", (("group", "8"),)),
    Candidate("anchors 32 frames apart", (("group", "32"),)),
    Candidate("one step for all blocks", constants=((inrc, "EXPONENT", 0),)),
    Candidate("steps down to a third", constants=((inrc, "MOST", 3),)),
    Candidate("steps down to a twelfth", constants=((inrc, "MOST", 12),)),
    Candidate("no refining network", (("width", "0"),)),
    Candidate("network twice as wide", (("width", "48"),)),
    Candidate("motion not refined", constants=((pace, "MOST_REFINEMENTS", 0),)),
    Candidate("motion not pruned", constants=((motion.MotionFit, "prune", lambda *_: None),)),
    Candidate("motion rounded to half pixels", constants=((motion, "STEP", 0.5), (fit, "STEP", 0.5))),
    Candidate("errors counted undiminished", constants=((prediction, "DECAY", 1.0),)),
    Candidate("bits at half the price", constants=((fit, "PRICE", 0.05),)),
    Candidate("bits at twice the price", constants=((fit, "PRICE", 0.2),)),
    Candidate(
        "latents without contexts",
        constants=((latent_entropy.LatentEntropy, "__init__", _without_contexts()),),
    ),
    Candidate("hnerv", model="hnerv"),
)


def run(candidate: Candidate, clip: str, limits: dict[str, float], seed: int) -> dict[str, Any]:
    """Figures of one file, encoded and decoded in this process, where the patched constants apply."""
    source = BENCHMARK_CLIPS[clip]
    with tempfile.TemporaryDirectory() as folder, candidate.applied():
        settings = EncodeSettings(
            model=candidate.model,
            model_options=dict(candidate.options),
            source=replace(source.source, audio=False),
            seed=seed,
            **limits,  # type: ignore[arg-type]
        )
        figures = encode(source.path, str(Path(folder) / "one.inrv"), settings).as_dict()
    kept = ("psnr_db", "file_bytes", "bpp", "seconds")
    return {"clip": clip, "candidate": candidate.name, "seed": seed, **{name: figures[name] for name in kept}}


def table(results: list[dict[str, Any]]) -> list[str]:
    """One line per clip and candidate: bytes, mean PSNR and its difference from the unmodified model."""
    lines = [f"{'clip':14} {'candidate':30} {'bytes':>8} {'PSNR':>7} {'gain':>6} {'seeds':>5}"]
    means: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for result in results:
        means.setdefault((result["clip"], result["candidate"]), []).append(result)
    for (clip, name), found in means.items():
        psnr = statistics.mean(one["psnr_db"] for one in found)
        base = statistics.mean(one["psnr_db"] for one in means.get((clip, BASE), found))
        size = statistics.mean(one["file_bytes"] for one in found)
        lines.append(f"{clip:14} {name:30} {size:8.0f} {psnr:7.2f} {psnr - base:+6.2f} {len(found):5}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", choices=list(BENCHMARK_CLIPS))
    parser.add_argument("--bpp", default="0.1")
    parser.add_argument("--time")
    parser.add_argument("--epochs")
    parser.add_argument("--only", action="append", help="name of a candidate; repeatable")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    limits = {"bpp": float(options.bpp)}
    if options.epochs:
        limits["epochs"] = float(options.epochs)
    else:
        limits["time_seconds"] = parse_duration(options.time or "1m")
    wanted = [one for one in CANDIDATES if not options.only or one.name in (BASE, *options.only)]
    results: dict[tuple[str, str, int], dict[str, Any]] = {
        (one["clip"], one["candidate"], one["seed"]): one for one in stored_results(options.json)
    }

    def measured(candidate: Candidate, clip: str, seed: int) -> float:
        key = clip, candidate.name, seed
        if key not in results:
            results[key] = run(candidate, clip, limits, seed)
            write_report(options.json, "benchmarks.ablation", [*results.values()])
            print(table([*results.values()])[-1], flush=True)
        return float(results[key]["psnr_db"])

    for clip in options.clips:
        base = measured(wanted[0], clip, 0)
        near = [one for one in wanted[1:] if abs(measured(one, clip, 0) - base) < NEAR_DB]
        for candidate in [wanted[0], *near] if near else []:
            for seed in MORE_SEEDS:
                measured(candidate, clip, seed)
    print("\n".join(table(sorted(results.values(), key=lambda one: (one["clip"], one["candidate"])))))


if __name__ == "__main__":
    main()

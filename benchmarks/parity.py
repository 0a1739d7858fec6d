"""Compares our networks with the authors' code, with equal weights.

    python -m benchmarks.parity --hnerv DIR --snerv DIR [--json tests/models/parity.json]

Each DIR is a checkout of the authors' code: haochen-rye/HNeRV, which also contains NeRV, and qwertja/SNeRV.
Their code needs torch, and SNeRV also needs pytorch_wavelets. Mock objects replace other missing imports
(timm, decord, ...), which compute nothing here. Prints the largest difference of frames and of embeddings,
and the parameter counts; `--json` records the results of their code for the tests. Exits with 1 if a
difference is above 1e-5 or a count differs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from benchmarks.authors.layout import Array, decoder_pairs, encoder_pairs, encoders
from benchmarks.authors.networks import (
    PUBLISHED,
    SMALL,
    Case,
    figures,
    frame_tensors,
    our_embeddings,
    our_frames,
    our_tensors,
    parameter_count,
    source_clip,
    video_of,
)
from benchmarks.authors.programs import Authors
from inrcodec.models.family import VideoInfo

TOLERANCE = 1e-5


def set_weights(network: torch.nn.Module, family: str, config: Any) -> None:
    """Set every parameter of the authors' network to its pattern; raises `ValueError` if tensors differ."""
    pairs = list(decoder_pairs(family, config))
    for prefix, _, strides, channels in encoders(family, config):
        pairs += encoder_pairs(prefix, strides, channels)
    ours = {pair.authors: pair.shape for pair in pairs}
    theirs = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    if ours != theirs:
        raise ValueError(f"{family}: tensors differ: {sorted(set(ours.items()) ^ set(theirs.items()))[:4]}")
    network.load_state_dict({pair.authors: torch.from_numpy(pair.values) for pair in pairs})


def authors_frames(network: Any, family: str, config: Any, video: VideoInfo) -> Array:
    """Frames (T, 3, height, width) of the authors' decoder, as one batch if it supports batches."""
    count = video.frame_count
    given = {name: torch.from_numpy(value) for name, value in frame_tensors(family, config, video).items()}
    if family == "nerv":
        # Their data loader converts times to float64.
        output = network(torch.tensor([index / count for index in range(count)], dtype=torch.float64))[0]
    elif family == "hnerv":
        output = network(None, input_embed=given["embedding"])[0]
    else:
        ranges = torch.stack([given["range"][:, 0], 2 - given["range"][:, 1]])
        if family == "snerv":
            ranges = ranges[:, :, None, None, None]
            output = network(None, input_embed=[given["embedding"], ranges])[0]
        else:
            one = [slice(index, index + 1) for index in range(count)]
            embeddings = [[given["embedding"][at], given["temporal"][at], ranges[:, at]] for at in one]
            output = torch.cat([network(None, None, None, input_embed=parts)[0] for parts in embeddings])
    frames: Array = output.numpy()
    return frames


def authors_embeddings(
    authors: Authors, network: Any, family: str, config: Any, video: VideoInfo
) -> dict[str, Array]:
    """Per-frame tensors that the authors' encoders produce from our source clip, in our layout."""
    if family == "nerv":
        return {}
    frames = torch.from_numpy(source_clip(video)).permute(0, 3, 1, 2) / 255.0
    if family == "hnerv":
        return {"embedding": network(frames)[1][0].numpy()}
    if family == "snerv":
        made = [network(frame[None])[1][0] for frame in frames]
    else:
        made = [network(*images)[1][0] for images in authors.with_neighbours(frames)]
    names = ("embedding", "range") if family == "snerv" else ("embedding", "temporal", "range")
    tensors = {
        name: torch.cat(parts) for name, parts in zip(names[:-1], zip(*made, strict=True), strict=False)
    }
    ranges = torch.stack([parts[-1] for parts in made])
    tensors["range"] = torch.stack([ranges[:, 0], 2 - ranges[:, 1]], dim=1)
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def compare(authors: Authors, case: Case) -> tuple[dict[str, Any], float]:
    """The record of one network, and its largest difference from ours."""
    family, config = case.family, case.config
    video = video_of(family, config)
    network = authors.network(family, config)
    set_weights(network, family, config)
    results = {"frames": authors_frames(network, family, config, video)}
    results |= authors_embeddings(authors, network, family, config, video)
    ours = {"frames": our_frames(family, config, video, our_tensors(family, config, video))}
    if len(results) > 1:
        ours |= our_embeddings(family, config, video)
    worst = 0.0
    for name, theirs in results.items():
        difference = float(np.abs(theirs - ours[name]).max())
        worst = max(worst, difference)
        print(f"{case.name:14} {name:10} {str(theirs.shape):18} deviation {theirs.std():.3f}", end=" ")
        print(f"largest difference {difference:.1e}")
    return asdict(case) | {name: figures(values) for name, values in results.items()}, worst


def count_parameters(authors: Authors, family: str) -> tuple[list[int], bool]:
    """Parameter counts of the authors' decoders at the published sizes, and whether ours are equal."""
    counts, equal = [], True
    for config in PUBLISHED[family]:
        named = authors.network(family, config).named_parameters()
        theirs = sum(parameter.numel() for name, parameter in named if not name.startswith("encoder."))
        ours = parameter_count(family, config)
        counts.append(theirs)
        equal = equal and theirs == ours
        print(f"{family:8} width {config.width:3}: {theirs} parameters, ours {ours}")
    return counts, equal


def main() -> int:
    parser = argparse.ArgumentParser(description="compares our networks with the authors' code")
    parser.add_argument("--hnerv", type=Path, required=True, help="checkout of haochen-rye/HNeRV")
    parser.add_argument("--snerv", type=Path, required=True, help="checkout of qwertja/SNeRV")
    parser.add_argument(
        "--json", type=Path, help="record the results of their code, e.g. tests/models/parity.json"
    )
    arguments = parser.parse_args()
    authors = Authors(arguments.hnerv, arguments.snerv)
    results, counts, passed = [], {}, True
    # Their wavelet transforms always move to a GPU; here everything runs on the CPU.
    with torch.inference_mode(), mock.patch.object(torch.nn.Module, "cuda", lambda self, *_: self):
        for case in SMALL:
            record, worst = compare(authors, case)
            results.append(record)
            passed = passed and worst <= TOLERANCE
        for family in PUBLISHED:
            counts[family], equal = count_parameters(authors, family)
            passed = passed and equal
    if arguments.json:
        report = {
            "command": "python -m benchmarks.parity",
            "torch": torch.__version__,
            "sha256": authors.digests(),
            "parameters": counts,
            "results": results,
        }
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Sample files (`make samples`): one of each model family, their source, and a page on how they are made.

The source is a short part of Bunny, scaled and coded by x264. `samples/samples.json` has the measured values,
which a test compares with what the files decode to.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from benchmarks.record import BENCHMARK_CLIPS, commit, stored_results, write_report
from inrcodec.models.registry import FAMILIES
from inrcodec.settings.source import FrameRange, Size, SourceSettings
from inrcodec.video import read_clip

CLIP = BENCHMARK_CLIPS["bunny"].path
PART = SourceSettings(frames=FrameRange(60, 76), scale=Size(192, 108))
SOURCE = "source.mp4"
OPTIONS = ("--size", "12k", "--epochs", "100", "--threads", "1", "--device", "cpu")
PAGE = """# Samples

Each file holds the {frames} frames of [source.mp4](source.mp4) ({width}x{height}, {source_bytes:,} bytes),
fitted by another model. Try them without encoding anything:

```sh
inrc info samples/inrc.inrv
inrc decode samples/inrc.inrv -o out.mp4
inrc eval samples/source.mp4 samples/hnerv.inrv
```

| file | bytes | bpp | PSNR, dB |
|---|---|---|---|
{rows}

The source is a part of Big Buck Bunny, (c) Blender Foundation,
[CC BY 3.0](https://creativecommons.org/licenses/by/3.0/), scaled and coded by x264. `make samples` makes
everything here again, each file by one thread with this command:

```sh
{command}
```

Fits of 100 epochs are short: the [results](../docs/results.md) say how the models compare.
"""


def command_of(model: str) -> list[str]:
    """The words that encode the sample of a model."""
    words = ["inrc", "encode", f"samples/{SOURCE}", "-o", f"samples/{model}.inrv", "--model", model]
    return [*words, *OPTIONS]


def write_source(path: Path) -> None:
    """Write the source by one thread of x264, whose bytes then are the same each time."""
    frames = read_clip(CLIP, PART).frames
    with av.open(str(path), "w") as container:
        options = {"crf": "16", "preset": "slow", "threads": "1"}
        stream: Any = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def page(folder: Path, results: Sequence[dict[str, Any]]) -> str:
    """The README of the samples, from their measured values."""
    rows = [
        f"| [{one['family']}.inrv]({one['family']}.inrv) | {one['file_bytes']:,} | {one['bpp']:.3f} | "
        f"{one['psnr_db']:.2f} |"
        for one in results
    ]
    first = results[0]
    return PAGE.format(
        frames=first["frames"],
        width=first["width"],
        height=first["height"],
        source_bytes=(folder / SOURCE).stat().st_size,
        rows="\n".join(rows),
        command=" ".join(command_of("MODEL")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.samples", description=__doc__)
    names = [family.name for family in FAMILIES]
    parser.add_argument("--model", action="append", choices=names, help="make only these files again")
    models = parser.parse_args().model
    folder = Path("samples")
    folder.mkdir(exist_ok=True)
    stored = {one["family"]: one for one in stored_results(folder / "samples.json")} if models else {}
    if not stored:
        write_source(folder / SOURCE)
    results = []
    for family in FAMILIES:
        if family.name in stored and family.name not in models:
            results.append(stored[family.name])
            continue
        words = [*command_of(family.name)[1:], "-y", "--json"]
        done = subprocess.run([sys.executable, "-m", "inrcodec", *words], check=True, stdout=subprocess.PIPE)
        report = json.loads(done.stdout)
        wanted = (
            "family",
            "file_bytes",
            "bpp",
            "psnr_db",
            "psnr_p1_db",
            "width",
            "height",
            "frames",
        )
        results.append({key: report[key] for key in wanted} | {"commit": commit()})
    write_report(folder / "samples.json", "benchmarks.samples", results)
    (folder / "README.md").write_text(page(folder, results))


if __name__ == "__main__":
    main()

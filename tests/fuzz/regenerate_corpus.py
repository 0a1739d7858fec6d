"""Writes the corpus: a file of each hostile kind that once found a fault, and a few mutants.

Run `python tests/fuzz/regenerate_corpus.py` after a new kind; the fuzzer mutates all of them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

TESTS = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import bitstream  # noqa: E402
from bitstream import Chapter, Extras, Padding  # noqa: E402
from fuzz import seeds  # noqa: E402
from fuzz.fields import blocks_of, file_of  # noqa: E402
from fuzz.mutations import Mutator  # noqa: E402
from inrcodec.models.family import VideoInfo  # noqa: E402
from inrcodec.models.hnerv import HNeRV, HNeRVConfig  # noqa: E402
from inrcodec.models.inrc.inrc import Inrc  # noqa: E402
from inrcodec.models.layers.layout import covering_grid  # noqa: E402
from inrcodec.models.nerv import NeRV, NeRVConfig  # noqa: E402

MUTANTS = 12
LAYOUTS = ("FL+FR+FL", "FR+FL", "FL+", "1 channels", "64 channels", "ambisonic 1", "")
TEXTS = ("\x1b[2J\x1b]0;x\x07", "[/]", "[red]x[/red]", "<script>x</script>", "\u202eabc", "a\x00b")


def files() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each file."""
    plain = bitstream.load((TESTS / "golden" / "nerv.inrv").read_bytes())
    tracks = seeds.with_tracks(plain)
    (aac,) = bitstream.load(tracks[1]).extras.tracks
    for number, layout in enumerate(LAYOUTS):
        track = replace(aac, info=replace(aac.info, layout=layout))
        yield f"layout-{number}", _with(plain, Extras((track,)))
    for number, text in enumerate(TEXTS):
        track = replace(aac, info=replace(aac.info, metadata={"language": text, "title": text}))
        chapter = Chapter(Fraction(1, 25), 0, 1, {"title": text})
        yield f"text-{number}", _with(plain, Extras((track,), (chapter,), {text: text}, {"title": text}))
        track = replace(aac, info=replace(aac.info, codec=text, sample_format=text))
        yield f"codec-{number}", _with(plain, Extras((track,)))
    yield "padding", _with(plain, Extras((replace(aac, padding=Padding((1 << 32) - 1, (1 << 32) - 1)),)))
    for power in (31, 40, 59):
        header = replace(plain.header, last_duration=1 << power)
        yield f"last-{power}", bitstream.dump(replace(plain, header=header))
    yield from _bombs()
    found = [data for data in seeds.seeds() if len(data) < 2000]
    rng = random.Random()
    mutator = Mutator(rng, found, seeds.counts_of(found))
    number = written = 0
    while written < MUTANTS:
        rng.seed(f"corpus {number}")
        data = mutator.mutated(7 * number)
        number += 1
        # Mutants of a file with wrong checksums are refused at once.
        if file_of(blocks_of(data)) == data:
            yield f"mutant-{written}", data
            written += 1


def _bombs() -> Iterator[tuple[str, bytes]]:
    """Files of a few bytes that ask for more than a machine, or more than the fuzzer, has."""
    flat, wide = covering_grid(31, 23, (4, 2)), covering_grid(512, 512, (1,) * 6)
    yield (
        "compute",
        seeds.file_of_zeros(HNeRV(), HNeRVConfig(wide, 1, 600, (7, 7), 100), VideoInfo(512, 512, 1)),
    )
    yield "frames", seeds.file_of_zeros(NeRV(), NeRVConfig(flat, 4, 1), VideoInfo(31, 23, 1 << 24))
    yield "export", seeds.file_of_zeros(NeRV(), NeRVConfig(flat, 4, 1), VideoInfo(31, 23, 1 << 18))
    lattice = covering_grid(64, 64, (8,))
    yield "memory", seeds.file_of_zeros(HNeRV(), HNeRVConfig(lattice, 1, 1), VideoInfo(64, 64, 1 << 20))
    small = VideoInfo(31, 23, 6)
    config = Inrc().plan(small, 1e5, {"width": "0", "group": "3"}, 0)
    yield "tables", seeds.file_of_zeros(Inrc(), config, small, largest=b"\xff\xff\x01")
    long = bitstream.load(
        seeds.file_of_zeros(NeRV(), NeRVConfig(covering_grid(2, 2, (1,)), 1, 1), VideoInfo(2, 2, 1 << 18))
    )
    times = (*range((1 << 18) - 1), 1 << 18)
    yield "times", bitstream.dump(replace(long, header=replace(long.header, timestamps=times)))


def _with(plain: bitstream.Stream, extras: Extras) -> bytes:
    return bitstream.dump(replace(plain, extras=extras))


if __name__ == "__main__":
    for path in seeds.CORPUS.glob("*.inrv"):
        path.unlink()
    seeds.CORPUS.mkdir(exist_ok=True)
    for name, data in files():
        (seeds.CORPUS / f"{name}.inrv").write_bytes(data)

"""The `inrc` commands in the documentation, and the tiny files and cheap options that tests run them with.

A new command needs no change here if `make_stand_ins` knows the names of its files and its options are cheap
on tiny clips; otherwise add the file there, or the option to `CHEAPER`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from codec_samples import Frames, moving_gradient, write_clip
from command_line import ROOT

from inrcodec.cli.main import run

PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

CHEAPER: dict[str, tuple[str, ...]] = {
    # Duration: every command fits for part of an epoch, see `LENGTH`.
    "--time": (),
    "--epochs": (),
    # Size: the clips have a thousandth of the pixels.
    "--bpp": ("--size", "3k"),
    "--size": ("--size", "3k"),
    "--psnr": ("--psnr", "9"),
    "--ladder": ("--ladder", "4,5"),
    "--parameters": ("--parameters", "1500"),
    "--crop": ("--crop", "40x26"),
    "--scale": ("--scale", "32x24"),
    "--frames": ("--frames", "1:3"),
    "--at": ("--at", "0.05s"),
    "--start": ("--start", "0.04s"),
    "--end": ("--end", "0.12s"),
    "--segment": ("--segment", "2"),
    # Hardware: one worker process, where fits of `inrc` cannot be shortened, and no GPU.
    "--workers": ("--workers", "local:1", "--model", "hnerv"),
    "--device": ("--device", "cpu"),
}
"""Replacements for an option and its value."""
CHEAPER_IN: dict[str, dict[str, tuple[str, ...]]] = {
    "compare": {"--bpp": (), "--against": ("--against", "x264:ultrafast")},
}
"""Replacements for commands in which an option has another meaning or other values."""
ALWAYS = {"compare": ("--bpp", "16,20", "--epochs", "0.3", "--device", "cpu")}
"""Words added to a command."""
CHEAPER_MODELS = {"width=68": "width=12", "width=54": "width=12", "width=81": "width=12"}
"""Replacements for values of `--model-option`."""
LENGTH = ("--epochs", "0.3")
SIZES = ("--size", "--psnr", "--ladder", "--resume-from", "--parameters")
SKIPPED = {
    "ray": "needs a Ray cluster; see tests/encoder/test_encoder_workers.py",
    "--web": "needs onnxruntime-web; see tests/exporter/test_exporter_page.py",
}
"""Words of commands that are not run, and the reason."""
WIDTH, HEIGHT, COUNT = 48, 32, 4
SINKS = {"ffplay": b"YUV4MPEG2"}
"""Programs at the end of a pipe, and the first bytes that they must receive."""


@dataclass(frozen=True)
class Line:
    """One command, as documented and as run."""

    text: str
    words: tuple[str, ...]
    """Words after `inrc`."""
    standard_input: str | None
    """The file that `cat` pipes into it."""
    sink: str | None
    """The program that its output is piped into."""

    @property
    def skipped(self) -> str | None:
        """The reason why it is not run; None if it is."""
        values = {word.split(":")[0] for word in self.words}
        return next((reason for word, reason in SKIPPED.items() if word in values), None)

    @property
    def output(self) -> str | None:
        return self.words[self.words.index("-o") + 1] if "-o" in self.words else None

    @property
    def inputs(self) -> list[str]:
        """Words that may name a file to read."""
        named = [word for before, word in zip(("", *self.words), self.words, strict=False) if before != "-o"]
        return named + [name for name in [self.standard_input] if name is not None]

    @property
    def exit_code(self) -> int:
        """4 if the input is damaged, even if its intact parts are decoded; else 0."""
        return 4 if any(word.startswith("damaged.") for word in self.inputs) else 0

    def cheap(self) -> list[str]:
        """The words with cheaper options: see `CHEAPER`."""
        words: list[str] = []
        left = iter(self.words)
        cheaper = {**CHEAPER, **CHEAPER_IN.get(self.words[0], {})}
        for word in left:
            if word == "--model-option":
                value = next(left)
                words += [word, CHEAPER_MODELS.get(value, value)]
            elif word in cheaper:
                next(left)
                words += cheaper[word]
            else:
                words.append(word)
        words += ALWAYS.get(words[0], ())
        if words[0] in ("encode", "probe"):
            words += LENGTH
            words += () if any(size in words for size in SIZES) else ("--size", "3k")
            words += () if "--device" in words else ("--device", "cpu")
        return words


def shell_lines(text: str) -> Iterator[list[str]]:
    """Words of each command in the ```sh blocks, and in the indented blocks of the README."""
    blocks = [code for language, code in FENCE.findall(text) if language == "sh"]
    blocks += re.findall(r"(?:^    .*\n)+", FENCE.sub("", text), re.MULTILINE)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if re.match(r"\s*(inrc|python|cat)\s", line):
            yield shlex.split(line, comments=True)


def documented_lines() -> dict[str, Line]:
    """Every distinct `inrc` command, by its text and the first page that has it."""
    lines: dict[str, Line] = {}
    known: set[str] = set()
    for page, text in PAGES.items():
        for words in shell_lines(text):
            line = parsed(words)
            if line is not None and line.text not in known:
                known.add(line.text)
                lines[f"{page}: {line.text}"] = line
    return lines


def parsed(words: list[str]) -> Line | None:
    """The `inrc` command of a line with its pipes; None if the line has none."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        else:
            parts[-1].append(word)
    ours = [number for number, part in enumerate(parts) if part[:1] == ["inrc"]]
    if not ours:
        return None
    (number,) = ours
    source = parts[0][1] if number and parts[0][0] == "cat" else None
    sink = parts[number + 1][0] if number + 1 < len(parts) else None
    return Line(shlex.join(words), tuple(parts[number][1:]), source, sink)


def make_stand_ins(folder: Path) -> None:
    """Write every file that a documented command reads, under its documented name."""
    frames = moving_gradient(WIDTH, HEIGHT, COUNT)
    write_clip(folder / "in.mp4", frames)
    write_clip(folder / "other.mp4", frames[:2, :24, :32])
    for name in ("first.mp4", "noisy.mp4", "benchmarks/clips/bunny.mp4", "benchmarks/clips/carphone.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "in.mp4", folder / name)
    _write_two_streams(folder / "in.mkv", frames)
    shutil.copy(folder / "in.mkv", folder / "second.mkv")
    for number, frame in enumerate(frames, 1):
        _write_picture(folder / f"in.{number:03d}.png", frame)
    mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    mask[8:16, 8:20] = 255
    _write_picture(folder / "mask.png", mask)
    encode = ["encode", str(folder / "in.mp4"), "--model", "hnerv", "--device", "cpu", "-q", *LENGTH]
    for name in ("out.inrv", "half.inrv", "clean.inrv"):
        _succeed([*encode, "--size", "2k", "-o", str(folder / name)])
    part = ("--size", "3k", *CHEAPER["--frames"], *CHEAPER["--scale"])
    _succeed([*encode, *part, "-o", str(folder / "quick.inrv")])
    part = (*part, *CHEAPER["--crop"])
    _succeed([*encode, *part, "-o", str(folder / "part.inrv")])
    _succeed(["decode", str(folder / "out.inrv"), "-q", "-o", str(folder / "in.y4m")])
    for number, name in enumerate("abcd"):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            _succeed([*encode, "--json", "--size", f"{20 + number}00", "-o", str(folder / f"{name}.inrv")])
        (folder / f"{name}.json").write_text(said.getvalue())
    shutil.copy(ROOT / "benchmarks/results/rd-carphone.json", folder / "rd.json")
    _succeed([*encode, "--size", "6k", "--segment", "2", "-o", str(folder / "damaged.inrv")])
    data = bytearray((folder / "damaged.inrv").read_bytes())
    data[2 * len(data) // 3] ^= 1
    (folder / "damaged.inrv").write_bytes(data)


def _succeed(words: list[str]) -> None:
    if run(words) != 0:
        raise RuntimeError(f"a stand-in could not be made: inrc {' '.join(words)} failed")


def _write_picture(path: Path, frame: Frames) -> None:
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream: Any = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.shape[1], frame.shape[0], "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _write_two_streams(path: Path, frames: Frames) -> None:
    """Write two video streams and an audio stream."""
    with av.open(str(path), "w") as container:
        videos: list[Any] = [container.add_stream("libx264", rate=25) for _ in range(2)]
        sound: Any = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for stream in videos:
            stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv444p"
        for pixels in frames:
            for stream in videos:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1280), np.int16), format="s16", layout="mono")
        samples.sample_rate = 8000
        for stream, last in ((sound, samples), (sound, None), *((one, None) for one in videos)):
            container.mux(stream.encode(last))


def outputs_of(line: Line, folder: Path) -> list[Path]:
    """The files that the command must have made, from the names after `-o` and other options."""
    words, made = line.cheap(), []
    for option in ("--csv", "--preview", "--keep"):
        if option in words:
            made.append(folder / words[words.index(option) + 1])
    output = line.output
    if output is None and words[0] == "decode":
        output = str(Path(words[1]).with_suffix(".mp4"))
    if output in (None, "-") or "--dry-run" in words:
        return made
    if words[0] == "export":
        return [*made, folder / output / "manifest.json"]
    if output.endswith("/") and words[0] == "decode":
        output += "%05d.png"
    if output.endswith("/"):
        sources = words[1 : words.index("-o")]
        return [*made, *(folder / output / f"{Path(one).stem}.inrv" for one in sources)]
    if "--ladder" in words:
        stem = output.removesuffix(".inrv")
        return [*made, *(folder / f"{stem}-{bpp}bpp.inrv" for bpp in CHEAPER["--ladder"][1].split(","))]
    if "%" in output:
        return [*made, *(folder / (output % number) for number in range(1, 3))]
    return [*made, folder / output]

"""`inrc export`: ONNX models that reproduce the decoder's frames, and folders that are complete or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from codec_samples import read_frames
from command_line import GOLDEN

import bitstream
import inrcodec
from inrcodec.cli import main
from inrcodec.cli.main import run
from inrcodec.errors import InrcError
from inrcodec.exporter import onnx_graphs as graph_files
from inrcodec.exporter import player, runtime, segments
from inrcodec.exporter.manifest import OPSET
from inrcodec.models.graphs import Graph
from inrcodec.settings import export as checks
from inrcodec.settings.export import ExportSettings

pytestmark = pytest.mark.end_to_end

HNERV = GOLDEN / "hnerv.inrv"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.inrv") if not path.stem.startswith("inrc"))


@pytest.mark.parametrize("name", NAMES)
def test_models_show_what_the_decoder_shows(name: str, tmp_path: Path) -> None:
    source, folder = GOLDEN / f"{name}.inrv", tmp_path / "out"
    result = inrcodec.export(str(source), str(folder), ExportSettings(check="all"))
    with inrcodec.open(source, "cpu", "float32") as video:
        expected = video[:].astype(int)
    opened = player.Player(folder)
    # Read backwards, so that no frame finds its references already made.
    for index in reversed(range(len(expected))):
        assert np.abs(opened[index] - expected[index]).max() <= 1
    assert (result.checked_frames, len(opened)) == (len(expected), len(expected))
    for path in folder.glob("*.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert [one.version for one in model.opset_import if not one.domain] == [OPSET]
        inputs = [*model.graph.input, *model.graph.output]
        shapes = [[one.dim_value for one in value.type.tensor_type.shape.dim] for value in inputs]
        assert all(shape[0] == 1 and min(shape) > 0 for shape in shapes)


def test_models_do_not_depend_on_the_processor_that_exports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With AVX-512 our decoder computes the head for five places at once.
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX512")
    inrcodec.export(str(HNERV), str(tmp_path / "out"), ExportSettings())
    (path,) = (tmp_path / "out").glob("*.onnx")
    convolutions = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
    strides = [list(one.ints) for node in convolutions for one in node.attribute if one.name == "strides"]
    assert strides == [[1, 1]] * len(convolutions) and convolutions


def test_shots_are_made_from_their_own_frames(tmp_path: Path) -> None:
    source, folder = GOLDEN / "inrc-cuts.inrv", tmp_path / "out"
    inrcodec.export(str(source), str(folder))
    with inrcodec.open(source, "cpu", "float32") as video:
        expected = video[:].astype(int)
    opened = player.Player(folder)
    for index in (4, 1, 5, 2, 0, 3):
        assert np.abs(opened[index] - expected[index]).max() <= 1
    assert opened.manifest.segments[0].references == ((), (0,), (), (2, 5), (3, 5), (2,))


@pytest.mark.parametrize(
    "name", ["inrc", "inrc-overlapped", pytest.param("inrc-smooth", marks=pytest.mark.slow)]
)
def test_states_are_made_again_when_they_were_forgotten(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three graphs make planes, from no, one and two references."""
    source, folder = GOLDEN / f"{name}.inrv", tmp_path / "out"
    inrcodec.export(str(source), str(folder))
    with inrcodec.open(source, "cpu", "float32") as video:
        expected = video[:].astype(int)
    monkeypatch.setattr(player, "KEPT_STATES", 3)
    opened = player.Player(folder)
    for index in (4, 1, 5, 2, 0, 3):
        assert np.abs(opened[index] - expected[index]).max() <= 1
    segment = opened.manifest.segments[0]
    assert segment.references == ((), (0, 3), (1, 3), (0,), (3, 5), (3,))
    assert sorted(segment.makers) == ["0", "1", "2"]
    assert segment.stored["latent"].type == segment.stored["motion"].type == "int8"
    assert (folder / segment.stored["latent"].file).stat().st_size < 6 * 96 * 4 * 4 / 4


def exported(source: Path, folder: Path, *options: str) -> int:
    return run(["export", str(source), "-o", str(folder), *options])


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    assert exported(HNERV, folder, "--json") == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert (result["frames"], result["families"], result["opset"]) == (3, ["hnerv"], OPSET)
    assert result["checked_frames"] == 3
    assert result["largest_difference"] <= 1
    assert result["model_bytes"] == (folder / "segment-0000-shown.onnx").stat().st_size
    assert said.err.startswith(f"{folder}: 3 frames of hnerv in 1 segment, models of ")
    # Embeddings are stored as plain float32.
    manifest = json.loads((folder / "manifest.json").read_text())
    stored = manifest["segments"][0]["stored"]["embedding"]
    values = np.fromfile(folder / stored["file"], "<f4").reshape(3, *stored["shape"])
    assert (manifest["format"], stored["type"], stored["offsets"]) == ("inrc-export", "float32", None)
    session = onnxruntime.InferenceSession(folder / manifest["segments"][0]["shown"]["file"])
    (frame,) = session.run(None, {"embedding": values[1]})
    with inrcodec.open(HNERV, "cpu", "float32") as video:
        assert np.abs(frame[0].astype(int) - video[1]).max() <= 1


@pytest.mark.parametrize("is_second", [False, True])
@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "hung up"),
    ],
)
def test_a_signal_is_no_failure_of_the_exporter(
    number: int,
    code: int,
    name: str,
    is_second: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """PyTorch's exporter intercepts every exception: it goes on, or reports a failure."""
    export = graph_files.torch.onnx.export

    def intercepting(*arguments: Any, **options: Any) -> Any:
        with suppress(BaseException):
            signal.raise_signal(number)
        if is_second:
            try:
                signal.raise_signal(number)
            except BaseException as error:
                raise RuntimeError("\x1b[96mnot exported\x1b[0m") from error
        return export(*arguments, **options)

    monkeypatch.setattr(graph_files.torch.onnx, "export", intercepting)
    kept = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, main._on_sigterm)
    signal.signal(signal.SIGHUP, main._on_sighup)
    try:
        assert exported(HNERV, tmp_path / "out") == code
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)
    assert capsys.readouterr().err.splitlines() == [f"inrc: error: {name}, nothing was written"]
    assert not list(tmp_path.iterdir())


def test_the_message_of_a_failure_controls_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("\x1b[96mnot\nexported\x1b[0m")

    monkeypatch.setattr(graph_files.torch.onnx, "export", failing)
    for options in ([], ["-v"]):
        assert exported(HNERV, tmp_path / "out", *options) == 1
        said = capsys.readouterr().err
        assert "\x1b" not in said
        assert said.splitlines()[-1].startswith(
            "inrc: error: unexpected RuntimeError: \N{REPLACEMENT CHARACTER}"
        )


def test_an_earlier_export_is_replaced_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = tmp_path / "out", tmp_path / "other"
    assert exported(HNERV, folder, "-q") == 0
    before = everything(folder)
    assert exported(HNERV, folder) == 2
    assert "exists already; -y replaces it" in capsys.readouterr().err
    (folder / "segment-0000-shown.onnx").write_bytes(b"old")
    (folder / "left.over").write_bytes(b"old")
    assert exported(HNERV, folder, "-y", "-q") == 0
    assert everything(folder) == before
    other.mkdir()
    (other / "photo.png").write_bytes(b"mine")
    assert exported(HNERV, other, "-y") == 2
    assert "is not an inrc export and is not replaced" in capsys.readouterr().err
    assert everything(other) == {"photo.png": b"mine"}
    inside = folder / "video.inrv"
    inside.write_bytes(HNERV.read_bytes())
    assert exported(inside, folder, "-y") == 2
    assert inside.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


def test_what_cannot_be_exported_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged, folder = tmp_path / "damaged.inrv", tmp_path / "out"
    data = bytearray(HNERV.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    text = tmp_path / "text.inrv"
    text.write_text("no video")
    for source, code in ((damaged, 4), (text, 4), (tmp_path / "missing.inrv", 2)):
        assert exported(source, folder) == code
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("inrc: error: ")
    assert exported(HNERV, tmp_path / "missing" / "out") == 2
    assert exported(HNERV, folder, "--runtime", str(tmp_path)) == 2
    assert exported(HNERV, folder, "--web", "--runtime", str(tmp_path)) == 2
    assert "is not onnxruntime-web" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.inrv", "text.inrv"]


def test_models_that_show_something_else_are_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    traced = graph_files.traced

    def other(graph: Graph, *arguments: Any) -> bytes:
        darker = Graph(lambda *given: (graph.function(*given)[0] // 2,), graph.stored)
        return traced(darker, *arguments)

    monkeypatch.setattr(graph_files, "traced", other)
    assert exported(HNERV, tmp_path / "out") == 1
    assert "frame 0 of the exported models differs from our decoder's" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(segments.SegmentExport, "_compare", interrupted)
    assert exported(HNERV, tmp_path / "out") == 130
    assert "interrupted, nothing was written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_missing_libraries_and_npm_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(checks, "find_spec", lambda name: None if name == "onnxscript" else True)
        assert exported(HNERV, tmp_path / "out") == 2
    assert (
        capsys.readouterr().err == "inrc: error: inrc export needs onnxscript: pip install 'inrc[export]'\n"
    )
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert exported(HNERV, tmp_path / "out", "--web") == 2
    assert "install npm to download it, or name an unpacked one: --runtime" in capsys.readouterr().err


def test_only_the_pinned_runtime_is_unpacked(tmp_path: Path) -> None:
    package = tmp_path / "onnxruntime-web.tgz"
    package.write_bytes(b"something else")
    with pytest.raises(InrcError, match="is not the pinned onnxruntime-web .*: its sha512 is "):
        runtime.unpack_runtime(package, tmp_path)


def test_files_of_10_bits_are_exported_with_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stream = bitstream.load(HNERV.read_bytes())
    source = tmp_path / "deep.inrv"
    deep = replace(stream, header=replace(stream.header, bit_depth=10))
    source.write_bytes(bitstream.dump(deep))
    assert exported(source, tmp_path / "out") == 0
    assert "note: frames of 10 bits are exported with 8" in capsys.readouterr().err
    with inrcodec.open(HNERV, "cpu", "float32") as video:
        assert np.abs(player.Player(tmp_path / "out")[2].astype(int) - video[2]).max() <= 1


def test_frames_are_exported_upright_with_their_times(tmp_path: Path) -> None:
    stream = bitstream.load(HNERV.read_bytes())
    header = replace(
        stream.header,
        rotation=90,
        time_base=Fraction(1, 1000),
        timestamps=(0, 40, 100),
        last_duration=2500,
        sample_aspect_ratio=Fraction(4, 3),
    )
    source = tmp_path / "turned.inrv"
    source.write_bytes(bitstream.dump(replace(stream, header=header)))
    inrcodec.export(str(source), str(tmp_path / "out"), ExportSettings(check="all"))
    opened = player.Player(tmp_path / "out")
    with inrcodec.open(source, "cpu", "float32") as video:
        assert np.abs(opened[2].astype(int) - video[2]).max() <= 1
    manifest = opened.manifest
    assert (manifest.width, manifest.height, manifest.sample_aspect_ratio) == (23, 31, 0.75)
    assert manifest.times == (0.0, 0.04, 0.1) and manifest.last_seconds == 2.5


def test_a_page_has_a_poster_the_size_of_the_file_and_the_digests_of_its_runtime(tmp_path: Path) -> None:
    parts = tmp_path / "runtime"
    parts.mkdir()
    for name in runtime.FILES:
        (parts / name).write_bytes(name.encode())
    folder = tmp_path / "out"
    assert exported(HNERV, folder, "--web", "--runtime", str(parts)) == 0
    manifest = player.load_manifest(folder)
    assert manifest.file_bytes == os.path.getsize(HNERV) and manifest.poster == "poster.jpg"
    digests = {
        name: hashlib.sha256(name.encode()).hexdigest() for name in runtime.FILES if "wasm" in name[-4:]
    }
    assert manifest.runtime == digests and len(digests) == 2
    with inrcodec.open(HNERV, "cpu", "float32") as video:
        (poster,) = read_frames(folder / "poster.jpg")
        assert poster.shape == video[0].shape and np.abs(poster.astype(int) - video[0]).mean() < 8
    assert exported(HNERV, tmp_path / "plain") == 0
    plain = player.load_manifest(tmp_path / "plain")
    assert plain.file_bytes == manifest.file_bytes and plain.poster is plain.runtime is None
    assert not (tmp_path / "plain" / "poster.jpg").exists()


def test_the_page_is_in_the_package() -> None:
    names = {one.name for one in files("inrcodec.exporter").joinpath("web").iterdir()}
    assert names == {"index.html", "style.css", "page.js", "decoder.js"}

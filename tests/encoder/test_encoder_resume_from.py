"""`--resume-from`: warm starts from an earlier file, which never make it worse."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codec_samples import TRAINED, moving_gradient, random_source, random_tensors, write_clip
from command_line import inrc, only_line

import bitstream
import inrcodec
from inrcodec.coding.opened_segment import open_segment
from inrcodec.coding.sections import decode_sections
from inrcodec.decoder.info import inspect
from inrcodec.errors import TargetUnreachable, UsageError
from inrcodec.fit.job import FitJob
from inrcodec.fit.network_training import TrainedNetwork, train_network
from inrcodec.fit.training.warm_start import ContinuedRepresentation
from inrcodec.models.family import Role, VideoInfo
from inrcodec.models.registry import family_by_name
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.source import FrameRange, SourceSettings

pytestmark = pytest.mark.end_to_end

SETTINGS = EncodeSettings(model="hnerv", device="cpu", epochs=4, size_bytes=6000)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 8)))


@pytest.fixture(scope="module")
def first(clip: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of one segment, fitted so briefly that it can improve."""
    path = str(tmp_path_factory.mktemp("first") / "a.inrv")
    inrcodec.encode(clip, path, replace(SETTINGS, seed=7, model_options={"channels": "3"}))
    return path


@pytest.fixture
def ruined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every fit end with a useless network."""

    def fit(job: FitJob) -> TrainedNetwork:
        fitted = train_network(job)
        return replace(fitted, values={name: 0.1 * value for name, value in fitted.values.items()})

    monkeypatch.setattr("inrcodec.fit.network.train_network", fit)


def goes_on(path: str, **changes: Any) -> EncodeSettings:
    return replace(EncodeSettings(device="cpu", epochs=8, resume_from=path), **changes)


def psnr_of(path: str | Path) -> float:
    found = inspect(str(path)).psnr_db
    assert found is not None
    return found


def test_a_file_gets_better_at_its_own_size(clip: str, first: str, tmp_path: Path) -> None:
    output = tmp_path / "better.inrv"
    done = inrc(
        "encode", clip, "-o", output, "--resume-from", first, "--epochs", "12", "--device", "cpu", "--json"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["target_bytes"] == os.path.getsize(first) >= result["file_bytes"]
    assert psnr_of(output) == pytest.approx(result["psnr_db"], abs=1e-3)
    assert psnr_of(output) > psnr_of(first) + 0.5
    before, after = (bitstream.load(Path(path).read_bytes()).segments[0] for path in (first, output))
    assert (before.family, before.config, before.seed) == (after.family, after.config, after.seed)
    assert after.seed == 7
    assert before.sections != after.sections


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(family.name, marks=[pytest.mark.slow] if family.name.startswith("snerv") else [])
        for family in TRAINED
    ],
)
def test_every_family_goes_on_where_it_was(clip: str, tmp_path: Path, name: str) -> None:
    """A warm start begins with exactly the tensors of the file."""
    path = str(tmp_path / "a.inrv")
    size = 12_000 if name.startswith("snerv") else 6000
    inrcodec.encode(clip, path, replace(SETTINGS, model=name, size_bytes=size, epochs=2))
    stream = bitstream.load(Path(path).read_bytes())
    opened = open_segment(stream.segments[0], stream.header)
    arrays = decode_sections(opened.specs, opened.segment.sections)
    tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
    fresh = opened.family.representation(opened.config, opened.video, opened.segment.seed)
    continued = ContinuedRepresentation(fresh, opened.specs, tensors)
    indices = torch.arange(opened.video.frame_count)
    with torch.no_grad():
        transmitted = continued.transmitted(None, indices)
        rendered = continued.render(transmitted, indices)
        expected = opened.family.decoder(opened.config, opened.video, tensors)(indices)
    assert set(transmitted) == {spec.name for spec in opened.specs}
    for spec in opened.specs:
        assert torch.equal(transmitted[spec.name], tensors[spec.name]), spec.name
    torch.testing.assert_close(rendered, expected, atol=1e-5, rtol=1e-5)
    result = inrcodec.encode(clip, str(tmp_path / "b.inrv"), goes_on(path, epochs=3))
    assert result.family == name
    assert result.psnr_db >= psnr_of(path) - 1e-3


@pytest.mark.parametrize("name", [family.name for family in TRAINED])
def test_all_that_is_transmitted_and_learned_is_trained(name: str) -> None:
    video = VideoInfo(96, 64, 3)
    family = family_by_name(name)
    config = family.plan(video, 3e6, {}, seed=0)
    tensors = random_tensors(family, config, video)
    specs = family.tensors(config, video)
    continued = ContinuedRepresentation(family.representation(config, video, 0), specs, tensors)
    grouped = [id(one) for group in continued.groups() for one in group.parameters]
    assert sorted(grouped) == sorted(id(one) for one in continued.module.parameters())
    source = random_source(video)
    rendered = continued.render(continued.transmitted(source, source.indices), source.indices)
    (rendered - source.current).square().mean().backward()  # type: ignore[no-untyped-call]
    learned = [spec for spec in specs if not (spec.per_frame and spec.role is Role.SCALE)]
    parameters = list(continued.module.parameters())
    assert len(parameters) == len(learned)
    assert all(one.grad is not None for one in parameters)
    assert {tuple(one.shape) for one in parameters} == {spec.shape for spec in learned}


@pytest.mark.usefixtures("ruined")
def test_what_comes_out_worse_is_not_taken(clip: str, first: str, tmp_path: Path) -> None:
    notes: list[str] = []

    class Notes(Silent):
        def note(self, message: str) -> None:
            notes.append(message)

    output = tmp_path / "b.inrv"
    result = inrcodec.encode(clip, str(output), goes_on(first, epochs=1), Notes())
    assert result.segments_kept == 1
    assert result.psnr_db == pytest.approx(psnr_of(first), abs=1e-3)
    before, after = (bitstream.load(Path(path).read_bytes()).segments for path in (first, output))
    assert before == after
    assert f"1 of 1 fit came out worse than {first}: the earlier segments are kept" in notes


def test_another_size_may_be_asked_for(clip: str, first: str, tmp_path: Path) -> None:
    own, output = os.path.getsize(first), str(tmp_path / "b.inrv")
    larger = inrcodec.encode(clip, output, goes_on(first, size_bytes=own + 3000))
    assert own < larger.file_bytes <= own + 3000
    smaller = inrcodec.encode(clip, output, goes_on(first, size_bytes=own - 1500, overwrite=True))
    assert smaller.file_bytes <= own - 1500
    with pytest.raises(
        TargetUnreachable, match="networks of .*; the smallest reachable is size_bytes="
    ) as caught:
        inrcodec.encode(clip, output, goes_on(first, size_bytes=200, overwrite=True))
    least = caught.value.smallest_bytes
    assert least is not None
    tiny = inrcodec.encode(clip, output, goes_on(first, size_bytes=least, epochs=1, overwrite=True))
    assert tiny.file_bytes <= least


@pytest.mark.usefixtures("ruined")
def test_a_smaller_file_of_what_stays_has_coarser_steps(clip: str, first: str, tmp_path: Path) -> None:
    less = os.path.getsize(first) - 1500
    result = inrcodec.encode(clip, str(tmp_path / "b.inrv"), goes_on(first, size_bytes=less, epochs=1))
    assert result.segments_kept == 1
    assert result.file_bytes <= less
    assert result.step_factor > 1


def test_segments_are_those_of_the_file(clip: str, tmp_path: Path) -> None:
    path, output = str(tmp_path / "a.inrv"), str(tmp_path / "b.inrv")
    inrcodec.encode(clip, path, replace(SETTINGS, segment=3, size_bytes=9000))
    result = inrcodec.encode(clip, output, goes_on(path))
    before, after = (bitstream.load(Path(one).read_bytes()).segments for one in (path, output))
    assert [one.first_frame for one in before] == [one.first_frame for one in after] == [0, 3, 6]
    assert [one.config for one in before] == [one.config for one in after]
    assert result.file_bytes <= os.path.getsize(path)
    assert result.psnr_db > psnr_of(path)


def test_each_segment_is_taken_or_stays(clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of three fits is ruined."""
    path, output, count = str(tmp_path / "a.inrv"), str(tmp_path / "b.inrv"), itertools.count()
    inrcodec.encode(clip, path, replace(SETTINGS, segment=3, size_bytes=9000))

    def fit(job: FitJob) -> TrainedNetwork:
        fitted, factor = train_network(job), 0.1 if next(count) == 1 else 1.0
        return replace(fitted, values={name: factor * value for name, value in fitted.values.items()})

    monkeypatch.setattr("inrcodec.fit.network.train_network", fit)
    result = inrcodec.encode(clip, output, goes_on(path))
    before, after = (bitstream.load(Path(one).read_bytes()).segments for one in (path, output))
    assert result.segments_kept == 1
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, False]
    assert result.file_bytes <= os.path.getsize(path)


def test_a_resumed_fit_of_a_file_ends_as_if_uninterrupted(clip: str, first: str, tmp_path: Path) -> None:
    class Stop(Silent):
        def stage(self, name: str, done: int, total: int) -> None:
            self.count = getattr(self, "count", 0) + (name == "checking")
            # The first check is of the file that the fit starts from, the second of the fit.
            if self.count == 2:
                raise KeyboardInterrupt

    whole, output = tmp_path / "a.inrv", tmp_path / "b.inrv"
    asked = goes_on(first, checkpoint_seconds=1e-3)
    inrcodec.encode(clip, str(whole), asked)
    with pytest.raises(KeyboardInterrupt):
        inrcodec.encode(clip, str(output), asked, Stop())
    assert (tmp_path / "b.inrv.resume" / "segment-0.fit").exists()
    with pytest.raises(UsageError, match="an unfinished encode with another resume_from"):
        inrcodec.encode(clip, str(output), replace(asked, resume_from=str(whole)))
    inrcodec.encode(clip, str(output), asked)
    assert output.read_bytes() == whole.read_bytes()


def test_a_file_may_be_improved_in_its_place(clip: str, first: str, tmp_path: Path) -> None:
    path = tmp_path / "a.inrv"
    path.write_bytes(Path(first).read_bytes())
    inrcodec.encode(clip, str(path), goes_on(str(path), overwrite=True))
    assert psnr_of(path) > psnr_of(first)
    assert os.listdir(tmp_path) == ["a.inrv"]


@pytest.mark.parametrize(
    "words",
    ["--model hnerv", "--model-option channels=3", "--parameters 3k", "--seed 7", "--segment auto"],
)
def test_what_the_file_says_is_not_asked_for_again(first: str, clip: str, words: str) -> None:
    option, value = words.split()
    done = inrc("encode", clip, "-o", "never.inrv", "--resume-from", first, option, value)
    assert done.returncode == 2
    assert f"--resume-from continues the file's networks: leave {option} out" in only_line(done.stderr)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "nerv"}, "leave model out"),
        ({"model_options": {"channels": "3"}}, "leave model_options out"),
        ({"parameters": 1000}, "leave parameters out"),
        ({"seed": 8}, "leave seed out"),
        ({"segment": 4}, "leave segment out"),
        ({"psnr_db": 30.0}, "psnr_db searches for a network"),
        ({"prune": 0.5, "resume_from": "missing.inrv"}, "missing.inrv does not exist"),
        ({"resume_from": "-"}, "expected a file, found a pipe"),
        (
            {"source": SourceSettings(frames=FrameRange(0, 5))},
            "holds 8 frames of 48x32, the source gives 5 of 48x32",
        ),
    ],
)
def test_contradictions_are_one_line(
    clip: str, first: str, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        inrcodec.encode(clip, str(tmp_path / "b.inrv"), goes_on(first, **changes))
    assert os.listdir(tmp_path) == []


def test_a_damaged_file_is_none_to_go_on_from(clip: str, first: str, tmp_path: Path) -> None:
    data = bytearray(Path(first).read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "damaged.inrv"
    damaged.write_bytes(data)
    done = inrc("encode", clip, "-o", tmp_path / "b.inrv", "--resume-from", damaged, "--device", "cpu")
    assert (done.returncode, os.listdir(tmp_path)) == (4, ["damaged.inrv"])
    only_line(done.stderr)


def test_one_file_is_of_one_source(clip: str, first: str, tmp_path: Path) -> None:
    other = write_clip(tmp_path / "other.mp4", moving_gradient(48, 32, 8))
    done = inrc("encode", clip, other, "-o", f"{tmp_path}/out/", "--resume-from", first)
    assert done.returncode == 2
    assert "--resume-from takes one source, found 2" in only_line(done.stderr)


def test_steps_begin_as_they_are_in_the_file(clip: str, first: str, tmp_path: Path) -> None:
    """A warm start that learns nothing keeps all values within two quantisation steps of the file."""
    stream = bitstream.load(Path(first).read_bytes())
    opened = open_segment(stream.segments[0], stream.header)
    output = tmp_path / "b.inrv"
    inrcodec.encode(clip, str(output), goes_on(first, epochs=1, learning_rate=1e-9))
    after = bitstream.load(output.read_bytes()).segments[0]
    before_values = decode_sections(opened.specs, opened.segment.sections)
    after_values = decode_sections(opened.specs, after.sections)
    for spec in opened.specs:
        step = max(one for one in opened.segment.sections[opened.specs.index(spec)].steps)
        assert np.abs(before_values[spec.name] - after_values[spec.name]).max() <= 2 * step

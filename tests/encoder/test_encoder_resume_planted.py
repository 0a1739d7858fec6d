"""Nothing that somebody else put into a resume folder is ever used, and a damaged state is said."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from codec_samples import moving_gradient, write_clip
from command_line import only_line
from foreign import plant
from test_encoder_quality_search import ASKED, Encodes
from test_encoder_resume import DRAFT

import inrcodec
from inrcodec.cli.main import run
from inrcodec.encoder.quality_search import encode_to_quality
from inrcodec.encoder.resume import Resumable
from inrcodec.encoder.segment import CodedSegment, SegmentFigures
from inrcodec.errors import UsageError
from inrcodec.fit.training.checkpoint import Checkpoints
from inrcodec.plan.network import SegmentPlan, plan_segment
from inrcodec.progress import Silent
from inrcodec.settings.encode import EncodeSettings
from inrcodec.video.properties import VideoProperties
from inrcodec.video.survey import survey_video

pytestmark = pytest.mark.end_to_end

SETTINGS = EncodeSettings(model="hnerv", preset="draft", epochs=1, size_bytes=3000, device="cpu")
REQUEST = {"seed": 0, "source": ["a digest", "properties"]}


class Notes(Silent):
    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_gradient(48, 32, 12))


@pytest.fixture(scope="module")
def coded(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SegmentPlan, CodedSegment]:
    """A plan and its coded segment."""
    path = tmp_path_factory.mktemp("coded") / "a.inrv"
    inrcodec.encode(str(clip), str(path), SETTINGS)
    properties = survey_video(str(clip), SETTINGS.source, 0, Silent()).properties
    figures = SegmentFigures((30.5,) * 12, (0.1, 1 / 3), 0.0, 1.25, 100, 12, 1.0, 0.5)
    plan = plan_segment(properties, SETTINGS)
    return plan, CodedSegment(path.read_bytes(), figures)


@dataclass
class Kept:
    """A resume folder with one finished segment."""

    output: str
    plan: SegmentPlan
    coded: CodedSegment

    @property
    def folder(self) -> Path:
        return Path(f"{self.output}.resume")

    def opened(self, progress: Silent | None = None, **changed: Any) -> Resumable:
        request = {**REQUEST, **changed}
        return Resumable(self.output, request, "cpu", 0.0, SETTINGS, progress or Silent())


@pytest.fixture
def kept(coded: tuple[SegmentPlan, CodedSegment], tmp_path: Path) -> Kept:
    found = Kept(str(tmp_path / "a.inrv"), *coded)
    found.opened().store(0, *coded)
    return found


def test_only_the_owner_can_read_what_is_kept(kept: Kept) -> None:
    notes = Notes()
    resumable = kept.opened(notes)
    assert resumable.is_resumed
    assert resumable.finished(0, kept.plan) == kept.coded
    assert resumable.finished(1, kept.plan) is None
    assert notes.notes == []
    assert kept.folder.stat().st_mode & 0o777 == 0o700
    modes = {name: (kept.folder / name).stat().st_mode & 0o777 for name in os.listdir(kept.folder)}
    assert modes == dict.fromkeys(["segment-0.inrv", "segment-0.json", "state.json"], 0o600)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _figures(folder: Path) -> None:
    stored = json.loads((folder / "segment-0.json").read_text())
    stored["content"]["psnr_db"][0] = 99.0
    (folder / "segment-0.json").write_text(json.dumps(stored))


def _without_seal(folder: Path) -> None:
    stored = json.loads((folder / "segment-0.json").read_text())
    (folder / "segment-0.json").write_text(json.dumps(stored["content"]))


def _link(folder: Path) -> None:
    shutil.move(folder / "segment-0.inrv", folder.parent / "elsewhere")
    (folder / "segment-0.inrv").symlink_to(folder.parent / "elsewhere")


def _pipe(folder: Path) -> None:
    (folder / "segment-0.json").unlink()
    os.mkfifo(folder / "segment-0.json")


PLANTED: dict[str, Callable[[Path], object]] = {
    "damaged": lambda folder: _flip(folder / "segment-0.inrv"),
    "cut off": lambda folder: os.truncate(folder / "segment-0.inrv", 100),
    "empty": lambda folder: os.truncate(folder / "segment-0.inrv", 0),
    "figures": _figures,
    "figures cut off": lambda folder: os.truncate(folder / "segment-0.json", 50),
    "no seal": _without_seal,
    "no object": lambda folder: (folder / "segment-0.json").write_text("[1, 2]"),
    "deep": lambda folder: (folder / "segment-0.json").write_text("[" * 100_000),
    "link": _link,
    "pipe": _pipe,
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_segment_that_was_changed_is_fitted_again(kept: Kept, kind: str) -> None:
    PLANTED[kind](kept.folder)
    notes = Notes()
    assert kept.opened(notes).finished(0, kept.plan) is None
    assert notes.notes == [
        f"{kept.folder}/segment-0.inrv is damaged or belongs to another encode; fitting its segment again"
    ]


def test_a_segment_of_another_encode_is_never_taken(kept: Kept, tmp_path: Path) -> None:
    # The same request and plan, but another key, as in the folder of another person.
    other = Kept(str(tmp_path / "b.inrv"), kept.plan, kept.coded)
    other.opened().store(0, kept.plan, kept.coded)
    for name in ("segment-0.inrv", "segment-0.json"):
        shutil.copy(other.folder / name, kept.folder / name)
    assert kept.opened().finished(0, kept.plan) is None
    # With the key of the other encode, but for another request or in another place.
    kept.opened().store(0, kept.plan, kept.coded)
    for ending in ("inrv", "json"):
        shutil.copy(kept.folder / f"segment-0.{ending}", kept.folder / f"segment-1.{ending}")
    assert kept.opened().finished(0, kept.plan) == kept.coded
    assert kept.opened().finished(1, kept.plan) is None
    state = json.loads((kept.folder / "state.json").read_text())
    state["request"]["seed"] = 1
    (kept.folder / "state.json").write_text(json.dumps(state))
    changed = kept.opened(seed=1)
    assert changed.is_resumed and changed.finished(0, kept.plan) is None


def test_a_segment_of_another_plan_is_never_taken(kept: Kept) -> None:
    plan, resumable = kept.plan, kept.opened()
    for other in (
        replace(plan, target_bytes=plan.target_bytes - 1),
        replace(plan, seed=1),
        replace(plan, video=replace(plan.video, frame_count=11)),
        replace(plan, header=replace(plan.header, width=46)),
        replace(plan, config=replace(plan.config, width=plan.config.width + 1)),
        replace(plan, is_masked=True),
        plan_segment_of("nerv"),
    ):
        assert resumable.finished(0, other) is None
    assert resumable.finished(0, plan) == kept.coded
    # Even with a seal, a segment must be one of its plan.
    small = replace(plan, target_bytes=len(kept.coded.data) - 1)
    resumable.store(0, small, kept.coded)
    assert resumable.finished(0, small) is None
    short = replace(plan, video=replace(plan.video, frame_count=11))
    resumable.store(0, short, kept.coded)
    assert resumable.finished(0, short) is None


def plan_segment_of(model: str) -> SegmentPlan:
    properties = VideoProperties(48, 32, 12, Fraction(25), Fraction(1, 25))
    return plan_segment(properties, replace(SETTINGS, model=model))


def changed_state(**changed: Any) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        state = {**json.loads(path.read_text()), **changed}
        path.write_text(json.dumps({name: value for name, value in state.items() if value is not ...}))

    return change


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "cut off": lambda path: os.truncate(path, 40),
    "no object": lambda path: path.write_text("[]"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "no key": lambda path: path.write_text(path.read_text().replace('"key"', '"kei"')),
    "short key": changed_state(key="00"),
    "key of another kind": changed_state(key=[1]),
    "negative time": changed_state(used_seconds=-1.0),
    "no time": changed_state(used_seconds="1"),
    "endless time": lambda path: path.write_text(
        path.read_text().replace('"used_seconds": ', '"used_seconds": Infinity, "x": ')
    ),
    "no request": changed_state(request=None),
    "link": lambda path: path.symlink_to(shutil.move(path, path.parent.parent / "elsewhere")),
    "pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_names_the_folder_and_what_to_do(kept: Kept, damage: str) -> None:
    DAMAGES[damage](kept.folder / "state.json")
    before = sorted(os.listdir(kept.folder))
    with pytest.raises(
        UsageError, match="damaged state.json; delete the folder, or add overwrite=True"
    ) as refused:
        kept.opened()
    assert str(kept.folder) in str(refused.value)
    assert sorted(os.listdir(kept.folder)) == before
    notes = Notes()
    again = Resumable(kept.output, REQUEST, "cpu", 0.0, replace(SETTINGS, overwrite=True), notes)
    assert not again.is_resumed and again.finished(0, kept.plan) is None
    assert notes.notes == [f"{kept.folder} had another state: discarded, starting again"]
    assert not kept.folder.exists()


def test_a_state_of_another_user_is_not_taken(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrcodec.encoder.resume.check_resume_folder", lambda output: None)
    plant(kept.folder / "state.json", monkeypatch)
    with pytest.raises(UsageError, match="damaged state.json"):
        kept.opened()


@pytest.mark.parametrize("kind", ["another user", "link", "dangling link"])
@pytest.mark.parametrize("more", [[], ["-y"]])
def test_a_folder_of_somebody_else_is_refused_before_any_work(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    kind: str,
    more: list[str],
) -> None:
    folder, elsewhere = tmp_path / "a.inrv.resume", tmp_path / "elsewhere"
    if kind == "another user":
        folder.mkdir()
        (folder / "state.json").write_text("{}")
        plant(folder, monkeypatch)
    else:
        folder.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.mkdir()
        (elsewhere / "segment-0.json").write_text("precious")
    before = sorted(map(str, tmp_path.rglob("*")))
    capfdbinary.readouterr()
    assert run(["encode", str(clip), "-o", str(tmp_path / "a.inrv"), *more]) == 2
    line = only_line(capfdbinary.readouterr().err)
    assert str(folder) in line and "name another output" in line
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_a_link_in_the_folder_is_removed_and_not_followed(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "other.resume").mkdir()
    (tmp_path / "other.resume" / "state.json").write_text("precious")
    (kept.folder / "fit-0.inrv.resume").symlink_to(tmp_path / "other.resume")
    kept.opened().remove()
    assert not kept.folder.exists()
    assert (tmp_path / "other.resume" / "state.json").read_text() == "precious"


def test_a_planted_segment_does_not_reach_the_file(clip: Path, tmp_path: Path) -> None:
    """Grey frames of an attacker, with exit code 0, before segments had seals."""
    asked = replace(DRAFT, epochs=1, segment=6)
    other = write_clip(tmp_path / "other.mp4", 255 - moving_gradient(48, 32, 12))
    folders = []
    for source, name in ((clip, "a.inrv"), (other, "b.inrv")):
        with pytest.raises(KeyboardInterrupt):
            inrcodec.encode(str(source), str(tmp_path / name), asked, StopsAfter(1))
        folders.append(tmp_path / f"{name}.resume")
    for name in ("segment-0.inrv", "segment-0.json"):
        shutil.copy(folders[1] / name, folders[0] / name)
    notes = Notes()
    inrcodec.encode(str(clip), str(tmp_path / "a.inrv"), asked, notes)
    assert "resuming: 0 of 2 segments are finished" in notes.notes
    inrcodec.encode(str(clip), str(tmp_path / "c.inrv"), asked)
    assert (tmp_path / "a.inrv").read_bytes() == (tmp_path / "c.inrv").read_bytes()


class StopsAfter(Silent):
    """Interrupts an encode once some segments are finished."""

    def __init__(self, count: int) -> None:
        self.count = count

    def stage(self, name: str, done: int, total: int) -> None:
        if name == "segments finished" and done == self.count:
            raise KeyboardInterrupt


class Counter:
    """A part of a fit."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"value": torch.tensor(self.value)}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        self.value = int(state["value"])


@pytest.mark.parametrize(
    "kind", ["same", "another plan", "another segment", "another key", "flipped", "empty", "link"]
)
def test_checkpoints_are_tied_to_encode_segment_and_plan(kept: Kept, kind: str) -> None:
    def checkpoints(number: int, plan: SegmentPlan) -> Checkpoints:
        return kept.opened().folder.checkpoints(number, plan, notes)

    notes, number, plan = Notes(), 1, kept.plan
    checkpoints(1, plan).save({"counter": Counter(7)}, {"step": 3})
    path = kept.folder / "segment-1.fit"
    if kind == "another plan":
        plan = replace(plan, target_bytes=plan.target_bytes + 1)
    elif kind == "another segment":
        number = 2
        shutil.copy(path, kept.folder / "segment-2.fit")
    elif kind == "another key":
        changed_state(key="ab" * 32)(kept.folder / "state.json")
    elif kind == "flipped":
        _flip(path)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "link":
        path.symlink_to(shutil.move(path, kept.folder.parent / "elsewhere"))
    counter = Counter(0)
    position = checkpoints(number, plan).load({"counter": counter}, torch.device("cpu"))
    if kind == "same":
        assert (position, counter.value, notes.notes) == ({"step": 3}, 7, [])
    else:
        assert (position, counter.value) == (None, 0)
        assert notes.notes == [
            f"{kept.folder}/segment-{number}.fit is damaged or belongs to another encode; "
            "fitting its segment from the start"
        ]


@pytest.mark.parametrize("planted", ["file", "results", "nothing"])
def test_planted_fits_of_a_search_are_not_taken(tmp_path: Path, planted: str) -> None:
    source = write_clip(tmp_path / "clip.mp4", moving_gradient(48, 32, 4))
    output, asked = tmp_path / "a.inrv", replace(ASKED, epochs=1, psnr_db=40)
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(str(source), str(output), asked, Silent(), Encodes(stop_before=2))
    folder = tmp_path / "a.inrv.resume"
    size = (folder / "fit-0.inrv").stat().st_size
    if planted == "file":
        # The length is that of the fit.
        (folder / "fit-0.inrv").write_bytes(b"\0" * size)
    elif planted == "results":
        stored = (folder / "fits.json").read_text()
        (folder / "fits.json").write_text(stored.replace('"is_trial": false', '"is_trial": true '))
        assert stored != (folder / "fits.json").read_text()
    again, notes = Encodes(stop_before=0), Notes()
    with pytest.raises(KeyboardInterrupt):
        encode_to_quality(str(source), str(output), asked, notes, again)
    found = [note for note in notes.notes if note.startswith("fit 1: ")]
    assert len(found) == (planted == "nothing")
    assert any("fits.json is damaged or belongs to another" in note for note in notes.notes) == (
        planted == "results"
    )

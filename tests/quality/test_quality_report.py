"""`inrc report`: the content of the page, refusals, and that failures leave no files behind."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import redirect_stdout
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_samples import Frames, moving_gradient, write_clip
from command_line import ROOT, environment, only_line
from hatchling.builders.wheel import WheelBuilder

import inrcodec
from inrcodec.cli.main import run
from inrcodec.decoder.info import inspect
from inrcodec.progress import MOST_COURSE_POINTS, Course
from inrcodec.quality import bdrate, frame_metrics
from inrcodec.quality.report import plots
from inrcodec.quality.report.charts import linear_axis, logarithmic_axis
from inrcodec.quality.report.gather import ReportResult
from inrcodec.quality.report.markup import data_block, element, joined
from inrcodec.quality.report.page import page as page_of
from inrcodec.quality.report.pictures import choose_frames, heat, make_pictures
from inrcodec.quality.report.rates import own_curves, rate_curves, read_results
from inrcodec.quality.report.sections import bit_groups, group_of, merged_sections
from inrcodec.quality.report.write import write_report
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.pages import ReportSettings
from inrcodec.settings.source import FrameRange, SourceSettings
from inrcodec.video import read_clip
from inrcodec.video.images import jpeg_bytes, webp_bytes

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("hurried_module")]
NAME = "a <b>&'\".inrv"
"""A file name that is markup unless it is escaped."""


class Page(HTMLParser):
    """The tags and texts of a page; fails on unclosed elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "input", "link", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source of seven frames, two files of it, and the `encode --json` log of one."""
    folder = tmp_path_factory.mktemp("report")
    write_clip(folder / "source.mp4", moving_gradient(48, 32, 7))
    small = EncodeSettings(device="cpu", epochs=1, size_bytes=2500)
    inrcodec.encode(str(folder / "source.mp4"), str(folder / NAME), small)
    command = ["encode", folder / "source.mp4", "-o", folder / "b.inrv", "--model", "hnerv", "--size", "6k"]
    options = ["--epochs", "20", "--segment", "4", "--device", "cpu", "--json", "-q"]
    with (folder / "b.json").open("w") as log, redirect_stdout(log):
        assert run([*map(str, command), *options]) == 0
    return folder


@pytest.fixture(scope="module")
def made(folder: Path) -> ReportResult:
    files = [str(folder / NAME), str(folder / "b.inrv")]
    settings = ReportSettings(device="cpu", logs=[str(folder / "b.json")])
    return write_report(str(folder / "source.mp4"), files, str(folder / "out.html"), settings)


@pytest.fixture(scope="module")
def page(folder: Path, made: ReportResult) -> Page:
    return Page((folder / "out.html").read_text())


def test_the_page_has_its_parts_and_loads_nothing(folder: Path, page: Page) -> None:
    headings = re.findall(r"<h2>(.*?)</h2>", (folder / "out.html").read_text())
    assert headings == [
        "Summary",
        "Rate and distortion",
        "Pictures",
        "Frame by frame",
        "Bits",
        "Fit",
        "About",
    ]
    links = [attributes["href"] for attributes in page.attributes("a")]
    assert [f"#{one['id']}" for one in page.attributes("section")] == links
    for _, attributes in page.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#"))
    assert "@import" not in (folder / "out.html").read_text()
    assert "url(" not in (folder / "out.html").read_text()


def test_figures_are_those_of_the_evaluation(made: ReportResult, page: Page) -> None:
    for one in made.evidence.files:
        for summary in one.quality.summaries():
            digits = 2 if summary.metric.unit == "dB" else 4
            assert f"{summary.mean:.{digits}f}" in page.text
        assert f"{one.quality.file_bytes:,}" in page.text
    assert {one["file"] for one in made.as_dict()["files"]} == {
        one.quality.decoded for one in made.evidence.files
    }
    json.dumps(made.as_dict(), allow_nan=False)


def test_tables_are_folded_and_pictures_are_not(folder: Path) -> None:
    text = (folder / "out.html").read_text()
    for body in re.split(r"<section", text)[1:]:
        outside = re.sub(r"<details.*?</details>", "", body, flags=re.DOTALL)
        assert "<table" not in outside
    assert "<summary>All files</summary>" in text and "with a PSNR from" in text


def test_a_file_has_one_colour_on_the_whole_page(folder: Path, made: ReportResult, tmp_path: Path) -> None:
    results = tmp_path / "rd.json"
    point = {"file_bytes": 100, "bpp": 0.1, "psnr_db": 30.0, "ms_ssim": None}
    rows = [
        {"clip": "a", "contender": name, "options": [], "point": point}
        for name in ("x264:medium", "x265:medium")
    ]
    results.write_text(json.dumps({"results": rows}))
    clips = read_results(str(results))
    files = made.evidence.files
    (plot,) = rate_curves(own_curves([("inrc", file.quality) for file in files]), 8000, clips)
    colours = plots._colours(plot, len(files))
    assert colours == {"inrc (this report)": 0, "x264:medium": 2, "x265:medium": 3}
    section = plots.rate_section(replace(made.evidence, plots=(plot,), comparisons=((),)))
    assert section is not None
    # One dot of each file, beside those of the curve, and its own name where it is read.
    assert len(re.findall(r'class="dots c2"', section)) >= 1
    for file in files:
        assert json.dumps(file.name)[1:-1].replace("<", "\\u003c") in section


def test_a_title_replaces_the_name_of_the_source(folder: Path, made: ReportResult) -> None:
    text = page_of(replace(made.evidence, title="Two <rates>"))
    assert "<h1>Two &lt;rates&gt;</h1>" in text and "<title>Two &lt;rates&gt;: inrc report</title>" in text
    assert "<h1>source.mp4</h1>" in page_of(made.evidence)


def test_names_are_text(page: Page) -> None:
    assert NAME in page.text
    names = [attributes["data-name"] for attributes in page.attributes("img") if "data-name" in attributes]
    assert {NAME, "b.inrv", "source", f"{NAME}: error", "b.inrv: FLIP"} <= set(names)


def test_elements_escape_what_is_not_markup() -> None:
    found = element("p", "<i>", element("b", "&"), None, title='"<', class_="a", hidden=True, id=None)
    assert found == '<p title="&quot;&lt;" class="a" hidden>&lt;i&gt;<b>&amp;</b></p>'
    assert joined("<", element("img", alt="'")) == '&lt;<img alt="&#x27;">'
    assert data_block(["</script>"]) == '<script type="application/json">["\\u003c/script>"]</script>'


def test_the_frames_that_are_shown_are_worst_median_and_best(made: ReportResult) -> None:
    mean = np.mean([one.quality.values["psnr"] for one in made.evidence.files], axis=0)
    shown = {one.title: one.index for one in made.evidence.chosen}
    assert shown == {
        "worst": int(mean.argmin()),
        "median": int(np.argsort(mean)[3]),
        "best": int(mean.argmax()),
    }
    assert made.as_dict()["frames"] == shown


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([30.0], {"only": 0}),
        ([31.0, 30.0], {"worst": 1, "best": 0}),
        ([100.0] * 4, {"worst": 0, "median": 1, "best": 3}),
        ([3.0, 1.0, 2.0], {"worst": 1, "median": 2, "best": 0}),
    ],
)
def test_no_frame_is_shown_twice(values: list[float], expected: dict[str, int]) -> None:
    assert {one.title: one.index for one in choose_frames(np.array(values))} == expected


def decoded(data: str, folder: Path) -> Frames:
    """The frame of a `data:` URL, decoded by PyAV."""
    kind, _, body = data.partition(";base64,")
    path = folder / f"picture.{kind.rpartition('/')[2]}"
    path.write_bytes(base64.b64decode(body))
    frames: Frames = read_clip(str(path), SourceSettings()).frames
    return frames[0]


def test_pictures_are_those_frames_without_loss(made: ReportResult, folder: Path, tmp_path: Path) -> None:
    frames = read_clip(str(folder / "source.mp4"), SourceSettings()).frames
    pictures = made.evidence.pictures
    assert pictures.is_lossless
    for shown in pictures.frames:
        source = frames[shown.index]
        np.testing.assert_array_equal(decoded(shown.source, tmp_path), source)
        for file, of_file in zip(made.evidence.files, shown.files, strict=True):
            with inrcodec.open(file.quality.decoded, "cpu") as video:
                rendered = video[shown.index]
            np.testing.assert_array_equal(decoded(of_file.picture, tmp_path), rendered)
            error = np.abs(source.astype(int) - rendered).max(axis=2)
            expected = heat(error / pictures.error_levels)
            np.testing.assert_array_equal(decoded(of_file.error, tmp_path), expected)
            assert of_file.mean_error == pytest.approx(error.mean())
            assert of_file.psnr_db == pytest.approx(file.quality.values["psnr"][shown.index])
            assert of_file.mean_flip == pytest.approx(file.quality.values["flip"][shown.index])


def test_maps_are_dark_where_nothing_differs_and_bright_where_much_does() -> None:
    colours = heat(np.array([[0.0, 0.5, 1.0, 2.0]])).astype(int).sum(axis=2)[0]
    assert colours[0] < 10 < colours[1] < colours[2] == colours[3]
    # The middle of the colour map `magma`.
    np.testing.assert_allclose(heat(np.array([[0.5]]))[0, 0], (183, 55, 121), atol=1)


def test_large_pages_have_jpegs_that_look_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = moving_gradient(64, 48, 1)[0]
    monkeypatch.setattr("inrcodec.quality.report.pictures.LOSSLESS_PIXELS", 1)
    made = make_pictures(choose_frames(np.array([30.0])), [frame], [[255 - frame]])
    assert not made.is_lossless and made.error_levels == 255
    assert made.frames[0].source.startswith("data:image/jpeg")
    difference = decoded(made.frames[0].source, tmp_path).astype(int) - frame
    assert np.abs(difference).mean() < 1.5
    assert len(webp_bytes(frame)) < frame.nbytes > len(jpeg_bytes(frame))


def test_bits_add_up_to_the_file(folder: Path, page: Page) -> None:
    for name in (NAME, "b.inrv"):
        report = inspect(str(folder / name))
        groups = bit_groups(report)
        assert sum(groups.values()) == 8 * report.file_bytes
        sections = sum(one.bits for one in merged_sections(report))
        assert sections == sum(groups.values()) - groups["headers and index"]
        assert f"{groups['headers and index'] / 8:,.0f} bytes" in page.text
    assert {"latent", "motion", "entropy models"} <= bit_groups(inspect(str(folder / NAME))).keys()


@pytest.mark.parametrize("path", sorted((ROOT / "tests/golden").glob("*.inrv")), ids=lambda path: path.stem)
def test_sections_of_every_family_have_a_group(path: Path) -> None:
    groups = {group_of(one) for segment in inspect(str(path)).segments for one in segment.sections}
    known = {"latent", "motion", "embedding", "network", "entropy models", "masks and scales", "grids"}
    assert groups <= known | {"temporal", "range"}


def results(path: Path, pixels: int, contenders: dict[str, float]) -> Path:
    """Stored results of made-up contenders, whose sizes are scaled by the given factors."""
    rows = [
        {
            "clip": "clip",
            "contender": name,
            "setting": str(step),
            "options": [],
            "point": {
                "file_bytes": factor * 2**step * pixels / 80,
                "bpp": factor * 2**step / 10,
                "psnr_db": 30 + 3 * step,
                "ms_ssim": None,
            },
        }
        for name, factor in contenders.items()
        for step in range(4)
    ]
    path.write_text(json.dumps({"results": rows}))
    return path


def test_results_are_drawn_beside_the_files_and_compared(folder: Path, tmp_path: Path) -> None:
    pixels = 48 * 32 * 7
    stored = results(tmp_path / "rd.json", pixels, {"x264:medium": 2.0, "inrc": 1.0})
    output = str(tmp_path / "out.html")
    settings = ReportSettings(device="cpu", results=[str(stored)])
    made = write_report(str(folder / "source.mp4"), [str(folder / "b.inrv")], output, settings)
    (plot,) = made.evidence.plots
    assert [*plot.curves] == ["hnerv (this report)", "inrc", "x264:medium"]
    ((row,),) = made.evidence.comparisons
    assert (row["test"], row["anchor"]) == ("inrc", "x264:medium")
    assert row["percent"] == pytest.approx(-50)
    assert "-50.0 %" in Page(Path(output).read_text()).text


def test_results_of_other_frames_stand_alone(made: ReportResult, tmp_path: Path) -> None:
    clips = read_results(str(results(tmp_path / "rd.json", 1000, {"x264:medium": 1.0})))
    own = own_curves([("inrc", one.quality) for one in made.evidence.files])
    first, second = rate_curves(own, 48 * 32 * 7, clips)
    assert (first.title, [*first.curves]) == ("these files", ["inrc (this report)"])
    assert [point["bpp"] for point in own["inrc (this report)"]] == sorted(
        one.quality.bpp or 0 for one in made.evidence.files
    )
    assert [*second.curves] == ["x264:medium"] and not second.ours


def test_stored_results_of_the_benchmarks_can_be_read() -> None:
    for path in (ROOT / "benchmarks/results").glob("rd-*.json"):
        for clip in read_results(str(path)):
            assert clip.pixel_count == pytest.approx(round(clip.pixel_count), rel=1e-6)
            assert len(clip.curves) >= 2


def test_without_its_library_there_are_no_bd_rates(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bdrate, "find_spec", lambda name: None)
    monkeypatch.setattr(frame_metrics, "find_spec", lambda name: None)
    stored = results(tmp_path / "rd.json", 48 * 32 * 7, {"x264:medium": 2.0, "inrc": 1.0})
    command = ["report", folder / "source.mp4", folder / NAME, "-o", tmp_path / "a.html", "--results", stored]
    assert run([*map(str, command), "--device", "cpu"]) == 0
    notes = capsys.readouterr().err
    assert "BD-rates: left out" in notes and "ssim, ms-ssim, flip: left out" in notes
    text = Page((tmp_path / "a.html").read_text()).text
    assert "inrc[report]" in text and "FLIP is not installed" in text
    assert "Not installed: SSIM, MS-SSIM, FLIP" in text


def test_the_course_of_a_fit_is_in_the_log_and_drawn(folder: Path, made: ReportResult, page: Page) -> None:
    log = json.loads((folder / "b.json").read_text())
    assert log["output"].endswith("b.inrv")
    assert len(log["courses"]) == log["segments"] == 2
    first, second = (one.log for one in made.evidence.files)
    assert first is None and second is not None
    assert [len(one) for one in second.segments] == [len(one) for one in log["courses"]]
    for one in second.segments:
        assert [point.seconds for point in one] == sorted(point.seconds for point in one)
    is_heard_of = any(second.segments)
    assert page.text.count("seconds of the fit") == 2 * is_heard_of
    assert ("there is no curve" in page.text) != is_heard_of


def test_a_log_of_several_encodes_is_matched_by_name(folder: Path, tmp_path: Path) -> None:
    log = json.loads((folder / "b.json").read_text())
    log["courses"] = [[[0.5, 1.0, 21.5, 0.2], [1.0, 2.0, 24.25, 0.15]], []]
    rows = [
        {"source": "x.mp4", "output": "out/other.inrv", "error": "gone", "exit_code": 1},
        {"source": "y.mp4", "output": "out/there.inrv"},
        {"source": "source.mp4", "output": "out/b.inrv", "result": log},
    ]
    (tmp_path / "log.json").write_text(json.dumps({"files": rows}))
    output = tmp_path / "out.html"
    settings = ReportSettings(device="cpu", logs=[str(tmp_path / "log.json")])
    write_report(str(folder / "source.mp4"), [str(folder / "b.inrv")], str(output), settings)
    text = output.read_text()
    assert text.count("seconds of the fit") == 2
    assert '"1.0 s, epoch 2",[["c1","b.inrv, segment 1","24.25"]]' in text


def test_the_course_of_a_long_fit_has_fewer_points(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [5.0]
    monkeypatch.setattr("inrcodec.progress.reports.time.monotonic", lambda: clock[0])
    course = Course(epochs_a_step=0.1)
    for step in range(1, 3001):
        clock[0] += 0.5
        course.add(step, 30.0, 0.1)
    assert 0.5 * MOST_COURSE_POINTS <= len(course.points) < MOST_COURSE_POINTS
    seconds = [point[0] for point in course.points]
    assert seconds[0] == 0.5 and seconds[-1] > 1490
    apart = np.diff(seconds)
    assert apart.max() <= 2.5 * apart.min()
    assert all(point[1] == pytest.approx(0.2 * point[0]) for point in course.points)


def test_a_long_video_is_drawn_in_fewer_points(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_POINTS", 3)
    output = tmp_path / "out.html"
    write_report(str(folder / "source.mp4"), [str(folder / NAME)], str(output), ReportSettings(device="cpu"))
    text = output.read_text()
    assert '"frames 0 to 2"' in text and '"frames 6 to 6"' in text and 'class="band c1"' in text


def test_axes_end_at_round_numbers() -> None:
    axis = linear_axis("dB", [28.3, 33.9], 4)
    assert (axis.low, axis.high, axis.tick_texts) == (28.0, 34.0, ["28", "30", "32", "34"])
    assert (axis.place(28), axis.place(31), axis.place(34)) == (0, 0.5, 1)
    frames = linear_axis("frame", [0, 23], whole=True)
    assert (frames.low, frames.high, frames.tick_texts) == (0, 23, ["0", "5", "10", "15", "20"])
    assert linear_axis("frame", [0, 0], whole=True).place(0) == 0
    flat = linear_axis("dB", [100.0, 100.0])
    assert flat.low < 100 < flat.high
    rates = logarithmic_axis("bits per pixel", [0.04, 0.4])
    assert rates.tick_texts == ["0.05", "0.1", "0.2"]
    close = logarithmic_axis("bits per pixel", [0.11, 0.13])
    assert close.tick_texts == ["0.1", "0.11", "0.12", "0.13", "0.14"]
    single = logarithmic_axis("bits per pixel", [0.0713])
    assert len(single.ticks) >= 3 and single.low < 0.0713 < single.high
    assert linear_axis("frame", [0, 0], whole=True).ticks == (0,)
    assert rates.low < 0.04 and rates.place(0.04 * 10**0.5) == pytest.approx(
        (rates.place(0.04) + rates.place(0.4)) / 2
    )


def test_parts_of_a_source_and_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, file, output = folder / "source.mp4", tmp_path / "part.inrv", tmp_path / "part.html"
    part = SourceSettings(frames=FrameRange(1, 7), every=3)
    inrcodec.encode(
        str(source), str(file), EncodeSettings(device="cpu", epochs=1, size_bytes=2500, source=part)
    )
    command = ["report", str(source), str(file), "-o", str(output), "--frames", "1:7", "--every", "3"]
    assert run([*command, "--json", "--device", "cpu"]) == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert result["page_bytes"] == output.stat().st_size
    assert sorted(result["frames"].values()) == [0, 1]
    note, last = shown.err.splitlines()
    assert "MS-SSIM: left out" in note
    assert last == f"{output}: 1 file compared with {source}, {output.stat().st_size:,} bytes"
    assert "2 frames of 48 × 32" in Page(output.read_text()).text
    assert run(command) == 2
    assert "exists already" in only_line(capsys.readouterr().err.encode())
    assert run([*command, "-y", "-q", "--device", "cpu"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing.mp4", "{b}"], 2, "does not exist"),
        (["{source}", "missing.inrv"], 2, "does not exist"),
        (["{source}", "{b}", "{b}"], 2, "named twice"),
        (["{source}", "{source}"], 4, "is not an .inrv file (it looks like MP4)"),
        (["{source}", "{cut}"], 4, "cut off"),
        (["{source}", "{b}", "--frames", "0:3"], 2, "more than the 3 frames"),
        (["{source}", "{b}", "--crop", "32x32"], 2, "frames of 32x32"),
        (["{text}", "{b}"], 1, "is not a video"),
        (["{source}", "{b}", "-o", "a.txt"], 2, "ends with .html"),
        (["{source}", "{b}", "-o", "missing/a.html"], 2, "missing"),
        (["{source}", "{b}", "--results", "{text}"], 2, "no results"),
        (["{source}", "{b}", "--results", "{log}"], 2, "no results"),
        (["{source}", "{b}", "--log", "{text}"], 2, "not what inrc encode"),
        (["{source}", "{a}", "--log", "{log}"], 2, "log of b.inrv"),
        (["{source}", "{b}", "{other}", "--log", "{log}"], 2, "which matches several files or another log"),
        (
            ["{source}", "{b}", "--log", "{log}", "--log", "{log}"],
            2,
            "which matches several files or another log",
        ),
        (["{source}", "{b}", "-q", "-v"], 2, "exclude each other"),
    ],
)
def test_what_cannot_be_reported_on_is_refused_in_a_line(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.mp4").write_text("no video")
    Path("cut.inrv").write_bytes((folder / "b.inrv").read_bytes()[:-30])
    Path("other").mkdir()
    Path("other/b.inrv").write_bytes((folder / "b.inrv").read_bytes())
    before = sorted(os.listdir())
    names = {
        "source": folder / "source.mp4",
        "a": folder / NAME,
        "b": folder / "b.inrv",
        "text": "text.mp4",
        "cut": "cut.inrv",
        "log": folder / "b.json",
        "other": "other/b.inrv",
    }
    arguments = [word.format(**names) for word in words]
    if "-o" not in words:
        arguments += ["-o", "out.html"]
    assert run(["report", *arguments]) == code
    assert message in only_line(capsys.readouterr().err.encode())
    assert sorted(os.listdir()) == before


def test_an_interrupted_report_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "source.mkv", moving_gradient(192, 176, 7))
    shutil.copy(folder / "b.inrv", tmp_path / "b.inrv")
    before = sorted(os.listdir(tmp_path))
    # The evaluation is replaced by a wait.
    script = (
        "import signal, time\n"
        "from inrcodec.cli import main\nfrom inrcodec.quality import evaluation\n"
        "def slow(*arguments, **options): print('measuring', flush=True); time.sleep(60)\n"
        "evaluation.evaluate = slow\n"
        "main.main()\n"
    )
    command = [sys.executable, "-c", script, "report", "source.mkv", "b.inrv", "-o", "out.html"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"measuring\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(30) == 130
    assert "interrupted, nothing was written" in only_line(said)
    assert sorted(os.listdir(tmp_path)) == before


def test_help_and_refusals_do_not_wait_for_torch(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from inrcodec.cli.main import run; code = run(sys.argv[1:]);"
        "sys.exit(99 if 'torch' in sys.modules else code)"
    )
    for words, code in [(["--help"], 0), ([folder / "source.mp4", folder / NAME, "-o", "a.txt"], 2)]:
        command = [sys.executable, "-c", script, "report", *map(str, words)]
        done = subprocess.run(command, capture_output=True, env=environment(), timeout=60)
        assert done.returncode == code, done.stderr


def test_the_style_and_the_script_are_in_the_wheel(tmp_path: Path) -> None:
    builder: Any = WheelBuilder(str(ROOT))
    (wheel,) = builder.build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        assert {"inrcodec/quality/report/web/report.css", "inrcodec/quality/report/web/report.js"} <= set(
            archive.namelist()
        )


@pytest.mark.parametrize(("width", "height", "count"), [(33, 17, 1), (2, 2, 2)])
def test_small_videos_have_a_page(tmp_path: Path, width: int, height: int, count: int) -> None:
    source = write_clip(tmp_path / "a.mkv", moving_gradient(width, height, count))
    file, output = tmp_path / "a.inrv", tmp_path / "a.html"
    inrcodec.encode(str(source), str(file), EncodeSettings(device="cpu", epochs=1, size_bytes=2500))
    made = write_report(str(source), [str(file)], str(output), ReportSettings(device="cpu"))
    frames = "1 frame" if count == 1 else f"{count} frames"
    assert f"{frames} of {width} × {height}" in Page(output.read_text()).text
    assert len(made.evidence.chosen) == count

"""The page of `inrc report` in a real Chromium: it loads no other file, and slider and charts work."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import CHROMIUM, OPTIONS
from codec_samples import moving_gradient, write_clip
from skimage.io import imread  # type: ignore[import-untyped]

import inrcodec
from inrcodec.quality.report.write import write_report
from inrcodec.settings.encode import EncodeSettings
from inrcodec.settings.pages import ReportSettings
from inrcodec.video.images import png_bytes

pytestmark = [pytest.mark.end_to_end, pytest.mark.usefixtures("hurried_module")]
PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a page on two files, one of which has a name with markup."""
    folder = tmp_path_factory.mktemp("page")
    source = str(write_clip(folder / "source <i>.mp4", moving_gradient(64, 48, 5)))
    files = [str(folder / name) for name in ("a'\"<b>.inrv", "b  c.inrv")]
    for size, file in zip((2500, 4000), files, strict=True):
        inrcodec.encode(source, file, EncodeSettings(device="cpu", epochs=1, size_bytes=size))
    write_report(source, files, str(folder / "page.html"), ReportSettings(device="cpu"))
    return (folder / "page.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium was found on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Opened:
    """A page in a window of a given size, with its console messages and requests."""

    def __init__(self, browser: Any, address: str, size: tuple[int, int], **options: Any) -> None:
        width, height = size
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def place(self) -> int:
        """Position of the slider, in percent."""
        return int(self.page.locator(".handle").get_attribute("aria-valuenow"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_it_loads_alone_and_fits(browser: Any, address: str, size: tuple[int, int], scheme: str) -> None:
    with Opened(browser, address, size, color_scheme=scheme) as opened:
        page = opened.page
        page.wait_for_load_state("load")
        assert [url for url in opened.asked if not url.startswith("data:")] == [address]
        assert opened.said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        assert page.evaluate("[...document.images].every((image) => image.naturalWidth === 64)")
        assert page.locator("h1").text_content() == "source <i>.mp4"
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")


def test_even_a_mistake_could_load_nothing(browser: Any, address: str) -> None:
    with Opened(browser, address, DESKTOP) as opened:
        opened.page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")
        assert "Content Security Policy" in " ".join(opened.said)


def test_the_slider_moves_by_mouse_and_keys(browser: Any, address: str) -> None:
    with Opened(browser, address, DESKTOP) as opened:
        page, stage = opened.page, opened.page.locator(".stage")
        assert opened.place() == 50
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        middle = box["y"] + box["height"] / 3
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.2 * box["width"], middle)
        page.mouse.up()
        page.mouse.move(box["x"] + 0.9 * box["width"], middle)
        assert opened.place() == 20
        shown = page.evaluate("getComputedStyle(document.querySelector('.stage .over')).clipPath")
        assert "80%" in shown
        for key, expected in [
            ("ArrowRight", 21),
            ("ArrowLeft", 20),
            ("Shift+ArrowRight", 30),
            ("PageUp", 40),
            ("Home", 0),
            ("ArrowLeft", 0),
            ("End", 100),
        ]:
            page.keyboard.press(key)
            assert opened.place() == expected, key


def test_the_slider_follows_a_finger(browser: Any, address: str) -> None:
    with Opened(browser, address, PHONE, has_touch=True, is_mobile=True) as opened:
        page, stage = opened.page, opened.page.locator(".stage")
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        touch = opened.context.new_cdp_session(page)

        def send(kind: str, share: float | None) -> None:
            at = [] if share is None else [{"x": box["x"] + share * box["width"], "y": box["y"] + 30}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

        send("touchStart", 0.5)
        for share in (0.55, 0.65, 0.75):
            send("touchMove", share)
        send("touchEnd", None)
        assert opened.place() == 75


def test_pictures_and_frames_are_chosen(browser: Any, address: str) -> None:
    with Opened(browser, address, DESKTOP) as opened:
        page = opened.page

        def sources() -> list[str]:
            return [page.locator(f".stage .{side}").get_attribute("src") for side in ("over", "under")]

        def in_gallery(frame: int, name: str) -> str:
            images = page.locator(f".frame[data-frame='{frame}'] img")
            return str(
                images.evaluate_all("(all, name) => all.find((one) => one.dataset.name === name).src", name)
            )

        assert sources() == [in_gallery(0, "source"), in_gallery(0, "a'\"<b>.inrv")]
        page.select_option("select.right", "b  c.inrv: FLIP")
        assert sources()[1] == in_gallery(0, "b  c.inrv: FLIP")
        page.locator(".choices input").first.focus()
        page.keyboard.press("ArrowRight")
        assert sources() == [in_gallery(1, "source"), in_gallery(1, "b  c.inrv: FLIP")]
        assert page.locator(".frame:visible").count() == 1
        page.locator(".handle").focus()
        page.keyboard.press("Space")
        assert sources() == [in_gallery(1, "b  c.inrv: FLIP"), in_gallery(1, "source")]


def test_charts_are_read_by_pointer_and_keys(browser: Any, address: str) -> None:
    with Opened(browser, address, DESKTOP) as opened:
        page = opened.page
        plot = page.locator("#quality .plot").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        page.mouse.move(box["x"] + 0.26 * box["width"], box["y"] + 20)
        tip = plot.locator(".tip")
        assert tip.is_visible()
        assert tip.locator("b").text_content() == "frame 1"
        assert "a'\"<b>.inrv" in tip.text_content()
        page.mouse.move(2, 2)
        assert not tip.is_visible()
        plot.focus()
        page.keyboard.press("End")
        assert tip.locator("b").text_content() == "frame 4"
        page.keyboard.press("ArrowLeft")
        assert tip.locator("b").text_content() == "frame 3"
        page.keyboard.press("Escape")
        assert not tip.is_visible()


def test_it_shows_everything_without_script(browser: Any, address: str) -> None:
    with Opened(browser, address, DESKTOP, java_script_enabled=False) as opened:
        page = opened.page
        assert page.locator(".frame").count() == 3
        assert all(one.is_visible() for one in page.locator(".frame").all())
        assert not page.locator(".slider").is_visible()
        assert page.locator(".chart svg").first.is_visible()


def test_a_screenshot_has_both_pictures_side_by_side(browser: Any, address: str, tmp_path: Path) -> None:
    """Pixels left of the handle are the source's, those right of it the file's."""
    with Opened(browser, address, DESKTOP) as opened:
        page, stage = opened.page, opened.page.locator(".stage")
        flat = {side: np.full((48, 64, 3), level, np.uint8) for side, level in (("over", 40), ("under", 220))}
        for side, frame in flat.items():
            data = f"data:image/png;base64,{base64.b64encode(png_bytes(frame)).decode()}"
            page.evaluate(
                "([side, data]) => document.querySelector(`.stage .${side}`).src = data", [side, data]
            )
        page.locator(".handle").press("Home")
        page.locator(".handle").press("PageUp")
        page.locator(".handle").press("PageUp")
        stage.screenshot(path=str(tmp_path / "stage.png"))
    shot = imread(tmp_path / "stage.png")[..., :3]
    row = shot[int(0.8 * shot.shape[0])].mean(axis=1)
    assert row[int(0.1 * len(row))] == pytest.approx(40, abs=2)
    assert row[int(0.9 * len(row))] == pytest.approx(220, abs=2)
    edge = int(np.argmax(row > 130))
    assert edge == pytest.approx(0.2 * len(row), abs=5)

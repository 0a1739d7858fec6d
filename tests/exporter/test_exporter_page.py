"""The page of `inrc export --web` in a real browser: its canvas shows the frames of our decoder."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from browsers import CHROMIUM, OPTIONS
from command_line import GOLDEN
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

import inrcodec
from inrcodec.errors import InrcError
from inrcodec.exporter.runtime import FILES, VERSION, copy_runtime
from inrcodec.settings.export import ExportSettings

pytestmark = pytest.mark.end_to_end

NEAR = 2
"""Tolerance in code values: WebAssembly rounds differently, and colours are rounded again."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def runtime(request: pytest.FixtureRequest) -> str:
    """A folder with onnxruntime-web, from INRC_ONNXRUNTIME_WEB or from npm, kept in the cache of pytest."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    given = os.environ.get("INRC_ONNXRUNTIME_WEB")
    if given is not None:
        return given
    if shutil.which("npm") is None:
        pytest.skip("onnxruntime-web is missing: install npm, or name a folder in INRC_ONNXRUNTIME_WEB")
    cache = request.config.cache.mkdir("onnxruntime-web")
    kept = cache / VERSION
    with TemporaryDirectory(dir=cache) as temporary, pytest.MonkeyPatch.context() as patched:
        # Without a network, npm fails at once instead of after a minute.
        patched.setenv("npm_config_fetch_retries", "0")
        try:
            if not kept.exists():
                copy_runtime(None, Path(temporary) / "dist")
                with suppress(OSError):  # Another process of the tests was faster.
                    os.replace(Path(temporary) / "dist", kept)
        except InrcError as error:
            pytest.skip(f"npm cannot download onnxruntime-web: {error}")
    return str(kept)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture
def page(runtime: str, browser: Any) -> Iterator[Page]:
    """A page that fails its test if a script fails or anything is loaded from another host."""
    opened = browser.new_page(viewport={"width": 800, "height": 700})
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda asked: None if "//127.0.0.1:" in asked.url else faults.append(asked.url))
    yield opened
    opened.close()
    assert faults == []


@pytest.fixture
def served(runtime: str, tmp_path: Path) -> Iterator[Any]:
    """A function that exports a golden file, serves it as static files and returns the address."""
    servers = []

    def serve(name: str) -> str:
        folder = tmp_path / "page"
        settings = ExportSettings(web=True, runtime=runtime)
        inrcodec.export(str(GOLDEN / f"{name}.inrv"), str(folder), settings)
        handler = functools.partial(_Quiet, directory=str(folder))
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def drawn(page: Page, frame: int) -> NDArray[np.int64]:
    """Pixels of the canvas once it shows this frame, (height, width, 3)."""
    page.wait_for_selector(f"#screen[data-frame='{frame}']", timeout=20_000)
    width, height, values = page.evaluate(
        "(() => { const screen = document.getElementById('screen'); const {width, height} = screen;"
        " const {data} = screen.getContext('2d').getImageData(0, 0, width, height);"
        " return [width, height, Array.from(data)]; })()"
    )
    return np.array(values).reshape(height, width, 4)[..., :3]


def seek(page: Page, frame: int) -> None:
    page.evaluate(
        f"(() => {{ const bar = document.getElementById('seek'); bar.value = {frame};"
        " bar.dispatchEvent(new Event('input')); })()"
    )


@pytest.mark.parametrize("name", ["hnerv", "inrc"])
def test_the_canvas_shows_the_decoders_frames(name: str, page: Page, served: Any) -> None:
    with inrcodec.open(GOLDEN / f"{name}.inrv", "cpu", "float32") as video:
        expected = video[:].astype(int)
    page.goto(served(name))
    assert np.abs(drawn(page, 0) - expected[0]).max() <= NEAR
    # The last frame comes first, so that its references have to be made for it.
    for frame in reversed(range(len(expected))):
        seek(page, frame)
        assert np.abs(drawn(page, frame) - expected[frame]).max() <= NEAR
    page.keyboard.press("ArrowRight")
    assert np.abs(drawn(page, 1) - expected[1]).max() <= NEAR
    page.keyboard.press("Home")
    drawn(page, 0)
    page.keyboard.press("l")
    page.keyboard.press("Space")
    # Playback stops at the end; then the button offers to play again.
    assert np.abs(drawn(page, len(expected) - 1) - expected[-1]).max() <= NEAR
    page.get_by_role("button", name="Play", exact=True).wait_for(timeout=5_000)
    page.get_by_role("button", name="One frame back").click()
    assert np.abs(drawn(page, len(expected) - 2) - expected[-2]).max() <= NEAR
    assert page.inner_text("#facts").count("WebAssembly") == 1
    assert page.title() == f"{name}.inrv – inrc"


def test_a_file_that_is_missing_is_named(browser: Any, served: Any, tmp_path: Path) -> None:
    address = served("hnerv")
    (tmp_path / "page" / "segment-0000-shown.onnx").unlink()
    opened = browser.new_page()
    opened.goto(address)
    opened.get_by_text("segment-0000-shown.onnx: 404").wait_for(timeout=20_000)
    opened.close()


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_without_a_server_the_page_says_what_it_needs(browser: Any) -> None:
    opened = browser.new_page()
    opened.goto(f"{(Path(inrcodec.__file__).parent / 'exporter' / 'web' / 'index.html').as_uri()}")
    assert opened.get_by_role("heading", name="This page must come from a web server").is_visible()
    assert not opened.locator("#player").is_visible()
    opened.close()


def test_nothing_of_the_runtime_is_in_the_package() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=GOLDEN.parents[1], capture_output=True, text=True)
    assert not [name for name in listed.stdout.split() if Path(name).name in FILES]

"""Every Python block of the documentation runs, in the order of its page, on tiny files."""

from __future__ import annotations

from pathlib import Path

import pytest
from codec_samples import moving_gradient, write_clip
from command_line import GOLDEN
from documented_commands import COUNT, FENCE, HEIGHT, PAGES, WIDTH

import inrcodec
from inrcodec import EncodeSettings

pytestmark = pytest.mark.end_to_end

CHEAPER = {
    "bpp=0.06": "size_bytes=3000",
    "time_seconds=600": "epochs=0.3",
    "time_seconds=300": "epochs=0.3",
    "embeddings[10]": "embeddings[0]",
    "video[10]": "video[0]",
    "epochs=20": "epochs=0.3",
    "FrameRange(0, 100)": "FrameRange(0, 3)",
    "Size(640, 320)": "Size(32, 24)",
    "[0.03, 0.06, 0.12]": "[8, 10]",
    "EncodeSettings(": 'EncodeSettings(device="cpu", ',
    "ComparisonSettings(": 'ComparisonSettings(device="cpu", bpps=(16, 20), against=["x264:ultrafast"], ',
}
"""Values that cost time, and what is run in their place."""
BLOCKS = {
    page: [code for language, code in FENCE.findall(text) if language == "python"]
    for page, text in PAGES.items()
}
WITH_CODE = [page for page, blocks in BLOCKS.items() if blocks]


def test_pages_have_python() -> None:
    assert "docs/python.md" in WITH_CODE and len(BLOCKS["docs/python.md"]) >= 6


@pytest.mark.parametrize("page", WITH_CODE)
def test_its_blocks_run(page: str, hurried: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "in.mp4", moving_gradient(WIDTH, HEIGHT, COUNT))
    if page == "docs/report.md":
        inrcodec.encode("in.mp4", "out.inrv", EncodeSettings(size_bytes=3000, epochs=0.3, device="cpu"))
    if page == "docs/export.md":
        inrcodec.export(str(GOLDEN / "hnerv.inrv"), "folder")
    names: dict[str, object] = {"__name__": "__main__"}
    for code in BLOCKS[page]:
        for costly, cheap in CHEAPER.items():
            code = code.replace(costly, cheap)
        exec(compile(code, page, "exec"), names)  # noqa: S102

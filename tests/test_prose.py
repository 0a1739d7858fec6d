"""The project's prose has no fragments: see `prose`."""

from __future__ import annotations

import pytest
from prose import ROOT, Prose, all_prose, page_prose, python_prose


def test_no_sentence_is_a_fragment() -> None:
    faults = [
        f"{prose.path}:{prose.line}: {sentence}" for prose in all_prose() for sentence in prose.faults()
    ]
    assert faults == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Of a file that was resumed, the old segments.", 1),
        ("What it is.", 1),
        ("Ends here. Those that are left.", 1),
        ("Who reads it: What is written.", 2),
        ("A picture that is\ndearer than others.", 1),
        ("What is in the file?", 0),
        ("Offsets of segments, in bytes.", 0),
        ("Sum of those before.", 0),
    ],
)
def test_fragments_are_found(text: str, count: int) -> None:
    assert len(list(Prose("a.py", 1, text).faults())) == count


def test_docstrings_comments_and_pages_are_read() -> None:
    texts = [one.text for one in python_prose(ROOT / "tests" / "prose.py")]
    assert any("including those of attributes" in text for text in texts)
    assert any("sound like a literal translation" in text for text in texts)
    assert any("Pages that a program writes" in text for text in texts)
    (page,) = page_prose(ROOT / "docs" / "usage.md")
    assert "The commands by purpose" in page.text and "inrc encode" not in page.text.split("`")[0]
    assert {one.path.split("/")[0] for one in all_prose()} >= {"inrcodec", "bitstream", "benchmarks", "tests"}

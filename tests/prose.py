"""Checks the prose of the project: docstrings, comments, messages and pages, sentence by sentence.

    python tests/prose.py [FILE...]

prints every sentence that `test_prose` rejects, with its file and line.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("inrcodec", "bitstream", "benchmarks", "tests")
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "bitstream/*.md")
GENERATED = ("docs/cli.md", "docs/results.md")
"""Pages that a program writes; its strings are checked in its source."""

FRAGMENT = re.compile(r"(Of|Those|Who|What)\b(?!.*\?$)", re.DOTALL)
"""Forbidden beginnings of sentences other than questions."""
QUAINT = re.compile(r"\b(as it comes|goes where|dear(er|est)?|is of no|are of no|of nobody)\b", re.IGNORECASE)
"""Phrases that sound like a literal translation."""
SHORTEST_MESSAGE = 3
"""Words of the shortest string literal that is read as prose. Literals of tests are not: they quote."""
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+(?=[A-Z`])|\n\s*\n|\n\s*[-*|#]\s*|\n(?=\s{4,}\S)")


@dataclass(frozen=True)
class Prose:
    """A piece of prose, with the file and line where it begins."""

    path: str
    line: int
    text: str

    def sentences(self) -> Iterator[str]:
        """Yield the sentences, each on one line."""
        for part in _SENTENCE.split(self.text):
            words = " ".join(part.strip(" -*|#>\n").split())
            if words:
                yield words

    def faults(self) -> Iterator[str]:
        """Yield the sentences that are rejected."""
        for sentence in self.sentences():
            if FRAGMENT.match(sentence) or QUAINT.search(sentence):
                yield sentence


def python_prose(path: Path) -> Iterator[Prose]:
    """Yield docstrings, including those of attributes, comments, help texts and messages."""
    name, source = str(path.relative_to(ROOT)), path.read_text()
    is_quoting = name.startswith("tests/")
    tree = ast.parse(source)
    documenting = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.Constant):
            text = _text(node)
            if node in documenting or not is_quoting and len(text.split()) >= SHORTEST_MESSAGE:
                yield Prose(name, node.lineno, text)
    yield from _comments(name, source)


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    """Return the text of a string; `{}` stands for each value."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return "".join(str(part) for part in parts)


def _comments(name: str, source: str) -> Iterator[Prose]:
    """Yield comments; those on consecutive lines are one piece."""
    lines: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if lines and token.start[0] != last + 1:
                yield Prose(name, first, "\n".join(lines))
                lines = []
            if not lines:
                first = token.start[0]
            lines.append(token.string.lstrip("#! "))
            last = token.start[0]
    if lines:
        yield Prose(name, first, "\n".join(lines))


def page_prose(path: Path) -> Iterator[Prose]:
    """Yield a page without its code blocks."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    yield Prose(
        str(path.relative_to(ROOT)), 1, "\n".join(one for one in text.split("\n") if one[:4] != "    ")
    )


def all_prose() -> Iterator[Prose]:
    """Yield all prose of the project."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from python_prose(path)
    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            if str(path.relative_to(ROOT)) not in GENERATED:
                yield from page_prose(path)


def main() -> None:
    """Print the rejected sentences."""
    wanted = {str(Path(word).resolve().relative_to(ROOT)) for word in sys.argv[1:]}
    count = 0
    for prose in all_prose():
        if not wanted or any(prose.path == one or prose.path.startswith(f"{one}/") for one in wanted):
            for sentence in prose.faults():
                print(f"{prose.path}:{prose.line}: {sentence[:100]}")
                count += 1
    print(f"{count} sentences")


if __name__ == "__main__":
    main()

"""Builds HTML from Python values. Text that is not markup is escaped, so no file name can become a tag."""

from __future__ import annotations

import html
import json
from typing import Any

from inrcodec.text import printable

_VOID = {"img", "input", "link", "meta"}


class Markup(str):
    """Text that is already HTML."""


Child = str | None
"""Content of an element: `Markup` is inserted unchanged, other text is escaped, None is skipped."""


def escaped(text: str) -> Markup:
    """Escape text for an element or a quoted attribute; markup is returned unchanged."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape("\n".join(map(printable, text.split("\n"))), quote=True))


def joined(*children: Child) -> Markup:
    """Concatenate several children into one piece of markup."""
    return Markup("".join(escaped(child) for child in children if child is not None))


def element(name: str, /, *children: Child, **attributes: object) -> Markup:
    """Make an element. `class_` stands for `class`, `aria_label` for `aria-label`.

    An attribute whose value is True is written without a value; None and False omit it.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escaped(str(value))}"')
    start = f"<{' '.join(words)}>"
    return Markup(start if name in _VOID else f"{start}{joined(*children)}</{name}>")


def data_block(value: Any) -> Markup:
    """Embed a value as JSON for the page's script; it is escaped so that it cannot end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(f'<script type="application/json">{text}</script>')


def folded(title: str, *children: Child, is_open: bool = False) -> Markup:
    """Content below a line that opens and closes it; it needs no script."""
    return element("details", element("summary", title), *children, open=is_open)


def table(head: list[str], rows: list[list[str]]) -> Markup:
    """Make a table whose first column names the rows; narrow screens show rows of 3 or more cells stacked."""
    lines = [
        element(
            "tr",
            element("th", row[0], scope="row"),
            *(element("td", cell, data_head=name) for name, cell in zip(head[1:], row[1:], strict=True)),
        )
        for row in rows
    ]
    heads = [element("th", name, scope="col") for name in head]
    return element(
        "table",
        element("thead", element("tr", *heads)),
        element("tbody", *lines),
        class_="figures" if len(head) > 2 else "figures pairs",
    )

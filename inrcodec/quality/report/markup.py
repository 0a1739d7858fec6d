"""HTML as Python values: whatever is not markup already is escaped, so that no name can become a tag."""

from __future__ import annotations

import html
import json
from typing import Any

_VOID = {"img", "input", "link", "meta"}


class Markup(str):
    """Text that is HTML already."""


Child = str | None
"""What an element holds: `Markup` as it is, other text escaped, None not at all."""


def escaped(text: str) -> Markup:
    """Text as HTML, in an element or in an attribute's quotes; markup stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(text, quote=True))


def joined(*children: Child) -> Markup:
    """One piece of markup out of several."""
    return Markup("".join(escaped(child) for child in children if child is not None))


def element(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. `class_` is `class`, `aria_label` is `aria-label`; True is a bare one, None is none."""
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = key.rstrip("_").replace("_", "-")
        words.append(attribute if value is True else f'{attribute}="{escaped(str(value))}"')
    start = f"<{' '.join(words)}>"
    return Markup(start if name in _VOID else f"{start}{joined(*children)}</{name}>")


def data_block(value: Any) -> Markup:
    """A value as JSON for the page's script; nothing in it can end the element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(f'<script type="application/json">{text}</script>')


def table(head: list[str], rows: list[list[str]]) -> Markup:
    """A table whose first column names its rows; narrow screens get rows as blocks, if they are long."""
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

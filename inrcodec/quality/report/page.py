"""Assembles the page as one string: head, style, parts in order and script. The page loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from importlib.resources import files

from inrcodec.quality.report.evidence import Evidence
from inrcodec.quality.report.gallery import gallery
from inrcodec.quality.report.markup import Markup, element
from inrcodec.quality.report.plots import fit_section, quality_section, rate_section
from inrcodec.quality.report.sections import (
    about_section,
    bits_section,
    foreword_section,
    frames_text,
    summary_section,
)
from inrcodec.quality.report.side_by_side import side_by_side_section
from inrcodec.version import __version__

_PARTS = {
    "verdict": "Verdict",
    "summary": "Summary",
    "rate": "Rate and distortion",
    "equal": "At equal bytes",
    "pictures": "Pictures",
    "quality": "Frame by frame",
    "bits": "Bits",
    "fit": "Fit",
    "about": "About",
}
"""Headings by id, in page order."""


def page(evidence: Evidence) -> str:
    """The HTML of the whole page."""
    parts = {
        "verdict": foreword_section(evidence),
        "summary": summary_section(evidence),
        "rate": rate_section(evidence),
        "equal": side_by_side_section(evidence),
        "pictures": gallery(evidence),
        "quality": quality_section(evidence),
        "bits": bits_section(evidence),
        "fit": fit_section(evidence),
        "about": about_section(evidence),
    }
    there = {name: content for name, content in parts.items() if content is not None}
    title = evidence.title or os.path.basename(evidence.source.rstrip("/")) or evidence.source
    links = (element("a", _PARTS[name], href=f"#{name}") for name in there)
    body = element(
        "body",
        element(
            "header",
            element("p", f"inrc {__version__} report", class_="brand"),
            element("h1", title),
            element("p", frames_text(evidence), class_="lede"),
            element("nav", *links, aria_label="Parts of this page"),
        ),
        element("main", *(_part(name, content) for name, content in there.items())),
        element("script", Markup(_resource("report.js"))),
    )
    return "<!DOCTYPE html>\n" + element("html", _head(title), body, lang="en") + "\n"


def _part(name: str, content: Markup) -> Markup:
    return element("section", element("h2", _PARTS[name]), content, id=name)


def _head(title: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(_resource("report.js").encode()).digest()).decode()
    # The policy keeps the page from loading anything, even by mistake.
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", f"{title}: inrc report"),
        element("style", Markup(_resource("report.css"))),
    )


def _resource(name: str) -> str:
    return files("inrcodec.quality.report").joinpath("web", name).read_text(encoding="utf-8")

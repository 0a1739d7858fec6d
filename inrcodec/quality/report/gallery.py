"""The pictures of a report: a slider between any two, and all of them with their maps.

Every picture is in the page once, in the gallery; the page's script lays two of them under the slider.
"""

from __future__ import annotations

from inrcodec.quality.report.charts import swatch
from inrcodec.quality.report.evidence import Evidence
from inrcodec.quality.report.markup import Markup, element, joined
from inrcodec.quality.report.pictures import MAGMA, FileFrame, Pictures, ShownFrame

SOURCE = "source"


def gallery(evidence: Evidence) -> Markup:
    """The slider, then each chosen frame's pictures."""
    pictures = evidence.pictures
    names = [file.name for file in evidence.files]
    shape = f"{_shape(evidence):.6g}"
    frames = pictures.frames
    return element(
        "div",
        _slider(frames),
        *(_frame(frame, names, pictures, number) for number, frame in enumerate(frames)),
        _scales(pictures),
        class_="gallery",
        style=f"--shape:{shape};--natural:{pictures.width}px",
    )


def _shape(evidence: Evidence) -> float:
    """Width of a picture as it is shown, over its height."""
    header, pictures = evidence.files[0].held.header, evidence.pictures
    ratio = float(header.sample_aspect_ratio) or 1.0
    return pictures.width / pictures.height * (1 / ratio if header.rotation % 180 else ratio)


def _slider(frames: tuple[ShownFrame, ...]) -> Markup:
    """Empty until the script fills it: without one the gallery below has all that it would show."""
    choices = (
        element(
            "label",
            element("input", type="radio", name="frame", value=number, checked=number == 0),
            element("span", f"{frame.title.capitalize()} ", element("small", str(frame.index))),
        )
        for number, frame in enumerate(frames)
    )
    handle = element(
        "div",
        element("span", aria_hidden="true"),
        class_="handle",
        role="slider",
        tabindex=0,
        aria_label="Where the left picture ends",
        aria_orientation="horizontal",
        aria_valuemin=0,
        aria_valuemax=100,
        aria_valuenow=50,
    )
    return element(
        "div",
        element(
            "div",
            element("fieldset", element("legend", "Frame"), *choices, class_="choices"),
            element("label", "Left ", element("select", id="left")),
            element("label", "Right ", element("select", id="right")),
            class_="controls",
        ),
        element(
            "div",
            element("img", alt="", class_="under", draggable="false"),
            element("img", alt="", class_="over", draggable="false"),
            element("span", class_="name left"),
            element("span", class_="name right"),
            handle,
            class_="stage",
        ),
        element(
            "p",
            "Drag, or use the arrow keys (with Shift in larger steps); the space bar swaps the two pictures.",
            class_="note",
        ),
        class_="slider",
        hidden=True,
    )


def _frame(frame: ShownFrame, names: list[str], pictures: Pictures, number: int) -> Markup:
    """Of one file all pictures in a row; of several a row for each kind, with the files as columns."""
    source = _figure(SOURCE, frame.source, element("b", "Source"), pictures)
    kinds = {kind: _of_files(frame, names, pictures, kind) for kind in ("picture", "error", "flip")}
    if len(names) == 1:
        rows = [_row([source, *(figure for kind in kinds.values() for figure in kind)])]
    else:
        heads = {"picture": source, "error": _head("Error", f"0 to {pictures.error_levels} levels")}
        heads["flip"] = _head("FLIP", "0 to 1")
        rows = [_row([heads[kind], *figures]) for kind, figures in kinds.items() if figures]
    return element(
        "div",
        element("h3", f"{frame.title.capitalize()} frame: {frame.index}"),
        *rows,
        class_="frame",
        data_frame=number,
    )


def _row(cells: list[Markup]) -> Markup:
    return element("div", *cells, class_="maps", style=f"--columns:{len(cells)}")


def _head(title: str, scale: str) -> Markup:
    """What the maps of a row are."""
    return element("p", element("b", title), " ", element("span", scale), class_="head")


def _of_files(frame: ShownFrame, names: list[str], pictures: Pictures, kind: str) -> list[Markup]:
    """The decoded pictures, the error maps or the FLIP maps of all files."""
    figures = []
    for number, (name, one) in enumerate(zip(names, frame.files, strict=True)):
        called, address, title, value = _shown(one, name, kind)
        if address is None:
            continue
        if len(names) > 1:
            caption = joined(swatch(number), element("b", name), element("span", value, class_="value"))
        else:
            caption = joined(element("b", title), " ", element("span", value))
        figures.append(_figure(called, address, caption, pictures))
    return figures


def _shown(one: FileFrame, name: str, kind: str) -> tuple[str, str | None, str, str]:
    """What the slider calls it, the picture, its title and its figure."""
    if kind == "error":
        return f"{name}: error", one.error, "Error", f"mean {one.mean_error:.2f} levels"
    if kind == "flip":
        return f"{name}: FLIP", one.flip, "FLIP", f"mean {one.mean_flip:.4f}" if one.flip else ""
    return name, one.picture, "Decoded", f"PSNR {one.psnr_db:.2f} dB"


def _figure(name: str, address: str, caption: Markup, pictures: Pictures) -> Markup:
    """`name` is what the slider calls it."""
    return element(
        "figure",
        element("img", src=address, alt=name, width=pictures.width, height=pictures.height, data_name=name),
        element("figcaption", caption),
    )


def _scales(pictures: Pictures) -> Markup:
    """What the colours of the maps mean."""
    colours = ",".join(f"rgb{tuple(map(int, colour))}" for colour in MAGMA)
    ramp = element("i", class_="ramp", style=f"background:linear-gradient(90deg,{colours})")
    has_flip = pictures.frames[0].files[0].flip is not None
    error = f"error 0 to {pictures.error_levels} of 255 levels, the largest of the three colours"
    flip = "; FLIP 0 to 1" if has_flip else "; FLIP is not installed (pip install 'inrc[metrics]')"
    return element("p", ramp, f"Dark to bright: {error}{flip}.", class_="note scales")

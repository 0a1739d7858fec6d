"""The pictures part of a report: a slider between any two pictures, and all pictures with their maps.

Each picture is in the page once, in the gallery. The page's script shows two of them in the slider.
"""

from __future__ import annotations

from inrcodec.quality.report.charts import swatch
from inrcodec.quality.report.evidence import Evidence
from inrcodec.quality.report.markup import Markup, element, joined
from inrcodec.quality.report.pictures import MAGMA, FileFrame, Pictures, ShownFrame

SOURCE = "source"


def gallery(evidence: Evidence) -> Markup:
    """The slider, followed by the pictures of each chosen frame, and the key to the maps."""
    names = [file.name for file in evidence.files]
    return joined(viewer(names, evidence.pictures, shape_of(evidence)), _scales(evidence.pictures))


def viewer(names: list[str], pictures: Pictures, shape: float, key: str = "") -> Markup:
    """The slider, followed by the pictures of each chosen frame; `names` are those of the files.

    `shape` is width / height as displayed. `key` differs for each viewer of a page.
    """
    frames = pictures.frames
    return element(
        "div",
        _slider(frames, f"frame{key}"),
        *(_frame(frame, names, pictures, number) for number, frame in enumerate(frames)),
        class_="gallery",
        style=f"--shape:{shape:.6g};--natural:{pictures.width}px",
    )


def shape_of(evidence: Evidence) -> float:
    """Aspect ratio of a picture as displayed, width / height."""
    header, pictures = evidence.files[0].held.header, evidence.pictures
    ratio = float(header.sample_aspect_ratio) or 1.0
    return pictures.width / pictures.height * (1 / ratio if header.rotation % 180 else ratio)


def _slider(frames: tuple[ShownFrame, ...], group: str) -> Markup:
    """The slider, hidden and empty until the script fills it; `group` names its radio buttons.

    Without a script, the gallery below shows the same pictures.
    """
    choices = (
        element(
            "label",
            element("input", type="radio", name=group, value=number, checked=number == 0),
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
        aria_label="Divider between the two pictures",
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
            element("label", "Left ", element("select", class_="left")),
            element("label", "Right ", element("select", class_="right")),
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
            "Drag, or use the arrow keys (Shift for larger steps). The space bar swaps the two pictures.",
            class_="note",
        ),
        class_="slider",
        hidden=True,
    )


def _frame(frame: ShownFrame, names: list[str], pictures: Pictures, number: int) -> Markup:
    """One row of all pictures for a single file; otherwise one row per kind and one column per file."""
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
    """Title and scale of a row of maps."""
    return element("p", element("b", title), " ", element("span", scale), class_="head")


def _of_files(frame: ShownFrame, names: list[str], pictures: Pictures, kind: str) -> list[Markup]:
    """The pictures of one `kind` (`picture`, `error` or `flip`) for all files."""
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
    """Name in the slider, address, title and measured value of a picture."""
    if kind == "error":
        return f"{name}: error", one.error, "Error", f"mean {one.mean_error:.2f} levels"
    if kind == "flip":
        return f"{name}: FLIP", one.flip, "FLIP", f"mean {one.mean_flip:.4f}" if one.flip else ""
    return name, one.picture, "Decoded", f"PSNR {one.psnr_db:.2f} dB"


def _figure(name: str, address: str, caption: Markup, pictures: Pictures) -> Markup:
    """A picture with its caption; `name` identifies it in the slider."""
    return element(
        "figure",
        element("img", src=address, alt=name, width=pictures.width, height=pictures.height, data_name=name),
        element("figcaption", caption),
    )


def _scales(pictures: Pictures) -> Markup:
    """The key to the colours of the maps."""
    colours = ",".join(f"rgb{tuple(map(int, colour))}" for colour in MAGMA)
    ramp = element("i", class_="ramp", style=f"background:linear-gradient(90deg,{colours})")
    has_flip = pictures.frames[0].files[0].flip is not None
    error = f"error 0 to {pictures.error_levels} of 255 levels, the largest difference of the three colours"
    flip = "; FLIP 0 to 1" if has_flip else "; FLIP is not installed (pip install 'inrc[metrics]')"
    return element("p", ramp, f"Dark to bright: {error}{flip}.", class_="note scales")

"""Charts as inline SVG that stretches with the page, with text that does not.

Lines are drawn in a square of 1000 by 1000 that takes whatever shape the page gives it, and their width is
the screen's; numbers stand around it as HTML. What is under the pointer, `Stop`, is for the page's script.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inrcodec.quality.report.markup import Markup, data_block, element

COLOUR_COUNT = 8
"""Colours of series, `--c1` and so on in the style sheet; a ninth series begins again."""
_SIDE = 1000


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    """From 0."""
    is_thin: bool = False
    """Drawn thin and dashed: what ours is compared with."""
    has_dots: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    """x, least and greatest value, where a point stands for several."""


@dataclass(frozen=True)
class Stop:
    """What is said where the pointer or a key stops on a chart."""

    x: float
    y: float | None
    """None where it is of all lines at that x."""
    title: str
    rows: Sequence[tuple[int, str, str]]
    """Colour, name and value."""


def chart(
    title: str,
    about: str,
    x: Axis,
    y: Axis,
    series: Sequence[Series],
    stops: Sequence[Stop],
    marks: Sequence[float] = (),
) -> Markup:
    """A figure; `about` says in words what is to be seen, `marks` are vertical lines."""
    drawing = element(
        "svg",
        *(_line("grid", [(0, y.place(tick)), (1, y.place(tick))]) for tick in y.ticks),
        *(_line("mark", [(x.place(mark), 0), (x.place(mark), 1)]) for mark in marks),
        *(piece for one in series for piece in _drawn(one, x, y)),
        viewBox=f"0 0 {_SIDE} {_SIDE}",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    ys = zip(y.ticks, y.tick_texts, strict=True)
    xs = zip(x.ticks, x.tick_texts, strict=True)
    plot = element(
        "div",
        drawing,
        *(_label("y", "bottom", y.place(tick), text) for tick, text in ys),
        *(_label("x", "left", x.place(tick), text) for tick, text in xs),
        class_="plot",
        tabindex=0,
        role="group",
        aria_roledescription="chart",
        aria_label=f"{title}. {about} Arrow keys read the values.",
    )
    return element(
        "figure",
        element("figcaption", element("b", title), " ", element("span", y.label)),
        plot,
        element("p", x.label, class_="axis"),
        data_block([_as_data(stop, x, y) for stop in stops]),
        class_="chart",
    )


def colour_class(colour: int) -> str:
    """The class that gives an element the colour of a series."""
    return f"c{colour % COLOUR_COUNT + 1}"


def swatch(colour: int) -> Markup:
    """A small square of a colour."""
    return element("i", class_=f"swatch {colour_class(colour)}")


def legend(series: Sequence[Series]) -> Markup | None:
    """Which line is which, for one chart or for all that have these series; of one line nothing."""
    if len(series) < 2:
        return None
    return element(
        "ul",
        *(
            element(
                "li",
                element("i", class_=f"key {colour_class(one.colour)}{' thin' if one.is_thin else ''}"),
                one.name,
            )
            for one in series
        ),
        class_="legend",
    )


def _drawn(series: Series, x: Axis, y: Axis) -> list[Markup]:
    """The band, the line and the dots of a series."""
    colour = colour_class(series.colour)
    pieces = []
    if series.band:
        upper = [(x.place(at), y.place(most)) for at, _, most in series.band]
        lower = [(x.place(at), y.place(least)) for at, least, _ in series.band]
        pieces.append(element("path", d=_path([*upper, *reversed(lower)]) + "Z", class_=f"band {colour}"))
    places = [(x.place(at), y.place(value)) for at, value in series.points]
    if len(places) > 1:
        pieces.append(_line(f"line {colour}{' thin' if series.is_thin else ''}", places))
    if series.has_dots or len(places) == 1:
        # A line of no length has round ends: a dot, however the drawing is stretched.
        dots = "".join(f"M{_coordinates(place)}h0" for place in places)
        pieces.append(element("path", d=dots, class_=f"dots {colour}{' thin' if series.is_thin else ''}"))
    return pieces


def _line(class_: str, places: Sequence[tuple[float, float]]) -> Markup:
    return element("path", d=_path(places), class_=class_)


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(_coordinates(place) for place in places)


def _coordinates(place: tuple[float, float]) -> str:
    return f"{_SIDE * place[0]:.5g} {_SIDE * (1 - place[1]):.5g}"


def _label(axis: str, side: str, place: float, text: str) -> Markup:
    return element("span", text, class_=f"tick {axis}", style=f"{side}:{100 * place:.4g}%")


def _as_data(stop: Stop, x: Axis, y: Axis) -> list[object]:
    """Place from the left and from the top, 0 to 1, title, and rows; see `web/report.js`."""
    top = None if stop.y is None else round(1 - y.place(stop.y), 4)
    rows = [[colour_class(colour), name, value] for colour, name, value in stop.rows]
    return [round(x.place(stop.x), 4), top, stop.title, rows]


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`, with the values that are written."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies, 0 at `low` and 1 at `high`."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    @property
    def tick_texts(self) -> list[str]:
        """What is written, all with as many digits as the steps between them need."""
        if self.is_logarithmic or len(self.ticks) < 2:
            return [f"{tick:g}" for tick in self.ticks]
        step = self.ticks[1] - self.ticks[0]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [f"{tick:,.{digits}f}" for tick in self.ticks]


def linear_axis(label: str, values: Iterable[float], tick_count: int = 5, whole: bool = False) -> Axis:
    """An axis over `values` that ends at round numbers; one of `whole` numbers ends where they do."""
    low, high = _range(values)
    if high - low < 1e-9 * max(1.0, abs(high)):
        spread = 1.0 if whole else max(1e-3, abs(high) * 1e-3)
        low, high = (low, high + spread) if whole else (low - spread, high + spread)
    step = _round_step((high - low) / tick_count)
    if whole:
        step = max(1.0, step)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    return Axis(label, low, high, tuple(number * step for number in range(first, last + 1)))


def logarithmic_axis(label: str, values: Sequence[float]) -> Axis:
    """An axis over positive `values`, with some room at its ends; it names 1, 2 and 5 of each decade."""
    low, high = _range(values)
    low, high = low / 1.12, high * 1.12
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return Axis(label, low, high, tuple(tick for tick in ticks if low <= tick <= high), True)


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _round_step(step: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))

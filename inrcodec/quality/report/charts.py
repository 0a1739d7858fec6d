"""Draws charts as inline SVG that stretches with the page, surrounded by text that does not.

Lines are drawn in a square of 1000 by 1000 units that stretches to any shape; line widths are in screen
pixels. Tick labels are HTML around the drawing. The page's script shows the `Stop` nearest to the pointer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inrcodec.quality.report.markup import Markup, data_block, element

COLOUR_COUNT = 8
"""Number of series colours, `--c1` and so on in the style sheet; they repeat from the ninth series on."""
LEAST_TICKS = 3
"""Fewest ticks at 1, 2 and 5 of each decade on a logarithmic axis."""
_SIDE = 1000


@dataclass(frozen=True)
class Series:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    """Colour number, from 0."""
    is_thin: bool = False
    """Whether the line is thin and dashed, as for ordinary codecs."""
    has_dots: bool = False
    band: Sequence[tuple[float, float, float]] = ()
    """x, minimum and maximum, if each point stands for several values."""


@dataclass(frozen=True)
class Stop:
    """A position on a chart with its values, selected by pointer or keys."""

    x: float
    y: float | None
    """None if the stop covers all lines at this x."""
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
    """Make a chart; `about` describes it in words, `marks` are positions of vertical lines."""
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
        aria_label=f"{title}. {about} Use the arrow keys to read the values.",
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
    """The CSS class for the colour of a series."""
    return f"c{colour % COLOUR_COUNT + 1}"


def swatch(colour: int) -> Markup:
    """A small square in the colour of a series."""
    return element("i", class_=f"swatch {colour_class(colour)}")


def legend(series: Sequence[Series]) -> Markup | None:
    """The legend of one or more charts with these series; None for a single series."""
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
        # A line of length zero with round caps stays a round dot, however the drawing is stretched.
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
    """The stop as `web/report.js` reads it: distance from left and top (0 to 1), title, rows."""
    top = None if stop.y is None else round(1 - y.place(stop.y), 4)
    rows = [[colour_class(colour), name, value] for colour, name, value in stop.rows]
    return [round(x.place(stop.x), 4), top, stop.title, rows]


@dataclass(frozen=True)
class Axis:
    """A range from `low` to `high`, with its labelled values."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        """Relative position of a value: 0 at `low`, 1 at `high`."""
        low, high = self.low, self.high
        if self.is_logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return (value - low) / (high - low)

    @property
    def tick_texts(self) -> list[str]:
        """Labels of the ticks, with as many digits as the steps between them need."""
        if self.is_logarithmic or len(self.ticks) < 2:
            return [f"{tick:g}" for tick in self.ticks]
        step = self.ticks[1] - self.ticks[0]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [f"{tick:,.{digits}f}" for tick in self.ticks]


def linear_axis(label: str, values: Iterable[float], tick_count: int = 5, whole: bool = False) -> Axis:
    """Make an axis over `values` that ends at round numbers.

    With `whole`, ticks are whole numbers and the axis ends at the extreme values.
    """
    low, high = _range(values)
    largest = high
    if high - low < 1e-9 * max(1.0, abs(high)):
        spread = 1.0 if whole else max(1e-3, abs(high) * 1e-3)
        low, high = (low, high + spread) if whole else (low - spread, high + spread)
    step = _round_step((high - low) / tick_count)
    if whole:
        step = max(1.0, step)
        # A single frame has no second tick.
        first, last = math.ceil(low / step - 1e-9), math.floor(largest / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    return Axis(label, low, high, tuple(number * step for number in range(first, last + 1)))


def logarithmic_axis(label: str, values: Sequence[float]) -> Axis:
    """Make an axis over positive `values` with a margin at both ends; ticks are 1, 2 and 5 of each decade.

    Values that lie too close for these have ticks at equal distances.
    """
    low, high = _range(values)
    low, high = low / 1.12, high * 1.12
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) < LEAST_TICKS:
        step = _round_step((high - low) / (LEAST_TICKS + 2))
        numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
        inside = [float(f"{number * step:.6g}") for number in numbers]
    return Axis(label, low, high, tuple(inside), True)


def _range(values: Iterable[float]) -> tuple[float, float]:
    known = list(values)
    return min(known), max(known)


def _round_step(step: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))

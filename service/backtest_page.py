"""`backtest.html`: two policies side by side on one static page, no script, nothing fetched.

Numbers come from `service.backtest_measure`; how it looks is in `backtest.html.j2`. Drawings
stretch to the page, so all text stands beside them in HTML, as in the replay's report.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import jinja2

from service.backtest import Report, Tested
from service.backtest_measure import Estimate

LETTERS: Final = "ABCDEFGH"
STYLES: Final = ("hr", "rr", "spo2", "temp")  # colours of the replay's report, told apart by shape
NOTICE: Final = "Research and engineering use; not a medical device. The past is no promise."


class Mark(NamedTuple):
    """A policy's own thresholds on a plot, and their interval; places in percent."""

    letter: str
    style: str
    x: float
    y: float
    across: tuple[float, float]
    along: tuple[float, float]


class Curve(NamedTuple):
    """A policy's frontier as SVG path data in 1000 by 100."""

    letter: str
    style: str
    path: str


class Plot(NamedTuple):
    """One figure against alerts per patient-day."""

    title: str
    label: str
    top: str
    curves: list[Curve]
    marks: list[Mark]
    ticks: list[tuple[float, str]]


class Row(NamedTuple):
    """One line of the comparison."""

    label: str
    cells: list[str]
    intervals: list[str]


_PLOTS: Final = (
    ("sensitivity", "Events caught", "share of events with a raise within the horizon"),
    ("ppv", "Raises that were right", "share of raises followed by an event"),
    ("lead_h", "Median lead", "hours from the first raise to the event"),
)


def write_page(report: Report, path: Path) -> None:
    """Write the page of a report."""
    path.write_text(page(report), encoding="utf-8")


def page(report: Report) -> str:
    """The page; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = [
        (LETTERS[i % len(LETTERS)], STYLES[i % len(STYLES)], each)
        for i, each in enumerate(report.tested)
    ]
    environment.filters.update(figure=_words, interval=_interval)
    return environment.get_template("backtest.html.j2").render(
        report=report,
        named=named,
        rows=rows(report),
        plots=[plot(report, *spec) for spec in _PLOTS] if report.labelled else [],
        horizon=_duration(report.horizon_us / 1e6),
        notice=NOTICE,
    )


def rows(report: Report) -> list[Row]:
    """The comparison, line by line."""
    figures = [each.figures for each in report.tested]
    found = [
        _line("Alerts per patient-day", [f.alerts_per_day for f in figures], 3),
        _plain("Raises", [f.raises for f in figures]),
        _plain("of them not the same alert again", [f.occurrences for f in figures]),
        _line("Time in alert", [f.time_in_alert for f in figures], 1, share=True),
        _line("Alerts of the top 10 % of patients", [f.top_share for f in figures], 1, share=True),
        _plain("Equipment alerts", [f.technical for f in figures]),
    ]
    if report.labelled:
        found[1:1] = [
            _line("False alerts per patient-day", [f.false_per_day for f in figures], 3),
            _line("Events caught", [f.sensitivity for f in figures], 1, share=True),
            _line("Events with an alert on", [f.covered for f in figures], 1, share=True),
            _line("Raises that were right (PPV)", [f.ppv for f in figures], 1, share=True),
            _line("Median lead, h", [f.lead_h for f in figures], 1),
        ]
    return found


def plot(report: Report, name: str, title: str, label: str) -> Plot:
    """One figure of every policy against its burden.

    Parameters
    ----------
    report : Report
        The backtest.
    name : str
        A field of `Figures`.
    title, label : str
        What it is, for people.
    """
    wide = _nice(max((x for each in report.tested for x, _ in _points(each, name)), default=1.0))
    highest = max((y for each in report.tested for _, y in _points(each, name)), default=1.0)
    top = _nice(highest)

    def x(value: float) -> float:
        return 100 * min(value / wide, 1.0)

    def y(value: float) -> float:
        return 100 - 96 * min(value / top, 1.0)

    curves, marks = [], []
    for i, each in enumerate(report.tested):
        letter, style = LETTERS[i % len(LETTERS)], STYLES[i % len(STYLES)]
        curves.append(Curve(letter, style, _path(each, name, x, y)))
        burden, value = each.figures.alerts_per_day, getattr(each.figures, name)
        if not (math.isnan(burden.value) or math.isnan(value.value)):
            marks.append(_mark((letter, style), (burden, value), x, y))
    shown = f"{top:.0%}" if name in ("sensitivity", "ppv") else f"{top:g} h"
    steps = [(100 * i / 4, f"{wide * i / 4:g}") for i in range(5)]
    return Plot(title, label, shown, curves, marks, steps)


def _points(each: Tested, name: str) -> list[tuple[float, float]]:
    """Burden and figure of the frontier and of the policy itself, where both are defined."""
    of = [*(point.figures for point in each.frontier), each.figures]
    pairs = [(f.alerts_per_day.value, getattr(f, name).value) for f in of]
    return [(a, b) for a, b in pairs if not (math.isnan(a) or math.isnan(b))]


def _path(each: Tested, name: str, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    of = [point.figures for point in each.frontier]
    pairs = [(f.alerts_per_day.value, getattr(f, name).value) for f in of]
    known = [(a, b) for a, b in pairs if not (math.isnan(a) or math.isnan(b))]
    return "M" + "L".join(f"{10 * x(a):.1f} {y(b):.1f}" for a, b in known) if known else ""


def _mark(
    who: tuple[str, str],
    seen: tuple[Estimate, Estimate],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> Mark:
    burden, value = seen
    return Mark(
        *who,
        round(x(burden.value), 2),
        round(y(value.value), 2),
        _span(burden, x),
        _span(value, y),
    )


def _span(estimate: Estimate, place: Callable[[float], float]) -> tuple[float, float]:
    if math.isnan(estimate.low):
        return place(estimate.value), place(estimate.value)
    return round(place(estimate.low), 2), round(place(estimate.high), 2)


def _nice(value: float) -> float:
    """The next of 1, 2, 2.5, 4, 5, 8, 10 times a power of ten.

    Examples
    --------
    >>> _nice(0.73), _nice(3.0), _nice(0.0)
    (0.8, 4.0, 1.0)
    """
    if value <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 4, 5, 8, 10) if step * power >= value * 0.999)


def _plain(label: str, values: list[int]) -> Row:
    return Row(label, [f"{value:,}" for value in values], [""] * len(values))


def _line(label: str, values: list[Estimate], decimals: int, share: bool = False) -> Row:
    cells = [_words(value, decimals, share) for value in values]
    return Row(label, cells, [_interval(value, decimals, share) for value in values])


def _words(estimate: Estimate, decimals: int = 3, share: bool = False) -> str:
    return _number(estimate.value, decimals, share)


def _interval(estimate: Estimate, decimals: int = 3, share: bool = False) -> str:
    if math.isnan(estimate.low):
        return ""
    low, high = (_number(part, decimals, share) for part in estimate[1:])
    return f"{low} to {high}"


def _number(value: float, decimals: int, share: bool) -> str:
    if math.isnan(value):
        return "–"
    return f"{100 * value:.{decimals}f} %" if share else f"{value:.{decimals}f}"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds / 60:g} min"

"""Sparklines as SVG path data: gaps stay gaps, long recordings are decimated, nothing else is lost.

Drawings stretch to the width of the page, so all text stands beside them in HTML. Coordinates run
0-1000 along the recording and 0-100 down. A point stands at the END of its window.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from service.marks import number_words, offset_words, priority_words, vital
from service.report_data import PatientData
from service.report_record import AlertSummary
from streams.windows import HOP_US

WIDTH, HEIGHT = 1000.0, 100.0
MAX_BINS = 480  # points per line: more than a page has pixels for
MAX_LANES = 6
_TICKS = 6
_TICK_STEPS_S = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400)


class Vital(NamedTuple):
    """How one vital sign is drawn: `lo`-`hi` is always in view, `calm_*` scores NEWS2 0."""

    name: str
    label: str
    unit: str
    lo: float
    hi: float
    calm_lo: float
    calm_hi: float
    decimals: int = 0


# RCP (2017), NEWS2 chart 1 (SpO2 scale 1): the bands that score 0.
VITALS = (
    Vital("hr", "Heart rate", "/min", 45, 120, 51, 90),
    Vital("rr", "Respiration", "/min", 8, 28, 12, 20),
    Vital("spo2", "SpO2", "%", 88, 100, 96, 100),
    Vital("temp", "Temperature", "°C", 35, 39, 36.1, 38.0, 1),
)
NEWS2_TOP = 20.0
NEWS2_LEVELS = (5, 7)  # RCP (2017): urgent response, emergency response


class Chart(NamedTuple):
    """One line of a patient's picture; `calm` is (top, height) of the band that scores 0."""

    name: str
    label: str
    unit: str
    top: str
    bottom: str
    middle: str  # median, for people
    line: str
    area: str
    calm: tuple[float, float] | None
    levels: tuple[tuple[int, float], ...]  # value, place in percent from the top


class Lane(NamedTuple):
    """When an alert was open; places in percent of the recording."""

    left: float
    width: float
    words: str
    priority: str


class Bin(NamedTuple):
    """What one column of pixels holds; `lo` is None where nothing was measured."""

    lo: float | None
    hi: float | None


def binned(
    rows: Iterable[tuple[int, float | None, float | None]], start_us: int, end_us: int
) -> list[Bin]:
    """Least and greatest value per bin of one or more hops.

    Parameters
    ----------
    rows : iterable of (end_us, lo, hi)
        Values of windows, None where absent; those outside the recording are left out.
    start_us, end_us : int
        Of the recording.

    Examples
    --------
    >>> binned([(10_000_000, 1.0, 2.0), (30_000_000, 5.0, 5.0)], 0, 30_000_000)
    [Bin(lo=1.0, hi=2.0), Bin(lo=None, hi=None), Bin(lo=5.0, hi=5.0)]
    """
    hops = max(1, -(-(end_us - start_us) // HOP_US))
    per_bin = -(-hops // MAX_BINS)
    bins = [Bin(None, None)] * -(-hops // per_bin)
    for at_us, lo, hi in rows:
        place = (at_us - start_us - 1) // HOP_US // per_bin
        if lo is None or hi is None or not 0 <= place < len(bins):
            continue
        old = bins[place]
        bins[place] = Bin(
            lo if old.lo is None else min(lo, old.lo), hi if old.hi is None else max(hi, old.hi)
        )
    return bins


def line_path(bins: Sequence[Bin], y: Callable[[float], float]) -> str:
    """A line through the bins, broken where one is empty.

    Examples
    --------
    >>> line_path([Bin(1.0, 1.0), Bin(2.0, 3.0), Bin(None, None), Bin(4.0, 4.0)], lambda v: v)
    'M250 1L500 2L500 3M1000 4h.1'
    """
    parts = []
    for first, run in _runs(bins):
        points = [
            (_x(first + i + 1, len(bins)), y(value))
            for i, (lo, hi) in enumerate(run)
            for value in dict.fromkeys((lo, hi))
        ]
        parts.append("M" + "L".join(f"{x} {_short(at)}" for x, at in points))
        if len(points) == 1:
            parts.append("h.1")  # a lone point is a dot: the ends of the line are round
    return "".join(parts)


def area_path(bins: Sequence[Bin], y: Callable[[float], float]) -> str:
    """The area between least and greatest value in steps, with holes where a bin is empty.

    Examples
    --------
    >>> area_path([Bin(1.0, 4.0), Bin(None, None)], lambda v: v)
    'M0 4H500V1H0Z'
    """
    parts = []
    for first, run in _runs(bins):
        edges = [_x(first + i, len(bins)) for i in range(len(run) + 1)]
        upper = [f"V{_short(y(hi))}H{edges[i + 1]}" for i, (_, hi) in enumerate(run)]
        lower = [f"V{_short(y(lo))}H{edges[i]}" for i, (lo, _) in reversed(list(enumerate(run)))]
        head = f"M{edges[0]} {upper[0][1:]}"
        parts.append(head + "".join(upper[1:]) + "".join(lower) + "Z")
    return "".join(parts)


def charts(data: PatientData) -> list[Chart]:
    """NEWS2 and every vital sign the patient has, on one axis."""
    found = [_news2_chart(data)] if data.news2 else []
    for spec in VITALS:
        rows = [(row.end_us, vital(row.values, spec.name)) for row in data.minutes]
        values = sorted(value for _, value in rows if value is not None)
        if values:
            found.append(_vital_chart(data, spec, rows, values))
    return found


def lanes(alerts: Sequence[AlertSummary], seconds: float) -> list[Lane]:
    """When each alert was open, patient alerts first; what is too much is left to the table."""
    found = []
    for alert in alerts[:MAX_LANES]:
        end_s = seconds if alert.ended_offset_s is None else alert.ended_offset_s
        left = _percent(alert.offset_s, seconds)
        words = f"{priority_words(alert.priority)} · {alert.condition}"
        width = max(_percent(end_s, seconds) - left, 0.5)
        found.append(Lane(left, round(width, 2), words, alert.priority))
    return found


def ticks(seconds: float) -> list[tuple[float, str]]:
    """Places (percent) and words of the time axis.

    Examples
    --------
    >>> ticks(480)
    [(0.0, '0:00'), (25.0, '2:00'), (50.0, '4:00'), (75.0, '6:00'), (100.0, '8:00')]
    """
    fitting = (step for step in _TICK_STEPS_S if seconds / step < _TICKS)
    step = next(fitting, math.ceil(seconds / _TICKS))
    count = int(seconds // step) if step else 0
    return [
        (_percent(i * step, seconds), offset_words(i * step * 1_000_000)) for i in range(count + 1)
    ]


def _news2_chart(data: PatientData) -> Chart:
    rules = [(score.end_us, score.news2) for score in data.news2]
    bins = binned(
        [(at, float(rule.lower), float(rule.upper)) for at, rule in rules if rule is not None],
        data.start_us,
        data.end_us,
    )
    lower = binned(
        [(at, float(rule.lower), float(rule.lower)) for at, rule in rules if rule is not None],
        data.start_us,
        data.end_us,
    )
    y = _scale(0.0, NEWS2_TOP)
    worst = max((rule.lower for _, rule in rules if rule is not None), default=0)
    levels = tuple((level, round(y(level), 1)) for level in NEWS2_LEVELS)
    line = line_path(lower, y)
    return Chart(
        "news2", "NEWS2", "", "20", "0", f"max {worst}", line, area_path(bins, y), None, levels
    )


def _vital_chart(
    data: PatientData, spec: Vital, rows: Sequence[tuple[int, float | None]], values: list[float]
) -> Chart:
    lo = min(spec.lo, math.floor(values[0]))
    hi = max(spec.hi, math.ceil(values[-1]))
    y = _scale(lo, hi)
    bins = binned([(at, value, value) for at, value in rows], data.start_us, data.end_us)
    top = y(min(spec.calm_hi, hi))
    calm = (round(top, 1), round(y(max(spec.calm_lo, lo)) - top, 1))
    middle = f"median {number_words(values[len(values) // 2], spec.decimals)}"
    words = (f"{hi:g}", f"{lo:g}", middle)
    return Chart(spec.name, spec.label, spec.unit, *words, line_path(bins, y), "", calm, ())


def _runs(bins: Sequence[Bin]) -> Iterator[tuple[int, list[tuple[float, float]]]]:
    """Stretches without an empty bin, each with the place of its first."""
    run: list[tuple[float, float]] = []
    for i, (lo, hi) in enumerate((*bins, Bin(None, None))):
        if lo is not None and hi is not None:
            run.append((lo, hi))
        elif run:
            yield i - len(run), run
            run = []


def _scale(lo: float, hi: float) -> Callable[[float], float]:
    """Value to place from the top, with a margin so that lines are not cut."""
    span = max(hi - lo, 1e-9)
    return lambda value: 4 + (HEIGHT - 8) * (hi - min(max(value, lo), hi)) / span


def _x(place: int, count: int) -> str:
    return _short(WIDTH * place / count)


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _percent(part: float, whole: float) -> float:
    return round(100 * min(max(part / whole, 0.0), 1.0), 2) if whole > 0 else 0.0

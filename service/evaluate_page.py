"""`report.html` of an evaluation: one static page, no script, nothing fetched.

Numbers come from `service.evaluate_measure` and `service.evaluate_robust`; how it looks is in
`evaluate.html.j2`. Drawings stretch to the page, so all text stands beside them in HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2

NOTICE: Final = "Research and engineering use; not a medical device. Figures are of the past."
STYLES: Final = ("model", "other", "third", "fourth")
MOST_PER_DAY: Final = 1.0  # right edge of the curves

# Published burdens to read a curve by: alarms per patient-day, share of events caught, whose.
YARDSTICKS: Final = ((0.49, 0.61, "van Rossum 2021, vital-sign wearables on a ward: 0.49 a day"),)

# Where each topic of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378) is answered; "not here" is
# for people to write. Topics, not the statement's wording or numbers.
TRIPOD: Final = (
    ("Source of data, dates, setting", "How it was made: data, citation"),
    ("Participants and outcome", "Point in time; event rule in Alarms over time"),
    ("Predictors and their timing", "Point in time: future mutation, single inputs"),
    ("Sample size", "Head of the page: patients, rows, events"),
    ("Missing data", "Robustness: absent modalities"),
    ("Model development and its data", "Model card of the artifact"),
    ("Performance with intervals", "Ranking, Alarms over time, Calibration"),
    ("Calibration and clinical usefulness", "Calibration; Decision curve"),
    ("Fairness: subgroups", "Subgroups"),
    ("Model updating, recalibration", "not here"),
    ("Limitations, intended use", "Model card; not here for your site"),
    ("Protocol, registration, funding, patient involvement", "not here"),
)


class Line(NamedTuple):
    """A curve as SVG path data in 1000 by 100."""

    name: str
    style: str
    path: str


class Dot(NamedTuple):
    """A single place on a plot, in percent."""

    words: str
    x: float
    y: float


class Plot(NamedTuple):
    """One drawing with its axes in words."""

    title: str
    under: str
    top: str
    bottom: str
    lines: list[Line]
    dots: list[Dot]
    ticks: list[tuple[float, str]]


class Cell(NamedTuple):
    """A figure and its interval, for people."""

    value: str
    interval: str = ""


def write_page(document: dict[str, Any], path: Path) -> None:
    """Write the page of a document."""
    path.write_text(page(document), encoding="utf-8")


def page(document: dict[str, Any]) -> str:
    """The page; every text in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(figure=figure, number=number, percent=percent)
    return environment.get_template("evaluate.html.j2").render(
        d=document,
        notice=NOTICE,
        curves=_curves(document),
        reliability=_reliability(document),
        decision=_decision(document),
        yardsticks=YARDSTICKS,
        tripod=TRIPOD,
        warnings=warnings(document),
    )


def warnings(document: dict[str, Any]) -> list[str]:
    """What a reader must know before any figure."""
    found = []
    audit = document["audit"]
    if not audit.get("future_mutation", {"passed": True})["passed"]:
        found.append("Scores changed when only later inputs did: the model sees the future.")
    if audit.get("splits", {}).get("same_data_set"):
        found.append(audit["splits"]["note"])
    if audit.get("splits", {}).get("patients_named_twice"):
        found.append("Some patients are there twice: intervals are too narrow.")
    if audit.get("suspect"):
        names = ", ".join(audit["suspect"])
        found.append(f"An input alone tells the outcome nearly perfectly: {names}.")
    return found


def figure(value: Any, decimals: int = 3, share: bool = False) -> Cell:
    """A figure with its interval; a bare number has none."""
    if not isinstance(value, Sequence):
        return Cell(_text(value, decimals, share))
    middle, low, high = value
    shown = _text(middle, decimals, share)
    if _none(low) or _none(high):
        return Cell(shown)
    return Cell(shown, f"{_text(low, decimals, share)} to {_text(high, decimals, share)}")


def number(value: Any, decimals: int = 3) -> str:
    """A number for people; a dash where there is none."""
    return _text(value, decimals, False)


def percent(value: Any, decimals: int = 1) -> str:
    """A share for people."""
    return _text(value, decimals, True)


def _text(value: Any, decimals: int, share: bool) -> str:
    if _none(value):
        return "–"
    if math.isinf(value):
        return "never"
    return f"{100 * value:.{decimals}f} %" if share else f"{value:.{decimals}f}"


def _none(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _curves(document: dict[str, Any]) -> list[Plot]:
    """Sensitivity and PPV against alarms per patient-day, every score on one plot."""
    events = document.get("events")
    if not events:
        return []
    named = [(name, each["curve"]) for name, each in events.items() if name != "rule"]
    plots = []
    for what, title in (("sensitivity", "Events caught"), ("ppv", "Alarms that were right")):
        highest = 1.0 if what == "sensitivity" else _top(named)
        lines = [
            Line(name, STYLES[i % len(STYLES)], _path(curve["per_day"], curve[what], highest))
            for i, (name, curve) in enumerate(named)
        ]
        dots = [
            Dot(words, 100 * x / MOST_PER_DAY, 100 - 100 * y)
            for x, y, words in (YARDSTICKS if what == "sensitivity" else ())
        ]
        ticks = [(25.0 * i, f"{MOST_PER_DAY * i / 4:g}") for i in range(5)]
        top = f"{highest:.0%}"
        plots.append(Plot(title, "alarms per patient-day", top, "0", lines, dots, ticks))
    return plots


def _top(named: list[tuple[str, dict[str, list[float]]]]) -> float:
    """Highest PPV worth drawing: of at least 0.02 alarms a day, in steps of a tenth."""
    found = [
        ppv
        for _, curve in named
        for x, ppv in zip(curve["per_day"], curve["ppv"], strict=True)
        if x >= 0.02 and not _none(ppv)
    ]
    return min(1.0, max(1, math.ceil(10 * max(found, default=1.0))) / 10)


def _path(x: list[float], y: list[float], top: float) -> str:
    pairs = [
        (1000 * a / MOST_PER_DAY, 100 - 100 * min(b / top, 1.0))
        for a, b in zip(x, y, strict=True)
        if not (_none(a) or _none(b)) and a <= MOST_PER_DAY
    ]
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in pairs) if pairs else ""


def _reliability(document: dict[str, Any]) -> Plot:
    """Observed against forecast; both axes are square roots, so that rare events are seen."""
    curve = document["calibration"]["reliability"]
    highest = max(v for v in (*curve["forecast"], *curve["observed"], 0.01) if not _none(v))

    def place(value: float) -> float:
        return 100 * math.sqrt(max(value, 0.0) / highest)

    pairs = zip(curve["forecast"], curve["observed"], strict=True)
    points = [(place(f), place(o)) for f, o in pairs if not _none(o)]
    path = "M" + "L".join(f"{10 * x:.1f} {100 - y:.1f}" for x, y in points) if points else ""
    lines = [Line("as it should be", "ideal", "M0 100L1000 0"), Line("model", "model", path)]
    dots = [Dot("", x, 100 - y) for x, y in points]
    ticks = [(100 * math.sqrt(s), f"{100 * highest * s:.2g} %") for s in (0, 0.1, 0.4, 1)]
    words = "forecast; both axes are stretched at the low end"
    return Plot("Reliability", words, f"{highest:.0%}", "0", lines, dots, ticks)


def _decision(document: dict[str, Any]) -> Plot:
    """Net benefit of the model and of acting on everybody."""
    found = document["net_benefit"]
    highest = max(v for v in (*found["model"], 1e-6) if not _none(v))

    def path(values: list[float]) -> str:
        pairs = [
            (1000 * t / found["threshold"][-1], 100 - 100 * min(v / highest, 1.0))
            for t, v in zip(found["threshold"], values, strict=True)
            if not _none(v) and v >= -0.02 * highest
        ]
        return "M" + "L".join(f"{a:.1f} {min(b, 100):.1f}" for a, b in pairs) if pairs else ""

    lines = [
        Line("model", "model", path(found["model"])),
        Line("acting on everybody", "other", path(found["everybody"])),
    ]
    edge = found["threshold"][-1]
    ticks = [(100 * i / 3, f"{100 * edge * i / 3:.0f} %") for i in range(4)]
    under = "probability at which one would act"
    return Plot("Net benefit", under, f"{highest:.3g}", "0", lines, [], ticks)

"""`report.html` and `report.json` of a replay: one static page, no script, nothing from elsewhere.

The numbers are computed in `service.report_data`, lines drawn in `service.report_plots`; how the
page looks is in `report.html.j2`. The same replay gives the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jinja2
import msgspec

from alerts.text import UNITS, WORDS
from service.marks import bounds_words, number_words, offset_words, priority_words, vital
from service.report_data import SIGNALS, PatientData, by_patient, summarise
from service.report_plots import Chart, Lane, charts, lanes, ticks
from service.report_record import AlertSummary, PatientSummary, Report

if TYPE_CHECKING:
    from service.replay import Inputs, Replayed

_MAX_ROWS = 24  # of the table beside a patient's lines
_REASONS = {
    "artefact_pct": "too many artefacts",
    "clip": "clipped",
    "flat": "flat line",
    "no_signal": "no such signal",
    "too_short": "too little recorded yet",
}
_OPEN = 3  # patients with an alert that are unfolded when the page opens


class NumberRow(NamedTuple):
    """One line of the table beside a patient's picture, ready to read."""

    offset: str
    news2: str
    hr: str
    rr: str
    spo2: str
    temp: str


class Person(NamedTuple):
    """One patient's part of the page; `anchor` holds nothing a patient id could break."""

    anchor: str
    summary: PatientSummary
    alerts: list[AlertSummary]
    charts: list[Chart]
    lanes: list[Lane]
    ticks: list[tuple[float, str]]
    rows: list[NumberRow]
    unfolded: bool


def write_report(done: Replayed, inputs: Inputs, out: Path) -> None:
    """Write `report.json` and `report.html` into `out`, which is created.

    Parameters
    ----------
    done : Replayed
        Results and what `run.json` says of the run.
    inputs : Inputs
        What was replayed; its faults are listed.
    out : Path
        Folder; the two files in it are replaced.
    """
    people = by_patient(done.results, done.run)
    report = summarise(done.results, done.run, inputs.faults, people)
    out.mkdir(parents=True, exist_ok=True)
    document = msgspec.json.format(msgspec.json.encode(report), indent=2)
    (out / "report.json").write_bytes(document + b"\n")
    (out / "report.html").write_text(page(report, people), encoding="utf-8")


def page(report: Report, people: dict[str, PatientData]) -> str:
    """The page; every text in it is escaped.

    Parameters
    ----------
    report : Report
        Of `service.report_data.summarise`.
    people : dict
        Of `service.report_data.by_patient`, for the lines.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        offset=lambda seconds: offset_words(round(seconds * 1e6)),
        number=number_words,
        priority=priority_words,
        words=_words,
        reason=_reason,
        unit=_unit,
        moment=_moment,
    )
    environment.globals.update(bounds=bounds_words)
    persons = _persons(report, people)
    return environment.get_template("report.html.j2").render(
        report=report,
        persons=persons,
        anchors={person.summary.patient_id: person.anchor for person in persons},
        signals=[s for s in SIGNALS if any(_has(p, s) for p in report.patients)],
        patient_alerts=[a for a in report.alerts if a.kind != "technical"],
        technical_alerts=[a for a in report.alerts if a.kind == "technical"],
        worst_news2=max((p.news2.lower for p in report.patients if p.news2), default=None),
        has_temp=any(p.medians["temp"] is not None for p in report.patients),
    )


def _persons(report: Report, people: dict[str, PatientData]) -> list[Person]:
    persons = []
    left = _OPEN
    for place, summary in enumerate(report.patients, 1):
        own = [alert for alert in report.alerts if alert.patient_id == summary.patient_id]
        unfolded = left > 0 and (summary.worst_priority is not None or place == 1)
        left -= unfolded
        data = people[summary.patient_id]
        seconds = (data.end_us - data.start_us) / 1e6
        persons.append(
            Person(
                f"p{place}",
                summary,
                own,
                charts(data),
                lanes(own, seconds),
                ticks(seconds),
                _rows(data),
                unfolded,
            )
        )
    return persons


def _rows(data: PatientData) -> list[NumberRow]:
    """At most `_MAX_ROWS` lines of numbers, one a minute where that fits."""
    scores = {score.end_us: score.news2 for score in data.news2}
    minutes = max(1, -(-(data.end_us - data.start_us) // 60_000_000))
    step_us = -(-minutes // _MAX_ROWS) * 60_000_000
    found = []
    for row in data.minutes:
        since_us = row.end_us - data.start_us
        if since_us > 0 and since_us // 10_000_000 * 10_000_000 % step_us == 0:
            rule = scores.get(row.end_us)
            news2 = bounds_words(rule.lower, rule.upper, rule.missing) if rule else "–"
            vitals = [
                number_words(vital(row.values, name), decimals)
                for name, decimals in (("hr", 0), ("rr", 0), ("spo2", 0), ("temp", 1))
            ]
            found.append(NumberRow(offset_words(since_us), news2, *vitals))
    return found


def _has(patient: PatientSummary, signal: str) -> bool:
    return any(own.signal == signal for own in patient.signals)


def _reason(name: str) -> str:
    """Why a feature has no value, for people."""
    return _REASONS.get(name, name.replace("_", " "))


def _words(name: str) -> str:
    """An input's name for people."""
    return WORDS.get(name, name.replace("_", " "))


def _unit(code: str) -> str:
    """A UCUM unit as people write it; ratios have none."""
    unit = UNITS.get(code, code).replace("ms2", "ms²")
    return unit.removeprefix("1") if unit.startswith("1/") else unit


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

"""Plain words for every alert: templates filled with the record's own numbers.

Not here: the numbers (`alerts.views`). No free generation; the same record gives the same words.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Final

from alerts.alert import AlertRecord, EvidenceView, Kind, Phase, ScoreView, Text

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - `UTC` reads like a clock's name

SUMMARY: Final[dict[Phase, str]] = {
    Phase.RAISED: "{priority}: {display}. {finding}",
    Phase.UPDATED: "{priority}: {display}. {finding}{was}",
    Phase.CONTINUED: "{priority}: {display} goes on. {finding}",
    Phase.ESCALATED: "{priority}, tier {tier}: {display}. {finding}{was}",
    Phase.DEESCALATED: "Now {priority}: {display}. {finding}{was}",
    Phase.ACKNOWLEDGED: "Acknowledged: {display}. {finding}",
    Phase.UNACKNOWLEDGED: "Nobody's any more: {display}. {finding}",
    Phase.REJECTED: "Rejected, tier {tier}: {display}. {finding}",
    Phase.SNOOZED: "Snoozed: {display}. {finding}",
    Phase.UNSNOOZED: "Snooze over: {display}. {finding}",
    Phase.SUPPRESSED: "Held back: {display}. {finding}",
    Phase.UNSUPPRESSED: "No longer held back: {display}. {finding}",
    Phase.STALE: "Inputs missing: {display} cannot be judged. Last: {finding}",
    Phase.REFRESHED: "Inputs back: {display}. {finding}",
    Phase.CLEARED: "Over: {display}. {finding}",
    Phase.RESOLVED: "Resolved: {display}",
    Phase.RETRACTED: "Retracted, entered in error: {display}",
    Phase.FEEDBACK: "Feedback: {display}",
}
WORDS: Final = {  # names of inputs and modalities that are not words themselves
    "resp_rate": "respiration rate",
    "spo2": "SpO2",
    "oxygen": "air or oxygen",
    "sbp": "blood pressure",
    "pulse": "heart rate",
    "temp": "temperature",
    "wearable": "wearable sensors",
    "vital": "charted vital signs",
    "lab": "laboratory",
    "med": "medication",
    "note": "notes",
}
UNITS: Final = {"1": "", "Cel": "°C", "mm[Hg]": "mmHg"}  # UCUM and ratios, as people write them
LATCHED_LINE: Final = "Nobody has acknowledged it: it stays until someone does"


def compose(phase: Phase, record: AlertRecord, finding: str, was: float | None, cause: str) -> Text:
    """Write an event in words.

    Parameters
    ----------
    phase : Phase
        What happened.
    record : AlertRecord
        The record after it; its `text` is not read.
    finding : str
        What a technical alert found; empty for an alert with a score.
    was : float or None
        The score last told, None if none was.
    cause : str
        Why this event happened, a whole line; empty for none.
    """
    score = record.score
    told = score is not None and was is not None and was != score.decision
    summary = SUMMARY[phase].format(
        priority=record.priority.capitalize(),
        tier=record.tier,
        display=record.condition.display,
        finding=finding if score is None else score_words(score),
        was=f" (was {number(was or 0.0)})" if told else "",
    )
    return Text(summary=summary.rstrip(), why=tuple(_why(record, cause)))


def score_words(score: ScoreView) -> str:
    """Say a score with its bounds.

    Examples
    --------
    >>> from alerts.alert import Threshold
    >>> t = Threshold(7.0, 5.0)
    >>> score_words(ScoreView("NEWS2", 7.0, 7.0, 7.0, 16.0, False, 0.0, None, None, None, t))
    'NEWS2 at least 7, at most 16'
    """
    low, high = score.lower, score.upper
    if low is None or high is None or low == high:
        return f"{score.label} {number(score.decision)}"
    if score.calibrated:
        return f"{score.label} {number(score.value)} ({number(low)} to {number(high)})"
    return f"{score.label} at least {number(low)}, at most {number(high)}"


def evidence_words(item: EvidenceView) -> str:
    """Say one input: value, points, age, source, quality.

    Examples
    --------
    >>> rr = ("", "rr", "Respiration", 28.0, "1/min", 0, 0.0, "wearable", 0.93, 3.0, None)
    >>> evidence_words(EvidenceView(*rr))
    'Respiration 28 /min (3 points), measured 0 s ago, wearable, quality 0.93'
    """
    unit = UNITS.get(item.unit, item.unit)
    unit = unit.removeprefix("1") if unit.startswith("1/") else unit
    joint = ", " if ":" in item.label else " "
    value = f"{joint}{measured(item.value)} {unit}".rstrip()
    value = "" if item.unit.startswith("{") else value  # a coded value: its word is in the label
    points = "1 point" if item.contribution == 1 else f"{number(item.contribution)} points"
    return (
        f"{item.label}{value} ({points}), measured {span(item.age_s)} ago, "
        f"{item.source}, quality {number(item.quality)}"
    )


def number(value: float) -> str:
    """Write a number with at most two decimals and no trailing zeros.

    Examples
    --------
    >>> number(28.0), number(0.834), number(-0.001)
    ('28', '0.83', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def measured(value: float) -> str:
    """Write a measured value to the resolution of a chart: one decimal from 10 on, two below.

    Examples
    --------
    >>> measured(24.99), measured(38.25), measured(3.14)
    ('25', '38.2', '3.14')
    """
    return number(round(value, 1) if abs(value) >= 10 else value)


def span(seconds: float) -> str:
    """Write a duration in the largest unit that still says enough.

    Examples
    --------
    >>> span(0), span(119.6), span(600), span(9000)
    ('0 s', '119 s', '10 min', '2 h 30 min')
    """
    whole = int(seconds)
    if whole < 120 or (whole < 600 and whole % 60):
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    rest = whole % 3600 // 60
    return f"{whole // 3600} h {rest} min" if rest else f"{whole // 3600} h"


def rfc3339(time_us: int) -> str:
    """Write µs UTC as RFC 3339 with all six decimals.

    Examples
    --------
    >>> rfc3339(1_700_000_000_000_001)
    '2023-11-14T22:13:20.000001Z'
    """
    moment = EPOCH + timedelta(microseconds=time_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def clock(time_us: int) -> str:
    """Write µs UTC for people, to the second.

    Examples
    --------
    >>> clock(1_700_000_000_999_999)
    '2023-11-14 22:13:20 UTC'
    """
    return rfc3339(time_us)[:19].replace("T", " ") + " UTC"


def _why(record: AlertRecord, cause: str) -> list[str]:
    """List the reasons: the cause, what carried points, what is missing, what still waits."""
    lines = [cause] if cause else []
    carrying = [item for item in record.evidence if item.contribution > 0]
    carrying.sort(key=lambda item: (-item.contribution, item.label))
    lines += [evidence_words(item) for item in carrying]
    if record.news2 is not None and record.news2.missing:
        lines.append("Missing: " + ", ".join(_words(name) for name in record.news2.missing))
    if record.missing_modalities and record.kind is not Kind.TECHNICAL:
        lines.append("No data from: " + ", ".join(map(_words, record.missing_modalities)))
    if record.state.latched:
        lines.append(LATCHED_LINE)
    return lines


def _words(name: str) -> str:
    """Write an input's name for people."""
    return WORDS.get(name, name.replace("_", " "))

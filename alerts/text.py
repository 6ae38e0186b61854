"""Plain words for every alert: templates filled with the record's own numbers.

Not here: the numbers (`alerts.views`). No free generation; the same record gives the same words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Final

import msgspec

from alerts.alert import (
    AlertRecord,
    ChangeView,
    EvidenceView,
    Kind,
    Phase,
    ScoreView,
    ShareView,
    Text,
)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - `UTC` reads like a clock's name

SUMMARY: Final[dict[Phase, str]] = {
    Phase.RAISED: "{priority}: {display}. {finding}{was}",
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


def compose(phase: Phase, record: AlertRecord, finding: str, cause: str) -> Text:
    """Write an event in words.

    Parameters
    ----------
    phase : Phase
        What happened.
    record : AlertRecord
        The record after it; its `text` is not read.
    finding : str
        What a technical alert found; empty for an alert with a score.
    cause : str
        Why this event happened, a whole line; empty for none.
    """
    score, change = record.score, record.change
    summary = SUMMARY[phase].format(
        priority=record.priority.capitalize(),
        tier=record.tier,
        display=record.condition.display,
        finding=finding if score is None else score_words(score),
        was="" if change is None else f" (was {number(change.was)})",
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
    joint = ", " if ":" in item.label else " "
    value = f"{joint}{measured(item.value)} {unit_words(item.unit)}".rstrip()
    own = "" if item.baseline is None else f", own baseline {measured(item.baseline)}"
    value = "" if item.unit.startswith("{") else value  # a coded value: its word is in the label
    points = "1 point" if item.contribution == 1 else f"{number(item.contribution)} points"
    moved = "" if isinstance(item.explained_by, msgspec.UnsetType) else "; ".join(item.explained_by)
    return (
        f"{item.label}{value}{own} ({points}), measured {span(item.age_s)} ago, "
        f"{item.source}, quality {number(item.quality)}{moved and f'; {moved}'}"
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


def unit_words(unit: str) -> str:
    """Write a UCUM unit as people do.

    Examples
    --------
    >>> unit_words("1/min"), unit_words("Cel"), unit_words("1")
    ('/min', '°C', '')
    """
    words = UNITS.get(unit, unit)
    return words.removeprefix("1") if words.startswith("1/") else words


def change_words(change: ChangeView, label: str) -> str:
    """Say what changed and since when.

    Examples
    --------
    >>> change_words(ChangeView(0, 5.0, 7.0), "NEWS2")
    'Since 1970-01-01 00:00:00 UTC: NEWS2 5 to 7'
    """
    moved = [f"{label} {number(change.was)} to {number(change.now)}"]
    for item in change.inputs:
        both = f"{measured(item.was)} to {measured(item.now)} {unit_words(item.unit)}"
        moved.append(f"{item.label} {both}".rstrip())
    return f"Since {clock(change.since_us)}: {', '.join(moved)}"


def share_words(shares: Sequence[ShareView]) -> str:
    """Say how much of the score each modality carries, in percent of all that raises it.

    Examples
    --------
    >>> share_words((ShareView("wearable", 3.0), ShareView("lab", 1.0), ShareView("note", -0.5)))
    'Carried by wearable sensors 75 %, laboratory 25 %; notes speak against it'
    """
    up = [item for item in shares if item.share > 0]
    down = [_words(item.modality) for item in shares if item.share < 0]
    whole = sum(item.share for item in up)
    said = [f"{_words(item.modality)} {round(100 * item.share / whole)} %" for item in up]
    parts = [f"Carried by {', '.join(said)}"] if said else []
    parts += [f"{', '.join(down)} speak against it"] if down else []
    return "; ".join(parts)


def _why(record: AlertRecord, cause: str) -> list[str]:
    """List the reasons: cause, what changed, what carries it, what is missing, what waits."""
    lines = [cause] if cause else []
    if record.change is not None and record.score is not None:
        lines.append(change_words(record.change, record.score.label))
    carrying = [item for item in record.evidence if item.contribution > 0]
    carrying.sort(key=lambda item: (-item.contribution, item.label))
    lines += [evidence_words(item) for item in carrying]
    if len(record.shares) > 1:
        lines.append(share_words(record.shares))
    if record.disagreement:
        against = ", ".join(_words(name) for name in record.disagreement)
        lines.append(f"The sources disagree: {against}. Check whose data this is")
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

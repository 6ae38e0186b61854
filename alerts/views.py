"""What of a score an alert shows: bounds, evidence, shares, change, disagreement.

Not here: the words (`alerts.text`), when it is shown (`alerts.clinical`, `alerts.timers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from alerts import alert
from alerts.alert import AlertRecord, ChangeView, EvidenceView, InputChange, ShareView
from alerts.reading import DECIMALS
from alerts.rules import Limits, Rule
from models.score import Evidence, Score

MAX_EVIDENCE = 16
MIN_TREND_US = 300_000_000  # a trend over less would be noise
HOUR_US = 3_600_000_000


class Past(NamedTuple):
    """A value told or seen before, and when."""

    value: float
    time_us: int


class Judged(NamedTuple):
    """A usable score as a condition saw it."""

    score: Score
    rule: Rule
    value: float  # compared with the limits, unsigned
    limits: Limits
    personal: bool = False


def views(judged: Judged, level: int, calm: Past | None) -> dict[str, Any]:
    """Return the record's fields that come from a score.

    Parameters
    ----------
    judged : Judged
        The last usable score.
    level : int
        The level on, -1 for none (the lowest level's thresholds are shown).
    calm : Past or None
        What the score was when the condition was last quiet.
    """
    score, rule = judged.score, judged.rule
    name, _, rest = score.model.partition("/")
    version, _, digest = rest.partition("/")
    news2 = score.news2
    return {
        "score": _score_view(judged, level, calm),
        "news2": None
        if news2 is None
        else alert.News2View(
            news2.total, news2.lower, news2.upper, news2.missing, news2.single3, news2.scale
        ),
        "evidence": tuple(evidence_view(item) for item in score.evidence[:MAX_EVIDENCE]),
        "shares": share_views(score.share),
        "disagreement": disagreement(score.share, rule.spec.disagree),
        "missing_modalities": missing(score),
        "completeness": round(float(score.completeness), DECIMALS),
        "model": alert.ModelRef(name, version or None, digest or None, None),
        "window": (score.start_us, score.end_us),
        "last_evidence_us": score.end_us,
    }


def change_view(old: AlertRecord, told: Past | None, new: AlertRecord) -> ChangeView | None:
    """Return what differs between two records of an alert; None if the score does not.

    Parameters
    ----------
    old, new : AlertRecord
        Before and after.
    told : Past or None
        The score's value last published, and when it was true.
    """
    if new.score is None or told is None or told.value == new.score.decision:
        return None
    was = {item.code: item for item in old.evidence}
    moved = tuple(
        InputChange(item.code, item.label, item.unit, was[item.code].value, item.value)
        for item in new.evidence
        if item.code in was and was[item.code].value != item.value
    )
    return ChangeView(told.time_us, told.value, new.score.decision, moved)


def share_views(shares: Mapping[str, float]) -> tuple[ShareView, ...]:
    """Return the shares per modality, the largest first whatever its sign.

    Examples
    --------
    >>> [s.modality for s in share_views({"lab": -2.0, "wearable": 1.0, "note": float("nan")})]
    ['lab', 'wearable']
    """
    known = [(name, round(float(x), DECIMALS)) for name, x in shares.items() if x == x]
    known.sort(key=lambda item: (-abs(item[1]), item[0]))
    return tuple(ShareView(name, share) for name, share in known)


def disagreement(shares: Mapping[str, float], least: float | None) -> tuple[str, ...]:
    """Return the modalities that raise and lower the score against each other, else nothing.

    Parameters
    ----------
    shares : mapping of str to float
        Additive share per modality.
    least : float or None
        How far at least the highest must be above 0 and the lowest below; None never looks.

    Examples
    --------
    >>> disagreement({"wearable": -0.8, "lab": 1.2, "note": 0.1}, 0.5)
    ('lab', 'wearable')
    """
    if least is None:
        return ()
    up = sorted(name for name, share in shares.items() if share >= least)
    down = sorted(name for name, share in shares.items() if share <= -least)
    return (*up, *down) if up and down else ()


def missing(score: Score) -> tuple[str, ...]:
    """Return the modalities a score went without, in alphabetical order."""
    return tuple(sorted(name for name, there in score.present.items() if not there))


def evidence_view(item: Evidence) -> EvidenceView:
    """Return one input as the record shows it."""
    return EvidenceView(
        id=f"obs/{item.code}/{item.time_us}",
        code=item.code,
        label=item.label,
        value=round(float(item.value), DECIMALS),
        unit=item.unit,
        time_us=item.time_us,
        age_s=round(float(item.age_s), 3),
        source=item.source,
        quality=round(float(item.quality), DECIMALS),
        contribution=round(float(item.points), DECIMALS),
        baseline=_rounded(item.baseline),
        explained_by=item.explained_by,
    )


def _score_view(judged: Judged, level: int, calm: Past | None) -> alert.ScoreView:
    """Return the score with the limits in force and how it came to be there."""
    score, rule, spec = judged.score, judged.rule, judged.rule.spec
    hi, lo = judged.limits[max(level, 0)]
    elapsed_us = 0 if calm is None else score.end_us - calm.time_us
    trend = None
    if calm is not None and elapsed_us >= MIN_TREND_US:
        trend = round((judged.value - calm.value) * HOUR_US / elapsed_us, DECIMALS)
    measured = spec.field == "input"
    raw = judged.value if measured or score.value is None else round(float(score.value), DECIMALS)
    return alert.ScoreView(
        label=spec.label,
        decision=judged.value,
        value=raw,
        lower=None if measured else _rounded(score.lower),
        upper=None if measured else _rounded(score.upper),
        calibrated=score.calibrated and not measured,
        horizon_s=0.0 if measured else float(score.horizon_s),
        outcome=None,
        trend_per_h=trend,
        baseline=None if calm is None else calm.value,
        threshold=alert.Threshold(rule.sign * hi, rule.sign * lo, spec.side, judged.personal),
    )


def _rounded(value: float | None) -> float | None:
    """Round to the resolution thresholds use; what is not a number is not known."""
    return None if value is None or value != value else round(float(value), DECIMALS)

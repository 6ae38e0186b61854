"""How alerts were answered: time to acknowledge, what people thought of them, who has most. Pure.

Read from what was published, so from any stretch of it. Not here: what a policy would have done
(`service.backtest`), Kafka and files (`service.cli.quiet_cli`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from alerts.alert import AlertEvent, Kind, Phase, Suppression
from service.backtest_labels import subjects

ACTIONABLE: Final = "actionable"
MOST: Final = 0.1  # of patients: alarms crowd on few of them (Lansdowne 2016)


class Opinion(NamedTuple):
    """What people thought of one alert."""

    patient: str
    raised_us: int
    outcome: str


class AlertFigures(NamedTuple):
    """Of physiological alerts; None where nothing is there to count."""

    raised: int  # steps, coming back included
    occurrences: int
    patients: int
    rang: int  # raised with the signal on
    acknowledged: int  # occurrences
    median_ack_s: float | None  # from the first raise to the first acknowledgement
    escalated: int  # occurrences that nobody answered in time
    outcomes: dict[str, int]  # occurrences by the last feedback
    ppv: float | None  # share of those with feedback that were actionable
    top_share: float | None  # raises of the tenth of patients with most


def figures(events: Iterable[AlertEvent]) -> AlertFigures:
    """Count what happened to alerts.

    Parameters
    ----------
    events : iterable of AlertEvent
        Of any occurrences, each one's in the order of `seq`; repeats are passed by.
    """
    raises: Counter[str] = Counter()
    first_us: dict[str, int] = {}
    waited_s: dict[str, float] = {}
    rang, unanswered, seen = 0, set[str](), set[str]()
    kept = [event for event in events if event.kind is Kind.PHYSIOLOGICAL]
    for event in kept:
        name = event.occurrence_id
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        if event.phase is Phase.RAISED:
            raises[event.subject] += 1
            rang += event.state.suppression is Suppression.NONE
            first_us.setdefault(name, event.recorded_us)
        elif event.phase is Phase.ACKNOWLEDGED and name in first_us:
            waited_s.setdefault(name, (event.recorded_us - first_us[name]) / 1e6)
        elif event.phase is Phase.ESCALATED and event.tier > 1:
            unanswered.add(name)
    outcomes = Counter(opinion.outcome for opinion in opinions(kept))
    judged = sum(outcomes.values())
    return AlertFigures(
        sum(raises.values()),
        len(first_us),
        len(raises),
        rang,
        len(waited_s),
        _median(list(waited_s.values())),
        len(unanswered),
        dict(sorted(outcomes.items())),
        outcomes[ACTIONABLE] / judged if judged else None,
        _top(raises),
    )


def opinions(events: Iterable[AlertEvent]) -> list[Opinion]:
    """The last feedback of every alert that has one, oldest alert first."""
    found: dict[str, Opinion] = {}
    for event in events:
        given = [action.outcome for action in event.actions if action.outcome]
        if given:
            found[event.occurrence_id] = Opinion(event.subject, event.raised_us, given[-1])
    return sorted(found.values(), key=lambda opinion: (opinion.raised_us, opinion.patient))


def write_opinions(found: Iterable[Opinion], path: Path) -> None:
    """Write feedback as labels of MEDS: at the raise, true where it was actionable."""
    rows = list(found)
    columns = {
        "subject_id": subjects([row.patient for row in rows]),
        "prediction_time": pa.array([row.raised_us for row in rows], pa.timestamp("us")),
        "boolean_value": pa.array([row.outcome == ACTIONABLE for row in rows], pa.bool_()),
        "outcome": pa.array([row.outcome for row in rows], pa.string()),
    }
    pq.write_table(pa.table(columns), path)


def _median(values: list[float]) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2


def _top(raises: Counter[str]) -> float | None:
    if not raises:
        return None
    most = raises.most_common(math.ceil(MOST * len(raises)))
    return sum(count for _, count in most) / sum(raises.values())

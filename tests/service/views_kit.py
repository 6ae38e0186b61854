"""Small results and messages for the tests of what people see."""

from __future__ import annotations

import msgspec

from alerts.alert import (
    AlertEvent,
    Axes,
    Condition,
    ConditionRef,
    Kind,
    Links,
    Phase,
    PolicyRef,
    Priority,
    Resolution,
    Text,
)
from models.score import RuleScore, Score
from service.outputs import DeadLetter, FeatureRow
from service.replay import Inputs, Replayed
from service.results import Results
from streams.processor import Output, Outputs

START_US = 1_577_836_800_000_000
S = 1_000_000


def row(patient_id: str, end_s: int, hr: float | None, **values: float | None) -> FeatureRow:
    found = {"ecg_hr_bpm": hr, "resp_rate_per_min": 16.0, "spo2_mean_pct": 97.0, **values}
    end_us = START_US + end_s * S
    return FeatureRow(
        patient_id,
        "60s",
        end_us - 60 * S,
        end_us,
        end_us + S,
        0,
        values=found,
        quality=dict.fromkeys(found, 0.9),
        coverage={name: 0.0 if value is None else 1.0 for name, value in found.items()},
        n=dict.fromkeys(found, 60),
        reason={name: "gap" if value is None else "ok" for name, value in found.items()},
    )


def news2(patient_id: str, end_s: int, lower: int, upper: int) -> Score:
    missing = ("sbp",) if upper > lower else ()
    end_us = START_US + end_s * S
    return Score(
        patient_id=patient_id,
        scorer="news2",
        model="news2/1",
        start_us=end_us - 60 * S,
        end_us=end_us,
        known_us=end_us + S,
        revision=0,
        value=float(lower),
        lower=float(lower),
        upper=float(upper),
        std=None,
        calibrated=False,
        horizon_s=0.0,
        share={},
        present={},
        completeness=1.0,
        news2=RuleScore(lower, lower, upper, False, 1, missing, {}),
        evidence=(),
    )


def alert(
    patient_id: str,
    at_s: int,
    summary: str = "High: Deterioration. NEWS2 8",
    why: tuple[str, ...] = ("NEWS2 reached 7",),
    priority: Priority = Priority.HIGH,
    phase: Phase = Phase.RAISED,
) -> AlertEvent:
    kind = Kind.TECHNICAL if priority is Priority.LOW else Kind.PHYSIOLOGICAL
    over = phase is Phase.RESOLVED
    return AlertEvent(
        occurrence_id=f"occ-{patient_id}-{kind.value}",
        seq=1 if phase is Phase.RAISED else 2,
        state_seq=1,
        dedup_key=patient_id,
        tenant="t",
        subject=patient_id,
        kind=kind,
        condition=ConditionRef("deterioration", "Deterioration"),
        priority=priority,
        priority_at_raise=priority,
        state=Axes(
            Condition.CLEARED if over else Condition.ACTIVE,
            resolution=Resolution.CLOSED if over else Resolution.OPEN,
        ),
        onset_us=START_US,
        raised_us=START_US + at_s * S,
        recorded_us=START_US + at_s * S,
        last_evidence_us=START_US + at_s * S,
        cleared_us=START_US + at_s * S if over else None,
        policy=PolicyRef("p", "1", "d"),
        text=Text(summary, why),
        links=Links("/", None),
        phase=phase,
        event_us=START_US + at_s * S,
    )


def replayed(
    features: list[FeatureRow],
    scores: list[Score],
    alerts: list[AlertEvent],
    dead: list[DeadLetter] | None = None,
) -> Replayed:
    digests = {"features_sha256": "f" * 64, "scores_sha256": "5" * 64, "alerts_sha256": "a" * 64}
    starts = sorted({r.patient_id for r in features})
    run = {
        "vigil": "0",
        "runner": "embedded",
        "recordings": [
            {"patient_id": p, "source": f"{p}.hea", "start_us": START_US} for p in starts
        ],
        "cost": {"wall_s": 1.0},
    }
    return Replayed(Results(features, scores, alerts, dead or [], digests), run)


def inputs(*faults: str) -> Inputs:
    return Inputs((), (), faults)


def outputs(*items: FeatureRow | Score | AlertEvent) -> Outputs:
    topics = {FeatureRow: "features", Score: "scores", AlertEvent: "alerts"}
    return Outputs(
        tuple(
            Output(
                topics[type(item)],
                "key",
                0,
                item.event_us if isinstance(item, AlertEvent) else item.known_us,
                msgspec.json.encode(item),
            )
            for item in items
        )
    )

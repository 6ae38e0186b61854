"""Builders of scores and drawn timelines. One character is one 30 s step in every drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import pytest

from alerts.alert import AlertEvent, Phase
from alerts.machine import AlertMachine
from alerts.policy import Policy, default_policy_text, parse_policy
from models.score import Evidence, RuleScore, Score

SECOND = 1_000_000
STEP_S = 30
START_S = 1_750_000_000  # a Sunday in June 2025
INPUTS = ("resp_rate", "spo2", "pulse", "temp", "sbp", "consciousness", "oxygen")
EVIDENCE = {
    "resp_rate": ("Respiration", "resp_rate_per_min", 28.0, "1/min"),
    "spo2": ("SpO2", "spo2_mean_pct", 90.0, "%"),
    "pulse": ("Heart rate", "ecg_hr_bpm", 135.0, "1/min"),
    "temp": ("Temperature", "temp_mean_c", 34.5, "°C"),
}
LETTER = {
    Phase.RAISED: "R",
    Phase.UPDATED: "U",
    Phase.CONTINUED: "C",
    Phase.ESCALATED: "E",
    Phase.DEESCALATED: "D",
    Phase.STALE: "s",
    Phase.REFRESHED: "f",
    Phase.CLEARED: "O",  # over
    Phase.RESOLVED: "X",
}


def us(seconds: float) -> int:
    """Seconds after the start of a test, as µs UTC."""
    return round((START_S + seconds) * SECOND)


def spread(total: int) -> dict[str, int]:
    """Points of the four wearable inputs that add up to `total` (at most 12)."""
    points = {}
    for name in tuple(EVIDENCE):
        points[name] = min(3, total)
        total -= points[name]
    return points


def news2(
    at_s: float,
    points: dict[str, int] | int | None,
    *,
    quality: float = 0.93,
    age_s: float = 0.0,
    revision: int = 0,
) -> Score:
    """A NEWS2 score of the 60 s ending at `at_s`, known 2 s later; None: no score at all."""
    points = spread(points) if isinstance(points, int) else points
    there = points or {}
    total = sum(there.values())
    missing = tuple(name for name in INPUTS if name not in there)
    rule = RuleScore(total, total, total + 3 * len(missing), 3 in there.values(), 1, missing, there)
    evidence = tuple(
        Evidence(*EVIDENCE[n], us(at_s), age_s, "wearable", quality, float(p))
        for n, p in there.items()
    )
    value = None if points is None else float(total)
    return Score(
        patient_id="p1",
        scorer="news2",
        model="news2/1",
        start_us=us(at_s - 60),
        end_us=us(at_s),
        known_us=us(at_s + 2),
        revision=revision,
        value=value,
        lower=value,
        upper=None if value is None else float(rule.upper),
        std=None,
        calibrated=False,
        horizon_s=0.0,
        share={},
        present={"ecg": "pulse" in there, "resp": "resp_rate" in there},
        completeness=len(there) / len(INPUTS),
        news2=None if points is None else rule,
        evidence=evidence,
    )


class Draw(Protocol):
    """Plays a drawing of scores and returns the drawing of events."""

    def __call__(self, scores: str, *, policy: Policy | None = None) -> str:
        """A digit is NEWS2's lower bound, "." no score, "?" one that lost its inputs."""
        ...


def draw_events(events: Sequence[AlertEvent]) -> str:
    """One letter for the events of a step: "-" none, "*" several."""
    return "*" if len(events) > 1 else LETTER[events[0].phase] if events else "-"


def draw_scores(machine: AlertMachine, scores: str) -> str:
    """Play one score per 30 s."""
    drawn = ""
    for step, letter in enumerate(scores):
        lost: dict[str, int] | None = {"temp": 0} if letter == "?" else None
        points = int(letter) if letter.isdigit() else lost
        drawn += draw_events(machine.on_scores((news2(step * STEP_S, points),)))
    return drawn


@pytest.fixture(scope="session")
def policy() -> Policy:
    """The packaged default policy."""
    return parse_policy(default_policy_text())


@pytest.fixture
def machine(policy: Policy) -> AlertMachine:
    """A new patient under the default policy."""
    return AlertMachine(policy, "p1")


@pytest.fixture
def draw(policy: Policy) -> Draw:
    """Play a drawing on a new patient."""
    default = policy

    def play(scores: str, *, policy: Policy | None = None) -> str:
        return draw_scores(AlertMachine(policy or default, "p1"), scores)

    return play


@pytest.fixture(scope="session")
def score() -> Callable[..., Score]:
    """The builder of NEWS2 scores: `score(at_s, points)`."""
    return news2


@pytest.fixture(scope="session")
def at() -> Callable[[float], int]:
    """Seconds after the start as µs UTC."""
    return us


@pytest.fixture
def raised(machine: AlertMachine) -> tuple[AlertMachine, AlertEvent]:
    """A patient whose NEWS2 has been 7 for two minutes, and the alert that this raised."""
    events: tuple[AlertEvent, ...] = ()
    for at_s in range(0, 150, STEP_S):
        events += machine.on_scores((news2(at_s, 7),))
    (event,) = events
    return machine, event

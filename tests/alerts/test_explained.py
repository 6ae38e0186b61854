"""Whole alerts with their reasons, against golden files in tests/data/alerts.

A golden file is the record as published, indented. Regenerate one only for a change that is meant:
`python -m tests.alerts.test_explained`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from alerts.alert import AlertEvent
from alerts.envelope import alert_value
from alerts.machine import AlertMachine
from alerts.policy import default_policy_text, parse_policy
from tests.alerts.alert_kit import ask, conditions, entry, risk, us
from tests.alerts.conftest import news2

GOLDEN = Path(__file__).parents[1] / "data" / "alerts"
RISK = """source = "fusion.value"
levels = [{ priority = "medium", hi = 0.5, lo = 0.35 }, { priority = "high", hi = 0.8, lo = 0.6 }]
disagree = 0.3
update_delta = 0.05
"""
TACHY = """source = "columns.input"
input = "ecg_hr_bpm"
levels = [{ priority = "medium", hi = 130, lo = 120 }]
for_s = 60
personal = { offset = 30, floor = 90, ceiling = 140 }
"""


def model_score(at_s: float, value: float, resp: float, lactate: float) -> object:
    """A calibrated model that saw a wearable and a laboratory."""
    evidence = (
        entry("resp_rate_per_min", resp, label="Respiration", points=0.8, baseline=15.2),
        entry(
            "lactate", lactate, label="Lactate", unit="mmol/L", source="lab", quality=1.0,
            age_s=2400.0, points=0.6,
        ),
        entry("note_sepsis", 1.0, label="Sepsis in notes", unit="1", source="note", points=-0.4),
    )  # fmt: skip
    return risk(
        at_s, value, evidence=evidence, lower=value - 0.12, upper=value + 0.07,
        share={"wearable": 0.8, "lab": 0.6, "note": -0.4},
        present={"wearable": True, "lab": True, "note": True, "ecg": False},
        completeness=0.71,
    )  # fmt: skip


def fusion() -> AlertEvent:
    """A rising risk with shares, bounds, what it was, and a modality that speaks against it."""
    machine, events = AlertMachine(conditions(RISK), "p1"), ()
    machine.on_scores((risk(0, 0.22),))
    for at_s in range(600, 780, 30):
        events += machine.on_scores((model_score(at_s, 0.83, 26.0, 3.1),))
    (event,) = events
    return event


def revised() -> AlertEvent:
    """The same alert when it has changed: what moved since it was last told."""
    machine = AlertMachine(conditions(RISK), "p1")
    for at_s in range(0, 150, 30):
        machine.on_scores((model_score(at_s, 0.55, 22.0, 3.1),))
    (event,) = machine.on_scores((model_score(300, 0.64, 28.0, 4.0),))
    return event


def personal() -> AlertEvent:
    """A single input over a limit of the patient's own, from its baseline."""
    machine, events = AlertMachine(conditions(TACHY), "p1"), ()
    for at_s in range(0, 90, 30):
        item = entry("ecg_hr_bpm", 112.0, label="Heart rate (ECG)", points=0.0, baseline=64.0)
        score = risk(at_s, None, scorer="columns", evidence=(item,), calibrated=False)
        events += machine.on_scores((score,))
    (event,) = events
    return event


def latched() -> AlertEvent:
    """A high NEWS2 that nobody saw and that is over, with bounds and missing inputs."""
    machine = AlertMachine(parse_policy(default_policy_text()), "p1")
    events: tuple[AlertEvent, ...] = ()
    for at_s in range(0, 900, 30):
        events += machine.on_scores((news2(at_s, 8 if at_s < 150 else 1),))
    return events[-1]


def treated() -> AlertEvent:
    """A risk whose temperature was lowered by a drug: a fall that is no recovery."""
    machine, events = AlertMachine(conditions(RISK), "p1"), ()
    temp = entry("temp", 37.2, label="Temperature", unit="Cel", source="vital", points=0.1)
    care = ("antipyretic 90 min before may lower it", "corticosteroid 300 min before may lower it")
    explained = msgspec.structs.replace(temp, explained_by=care)
    for at_s in range(0, 180, 30):
        events += machine.on_scores((risk(at_s, 0.6, evidence=(explained,)),))
    (event,) = events
    return event


def answered() -> AlertEvent:
    """An alert somebody took, with what they said."""
    machine, events = AlertMachine(parse_policy(default_policy_text()), "p1"), ()
    ask(machine, "locate", "ward=W4,bed=12,encounter=enc-9", -60)
    for at_s in range(0, 150, 30):
        events += machine.on_scores((news2(at_s, 7),))
    target = events[0].occurrence_id
    (told,) = ask(machine, "acknowledge", target, 200, reason="on my way", until_us=us(2000))
    return told


SCENES: dict[str, Callable[[], AlertEvent]] = {
    "raised_fusion": fusion,
    "updated_fusion": revised,
    "raised_personal_limit": personal,
    "latched_news2": latched,
    "raised_treated": treated,
    "acknowledged_news2": answered,
}


def written(event: AlertEvent) -> str:
    return msgspec.json.format(alert_value(event), indent=2).decode() + "\n"


@pytest.mark.parametrize("name", SCENES)
def test_an_alert_with_its_reasons_is_the_golden_one(name: str) -> None:
    assert written(SCENES[name]()) == (GOLDEN / f"{name}.json").read_text("utf-8")


def test_a_model_alert_says_what_changed_who_carries_it_and_who_disagrees() -> None:
    event = fusion()
    assert event.text.summary == "High: A. Risk 0.83 (0.71 to 0.9) (was 0.22)"
    assert event.text.why == (
        "Risk reached 0.8 and stayed at 0.6 or above for 2 min",
        "Since 2025-06-15 15:06:40 UTC: Risk 0.22 to 0.83",
        "Respiration 26 /min, own baseline 15.2 (0.8 points), measured 0 s ago, wearable, "
        "quality 0.95",
        "Lactate 3.1 mmol/L (0.6 points), measured 40 min ago, lab, quality 1",
        "Carried by wearable sensors 57 %, laboratory 43 %; notes speak against it",
        "The sources disagree: laboratory, wearable sensors, notes. Check whose data this is",
        "No data from: ecg",
    )
    assert event.score is not None
    assert (event.score.baseline, event.score.trend_per_h) == (0.22, 3.05)


def test_an_update_names_the_inputs_that_moved() -> None:
    assert revised().text.why[1] == (
        "Since 2025-06-15 15:08:40 UTC: Risk 0.55 to 0.64, Respiration 22 to 28 /min, "
        "Lactate 3.1 to 4 mmol/L"
    )


def test_a_personal_limit_is_said_to_be_one() -> None:
    event = personal()
    assert event.text.why[0] == (
        "Risk reached 94, from this patient's own baseline, and stayed at 84 or above for 60 s"
    )
    assert event.score is not None
    assert event.score.threshold.personal
    assert event.evidence[0].baseline == 64.0


if __name__ == "__main__":
    for name, scene in SCENES.items():
        (GOLDEN / f"{name}.json").write_text(written(scene()), encoding="utf-8")

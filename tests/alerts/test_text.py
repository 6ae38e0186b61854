"""Words: numbers, units and templates, the same for the same record."""

from __future__ import annotations

import msgspec
import pytest

from alerts.alert import ChangeView, EvidenceView, Phase, ScoreView, Threshold
from alerts.machine import AlertMachine
from alerts.text import SUMMARY, compose, evidence_words, number, score_words, span

EVIDENCE = EvidenceView("", "x", "Pulse", 135.0, "/min", 0, 0.0, "vital", 1.0, 1.0, None)


def evidence(**fields: object) -> str:
    return evidence_words(msgspec.structs.replace(EVIDENCE, **fields))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Pulse 135 /min (1 point), measured 0 s ago, vital, quality 1"),
        ({"unit": "1/min", "contribution": 3.0}, "Pulse 135 /min (3 points),"),
        ({"unit": "Cel", "value": 38.25}, "Pulse 38.2 °C (1 point),"),
        ({"unit": "1", "value": 0.5}, "Pulse 0.5 (1 point),"),
        ({"label": "Pulse: high"}, "Pulse: high, 135 /min (1 point),"),
        ({"label": "Consciousness: pain", "unit": "{ACVPU}"}, "Consciousness: pain (1 point),"),
        ({"age_s": 7260.0}, "Pulse 135 /min (1 point), measured 2 h 1 min ago,"),
    ],
)
def test_an_input_is_said_with_value_points_age_source_and_quality(
    fields: dict[str, object], words: str
) -> None:
    assert evidence(**fields).startswith(words)


def score_view(lower: float | None, upper: float | None, calibrated: bool) -> ScoreView:
    value = 0.83 if calibrated else 7.0
    return ScoreView(
        "Risk", value, value, lower, upper, calibrated, 0.0, None, None, None, Threshold(1, 0)
    )


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (score_view(7.0, 16.0, False), "Risk at least 7, at most 16"),
        (score_view(7.0, 7.0, False), "Risk 7"),
        (score_view(None, 7.0, False), "Risk 7"),
        (score_view(0.71, 0.9, True), "Risk 0.83 (0.71 to 0.9)"),
        (score_view(0.71, None, True), "Risk 0.83"),
    ],
)
def test_a_score_is_said_with_its_bounds(view: ScoreView, words: str) -> None:
    assert score_words(view) == words


def test_every_phase_has_a_summary() -> None:
    assert set(SUMMARY) == set(Phase)


def test_a_negative_number_keeps_its_sign_and_zero_has_none() -> None:
    assert (number(-1.5), number(-0.001), number(100.0)) == ("-1.5", "0", "100")


@pytest.mark.parametrize(
    ("seconds", "words"), [(599, "599 s"), (540, "9 min"), (7199, "119 min"), (7200, "2 h")]
)
def test_durations_use_the_largest_unit_that_says_enough(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_what_the_score_was_is_said_when_it_changed(raised: tuple[AlertMachine, object]) -> None:
    record = raised[0].records()[0]
    changed = msgspec.structs.replace(record, change=ChangeView(0, 5.0, 7.0))
    text = compose(Phase.UPDATED, changed, "", "")
    assert text.summary == "High: Deterioration. NEWS2 at least 7, at most 16 (was 5)"
    assert text.why[0] == "Since 1970-01-01 00:00:00 UTC: NEWS2 5 to 7"
    assert "was" not in compose(Phase.UPDATED, record, "", "").summary


def test_missing_inputs_and_modalities_are_listed_in_words(
    raised: tuple[AlertMachine, object],
) -> None:
    record = msgspec.structs.replace(
        raised[0].records()[0], missing_modalities=("ecg", "vital", "new_thing")
    )
    why = compose(Phase.RAISED, record, "", "").why
    assert why[-2:] == (
        "Missing: blood pressure, consciousness, air or oxygen",
        "No data from: ecg, charted vital signs, new thing",
    )

"""What of a score an alert shows."""

from __future__ import annotations

import msgspec
import pytest

from alerts.alert import AlertEvent, InputChange
from alerts.machine import AlertMachine
from alerts.text import measured, share_words
from alerts.views import Judged, Past, change_view, disagreement, evidence_view, share_views, views
from models.score import Score
from tests.alerts.alert_kit import conditions, entry, risk, us, vital

RISK = 'source = "fusion.value"\nlevels = [{ priority = "high", hi = 0.5, lo = 0.4 }]\n'
HR = 'source = "columns.input"\ninput = "hr"\nlevels = [{ priority = "low", hi = 130, lo = 120 }]\n'


def judged(score: Score, value: float, body: str = RISK) -> Judged:
    rule = conditions(body).variants["a"].plain
    return Judged(score, rule, value, rule.limits)


def test_shares_come_largest_first_whatever_their_sign_then_by_name() -> None:
    found = share_views({"b": 1.0, "a": 1.0, "c": -2.0, "d": 0.00004})
    assert [(s.modality, s.share) for s in found] == [
        ("c", -2.0), ("a", 1.0), ("b", 1.0), ("d", 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "least", "found"),
    [
        ({"a": 0.5, "b": -0.5}, 0.5, ("a", "b")),
        ({"a": 0.5, "b": -0.49}, 0.5, ()),
        ({"a": 0.49, "b": -0.5}, 0.5, ()),
        ({"a": 0.9, "b": 0.9}, 0.5, ()),
        ({"a": -0.9}, 0.5, ()),
        ({"a": 0.5, "b": -0.5}, None, ()),
        ({"z": 1.0, "y": 1.0, "x": -1.0, "w": 0.0}, 0.5, ("y", "z", "x")),
    ],
)
def test_modalities_disagree_when_both_sides_reach_the_least(
    shares: dict[str, float], least: float | None, found: tuple[str, ...]
) -> None:
    assert disagreement(shares, least) == found


@pytest.mark.parametrize(
    ("elapsed_s", "trend"), [(299.9, None), (300, 7.2), (3600, 0.6), (7200, 0.3)]
)
def test_a_trend_is_per_hour_since_it_was_quiet_from_five_minutes_on(
    elapsed_s: float, trend: float | None
) -> None:
    shown = views(judged(risk(elapsed_s, 0.8), 0.8), 0, Past(0.2, us(0)))
    assert shown["score"].trend_per_h == trend
    assert shown["score"].baseline == 0.2


def test_what_was_never_quiet_has_no_trend() -> None:
    shown = views(judged(risk(0, 0.8), 0.8), -1, None)
    assert (shown["score"].trend_per_h, shown["score"].baseline) == (None, None)
    assert shown["score"].threshold.hi == 0.5


def test_a_model_is_named_by_its_parts() -> None:
    model = views(judged(risk(0, 0.8), 0.8), 0, None)["model"]
    assert (model.name, model.version, model.digest) == ("fusion", "3", "sha256:ab")
    bare = msgspec.structs.replace(risk(0, 0.8), model="rule")
    model = views(judged(bare, 0.8), 0, None)["model"]
    assert (model.name, model.version, model.digest) == ("rule", None, None)


def test_one_measured_input_has_neither_bounds_nor_horizon() -> None:
    score = msgspec.structs.replace(
        vital(0, "hr", 140.0), lower=0.1, upper=0.2, value=0.15, calibrated=True
    )
    view = views(judged(score, 140.0, HR), 0, None)["score"]
    assert (view.value, view.decision) == (140.0, 140.0)
    assert (view.lower, view.upper, view.calibrated, view.horizon_s) == (None, None, False, 0.0)


def test_a_smoothed_decision_stands_beside_the_score_itself() -> None:
    view = views(judged(risk(0, 0.81239), 0.62), 0, None)["score"]
    assert (view.decision, view.value) == (0.62, 0.8124)
    assert (view.lower, view.upper, view.calibrated, view.horizon_s) == (
        0.8124, 0.8124, True, 21_600.0,
    )  # fmt: skip


def test_numbers_are_rounded_and_what_is_no_number_is_not_known() -> None:
    shown = evidence_view(
        entry("x", 1.23456, age_s=1.23456, quality=0.98765, points=0.12345, baseline=float("nan"))
    )
    assert (shown.value, shown.age_s, shown.quality, shown.contribution) == (
        1.2346, 1.235, 0.9877, 0.1235,
    )  # fmt: skip
    assert shown.baseline is None
    assert shown.id == f"obs/x/{us(0)}"
    assert evidence_view(entry("x", 1.0, baseline=2.34567)).baseline == 2.3457


def test_a_change_names_only_inputs_that_are_in_both_and_differ() -> None:
    machine = AlertMachine(conditions(RISK + "for_s = 0\n"), "p1")
    items = (entry("same", 1.0), entry("moved", 2.0), entry("gone", 3.0))
    (event,) = machine.on_scores((risk(0, 0.6, evidence=items),))
    new = msgspec.structs.replace(
        event,
        score=msgspec.structs.replace(event.score, decision=0.7),
        evidence=tuple(
            evidence_view(item)
            for item in (entry("same", 1.0), entry("moved", 2.5), entry("new", 9.0))
        ),
    )
    change = change_view(event, Past(0.6, us(0)), new)
    assert change is not None
    assert change.inputs == (InputChange("moved", "MOVED", "1/min", 2.0, 2.5),)
    assert (change.was, change.now, change.since_us) == (0.6, 0.7, us(0))
    assert change_view(event, Past(0.7, us(0)), new) is None
    assert change_view(event, None, new) is None
    assert change_view(event, Past(0.6, us(0)), msgspec.structs.replace(new, score=None)) is None


def test_a_number_is_said_to_the_resolution_of_a_chart() -> None:
    assert [measured(x) for x in (9.994, 10.0, 10.26, -10.26, -9.876)] == [
        "9.99", "10", "10.3", "-10.3", "-9.88",
    ]  # fmt: skip


def test_shares_are_said_in_percent_of_what_raises_the_score() -> None:
    assert share_words(share_views({"lab": -1.0, "note": -2.0})) == (
        "notes, laboratory speak against it"
    )
    assert share_words(share_views({"lab": 1.0, "note": 2.0})) == (
        "Carried by notes 67 %, laboratory 33 %"
    )


def test_one_modality_alone_needs_no_percent(raised: tuple[AlertMachine, AlertEvent]) -> None:
    assert not any(line.startswith("Carried by") for line in raised[1].text.why)

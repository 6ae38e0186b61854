"""Alarms per patient-day, sensitivity, PPV and lead, against hand-made wards and a slow oracle."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.events import (
    SEPSIS,
    EventSpec,
    Watched,
    alarms,
    burden,
    grid,
    rates,
    threshold_at,
    watch,
)

NONE = np.zeros(0, np.int64)


def one(score: list[float], onset: float | None, spec: EventSpec = SEPSIS) -> Watched:
    events = (NONE, NONE.astype(float)) if onset is None else (np.array([0]), np.array([onset]))
    hours = np.arange(len(score), dtype=float)
    return watch(np.zeros(len(score), np.int64), hours, *events, spec)


def test_the_silence_swallows_alarms_until_it_ends() -> None:
    # hour   0 1 2 3 4 5
    # score  1 1 1 1 1 1     silence 3 h: rings at 0, 3
    spec = EventSpec(silence_h=3)
    found = alarms(np.ones(6), one([1] * 6, None, spec), np.array([0.5]))
    assert found.alarms.tolist() == [[2]]
    assert found.days.tolist() == [0.25]


def test_within_the_silence_a_louder_score_rings_after_a_while() -> None:
    # hour   0 1 2 3 4 5 6      silence 6 h, from 2 h on what is 1 above 0.5 rings
    # score  1 9 1 1 9 1 1      rings at 0, 4; if nothing is loud at 0, 6; if all is at 0, 2, 4, 6
    score = np.array([1.0, 9, 1, 1, 9, 1, 1])
    for by, rung in ((1.0, 2), (9.0, 2), (np.inf, 2), (0.0, 4)):
        spec = EventSpec(silence_h=6, louder_h=2, louder_by=by)
        found = alarms(score, one(list(score), None, spec), np.array([0.5]))
        assert found.alarms.tolist() == [[rung]], by
    spec = EventSpec(silence_h=6, louder_h=2, louder_by=1.0)
    laid = one(list(score), 4.5, spec)
    assert alarms(score, laid, np.array([0.5])).true.tolist() == [[2]]


def test_an_alarm_is_true_within_the_horizon_and_nothing_is_watched_after_the_event() -> None:
    # hour   0 . . . 6 . . 9 E . 12      horizon 4 h, event at hour 10
    score = np.zeros(20)
    score[[0, 6, 9, 12]] = 1
    spec = EventSpec(horizon_h=4, silence_h=1)
    found = alarms(score, one(list(score), 10.0, spec), np.array([0.5]))
    assert found.alarms.tolist() == [[3]]
    assert found.true.tolist() == [[2]]
    assert found.lead_h.tolist() == [[4.0]]
    assert found.days.tolist() == [10 / 24]


def test_a_row_at_the_event_itself_is_not_watched() -> None:
    found = alarms(np.ones(3), one([1, 1, 1], 0.0), np.array([0.5]))
    assert found.days.tolist() == [0]
    assert found.events.tolist() == [0]
    assert one([1, 1, 1], 0.0).lost_events == 1


def test_repeated_events_are_watched_again_after_a_while() -> None:
    spec = EventSpec(horizon_h=3, silence_h=1, after_h=2)
    rows = np.arange(12, dtype=float)
    laid = watch(np.zeros(12, np.int64), rows, np.array([0, 0]), np.array([4.0, 9.0]), spec)
    assert laid.time_h.tolist() == [0, 1, 2, 3, 6, 7, 8, 11]
    assert laid.event.tolist() == [-1, 0, 0, 0, 1, 1, 1, -1]


def slow(score: np.ndarray, hours: np.ndarray, onset: float, at: float) -> tuple[int, int, float]:
    """One patient, row by row."""
    rung, true, lead, free = 0, 0, np.nan, -np.inf
    for value, hour in zip(score, hours, strict=True):
        if hour >= onset or not value >= at or hour < free:
            continue
        rung, free = rung + 1, hour + 12
        if onset - hour <= 24:
            true += 1
            lead = onset - hour if np.isnan(lead) else lead
    return rung, true, lead


def test_all_patients_and_thresholds_at_once_equal_one_by_one() -> None:
    random = np.random.default_rng(4)
    lengths = random.integers(0, 90, 40)
    patient = np.repeat(np.arange(40), lengths)
    hours = np.concatenate([np.arange(n, dtype=float) for n in lengths])
    score = np.round(random.normal(size=len(hours)), 1)
    score[random.random(len(score)) < 0.1] = np.nan
    septic = np.flatnonzero((random.random(40) < 0.4) & (lengths > 5))
    onset = (lengths[septic] * random.random(septic.size)).round() + 1
    mixed = random.permutation(len(score))
    laid = watch(patient[mixed], hours[mixed], septic, onset)
    tried = np.array([-1.0, 0.0, 0.7, 1.5, 2.2])
    found = alarms(score[mixed], laid, tried)
    for k, at in enumerate(tried):
        for p in range(laid.patients):
            rows = patient == p
            end = onset[septic == p][0] if (septic == p).any() else np.inf
            rung, true, lead = slow(score[rows], hours[rows], end, at)
            assert found.alarms[p, k] == rung
            assert found.true[p, k] == true
            assert found.caught[p, k] == (true > 0)
            if true:
                assert found.lead_h[laid.event_patient == p, k] == lead


def test_the_threshold_for_a_rate_rings_no_more_than_it() -> None:
    random = np.random.default_rng(5)
    patient = np.repeat(np.arange(300), 60)
    hours = np.tile(np.arange(60.0), 300)
    septic = np.arange(0, 300, 10)
    laid = watch(patient, hours, septic, np.full(30, 50.0))
    score = random.normal(size=len(hours)) + 2 * np.isin(patient, septic) * (hours > 35)
    for wanted in (0.1, 0.2, 0.5):
        at = threshold_at(score, laid, wanted)
        per_day, _, _ = rates(alarms(score, laid, np.array([at])), np.ones((1, 300)))
        assert wanted * 0.97 <= per_day[0, 0] <= wanted
    got = burden(score, laid, threshold_at(score, laid, 0.2), 200)
    assert got.alarms_per_day.low <= got.alarms_per_day.value <= got.alarms_per_day.high
    assert got.workup.value == pytest.approx(1 / got.ppv.value)
    assert got.lead_h[1] <= got.lead_h[0] <= got.lead_h[2]
    assert got.lead_share[0] >= got.lead_share[1] >= got.lead_share[2]


def test_a_score_that_is_constant_can_only_ring_for_everybody_or_nobody() -> None:
    laid = one([0.3] * 30, None)
    assert threshold_at(np.full(30, 0.3), laid, 0.1) == np.inf
    assert grid(np.full(30, np.nan), laid).tolist() == [np.inf]

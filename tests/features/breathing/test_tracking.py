"""The rate followed from window to window."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.breathing.fusion import LOG_PRIOR, best_rate, normalised
from features.breathing.spectrum import N_RATES, RATES_PER_MIN
from features.breathing.tracking import STATE_SIZE, fresh_state, track

Floats = NDArray[np.float64]
YES = np.array([True])


def _end(k: int, hop_s: float = 10.0) -> NDArray[np.intp]:
    return np.array([round(1e6 * (60 + hop_s * k))], np.intp)


def _clear(per_min: float, height: float = 6.0) -> Floats:
    return (height * np.exp(-0.5 * ((RATES_PER_MIN - per_min) / 1.5) ** 2))[None]


def test_a_first_window_is_judged_by_itself() -> None:
    tracked = track(fresh_state(1), _end(0), _clear(15), YES)
    np.testing.assert_allclose(tracked.probability, normalised(_clear(15) + LOG_PRIOR))


def test_one_odd_window_does_not_move_a_steady_rate() -> None:
    state = fresh_state(1)
    for k in range(10):
        state = track(state, _end(k), _clear(15), YES).state
    tracked = track(state, _end(10), _clear(30), YES)
    assert best_rate(tracked.probability).per_min[0] == pytest.approx(15, abs=1)


def test_a_lasting_change_is_followed_within_forty_seconds() -> None:
    state = fresh_state(1)
    for k in range(10):
        state = track(state, _end(k), _clear(15), YES).state
    rates = []
    for k in range(10, 14):
        tracked = track(state, _end(k), _clear(28), YES)
        state = tracked.state
        rates.append(best_rate(tracked.probability).per_min[0])
    assert rates[-1] == pytest.approx(28, abs=1)


def test_a_drifting_rate_is_followed_without_lag() -> None:
    state = fresh_state(1)
    for k in range(40):
        tracked = track(state, _end(k), _clear(12 + 0.4 * k), YES)
        state = tracked.state
    assert best_rate(tracked.probability).per_min[0] == pytest.approx(12 + 0.4 * 39, abs=1)


def test_windows_that_agree_make_the_rate_surer() -> None:
    state, qualities = fresh_state(1), []
    for k in range(6):
        tracked = track(state, _end(k), _clear(15, 3.0), YES)
        state = tracked.state
        qualities.append(best_rate(tracked.probability).quality[0])
    assert qualities == sorted(qualities)
    assert qualities[-1] > qualities[0] + 0.2


def test_a_window_without_evidence_leaves_the_state() -> None:
    state = track(fresh_state(1), _end(0), _clear(15), YES).state
    after = track(state, _end(1), np.zeros((1, N_RATES)), np.array([False])).state
    np.testing.assert_array_equal(after, state)


@pytest.mark.parametrize("end_us", [_end(0), _end(-3)], ids=["again", "earlier"])
def test_a_window_not_after_the_last_is_judged_by_itself(end_us: NDArray[np.intp]) -> None:
    state = track(fresh_state(1), _end(0), _clear(15), YES).state
    again = track(state, end_us, _clear(30), YES)
    alone = track(fresh_state(1), end_us, _clear(30), YES)
    np.testing.assert_array_equal(again.probability, alone.probability)
    np.testing.assert_array_equal(again.state, state)


def test_the_past_is_forgotten_after_five_minutes() -> None:
    state = track(fresh_state(1), _end(0), _clear(15), YES).state
    later = track(state, _end(31), _clear(30), YES)
    alone = track(fresh_state(1), _end(31), _clear(30), YES)
    np.testing.assert_array_equal(later.probability, alone.probability)


def test_probabilities_sum_to_one_and_the_state_is_small() -> None:
    tracked = track(fresh_state(3), np.array([1, 2, 3]), np.zeros((3, N_RATES)), np.ones(3, bool))
    np.testing.assert_allclose(tracked.probability.sum(axis=1), 1.0)
    assert tracked.state.shape == (3, STATE_SIZE)
    assert STATE_SIZE == 84


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_patient_does_not_depend_on_others(size: int) -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, size, N_RATES))
    known = rng.random(size) < 0.8
    end_us = 60_000_000 + rng.integers(0, 5, size) * 10_000_000
    state = track(fresh_state(size), end_us, first, known).state
    together = track(state, end_us + 10_000_000, second, known)
    for i in range(size):
        own = slice(i, i + 1)
        one = track(fresh_state(1), end_us[own], first[own], known[own]).state
        alone = track(one, end_us[own] + 10_000_000, second[own], known[own])
        np.testing.assert_array_equal(alone.probability[0], together.probability[i])
        np.testing.assert_array_equal(alone.state[0], together.state[i])

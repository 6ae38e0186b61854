"""The best path is the best path: equal to a plain reference, and what its costs are for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ppg import choice
from features.ppg.choice import REFRACTORY_S, choose
from features.ppg.rises import Rises

Floats = NDArray[np.float64]


def _candidates(time_s: Floats, height: Floats, seen: NDArray[np.bool_], row: int = 0) -> Rises:
    n = time_s.size
    at = np.arange(n)
    rows = np.full(n, row)
    return Rises(rows, at, at, at, height, np.zeros(n), np.full(n, 10.0), seen, seen)


def _random(rng: np.random.Generator, row: int) -> tuple[Rises, Floats]:
    n = int(rng.integers(2, 60))
    time_s = np.sort(rng.uniform(0, 14, n))
    seen = rng.random((2, n)) < 0.6
    at, rows = np.arange(n), np.full(n, row)
    height, level = rng.lognormal(0, 1, n), rng.normal(0, 0.5, n)
    climb = rng.uniform(3, 15, n)
    return Rises(rows, at, at, at, height, level, climb, seen[0], seen[1]), time_s


def _least(rises: Rises, i: int) -> float:
    """Share of the usual height below which a rise is nothing."""
    if rises.climb[i] < choice._CREEP_PER_S:
        return choice._LEAST_CREEP
    creeps = choice._NO_CREEP_PER_S - choice._CREEP_PER_S
    creep = choice._LEAST_CREEP * (choice._NO_CREEP_PER_S - rises.climb[i]) / creeps
    if rises.by_slope[i] and rises.by_area[i]:
        return float(max(choice._LEAST_HEIGHT, creep))
    if rises.climb[i] >= choice._SWING_PER_S:
        return choice._LEAST_UNSEEN
    slow = (choice._SWING_PER_S - rises.climb[i]) / (choice._SWING_PER_S - choice._CREEP_PER_S)
    swing = choice._LEAST_SWING + (choice._LEAST_CREEP - choice._LEAST_SWING) * slow
    return float(max(swing, creep))


def _reference(rises: Rises, time_s: Floats) -> list[int]:
    """The same decision, candidate by candidate, with plain numbers."""
    height, usual_s = (float(a[0]) for a in choice._usual(rises, time_s, 1))
    share = rises.height / height
    level = rises.level / height
    index = [i for i in range(time_s.size) if share[i] >= _least(rises, i) and usual_s > 0]
    score: list[float] = []
    before: list[int | None] = []
    far, far_at = 0.0, None
    for j, i in enumerate(index):
        gain = choice._FOR_A_RISE + choice._PER_HALVING * min(np.log2(share[i]), 0.0)
        gain += choice._BY_SLOPE if rises.by_slope[i] else -choice._BY_SLOPE
        gain += choice._BY_AREA if rises.by_area[i] else -choice._BY_AREA
        if j > choice._REACH and score[j - choice._REACH - 1] - choice._LONGEST_COST > far:
            far, far_at = score[j - choice._REACH - 1] - choice._LONGEST_COST, j - choice._REACH - 1
        best, best_at = far - choice._START_COST, far_at
        for k in range(max(0, j - choice._REACH), j):
            apart = time_s[i] - time_s[index[k]]
            if apart < REFRACTORY_S:
                continue
            units = apart / usual_s
            cost = min(
                max(choice._LONG_COST * (units - choice._LONG_FROM), 0), choice._LONGEST_COST
            )
            above = (level[i] - level[index[k]]) / share[index[k]]
            like = (share[i] / min(share[index[k]], 1) - choice._LIKE_FROM) / choice._LIKE_RANGE
            excuse = choice._MOST_EXCUSE * min(max(like, 0), 1)
            excuse *= 1 - min(max(above / choice._LOW_RANGE, 0), 1)
            cost += choice._SHORT_COST * (1 - excuse) * max(choice._SHORT_FROM - units, 0)
            if units < 1:
                cost += choice._HIGH_COST * min(max(above - choice._HIGH_FROM, 0), 1)
            if score[k] - cost > best:
                best, best_at = score[k] - cost, k
        score.append(best + gain)
        before.append(best_at)
    if not score or max(score) <= 0:
        return []
    at: int | None = int(np.argmax(score))
    chosen = []
    while at is not None:
        chosen.append(index[at])
        at = before[at]
    return chosen[::-1]


def test_it_equals_the_plain_reference_alone_and_in_a_batch() -> None:
    rng = np.random.default_rng(0)
    made = [_random(rng, row) for row in range(200)]
    together = Rises(*(np.concatenate(c) for c in zip(*(r for r, _ in made), strict=True)))
    times = np.concatenate([t for _, t in made])
    chosen = choose(together, times, np.zeros(200))
    first = 0
    for rises, time_s in made:
        expected = _reference(rises._replace(row=np.zeros_like(rises.row)), time_s)
        inside = chosen[(chosen >= first) & (chosen < first + time_s.size)] - first
        assert inside.tolist() == expected
        first += time_s.size


def test_no_two_pulses_are_within_the_refractory_time() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        rises, time_s = _random(rng, 0)
        chosen = choose(rises, time_s, np.zeros(1))
        assert np.all(np.diff(time_s[chosen]) >= REFRACTORY_S)


def test_a_weak_rise_counts_where_the_rhythm_leaves_a_hole_and_only_there() -> None:
    """|  |  |  .  |  |  |   against   |  |  |. |  |  |"""
    time_s = np.arange(0, 12, 0.8)
    height = np.ones(time_s.size)
    height[6] = 0.12
    seen = np.ones(time_s.size, np.bool_)
    seen[6] = False
    assert choose(_candidates(time_s, height, seen), time_s, np.zeros(1)).size == time_s.size
    extra = np.insert(time_s, 7, time_s[6] + 0.3)
    strong = np.insert(np.ones(time_s.size), 7, 0.12)
    voted = np.insert(np.ones(time_s.size, np.bool_), 7, False)
    chosen = choose(_candidates(extra, strong, voted), extra, np.zeros(1))
    assert chosen.tolist() == [i for i in range(extra.size) if i != 7]


def test_an_early_pulse_as_high_as_the_others_counts_and_a_dicrotic_wave_does_not() -> None:
    """|  |  |  |x |  |  |: high and from below it is a beat; low, or from high up, it is not."""
    time_s = np.sort(np.append(np.arange(0, 12, 0.9), 3.6 + 0.36))
    early = int(np.flatnonzero(np.isclose(time_s, 3.96))[0])
    seen = np.ones(time_s.size, np.bool_)
    height, level = np.ones(time_s.size), np.zeros(time_s.size)
    rises = _candidates(time_s, height, seen)
    assert early in choose(rises, time_s, np.zeros(1))
    height[early] = 0.6
    assert early not in choose(rises._replace(height=height), time_s, np.zeros(1))
    level[early] = 0.3
    assert early not in choose(rises._replace(level=level), time_s, np.zeros(1))


@pytest.mark.parametrize(("climb", "share"), [(5.0, 0.13), (15.0, 0.08)])
def test_a_small_swing_that_no_detector_sees_is_no_pulse_in_a_pause(
    climb: float, share: float
) -> None:
    time_s = np.arange(0, 12, 0.9)
    height = np.ones(time_s.size)
    height[6] = share
    seen = np.ones(time_s.size, np.bool_)
    seen[6] = False
    rises = _candidates(time_s, height, seen)
    rises.climb[6] = climb
    assert 6 not in choose(rises, time_s, np.zeros(1))


@pytest.mark.parametrize(("climb", "share", "counts"), [(5.6, 0.1, False), (8.0, 0.1, True)])
def test_a_small_rise_that_nearly_creeps_is_no_pulse_though_both_detectors_see_it(
    climb: float, share: float, counts: bool
) -> None:
    """A swing of the baseline in a pause of 2.2 s: a tenth of a pulse, and two thirds as fast."""
    time_s = np.arange(0, 12, 0.9)
    height = np.ones(time_s.size)
    height[6] = share
    rises = _candidates(time_s, height, np.ones(time_s.size, np.bool_))
    rises.climb[6] = climb
    assert (6 in choose(rises, time_s, np.zeros(1))) is counts


def test_the_first_pulse_before_a_pause_counts_if_both_detectors_see_it() -> None:
    time_s = np.array([1.3, 3.6, 4.4, 5.2, 6.0])
    seen = np.ones(time_s.size, np.bool_)
    rises = _candidates(time_s, np.ones(time_s.size), seen)
    assert choose(rises, time_s, np.zeros(1)).size == time_s.size
    seen[0] = False
    assert 0 not in choose(rises, time_s, np.zeros(1))


def test_what_noise_could_have_made_is_no_pulse() -> None:
    time_s = np.arange(0, 12, 0.8)
    height = np.ones(time_s.size)
    height[6] = 0.12
    rises = _candidates(time_s, height, np.ones(time_s.size, np.bool_))
    assert 6 in choose(rises, time_s, np.array([0.01]))
    assert 6 not in choose(rises, time_s, np.array([0.05]))


@pytest.mark.parametrize("n", [0, 1])
def test_too_little_to_know_a_rhythm_gives_nothing(n: int) -> None:
    time_s = np.arange(float(n))
    rises = _candidates(time_s, np.ones(n), np.ones(n, np.bool_))
    assert choose(rises, time_s, np.zeros(1)).size == 0

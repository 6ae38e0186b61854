from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.variability.correction import (
    LONGEST_NN_MS,
    SHORTEST_NN_MS,
    Corrected,
    Kind,
    classify,
    correct,
    corrected_rows,
)
from features.variability.rows import NnRows


def judged(rr: list[float], gaps: tuple[int, ...] = ()) -> tuple[NDArray[np.uint8], NnRows]:
    """Kinds of one row and the row as corrected; `gaps`: intervals with a gap before them."""
    nn, row = np.array(rr), np.zeros(len(rr), np.int64)
    joined = np.arange(nn.size) > 0
    joined[list(gaps)] = False
    kind = classify(nn, row, joined, 1)
    ends = np.rint(np.cumsum(nn) * 1000).astype(np.int64)
    return kind, corrected_rows(ends, row, joined, correct(nn, row, joined, kind), 1)


def steady(n: int, seed: int = 1) -> list[float]:
    return list(800 + np.random.default_rng(seed).normal(0, 15, n))


def test_a_missed_beat_is_split_in_two_halves() -> None:
    rr = steady(40)
    kind, nn = judged([*rr[:20], 1610.0, *rr[20:]])
    assert kind[20] == Kind.MISSED
    assert nn.nn_ms[20:22].tolist() == [805.0, 805.0]
    assert nn.linked[1:].all()
    assert np.flatnonzero(~nn.stepped).tolist() == [0, 20, 21, 22]
    assert np.diff(nn.end_us)[19:21].tolist() == [805_000, 805_000]


def test_an_extra_beat_is_merged_and_measured() -> None:
    rr = steady(40)
    kind, nn = judged([*rr[:20], 300.0, 505.0, *rr[20:]])
    assert set(kind[20:22]) == {Kind.EXTRA}
    assert nn.nn_ms[20] == 805.0
    assert nn.nn_ms.size == 41
    assert nn.stepped[1:].all()


def test_an_ectopic_beat_is_interpolated_from_its_neighbours() -> None:
    rr = [800.0] * 20 + [560.0, 1040.0] + [830.0] * 20
    kind, nn = judged(rr)
    assert set(kind[20:22]) == {Kind.ECTOPIC}
    assert nn.nn_ms[20:22] == pytest.approx([810.0, 820.0])
    assert np.flatnonzero(~nn.stepped).tolist() == [0, 20, 21, 22]


def test_nothing_is_interpolated_across_a_gap() -> None:
    # 800 ... 800 [560 1040] | gap | 840 ... : what is lost holds its own side's value
    rr = [800.0] * 20 + [560.0, 1040.0] + [840.0] * 20
    _, nn = judged(rr, gaps=(22,))
    assert nn.nn_ms[19:23].tolist() == [800.0, 800.0, 800.0, 840.0]
    assert not nn.linked[22]


def test_more_than_five_artefacts_in_a_row_are_dropped_not_invented() -> None:
    rr = [800.0] * 30 + [250.0, 1900.0, 300.0, 2200.0, 260.0, 1750.0] + [800.0] * 30
    kind, nn = judged(rr)
    assert (kind[30:36] != Kind.NORMAL).all()
    assert nn.nn_ms.tolist() == [800.0] * 60
    assert not nn.linked[30]


def test_with_hardly_a_good_interval_nothing_is_invented() -> None:
    kind = np.array([0, 4, 4, 0, 4, 0], np.uint8)
    nn = np.full(6, 800.0)
    found = correct(nn, np.zeros(6, np.int64), np.arange(6) > 0, kind)
    assert found.parts.tolist() == [1, 0, 0, 1, 0, 1]


def test_two_missed_beats_around_a_good_interval_are_both_found() -> None:
    rr = steady(40)
    kind, _ = judged([*rr[:20], 1600.0, 800.0, 1600.0, *rr[20:]])
    assert kind[20:23].tolist() == [Kind.MISSED, Kind.NORMAL, Kind.MISSED]


def test_many_ectopic_beats_in_a_stretch_do_not_hide_each_other() -> None:
    # Every sixth interval of 91 premature: more than a quarter of the steps.
    rr = [x for i in range(20) for x in (*steady(4, i), 560.0, 1040.0)]
    kind, _ = judged(rr)
    assert np.count_nonzero(kind == Kind.ECTOPIC) == 40


def test_bigeminy_is_a_rhythm() -> None:
    assert not judged([570.0, 1140.0] * 40)[0].any()


def test_a_change_of_rate_is_no_artefact() -> None:
    assert not judged([900.0] * 40 + [450.0] * 40)[0].any()
    ramp = list(np.linspace(1000, 500, 60))
    assert not judged(ramp)[0].any()


def test_a_regular_heart_on_a_coarse_clock_is_normal() -> None:
    rr = np.random.default_rng(2).choice([796.875, 812.5], 200, p=[0.9, 0.1])
    assert not judged(list(rr))[0].any()


def test_trigeminy_keeps_its_rate_as_ectopic_beats() -> None:
    kind, _ = judged([800.0, 500.0, 1100.0] * 30)
    assert kind[30:60].tolist() == [Kind.NORMAL, Kind.ECTOPIC, Kind.ECTOPIC] * 10


def test_half_an_ectopic_beat_at_the_end_of_a_run_is_no_normal_interval() -> None:
    kind, _ = judged([800.0] * 20 + [560.0] + [1040.0] + [800.0] * 20, gaps=(21,))
    assert kind[20:22].tolist() == [Kind.LONG_SHORT, Kind.LONG_SHORT]


def test_no_interval_needs_no_judging() -> None:
    kind, nn = judged([])
    assert kind.size == nn.nn_ms.size == 0


@given(
    st.lists(st.floats(-100, 8000) | st.floats(300, 1500), max_size=80),
    st.lists(st.integers(0, 79), max_size=5),
)
def test_whatever_comes_in_possible_intervals_come_out(rr: list[float], gaps: list[int]) -> None:
    _, nn = judged(rr, tuple(g for g in gaps if g < len(rr)))
    assert np.isfinite(nn.nn_ms).all()
    assert ((nn.nn_ms >= SHORTEST_NN_MS) & (nn.nn_ms <= LONGEST_NN_MS)).all()
    assert not (nn.stepped & ~nn.linked).any()
    assert not nn.linked[:1].any()


def test_dropped_intervals_unlink_their_neighbours() -> None:
    parts = np.array([1, 0, 1], np.uint8)
    corrected = Corrected(np.array([800.0, np.nan, 810.0]), parts, parts > 0)
    row, ends = np.zeros(3, np.int64), np.arange(3)
    nn = corrected_rows(ends, row, np.array([False, True, True]), corrected, 1)
    assert nn.nn_ms.tolist() == [800.0, 810.0]
    assert nn.linked.tolist() == [False, False]

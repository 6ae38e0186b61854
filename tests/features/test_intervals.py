from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.intervals import Kind, classify, nn_from_beats, nn_from_intervals, row_sums


def beats(*rr_ms: float) -> NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(rr_ms)]) / 1000.0


def regular(n: int, seed: int = 1) -> list[float]:
    return list(800 + np.random.default_rng(seed).normal(0, 20, n))


def test_intervals_are_the_differences_of_beat_times_at_their_end_beats() -> None:
    nn = nn_from_beats(np.array([10.0, 10.8, 11.7]))
    assert nn.nn_ms == pytest.approx([800, 900])
    assert nn.times_s.tolist() == [10.8, 11.7]
    assert nn.joined.tolist() == [False, True]


@pytest.mark.parametrize("n_beats", [0, 1])
def test_fewer_than_two_beats_give_no_interval(n_beats: int) -> None:
    assert nn_from_beats(np.arange(float(n_beats))).nn_ms.size == 0


def test_a_gap_between_runs_is_never_bridged() -> None:
    # beats  |  |  |        |  |  |
    # run    0  0  0        1  1  1
    times = np.array([0.0, 0.8, 1.6, 30.0, 30.8, 31.6])
    nn = nn_from_beats(times, np.array([0, 0, 0, 1, 1, 1]))
    assert nn.nn_ms == pytest.approx([800] * 4)
    assert nn.joined.tolist() == [False, True, False, True]


def test_a_time_that_is_not_finite_is_a_gap() -> None:
    nn = nn_from_beats(np.array([0.0, 0.8, np.nan, 2.4, 3.2]))
    assert nn.nn_ms == pytest.approx([800, 800])
    assert nn.joined.tolist() == [False, False]


def test_a_beat_earlier_than_one_before_it_makes_no_interval_normal() -> None:
    #        2.4 comes after 3.2: the intervals on both its sides are no intervals
    nn = nn_from_beats(np.array([0.0, 0.8, 1.6, 3.2, 2.4, 4.0, 4.8, 5.6]))
    assert nn.kind[3:5].tolist() == [Kind.LONG_SHORT] * 2
    assert nn.joined.tolist() == [False, True, True, False, False, False, True]


def test_a_time_no_recording_reaches_is_a_gap() -> None:
    assert nn_from_beats(np.array([0.0, 0.8, 1e300, -1e300, 1.7e308])).nn_ms.tolist() == [800.0]


def test_a_missed_beat_is_flagged_and_nothing_else() -> None:
    rr = regular(30)
    rr[12:14] = [rr[12] + rr[13]]
    kind = nn_from_beats(beats(*rr)).kind
    assert np.flatnonzero(kind).tolist() == [12]
    assert kind[12] == Kind.MISSED


def test_a_beat_too_many_flags_both_intervals_it_makes() -> None:
    rr = regular(30)
    rr[12:13] = [300.0, rr[12] - 300.0]
    kind = nn_from_beats(beats(*rr)).kind
    assert np.flatnonzero(kind).tolist() == [12, 13]
    assert set(kind[12:14]) == {Kind.EXTRA}


def test_a_premature_beat_with_its_pause_is_ectopic() -> None:
    rr = regular(30)
    rr[12:14] = [480.0, 1120.0]
    kind = nn_from_beats(beats(*rr)).kind
    assert np.flatnonzero(kind).tolist() == [12, 13]
    assert set(kind[12:14]) == {Kind.ECTOPIC}


def test_a_pause_of_no_whole_number_of_beats_is_long() -> None:
    rr = regular(30)
    rr[12] = 3000.0
    assert nn_from_beats(beats(*rr)).kind[12] == Kind.LONG_SHORT


@pytest.mark.parametrize("rr_ms", [199.0, 0.0, -5.0, 6001.0])
def test_intervals_outside_the_limits_are_never_normal(rr_ms: float) -> None:
    assert not nn_from_beats(beats(800, rr_ms, 800)).valid[1]


@pytest.mark.parametrize("rate_bpm", [15, 20, 40, 150, 260])
def test_slow_and_fast_hearts_are_normal(rate_bpm: int) -> None:
    assert nn_from_beats(np.arange(40) * 60.0 / rate_bpm).valid.all()


def test_bigeminy_is_a_rhythm_not_an_artefact() -> None:
    assert nn_from_beats(beats(*[570.0, 1140.0] * 20)).valid.all()


def test_atrial_fibrillation_is_hardly_flagged() -> None:
    rr = np.random.default_rng(3).uniform(450, 1000, 300)
    assert nn_from_beats(beats(*rr)).valid.mean() > 0.97


def test_a_row_is_classified_as_if_it_were_alone() -> None:
    rng = np.random.default_rng(5)
    rows = [rng.normal(800, 100, n) for n in (0, 1, 4, 5, 11, 12, 60)]
    row = np.repeat(np.arange(len(rows)), [r.size for r in rows])
    together = classify(np.concatenate(rows), row, np.ones(row.size, np.bool_), len(rows))
    alone = [classify(r, np.zeros(r.size, np.int64), np.ones(r.size, np.bool_), 1) for r in rows]
    assert together.tolist() == np.concatenate(alone).tolist()


@pytest.mark.parametrize(
    ("rr_ms", "normal"), [(890.0, True), (900.0, False), (755.0, True), (700.0, False)]
)
def test_a_regular_rhythm_admits_an_eighth_of_its_median(rr_ms: float, normal: bool) -> None:
    # 12 % of 800 = 96 longer; half of it shorter, for short is rarer
    assert nn_from_beats(beats(*[800.0] * 10, rr_ms, *[800.0] * 10)).valid[10] == normal


def test_an_irregular_rhythm_admits_its_own_spread() -> None:
    # steps of 50, 50 and 100 in turn: thresholds of 6.8 * 50
    rr = [800.0 + 50 * (i % 3 - 1) for i in range(45)]
    rr[22] = 1050.0
    assert nn_from_beats(beats(*rr)).valid[22]


@pytest.mark.parametrize("seed", range(5))
def test_many_missed_beats_do_not_hide_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = beats(*regular(300, seed))
    gone = rng.choice(np.arange(1, 150) * 2, 20, replace=False)
    nn = nn_from_beats(np.delete(times, gone))
    assert np.count_nonzero(nn.kind == Kind.MISSED) == 20
    assert nn.valid.sum() == nn.nn_ms.size - 20


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=40))
def test_any_beat_times_give_consistent_arrays(times: list[float]) -> None:
    nn = nn_from_beats(np.array(times))
    assert {column.shape for column in nn} == {nn.nn_ms.shape}
    assert nn.valid.tolist() == (nn.kind == Kind.NORMAL).tolist()
    assert ((nn.nn_ms >= 200) & (nn.nn_ms <= 6000))[nn.valid].all()


def test_arrays_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        nn_from_beats(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="must be"):
        nn_from_beats(np.zeros(3), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="must be"):
        nn_from_beats(np.zeros(3), ectopic=np.zeros(2, np.bool_))
    with pytest.raises(ValueError, match="must be"):
        nn_from_intervals(np.zeros(3), np.zeros(2, np.int64))


def test_a_beat_known_by_its_shape_marks_both_intervals() -> None:
    shape = np.array([False, False, True, False, False])
    kind = nn_from_beats(np.arange(5) * 0.8, ectopic=shape).kind
    assert kind.tolist() == [0, Kind.ECTOPIC, Kind.ECTOPIC, 0]


def test_shape_does_not_make_an_impossible_interval_possible() -> None:
    nn = nn_from_beats(np.array([0.0, 0.1, 0.9]), ectopic=np.array([False, True, False]))
    assert nn.kind[0] == Kind.LONG_SHORT


@pytest.mark.parametrize("nothing", [0.0, 65535.0, -800.0, float("nan"), float("inf")])
def test_what_a_device_cannot_have_measured_is_a_gap(nothing: float) -> None:
    nn = nn_from_intervals(np.array([800.0, 810.0, nothing, 805.0, 800.0]))
    assert nn.nn_ms.tolist() == [800.0, 810.0, 805.0, 800.0]
    assert nn.joined.tolist() == [False, True, False, True]


def test_times_tell_where_a_device_lost_beats() -> None:
    # RR   800  800  ----------  800
    # end  1.0  1.8              5.0
    times = np.array([1_000_000, 1_800_000, 5_000_000])
    nn = nn_from_intervals(np.full(3, 800.0), times)
    assert nn.joined.tolist() == [False, True, False]
    assert nn.times_s.tolist() == [1.0, 1.8, 5.0]


def test_a_loose_clock_breaks_no_run() -> None:
    times = np.cumsum([800_000, 830_000, 760_000, 810_000])
    assert nn_from_intervals(np.full(4, 800.0), times).joined.tolist() == [False, True, True, True]


def test_times_that_do_not_ascend_are_dropped() -> None:
    times = np.array([1_000_000, 1_800_000, 1_800_000, 2_600_000])
    nn = nn_from_intervals(np.full(4, 800.0), times)
    assert nn.nn_ms.size == 3
    assert not nn.joined[2]


def test_no_interval_is_no_interval() -> None:
    assert nn_from_intervals(np.empty(0)).nn_ms.size == 0
    assert nn_from_intervals(np.zeros(3), np.arange(3)).nn_ms.size == 0


def test_sums_of_nothing_are_zero() -> None:
    assert row_sums(np.empty(0), np.empty(0, np.int64), 2).tolist() == [0.0, 0.0]

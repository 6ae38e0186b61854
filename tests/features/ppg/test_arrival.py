"""Pulse arrival time: every pulse with the R peak that caused it, or with none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ppg.arrival import arrival

Ints = NDArray[np.intp]


def _us(seconds: list[float] | NDArray[np.float64]) -> Ints:
    return np.rint(np.asarray(seconds) * 1e6).astype(np.intp)


def _zero(of: Ints) -> Ints:
    return np.zeros(of.size, np.intp)


def test_a_constant_delay_is_found_with_no_spread() -> None:
    r = _us(np.arange(0.3, 59, 0.8))
    pulse = r + 230_000
    found = arrival(_zero(r), r, _zero(pulse), pulse, 1)
    assert found.median_ms[0] == 230.0
    assert found.iqr_ms[0] == 0.0
    assert found.n[0] == r.size


def test_a_beat_without_a_pulse_gives_no_pair() -> None:
    """R:  |   |   x   |     P:   |   |       |"""
    r = _us([1.0, 2.0, 3.0, 4.0])
    pulse = _us([1.25, 2.25, 4.25])
    found = arrival(_zero(r), r, _zero(pulse), pulse, 1)
    assert found.n[0] == 3
    assert found.median_ms[0] == pytest.approx(250.0)


def test_a_pulse_without_its_r_peak_gives_no_pair() -> None:
    r, pulse = _us([1.0, 4.0]), _us([1.25, 2.25, 3.25, 4.25])
    found = arrival(_zero(r), r, _zero(pulse), pulse, 1)
    assert found.n[0] == 2
    assert found.iqr_ms[0] == 0.0


def test_the_first_pulse_after_an_r_peak_counts_once() -> None:
    r, pulse = _us([1.0]), _us([1.2, 1.7])
    found = arrival(_zero(r), r, _zero(pulse), pulse, 1)
    assert found.n[0] == 1
    assert found.median_ms[0] == 200.0


@pytest.mark.parametrize(("delay_ms", "pairs"), [(79, 0), (80, 1), (800, 1), (801, 0)])
def test_delays_outside_80_to_800_ms_are_of_other_beats(delay_ms: int, pairs: int) -> None:
    r = _us([1.0])
    found = arrival(_zero(r), r, _zero(r), r + 1000 * delay_ms, 1)
    assert found.n[0] == pairs


def test_an_r_peak_just_before_the_window_serves_its_first_pulse() -> None:
    r, pulse = _us([-0.1, 0.7]), _us([0.12, 0.92])
    assert arrival(_zero(r), r, _zero(pulse), pulse, 1).n[0] == 2


def test_windows_do_not_borrow_from_each_other() -> None:
    r_row, r = np.array([0, 2, 2]), _us([59.9, 0.5, 1.5])
    pulse_row, pulse = np.array([1, 2, 2]), _us([0.1, 0.75, 1.8])
    found = arrival(r_row, r, pulse_row, pulse, 4)
    assert found.n.tolist() == [0, 0, 2, 0]
    assert found.median_ms[2] == pytest.approx(275.0)
    assert np.isnan(found.median_ms[[0, 1, 3]]).all()


@pytest.mark.parametrize("which", ["r", "pulse", "both"])
def test_nothing_gives_nothing(which: str) -> None:
    none, some = np.empty(0, np.intp), _us([1.0])
    r = none if which in ("r", "both") else some
    pulse = none if which in ("pulse", "both") else some
    found = arrival(_zero(r), r, _zero(pulse), pulse, 2)
    assert found.n.tolist() == [0, 0]
    assert np.isnan(found.median_ms).all()

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.variability.turbulence import Turbulence, onset_and_slope, turbulence

AFTER = [780.0, 785.0, *(790.0 + 10 * k for k in range(8)), *[860.0] * 5]


def sums(rr: list[float], joined: NDArray[np.bool_] | None = None) -> Turbulence:
    nn = np.array(rr)
    linked = np.arange(nn.size) > 0 if joined is None else joined
    return turbulence(nn, np.zeros(nn.size, np.int64), linked, np.ones(nn.size, np.bool_), 1)


def episode(times: int = 1) -> list[float]:
    return ([800.0] * 8 + [520.0, 1080.0] + AFTER) * times + [800.0] * 3


def test_onset_and_slope_are_what_a_hand_computes() -> None:
    onset, slope = onset_and_slope(sums(episode(5)))
    assert onset[0] == pytest.approx(100 * (780 + 785 - 1600) / 1600)
    assert slope[0] == pytest.approx(10.0)


def test_fewer_than_five_premature_beats_tell_nothing() -> None:
    found = sums(episode(4))
    assert found.n_pvc[0] == 4
    assert np.isnan([v[0] for v in onset_and_slope(found)]).all()


@pytest.mark.parametrize(
    "change",
    [
        {8: 700.0},  # not early enough
        {9: 900.0},  # no pause
        {4: 560.0},  # not isolated
        {20: 1200.0},  # an artefact afterwards
    ],
)
def test_only_isolated_premature_beats_with_a_pause_count(change: dict[int, float]) -> None:
    rr = episode()
    for at, value in change.items():
        rr[at] = value
    assert sums(rr).n_pvc[0] == 0


def test_a_gap_anywhere_near_rules_a_beat_out() -> None:
    rr = episode()
    for gap in range(4, 25):
        joined = np.arange(len(rr)) > 0
        joined[gap] = False
        assert sums(rr, joined).n_pvc[0] == 0, gap


def test_consecutive_windows_count_every_beat_once() -> None:
    rr = np.array(episode(6))
    row, joined = np.zeros(rr.size, np.int64), np.arange(rr.size) > 0
    total = turbulence(rr, row, joined, np.ones(rr.size, np.bool_), 1).n_pvc[0]
    split = 0.0
    for first in range(0, rr.size, 30):
        at = slice(max(first - 22, 0), first + 30)
        counted = np.arange(rr.size)[at] >= first
        begun = joined[at].copy()
        begun[0] = False
        split += turbulence(rr[at], row[at], begun, counted, 1).n_pvc[0]
    assert split == total == 6


def test_a_short_recording_holds_none() -> None:
    assert sums([800.0] * 5).n_pvc[0] == 0

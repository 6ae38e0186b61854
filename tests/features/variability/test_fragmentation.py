from __future__ import annotations

import numpy as np
import pytest

from features.variability.fragmentation import Fragmentation, fragmentation
from features.variability.rows import NnRows


def of(*nn: float, broken: int = 0) -> Fragmentation:
    linked = np.arange(len(nn)) > 0
    if broken:
        linked[broken] = False
    zero = np.zeros(len(nn), np.int64)
    return fragmentation(NnRows(np.array(nn), zero, linked, linked, zero, 1))


def test_inflections_are_counted_among_pairs_of_differences() -> None:
    # differences + + - - 0 +: turns at (+,-), (-,0), (0,+): 3 of 5
    found = of(800, 810, 820, 810, 800, 800, 810)
    assert found.pip_pct[0] == pytest.approx(60.0)


def test_segments_are_runs_of_one_sign() -> None:
    # + + + - - - - +: segments of 3, 4 and 1
    found = of(800, 810, 820, 830, 820, 810, 800, 790, 800)
    assert found.ials[0] == pytest.approx(3 / 8)
    assert found.pss_pct[0] == pytest.approx(100 / 8)


def test_alternation_needs_four_intervals() -> None:
    # + - + over 4 intervals, then rest: 3 of 6 differences
    found = of(800, 810, 800, 810, 820, 830, 840)
    assert found.pas_pct[0] == pytest.approx(50.0)
    assert of(800, 810, 800, 790, 780).pas_pct[0] == 0.0


def test_perfect_alternation_is_all_fragmentation() -> None:
    found = of(*[570.0, 1140.0] * 20)
    assert [found.pip_pct[0], found.ials[0], found.pss_pct[0], found.pas_pct[0]] == [
        100.0,
        1.0,
        100.0,
        100.0,
    ]


def test_a_gap_ends_a_segment_and_is_no_inflection() -> None:
    # + + | + +: two segments of two, no pair over the gap
    found = of(800, 810, 820, 900, 910, 920, broken=3)
    assert found.pip_pct[0] == 0.0
    assert found.ials[0] == pytest.approx(0.5)


def test_without_differences_there_is_nothing() -> None:
    assert np.isnan([value[0] for value in of(800.0)]).all()

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.variability.entropy import MOST_INTERVALS, sample_entropy
from features.variability.rows import NnRows

Floats = NDArray[np.float64]


def rows(*series: Floats, broken: int = 0) -> NnRows:
    row = np.repeat(np.arange(len(series)), [s.size for s in series])
    linked = np.diff(row, prepend=-1) == 0
    if broken:
        linked[broken] = False
    nn = np.concatenate([*series, np.empty(0)])
    return NnRows(nn, row, linked, linked, np.zeros(nn.size, np.int64), len(series))


def pair_by_pair(nn: Floats, templates: list[int]) -> float:
    """The definition, every pair of templates compared by itself."""
    x = np.rint(nn * 1e6)
    r = np.floor(0.2 * nn.std(ddof=1) * 1e6)
    both = third = 0
    for i in templates:
        for j in templates:
            if i < j and np.abs(x[i : i + 2] - x[j : j + 2]).max() <= r:
                both += 1
                third += bool(abs(x[i + 2] - x[j + 2]) <= r)
    return float(np.log(both / third)) if third else float("nan")


@pytest.mark.parametrize("n", [3, 10, 63, 64, 65, 66, 128, 200])
def test_it_is_the_definition_pair_by_pair(n: int) -> None:
    nn = np.random.default_rng(n).normal(800, 40, n)
    expected = pair_by_pair(nn, list(range(n - 2)))
    assert sample_entropy(rows(nn))[0] == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize("step_ms", [4.0, 8.0, 15.625])
def test_ties_of_a_coarse_clock_count_as_alike(step_ms: float) -> None:
    nn = np.round(np.random.default_rng(1).normal(800, 60, 250) / step_ms) * step_ms
    expected = pair_by_pair(nn, list(range(248)))
    assert sample_entropy(rows(nn))[0] == pytest.approx(expected, rel=1e-12)


def test_no_template_lies_across_a_gap() -> None:
    nn = np.random.default_rng(2).normal(800, 40, 120)
    templates = [i for i in range(118) if i + 1 != 50 and i + 2 != 50]
    assert sample_entropy(rows(nn, broken=50))[0] == pytest.approx(pair_by_pair(nn, templates))


def test_what_never_repeats_has_none() -> None:
    assert np.isnan(sample_entropy(rows(np.array([500.0, 900.0, 600.0, 1500.0])))).all()


def test_a_constant_rhythm_has_none() -> None:
    assert np.isnan(sample_entropy(rows(np.full(100, 800.0)))).all()
    assert np.isnan(sample_entropy(rows(np.empty(0), np.full(1, 800.0)))).all()


def test_a_day_has_no_one_entropy() -> None:
    nn = np.random.default_rng(3).normal(800, 40, MOST_INTERVALS + 1)
    assert np.isnan(sample_entropy(rows(nn)))[0]


def test_a_strict_alternation_is_perfectly_predictable() -> None:
    assert sample_entropy(rows(np.array([700.0, 900.0] * 50)))[0] == 0.0


@given(st.lists(st.integers(0, 90), min_size=1, max_size=8))
def test_a_row_does_not_see_the_others(sizes: list[int]) -> None:
    rng = np.random.default_rng(sum(sizes))
    series = [rng.normal(800, 40, n) for n in sizes]
    together = sample_entropy(rows(*series))
    alone = np.array([sample_entropy(rows(s))[0] for s in series])
    assert together.tobytes() == alone.tobytes()

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from features.variability.fractal import LONG_BOXES, SHORT_BOXES, dfa, fluctuations
from features.variability.rows import NnRows


def one(nn: NDArray[np.float64], broken: int = 0) -> NnRows:
    linked = np.arange(nn.size) > 0
    if broken:
        linked[broken] = False
    zero = np.zeros(nn.size, np.int64)
    return NnRows(nn, zero, linked, linked, zero, 1)


def box_by_box(nn: NDArray[np.float64], size: int) -> float:
    """Mean squared residual of straight lines through boxes of the summed deviations."""
    y = np.cumsum(nn - nn.mean())
    t, squares, n = np.arange(size), 0.0, 0
    for first in range(0, y.size - size + 1, size):
        part = y[first : first + size]
        squares += float(((part - np.polyval(np.polyfit(t, part, 1), t)) ** 2).sum())
        n += size
    return squares / n


def test_it_is_the_definition_box_by_box() -> None:
    nn = np.random.default_rng(1).normal(800, 40, 150)
    found = fluctuations(one(nn), SHORT_BOXES)
    for k, size in enumerate(SHORT_BOXES):
        mean = found.squares[0, k] / found.points[0, k]
        assert mean == pytest.approx(box_by_box(nn, size), rel=1e-9)


@pytest.mark.parametrize(("summed", "alpha"), [(False, 0.583), (True, 1.502)])
def test_white_noise_and_its_sum_have_known_exponents(summed: bool, alpha: float) -> None:
    white = np.random.default_rng(0).normal(0, 1, 100_000)
    nn = np.cumsum(white) if summed else white
    assert dfa(one(nn), SHORT_BOXES)[0] == pytest.approx(alpha, abs=0.01)


def test_boxes_lie_inside_runs() -> None:
    nn = np.random.default_rng(2).normal(800, 40, 100)
    whole = fluctuations(one(nn, broken=37), (8,))
    parts = [fluctuations(one(part), (8,)) for part in (nn[:37], nn[37:])]
    assert whole.points[0, 0] == sum(part.points[0, 0] for part in parts) == 32 + 56
    total = sum(part.squares[0, 0] for part in parts)
    assert whole.squares[0, 0] == pytest.approx(total, rel=1e-9)


def test_the_unit_does_not_matter() -> None:
    nn = np.random.default_rng(3).normal(800, 40, 300)
    assert dfa(one(nn), SHORT_BOXES) == pytest.approx(dfa(one(nn / 4), SHORT_BOXES), rel=1e-9)


def test_too_few_intervals_for_the_largest_box_have_no_exponent() -> None:
    nn = np.random.default_rng(4).normal(800, 40, 63)
    assert np.isnan(dfa(one(nn), LONG_BOXES))[0]
    assert np.isfinite(dfa(one(nn), SHORT_BOXES))[0]


def test_a_constant_rhythm_has_no_exponent() -> None:
    assert np.isnan(dfa(one(np.full(200, 800.0)), SHORT_BOXES))[0]
    assert np.isnan(dfa(one(np.empty(0)), SHORT_BOXES))[0]

"""Compiled loops over intervals give the bits of the references."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from features.ecg import kernels
from features.variability import loops
from features.variability.entropy import sample_entropy
from features.variability.fractal import SHORT_BOXES, fluctuations
from features.variability.rows import NnRows

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "worth_it", lambda _n_rows: True)


@pytest.mark.parametrize(("rank", "size"), [(7, 15), (22, 91), (0, 3), (4, 5)])
def test_ranks_are_those_of_scipy(rank: int, size: int) -> None:
    rng = np.random.default_rng(size)
    for draw in range(8):
        x = rng.normal(0, 30, 700)
        if draw % 2:
            x = np.round(x / 20)  # many equal ones
        centre = np.flatnonzero(rng.random(700 - size) < 0.7) + size // 2
        expected = ndimage.rank_filter(x, rank, size)[centre]
        found = loops.ranked(x, centre, rank, size)
        assert found is not None
        np.testing.assert_array_equal(found, expected)


def _rows(rng: np.random.Generator) -> NnRows:
    """Rows of 0 to 300 intervals, with equal ones and breaks."""
    n = rng.integers(0, 300, 25)
    row = np.repeat(np.arange(25), n)
    nn_ms = np.round(rng.normal(800, 40, row.size) / 8) * 8.0
    linked = rng.random(row.size) < 0.97
    linked[np.diff(row, prepend=-1) != 0] = False
    return NnRows(nn_ms, row, linked, linked, np.zeros(row.size, np.int64), 25)


def test_sample_entropy_has_the_same_bits_compiled_and_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for seed in range(5):
        nn = _rows(np.random.default_rng(seed))
        compiled = sample_entropy(nn)
        monkeypatch.setattr(loops, "pairs_alike", lambda *_: None)
        np.testing.assert_array_equal(compiled, sample_entropy(nn))
        monkeypatch.undo()
        monkeypatch.setattr(kernels, "worth_it", lambda _n_rows: True)
        assert np.isfinite(compiled).sum() > 15


def test_fluctuations_have_the_same_bits_compiled_and_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nn = _rows(np.random.default_rng(9))
    compiled = fluctuations(nn, SHORT_BOXES)
    monkeypatch.setattr(loops, "residuals", lambda *_: None)
    np.testing.assert_array_equal(compiled.squares, fluctuations(nn, SHORT_BOXES).squares)


def test_small_batches_are_left_to_the_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "worth_it", lambda _n_rows: False)
    nothing = np.zeros(3, np.int64)
    assert loops.ranked(np.zeros(9), nothing, 0, 1) is None
    assert loops.residuals(np.zeros(9), nothing, np.zeros(4)) is None
    assert loops.pairs_alike(nothing, nothing, nothing, nothing, nothing > 0) is None

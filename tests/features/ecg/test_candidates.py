"""Candidates found by one loop are those found step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from features.ecg import candidates, kernels, second
from features.runs import Floats

pytest.importorskip("numba", reason="numba is an extra")

Wave = Callable[..., NDArray[np.float64]]


@pytest.fixture(scope="module")
def rows(ecg_wave: Wave) -> Floats:
    """Seventy rows at 125 Hz: noise, spikes, bursts, a constant, slow and fast hearts."""
    rng = np.random.default_rng(4)
    made = []
    for i in range(70):
        x = ecg_wave(1750, 125.0, np.arange(0.3, 13.8, 0.3 + 0.03 * i), seed=i)
        x += rng.normal(0, 0.004 * i, x.size)
        if i % 5 == 1:
            x[300 + i] += 60.0  # a spike among beats
        if i % 5 == 2:
            x[900 : 900 + 2 * i] += 30.0 * rng.standard_normal(2 * i)
        made.append(x * 10.0 ** rng.integers(-3, 3))
    made[9][:] = 0.0
    return np.stack(made)


@pytest.mark.parametrize("n", [250, 700, 1750])
@pytest.mark.parametrize("size", [1, 7, 70])
def test_one_loop_finds_what_the_steps_find(
    rows: Floats, n: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "worth_it", lambda _: True)
    x = np.ascontiguousarray(rows[:size, :n])
    block, found = candidates._found(x, 125.0)
    for loops in (True, False):
        monkeypatch.setattr(kernels, "worth_it", lambda _, loops=loops: loops)
        theirs = candidates._step_by_step(x, 125.0)
        for ours, other in ((block, theirs[0]), (found, theirs[1])):
            for a, b in zip(ours, other, strict=True):
                np.testing.assert_array_equal(a, b)
    if size == 70 and n > 250:
        assert block.spikes.any() or block.blanked.any()  # some rows were taken by themselves


def test_what_is_found_of_a_row_does_not_depend_on_the_others(
    rows: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "worth_it", lambda _: True)
    _, together = candidates._found(rows, 125.0)
    for i in range(len(rows)):
        _, alone = candidates._found(rows[i : i + 1], 125.0)
        own = together.row == i
        for ours, theirs in zip(together[1:], alone[1:], strict=True):
            np.testing.assert_array_equal(ours[own], theirs)


@pytest.mark.parametrize("n", [250, 1750])
def test_the_second_opinion_is_the_same_by_loops(
    rows: Floats, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for loops in (True, False):
        monkeypatch.setattr(kernels, "worth_it", lambda _, loops=loops: loops)
        made.append(second.second_opinion(np.ascontiguousarray(rows[:, :n]), 125.0))
    for ours, theirs in zip(*made, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert made[0][0].size > 100

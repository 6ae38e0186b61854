from __future__ import annotations

import numpy as np
import pytest

from features.hrv import rows_of_series, time_values
from features.intervals import NnSeries
from features.variability.quantum import without_quantum


def values_of(beats_ms: np.ndarray) -> dict[str, np.ndarray]:
    nn = np.diff(beats_ms)
    n = nn.size
    yes = np.ones(n, np.bool_)
    series = NnSeries(nn, np.cumsum(nn) / 1000, yes, np.zeros(n, np.uint8), np.arange(n) > 0)
    return time_values(rows_of_series(series))


@pytest.mark.parametrize("step_ms", [4.0, 8.0, 15.625])
def test_what_a_coarse_clock_adds_is_taken_off(step_ms: float) -> None:
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(0, 4.0, 20_000))
    beats = np.cumsum(850 + walk - walk.mean() + rng.normal(0, 3.0, walk.size))
    true, coarse = values_of(beats), values_of(np.round(beats / step_ms) * step_ms)
    found = without_quantum(coarse, np.array([step_ms]))
    assert coarse["ecg_rmssd_ms"][0] > 1.1 * true["ecg_rmssd_ms"][0]
    for name in ("ecg_rmssd_ms", "ecg_sdnn_ms", "ecg_sd1_ms"):
        assert found[name][0] == pytest.approx(true[name][0], rel=0.03), name


def test_a_fine_clock_changes_nothing() -> None:
    values = values_of(np.cumsum(np.random.default_rng(2).normal(800, 20, 300)))
    found = without_quantum(values, np.zeros(1))
    assert {n: v[0] for n, v in found.items()} == pytest.approx(
        {n: v[0] for n, v in values.items()}
    )


def test_variability_below_the_clock_is_none() -> None:
    beats = np.round(np.arange(400) * 801.0 / 16) * 16
    assert without_quantum(values_of(beats), np.full(1, 16.0))["ecg_rmssd_ms"][0] == pytest.approx(
        0.0, abs=4.0
    )

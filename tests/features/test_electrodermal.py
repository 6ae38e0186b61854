"""Laws of skin conductance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from features.electrodermal import conductance_columns, half_seconds_of
from features.feature import FeatureReason

ONE = np.ones(1)
AT_REST = np.zeros((1, 6), np.bool_)


def responses(count: int, size_us: float, seconds: int = 70) -> np.ndarray:
    """`(1, 2 * seconds)` of a level of 4 µS with responses: 2 s up, 6 s time constant down."""
    t = np.arange(2 * seconds) / 2.0
    x = np.full(t.size, 4.0)
    for onset in 12.0 + np.arange(count) * 55.0 / max(count, 1):
        s = np.maximum(t - onset, 0.0)
        shape = np.where(s < 2.0, s / 2.0, np.exp(-(s - 2.0) / 6.0))
        x += size_us * np.where(t > onset, shape, 0.0)
    return x[None, :]


@pytest.mark.parametrize("count", [0, 1, 3, 5])
def test_responses_are_counted(count: int) -> None:
    columns = conductance_columns(responses(count, 0.3), AT_REST, ONE)
    assert columns["eda_scr_rate_per_min"].value[0] == count
    assert columns["eda_scr_rate_per_min"].n[0] == count


def test_small_ripples_and_a_slow_rise_are_no_responses() -> None:
    ripple = conductance_columns(responses(5, 0.03), AT_REST, ONE)
    drift = conductance_columns(np.linspace(2.0, 6.0, 140)[None], AT_REST, ONE)
    for columns in (ripple, drift):
        assert columns["eda_scr_rate_per_min"].value[0] == 0.0


def test_the_level_is_the_mean_without_the_responses_edges() -> None:
    columns = conductance_columns(np.full((1, 140), 3.25), AT_REST, ONE)
    assert columns["eda_tonic_us"].value[0] == pytest.approx(3.25)
    drift = conductance_columns(np.linspace(2.0, 6.0, 140)[None], AT_REST, ONE)
    assert drift["eda_tonic_us"].value[0] == pytest.approx(2.0 + 4.0 * 80 / 140, abs=0.05)


def test_what_happens_while_the_wrist_moves_is_not_counted() -> None:
    moving = np.zeros((1, 6), np.bool_)
    moving[0, :3] = True
    columns = conductance_columns(responses(6, 0.3), moving, ONE)
    still = columns["eda_scr_rate_per_min"]
    assert still.n[0] == 3
    assert still.value[0] == pytest.approx(6.0)
    assert still.coverage[0] == 0.5
    moving[0, 3] = True
    columns = conductance_columns(responses(6, 0.3), moving, ONE)
    assert columns["eda_scr_rate_per_min"].reason[0] == FeatureReason.GAP
    assert columns["eda_tonic_us"].reason[0] == FeatureReason.OK


def test_a_jump_over_a_gap_is_no_response() -> None:
    x = np.full((1, 140), 2.0)
    x[0, 80:] = 5.0
    x[0, 76:80] = np.nan
    assert conductance_columns(x, AT_REST, ONE)["eda_scr_rate_per_min"].value[0] == 0.0


def test_electrodes_that_are_off_have_no_conductance() -> None:
    steps = half_seconds_of(np.array([[0.0] * 20 + [2.0] * 20]), 4.0)
    assert np.isnan(steps[0, :10]).all()
    assert steps[0, 10:].tolist() == [2.0] * 10


@pytest.mark.parametrize("fs_hz", [2.0, 4.0, 15.0, 32.0, 128.0])
def test_a_segment_gives_twenty_means_at_any_rate(fs_hz: float) -> None:
    n = round(10 * fs_hz)
    steps = half_seconds_of(1.0 + np.arange(n)[None, :] / n, fs_hz)
    assert steps[0] == pytest.approx(1.0 + (np.arange(20) + 0.5) / 20, abs=0.6 / 20)


@pytest.mark.parametrize("fs_hz", [0.0, 1.0, np.nan, -4.0])
def test_too_slow_a_rate_shows_no_responses(fs_hz: float) -> None:
    assert np.isnan(half_seconds_of(np.ones((1, 10)), fs_hz)).all()


def test_a_row_alone_gives_the_same_bits_as_among_others() -> None:
    rng = np.random.default_rng(23)
    x = 3.0 + np.cumsum(rng.normal(0, 0.02, (40, 620)), axis=1)
    x[2, 100:200] = np.nan
    moving = rng.random((40, 30)) < 0.2
    whole = conductance_columns(x, moving, np.ones(40))
    for i in (0, 2, 39):
        alone = conductance_columns(x[i : i + 1], moving[i : i + 1], ONE)
        for name, column in alone.items():
            np.testing.assert_array_equal(column.value[0], whole[name].value[i])


@pytest.mark.data
def test_stress_raises_the_rate_of_responses(archive: Callable[[str], Path]) -> None:
    folder = archive("stress_predict_e4")
    label = np.genfromtxt(folder / "hr_rsp_label.csv", delimiter=",", skip_header=1)
    higher = []
    for subject in (4, 7, 10, 18, 22, 33):
        raw = np.loadtxt(folder / "Raw_data" / f"S{subject:02d}" / "EDA.csv")
        x = raw[2 : 2 + (len(raw) - 2) // 40 * 40].reshape(-1, 40)
        steps = half_seconds_of(x, 4.0).reshape(1, -1)
        starts = np.arange(1, len(x) - 6, 6)
        rows = np.concatenate([steps[:, (k - 1) * 20 : (k + 6) * 20] for k in starts])
        rate = conductance_columns(rows, np.zeros((len(rows), 6), np.bool_), np.ones(len(rows)))
        own = label[label[:, 0] == subject]
        stressed = np.interp(raw[0] + starts * 10 + 30, own[:, 3], own[:, 4]) > 0.5
        value = rate["eda_scr_rate_per_min"].value
        higher.append(np.nanmean(value[stressed]) > np.nanmean(value[~stressed]))
    assert sum(higher) >= 5

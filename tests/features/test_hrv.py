from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.catalog import CATALOG, INDEX
from features.hrv import hrv, rates_bpm, ratio, time_domain
from features.intervals import NnSeries, nn_from_beats


def series(nn_ms: NDArray[np.float64], times_s: NDArray[np.float64] | None = None) -> NnSeries:
    """Intervals taken as they are: all normal, all joined."""
    n = nn_ms.size
    times = np.cumsum(nn_ms) / 1000 if times_s is None else times_s
    return NnSeries(nn_ms, times, np.ones(n, np.bool_), np.zeros(n, np.uint8), np.arange(n) > 0)


def test_the_time_domain_is_what_a_hand_computes() -> None:
    found = hrv(series(np.array([800.0, 810.0, 870.0, 800.0])))
    assert found["ecg_hr_bpm"] == pytest.approx(60000 / 820)
    assert found["ecg_sdnn_ms"] == pytest.approx(np.std([800, 810, 870, 800], ddof=1))
    assert found["ecg_rmssd_ms"] == pytest.approx(np.sqrt((100 + 3600 + 4900) / 3))
    assert found["ecg_pnn50_pct"] == pytest.approx(200 / 3)


def test_names_are_catalogue_names() -> None:
    assert set(hrv(series(np.array([800.0])))) <= set(INDEX)


def test_pnn50_does_not_count_a_difference_of_exactly_50_ms() -> None:
    assert hrv(series(np.array([800.0, 850.0, 800.0])))["ecg_pnn50_pct"] == 0.0


def test_rmssd_does_not_bridge_a_rejected_beat() -> None:
    # 800 800 [1600] 900 900: the only differences are 0 and 0
    nn = series(np.array([800.0, 800.0, 1600.0, 900.0, 900.0]))
    rejected = nn._replace(valid=np.array([True, True, False, True, True]))
    assert hrv(rejected)["ecg_rmssd_ms"] == 0.0


def test_rmssd_does_not_bridge_a_gap() -> None:
    times = np.array([0.0, 0.8, 1.6, 30.0, 30.9, 31.8])
    nn = nn_from_beats(times, np.array([0, 0, 0, 1, 1, 1]))
    assert hrv(nn)["ecg_rmssd_ms"] == pytest.approx(0.0, abs=1e-9)


def test_a_constant_rhythm_has_no_variability() -> None:
    found = hrv(series(np.full(400, 800.0)))
    assert found["ecg_hr_bpm"] == 75.0
    assert (found["ecg_sdnn_ms"], found["ecg_rmssd_ms"], found["ecg_pnn50_pct"]) == (0, 0, 0)
    assert found["ecg_lf_ms2"] == found["ecg_hf_ms2"] == 0.0
    assert np.isnan(found["ecg_lf_hf"])


def test_every_step_of_bigeminy_is_larger_than_50_ms() -> None:
    assert hrv(series(np.array([570.0, 1140.0] * 50)))["ecg_pnn50_pct"] == 100.0


def test_the_rate_counts_ectopic_beats_and_the_variability_does_not() -> None:
    rr = np.full(60, 800.0)
    rr[20:22] = [480.0, 1120.0]
    found = hrv(nn_from_beats(np.concatenate([[0.0], np.cumsum(rr)]) / 1000))
    assert found["ecg_hr_bpm"] == pytest.approx(75.0)
    assert found["ecg_sdnn_ms"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("n_beats", [0, 1])
def test_without_an_interval_everything_is_missing(n_beats: int) -> None:
    assert np.isnan(list(hrv(nn_from_beats(np.arange(float(n_beats)))).values())).all()


def test_two_beats_give_a_rate_and_nothing_else() -> None:
    found = hrv(nn_from_beats(np.array([0.0, 0.8])))
    assert found.pop("ecg_hr_bpm") == pytest.approx(75.0)
    assert np.isnan(list(found.values())).all()


def test_thirty_beats_give_the_time_domain_and_no_spectrum() -> None:
    found = hrv(nn_from_beats(np.arange(30) * 0.8))
    assert np.isfinite(found["ecg_rmssd_ms"])
    assert np.isnan([found["ecg_lf_ms2"], found["ecg_hf_ms2"], found["ecg_lf_hf"]]).all()


def test_doubling_every_interval_doubles_the_times_and_halves_the_rate() -> None:
    nn = np.random.default_rng(4).normal(800, 30, 300)
    one, two = hrv(series(nn)), hrv(series(2 * nn))
    assert two["ecg_hr_bpm"] == pytest.approx(one["ecg_hr_bpm"] / 2)
    for name in ("ecg_sdnn_ms", "ecg_rmssd_ms"):
        assert two[name] == pytest.approx(2 * one[name])


@pytest.mark.parametrize("size", [1, 7, 256])
def test_rows_do_not_depend_on_the_batch(size: int) -> None:
    rng = np.random.default_rng(6)
    rows = [rng.normal(800, 60, int(rng.integers(0, 300))) for _ in range(size)]
    row = np.repeat(np.arange(size), [r.size for r in rows])
    nn, yes = np.concatenate(rows), np.ones(row.size, np.bool_)
    together = (*time_domain(nn, row, yes, yes, size), rates_bpm(nn, row, yes, size))
    for i, own in enumerate(rows):
        zero, all_of = np.zeros(own.size, np.int64), np.ones(own.size, np.bool_)
        alone = (*time_domain(own, zero, all_of, all_of, 1), rates_bpm(own, zero, all_of, 1))
        for a, b in zip(together, alone, strict=True):
            assert a[i].tobytes() == b[0].tobytes()


@given(st.lists(st.floats(-10, 1000), max_size=60).map(np.array))
def test_values_stay_in_their_declared_range_or_are_missing(times: NDArray[np.float64]) -> None:
    for name, value in hrv(nn_from_beats(times)).items():
        feature = CATALOG[INDEX[name]]
        assert np.isnan(value) or feature.lo <= value <= feature.hi


def test_a_day_of_beats_is_one_call() -> None:
    nn = np.random.default_rng(7).normal(800, 40, 100_000)
    assert hrv(series(nn))["ecg_sdnn_ms"] == pytest.approx(40, rel=0.02)


def test_a_ratio_to_nothing_is_missing() -> None:
    assert np.isnan(ratio(np.array([1.0, 1.0, np.nan]), np.array([0.0, np.nan, 1.0]))).all()


NSR = "pcst_demos/Demos/TestData/Physionet_nsr2db/nsr001"
GOLDEN = {
    0.0: (443, 674.9797, 56.8717, 20.1209, 0.45249, 1155.57, 67.61),
    600.0: (500, 599.0240, 37.8086, 12.7677, 0.0, 126.89, 21.15),
}


def _reference_series(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """End times and intervals of nsr001 prepared as the reference toolbox prepares them.

    125 Hz; the first 7200 s; under 2 s; deleted when 20 % off the median of the five intervals
    before it and, read backwards, of the five after it; within [0.375, 2] s.
    """
    wfdb = pytest.importorskip("wfdb")
    rr = np.diff(wfdb.rdann(str(folder / NSR), "ecg").sample / 125)
    t = np.cumsum(rr)
    rr, t = rr[t < 7200], t[t < 7200]
    rr, t = rr[rr < 2], t[rr < 2]

    def marked(x: NDArray[np.float64]) -> NDArray[np.bool_]:
        before = np.lib.stride_tricks.sliding_window_view(x, 5)[:-1]
        median = np.concatenate([np.full(5, np.median(x[:5])), np.median(before, axis=1)])
        return np.abs(x - median) / median >= 0.2

    kept = ~(marked(rr) & marked(rr[::-1])[::-1]) & (rr >= 0.375) & (rr <= 2)
    return t[kept], rr[kept]


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb on the newest pandas
@pytest.mark.parametrize("start_s", GOLDEN)
def test_golden_values_of_a_healthy_heart(archive: Callable[[str], Path], start_s: float) -> None:
    t, rr = _reference_series(archive("hrv_reference"))
    inside = (t >= start_s) & (t < start_s + 300)
    nn_ms = np.round(rr[inside] * 1000, 6)
    found = hrv(series(nn_ms, t[inside]))
    n, mean, sdnn, rmssd, pnn50, lf, hf = GOLDEN[start_s]
    assert nn_ms.size == n
    assert found["ecg_hr_bpm"] == pytest.approx(60000 / mean, rel=1e-6)
    assert found["ecg_sdnn_ms"] == pytest.approx(sdnn, abs=1e-4)
    assert found["ecg_rmssd_ms"] == pytest.approx(rmssd, abs=1e-4)
    assert found["ecg_pnn50_pct"] == pytest.approx(pnn50, abs=1e-4)
    assert found["ecg_lf_ms2"] == pytest.approx(lf, abs=0.01)
    assert found["ecg_hf_ms2"] == pytest.approx(hf, abs=0.01)

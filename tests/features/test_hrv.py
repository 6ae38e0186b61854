from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks._hrv_data import (
    agrees,
    annotated_rr_s,
    as_published,
    clean_segments,
    injected,
    prepared,
    reference_windows,
)
from features.hrv import (
    hrv,
    nonlinear_values,
    rhythm_values,
    rows_of_series,
    spectral_values,
    spectrum_of,
    time_values,
)
from features.intervals import NnSeries, nn_from_beats
from features.tables.hrv import FEATURES
from features.variability.rows import NnRows

FEATURE = {feature.name: feature for feature in FEATURES}


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
    of_one_series = {f.name for f in FEATURES if set(f.windows) - {"86400s"}}
    assert set(hrv(series(np.array([800.0])))) == of_one_series


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


def test_two_beats_give_a_rate_and_no_variability() -> None:
    found = hrv(nn_from_beats(np.array([0.0, 0.8])))
    known = {name for name, value in found.items() if np.isfinite(value)}
    assert found["ecg_hr_bpm"] == 75.0
    assert known == {
        "ecg_hr_bpm",
        "ecg_nn_mean_ms",
        "ecg_nn_iqr_ms",
        "ecg_nn_mad_ms",
        "ecg_hti",
        "ecg_ectopic_pct",
        "ecg_artefact_pct",
    }


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


def _everything(nn: NnRows) -> dict[str, NDArray[np.float64]]:
    values = time_values(nn) | nonlinear_values(nn) | rhythm_values(nn)
    return values | spectral_values(spectrum_of(nn))


def _rows(parts: list[NnSeries]) -> NnRows:
    """Several series as rows of one batch."""
    own = [rows_of_series(part) for part in parts]
    row = np.repeat(np.arange(len(own)), [nn.nn_ms.size for nn in own])
    fields = [np.concatenate([nn[k] for nn in own]) for k in (0, 2, 3, 4)]
    return NnRows(fields[0], row, fields[1], fields[2], fields[3], len(own))


@pytest.mark.parametrize("size", [1, 7, 256])
def test_rows_do_not_depend_on_the_batch(size: int) -> None:
    rng = np.random.default_rng(6)
    parts = []
    for i in range(size):
        rr = rng.normal(800, 60, int(rng.integers(0, 420)))
        rr[rr.size // 2 : rr.size // 2 + i % 3] *= 2.0
        beats = np.concatenate([[0.0], np.cumsum(rr)]) / 1000
        parts.append(nn_from_beats(beats, np.arange(beats.size) // (200 + i)))
    together = _everything(_rows(parts))
    for i, part in enumerate(parts):
        alone = _everything(_rows([part]))
        for name, value in together.items():
            assert value[i].tobytes() == alone[name][0].tobytes(), name


def test_shifting_time_changes_no_value() -> None:
    rng = np.random.default_rng(8)
    beats = np.cumsum(np.rint(rng.normal(820, 40, 350))) / 1000
    one, two = hrv(nn_from_beats(beats)), hrv(nn_from_beats(beats + 86_400.0))
    for name, value in one.items():
        assert two[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name


def test_doubling_the_time_scale_keeps_what_has_no_unit() -> None:
    nn = np.random.default_rng(9).normal(500, 20, 500)
    one, two = hrv(series(nn)), hrv(series(2 * nn))
    for name in ("ecg_sampen", "ecg_dfa_a1", "ecg_sd1_sd2", "ecg_cvnn", "ecg_pip_pct", "ecg_ials"):
        assert two[name] == pytest.approx(one[name], rel=1e-9), name
    for name in ("ecg_dc_ms", "ecg_ac_ms", "ecg_sd1_ms", "ecg_sd2_ms", "ecg_nn_iqr_ms"):
        assert two[name] == pytest.approx(2 * one[name], rel=1e-9), name


def test_a_gap_between_two_halves_adds_no_difference_and_no_entropy_template() -> None:
    rng = np.random.default_rng(10)
    rr = rng.normal(800, 30, 300)
    beats = np.concatenate([[0.0], np.cumsum(rr)]) / 1000
    late = beats + np.where(np.arange(beats.size) > 150, 20.0, 0.0)
    whole, holed = hrv(nn_from_beats(beats)), hrv(nn_from_beats(late, np.arange(301) // 151))
    assert holed["ecg_sdnn_ms"] == pytest.approx(whole["ecg_sdnn_ms"], rel=0.02)
    assert holed["ecg_rmssd_ms"] == pytest.approx(whole["ecg_rmssd_ms"], rel=0.02)
    assert holed["ecg_sampen"] == pytest.approx(whole["ecg_sampen"], abs=0.1)


@given(
    st.lists(
        st.floats(0, 7000) | st.floats(300, 1500) | st.sampled_from([0.0, 800.0, 65535.0]),
        max_size=150,
    ),
    st.integers(1, 200),
)
def test_values_stay_in_their_declared_range_or_are_missing(rr: list[float], every: int) -> None:
    times = np.concatenate([[0.0], np.cumsum(rr)]) / 1000
    for name, value in hrv(nn_from_beats(times, np.arange(times.size) // every)).items():
        feature = FEATURE[name]
        assert np.isnan(value) or feature.lo <= value <= feature.hi, (name, value)


@given(st.lists(st.floats(-10, 1000) | st.just(float("nan")), max_size=60).map(np.array))
def test_beat_times_in_any_order_do_no_harm(times: NDArray[np.float64]) -> None:
    for name, value in hrv(nn_from_beats(times)).items():
        assert np.isnan(value) or FEATURE[name].lo <= value <= FEATURE[name].hi, (name, value)


def test_a_shuffled_hour_of_beats_measures_nothing_and_raises_nothing() -> None:
    times = np.random.default_rng(1).permutation(np.arange(4500) * 0.8)
    found = hrv(nn_from_beats(times))
    assert found["ecg_artefact_pct"] > 99.0
    assert np.isnan(found["ecg_rmssd_ms"])
    assert np.isnan(found["ecg_hf_ms2"])


def test_intervals_put_together_by_hand_out_of_order_raise_nothing() -> None:
    n = 300
    nn = NnSeries(
        np.full(n, 800.0),
        np.random.default_rng(1).permutation(np.arange(n) * 0.8),
        np.ones(n, np.bool_),
        np.zeros(n, np.uint8),
        np.arange(n) > 0,
    )
    for name, value in hrv(nn).items():
        assert np.isnan(value) or FEATURE[name].lo <= value <= FEATURE[name].hi, (name, value)


def test_bigeminy_has_no_long_axis() -> None:
    beats = np.concatenate([[0.0], np.cumsum([570.0, 1140.0] * 100)]) / 1000
    found = hrv(nn_from_beats(beats))
    assert found["ecg_pnn50_pct"] == 100.0
    assert found["ecg_sd2_ms"] == pytest.approx(0.0, abs=1e-3)
    assert np.isnan(found["ecg_sd1_sd2"])


def test_a_constant_rhythm_at_an_epochs_times_has_undefined_ratios() -> None:
    found = hrv(nn_from_beats(1_790_000_000.0 + np.arange(400) * 0.8))
    for name in ("ecg_sampen", "ecg_dfa_a1", "ecg_sd1_sd2", "ecg_lf_hf", "ecg_af_sampen"):
        assert np.isnan(found[name]), name
    assert found["ecg_hr_bpm"] == pytest.approx(75.0)
    assert found["ecg_sdnn_ms"] < 1e-3


def test_alpha_2_needs_a_quarter_of_an_hour() -> None:
    nn = np.random.default_rng(11).normal(800, 30, 1200)
    assert np.isnan(hrv(series(nn[:1100]))["ecg_dfa_a2"])
    assert hrv(series(nn))["ecg_dfa_a2"] == pytest.approx(0.5, abs=0.1)


def test_fibrillation_is_irregular_on_raw_intervals() -> None:
    rng = np.random.default_rng(12)
    steady = hrv(nn_from_beats(np.cumsum(rng.normal(800, 25, 300)) / 1000))
    fibrillation = hrv(nn_from_beats(np.cumsum(rng.uniform(450, 1000, 300)) / 1000))
    assert steady["ecg_af_cv"] < 0.06
    assert fibrillation["ecg_af_cv"] > 0.2


def test_a_known_ectopic_beat_is_counted() -> None:
    beats = np.arange(100) * 0.8
    shape = np.zeros(100, np.bool_)
    shape[50] = True
    assert hrv(nn_from_beats(beats, ectopic=shape))["ecg_ectopic_pct"] == pytest.approx(200 / 99)


def test_a_day_of_beats_is_one_call() -> None:
    nn = np.random.default_rng(7).normal(800, 40, 100_000)
    assert hrv(series(nn))["ecg_sdnn_ms"] == pytest.approx(40, rel=0.02)


# N, then values as published in the reference's own units; t in [0, 300) and [600, 900).
GOLDEN = {
    0.0: {
        "ecg_nn_mean_ms": 674.9797,
        "ecg_sdnn_ms": 56.8717,
        "ecg_rmssd_ms": 20.1209,
        "ecg_sdsd_ms": 20.1416,
        "ecg_pnn50_pct": 0.45249,
        "ecg_pnn20_pct": 26.92308,
        "ecg_nn_iqr_ms": 88.0,
        "ecg_nn_mad_ms": 40.0,
        "ecg_sd1_ms": 14.2423,
        "ecg_sd2_ms": 79.1577,
        "ecg_hti": 14.2903,
        "ecg_sampen": 0.980749,
        "ecg_dfa_a1": 1.535260,
        "ecg_dc_ms": 5.7215,
        "ecg_ac_ms": -6.4659,
        "ecg_pip_pct": 74.8299,
        "ecg_vlf_ms2": 1454.67,
        "ecg_lf_ms2": 1155.57,
        "ecg_hf_ms2": 67.61,
    },
    600.0: {
        "ecg_nn_mean_ms": 599.0240,
        "ecg_sdnn_ms": 37.8086,
        "ecg_rmssd_ms": 12.7677,
        "ecg_sdsd_ms": 12.7800,
        "ecg_pnn50_pct": 0.0,
        "ecg_pnn20_pct": 11.02204,
        "ecg_nn_iqr_ms": 56.0,
        "ecg_nn_mad_ms": 32.0,
        "ecg_sd1_ms": 9.0368,
        "ecg_sd2_ms": 52.7003,
        "ecg_hti": 10.4167,
        "ecg_sampen": 1.460793,
        "ecg_dfa_a1": 1.284624,
        "ecg_dc_ms": 2.2121,
        "ecg_ac_ms": -2.8508,
        "ecg_pip_pct": 89.3574,
        "ecg_vlf_ms2": 483.49,
        "ecg_lf_ms2": 126.89,
        "ecg_hf_ms2": 21.15,
    },
}


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")  # wfdb on the newest pandas
@pytest.mark.parametrize("start_s", GOLDEN)
def test_golden_values_of_a_healthy_heart(archive: Callable[[str], Path], start_s: float) -> None:
    t, rr = prepared(annotated_rr_s(archive("hrv_reference"), "nsr001"))
    inside = (t >= start_s) & (t < start_s + 300)
    found = hrv(series(np.round(rr[inside] * 1000, 6), t[inside]))
    assert found["ecg_hr_bpm"] == pytest.approx(60000 / GOLDEN[start_s]["ecg_nn_mean_ms"], rel=1e-6)
    for name, value in GOLDEN[start_s].items():
        digits = 0.02 if name.endswith("_ms2") else 1e-4
        assert found[name] == pytest.approx(value, abs=digits), name


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_all_published_windows_agree_to_the_printed_digits(
    archive: Callable[[str], Path],
) -> None:
    windows = list(reference_windows(archive("hrv_reference")))
    assert len(windows) == 693
    for window in windows:
        for name, value in as_published(window).items():
            printed = window.printed[name]
            assert agrees(value, printed), (window.record, window.start_s, name, value, printed)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:The inplace keyword")
@pytest.mark.parametrize("kind", ["missed", "extra", "ectopic"])
def test_a_twentieth_of_the_beats_going_wrong_hardly_changes_the_spread(
    archive: Callable[[str], Path], kind: str
) -> None:
    rr_ms = annotated_rr_s(archive("hrv_reference"), "nsr004") * 1000
    errors = []
    for stretch in clean_segments(rr_ms, 15, 3):
        rng = np.random.default_rng(stretch.size)
        found = hrv(nn_from_beats(injected(stretch, kind, 0.05, rng)))
        truth = hrv(series(stretch))
        errors.append([abs(found[n] / truth[n] - 1) for n in ("ecg_sdnn_ms", "ecg_rmssd_ms")])
    sdnn, rmssd = np.median(errors, axis=0)
    assert sdnn < 0.02
    assert rmssd < 0.04

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.beat_intervals import Beats, intervals_between
from features.feature import VALUED, FeatureReason
from features.hrv import hrv
from features.hrv_windows import Column, Standing, hrv_window
from features.intervals import nn_from_beats
from features.tables.hrv import FEATURES

Floats = NDArray[np.float64]
FEATURE = {feature.name: feature for feature in FEATURES}
OK = FeatureReason.OK


def windows(
    *beats_s: Floats,
    length_s: int = 300,
    runs: list[NDArray[np.int64]] | None = None,
    usable: float = 1.0,
    quantum_ms: float = 0.0,
) -> dict[str, Column]:
    n = len(beats_s)
    row = np.repeat(np.arange(n), [b.size for b in beats_s])
    times = np.rint(np.concatenate([*beats_s, np.empty(0)]) * 1e6).astype(np.int64)
    run = np.zeros(row.size, np.int64) if runs is None else np.concatenate(runs)
    length = np.full(n, length_s * 1_000_000)
    lost = np.full(n, FeatureReason.GAP, np.uint8)
    standing = Standing(length, np.full(n, usable), np.ones(n), lost, np.full(n, quantum_ms))
    return hrv_window(standing, intervals_between(Beats(row, times, run, run < 0), length))


def sinus(seed: int = 1, n: int = 500, until_s: float = 300.0) -> Floats:
    rng = np.random.default_rng(seed)
    t = np.cumsum(0.8 + 0.03 * np.sin(np.arange(n) / 3) + rng.normal(0, 0.01, n))
    return t[t < until_s]


@pytest.mark.parametrize(("length_s", "name"), [(60, "60s"), (300, "300s")])
def test_a_window_has_the_catalogues_names_for_its_length(length_s: int, name: str) -> None:
    found = windows(sinus(until_s=length_s), length_s=length_s)
    assert set(found) == {f.name for f in FEATURES if name in f.windows}
    known = {n for n, column in found.items() if column.reason[0] == OK}
    assert set(found) - known == set()


def test_a_window_says_what_the_series_says() -> None:
    beats = sinus()
    found, alone = windows(beats), hrv(nn_from_beats(np.round(beats, 6)))
    for name, column in found.items():
        assert column.value[0] == pytest.approx(alone[name], rel=1e-6), name


@pytest.mark.parametrize("size", [1, 7, 256])
def test_rows_do_not_depend_on_the_batch(size: int) -> None:
    rng = np.random.default_rng(size)
    rows = []
    for i in range(size):
        beats = sinus(i, int(rng.integers(0, 500)))
        drop = rng.random(beats.size) < 0.02 * (i % 4)
        rows.append(beats[~drop] - rng.uniform(0, 20))
    together = windows(*rows)
    for i in range(0, size, max(size // 16, 1)):
        alone = windows(rows[i])
        for name, column in together.items():
            for a, b in zip(column, alone[name], strict=True):
                assert a[i].tobytes() == b[0].tobytes(), name


@pytest.mark.parametrize(
    ("n_beats", "reason"), [(0, "GAP"), (1, "GAP"), (2, "GAP"), (5, "GAP"), (30, "GAP")]
)
def test_too_few_beats_have_no_variability(n_beats: int, reason: str) -> None:
    found = windows(sinus()[:n_beats], usable=0.1)
    for name, column in found.items():
        assert np.isnan(column.value[0]), name
        assert FeatureReason(column.reason[0]).name == reason, name


def test_a_slow_heart_has_a_rate_and_too_few_beats_for_the_rest() -> None:
    found = windows(np.arange(0, 300, 4.0) + 0.5)
    assert found["ecg_hr_bpm"].value[0] == pytest.approx(15.0)
    assert found["ecg_sdnn_ms"].reason[0] == FeatureReason.TOO_FEW_BEATS


def test_hf_of_a_slow_heart_is_alias() -> None:
    found = windows(np.cumsum(2.0 + 0.01 * np.sin(np.arange(150))))
    assert found["ecg_sdnn_ms"].reason[0] == OK
    for name in ("ecg_hf_ms2", "ecg_tp_ms2", "ecg_lf_hf", "ecg_hf_peak_hz", "ecg_lf_nu_pct"):
        assert found[name].reason[0] == FeatureReason.ALIAS, name
    assert found["ecg_lf_ms2"].reason[0] == OK


def test_a_constant_rhythm_has_undefined_ratios_and_no_alarm() -> None:
    found = windows(np.arange(375) * 0.8)
    assert found["ecg_hr_bpm"].value[0] == 75.0
    assert found["ecg_rmssd_ms"].value[0] == 0.0
    for name in ("ecg_sampen", "ecg_dfa_a1", "ecg_sd1_sd2", "ecg_lf_hf", "ecg_dc_ms"):
        assert found[name].reason[0] == FeatureReason.UNDEFINED, name


def test_a_20_s_gap_is_never_joined() -> None:
    beats = sinus()
    kept = (beats < 140) | (beats > 160)
    found = windows(beats[kept], runs=[(beats[kept] > 150).astype(np.int64)])
    whole = windows(beats)
    for name in ("ecg_sdnn_ms", "ecg_rmssd_ms", "ecg_lf_ms2", "ecg_hf_ms2", "ecg_dfa_a1"):
        assert found[name].value[0] == pytest.approx(whole[name].value[0], rel=0.2), name
    assert found["ecg_sdnn_ms"].value[0] < 50
    assert found["ecg_sdnn_ms"].coverage[0] == pytest.approx(0.93, abs=0.01)


@pytest.mark.parametrize(
    ("usable", "refused"),
    [(0.8, {"ecg_sampen", "ecg_dfa_a1", "ecg_pip_pct"}), (0.6, {"ecg_lf_ms2", "ecg_sampen"})],
)
def test_less_coverage_refuses_the_demanding_first(usable: float, refused: set[str]) -> None:
    found = windows(sinus(until_s=300 * usable), usable=usable)
    assert found["ecg_rmssd_ms"].reason[0] == OK
    for name in refused:
        assert found[name].reason[0] == FeatureReason.GAP, name


@pytest.mark.parametrize("kind", ["missed", "ectopic"])
def test_one_artefact_hardly_changes_a_window(kind: str) -> None:
    beats = sinus()
    if kind == "missed":
        beats = np.delete(beats, 150)
    else:
        beats[150] -= 0.25
    found, clean = windows(beats), windows(sinus())
    for name in ("ecg_rmssd_ms", "ecg_sdnn_ms", "ecg_hf_ms2", "ecg_lf_ms2"):
        assert found[name].value[0] == pytest.approx(clean[name].value[0], rel=0.03), name
    assert found["ecg_artefact_pct"].value[0] > 0


def test_a_fifth_of_artefacts_leaves_the_rate_and_the_rhythm() -> None:
    beats = sinus()
    beats[::8] -= 0.25
    found = windows(beats)
    assert found["ecg_artefact_pct"].value[0] > 20
    assert found["ecg_hr_bpm"].value[0] == pytest.approx(75, rel=0.01)
    assert found["ecg_af_cv"].reason[0] == OK
    for name in ("ecg_rmssd_ms", "ecg_lf_ms2", "ecg_sampen"):
        assert found[name].reason[0] == FeatureReason.ARTEFACT_PCT, name


def test_a_rate_of_hardly_more_than_half_the_intervals_is_refused() -> None:
    """Most beats are found twice, once at a pacing spike 0.18 s before them."""
    beats = np.arange(1.0, 60.0)
    drawn = np.random.default_rng(2).random(beats.size) < 0.7
    both = np.sort(np.concatenate([beats, beats[drawn] - 0.18]))
    found = windows(both, length_s=60)["ecg_hr_bpm"]
    assert found.reason[0] == FeatureReason.ARTEFACT_PCT
    assert np.isnan(found.value[0])


def test_artefacts_lower_the_quality_of_what_is_kept() -> None:
    beats = sinus()
    beats[::20] -= 0.25
    found = windows(beats)["ecg_rmssd_ms"]
    assert found.reason[0] == OK
    assert 0.8 < found.quality[0] < 0.95


@pytest.mark.parametrize("rate_bpm", [20, 26, 150, 260])
def test_slow_and_fast_hearts_have_their_rate(rate_bpm: int) -> None:
    found = windows(np.arange(0.2, 60, 60 / rate_bpm), length_s=60)
    assert found["ecg_hr_bpm"].value[0] == pytest.approx(rate_bpm, rel=1e-3)


def test_fibrillation_is_measured_on_raw_intervals() -> None:
    beats = np.cumsum(np.random.default_rng(5).uniform(0.45, 1.0, 410))
    found = windows(beats[beats < 300])
    assert found["ecg_af_cv"].value[0] > 0.2
    assert found["ecg_af_sampen"].value[0] > 1.0


def test_a_coarse_clock_is_allowed_for_and_said_so() -> None:
    coarse = np.round(sinus() * 64) / 64
    raw, found = windows(coarse), windows(coarse, quantum_ms=15.625)
    assert found["ecg_rmssd_ms"].reason[0] == FeatureReason.QUANTISED
    assert found["ecg_nn_mean_ms"].reason[0] == OK
    assert found["ecg_rmssd_ms"].value[0] < raw["ecg_rmssd_ms"].value[0]
    true = windows(sinus())["ecg_rmssd_ms"].value[0]
    assert found["ecg_rmssd_ms"].value[0] == pytest.approx(true, rel=0.1)


def test_shifting_a_window_with_its_beats_changes_no_bit() -> None:
    beats = np.round(sinus() - 20, 6)
    one, two = windows(beats), windows(beats + 0.0)
    for name, column in one.items():
        assert column.value.tobytes() == two[name].value.tobytes()


def test_nobody_is_a_batch_too() -> None:
    assert all(column.value.shape == (0,) for column in windows().values())


ROW = st.lists(
    st.floats(0.0, 7.0) | st.floats(0.4, 1.2) | st.sampled_from([0.0, 0.8, 0.8, 2.0]), max_size=450
)


@settings(max_examples=60)
@given(st.lists(ROW, max_size=4), st.sampled_from([60, 300]), st.sampled_from([0.0, 8.0]))
def test_whatever_the_beats_a_value_has_a_reason_and_its_range(
    rows: list[list[float]], length_s: int, quantum_ms: float
) -> None:
    found = windows(*(np.cumsum(r) for r in rows), length_s=length_s, quantum_ms=quantum_ms)
    for name, column in found.items():
        feature = FEATURE[name]
        valued = np.isin(column.reason, VALUED)
        assert (np.isfinite(column.value) == valued).all(), name
        inside = (column.value >= feature.lo) & (column.value <= feature.hi)
        assert inside[valued].all(), (name, column.value)
        assert ((column.coverage >= 0) & (column.coverage <= 1)).all()
        assert ((column.quality >= 0) & (column.quality <= 1)).all()

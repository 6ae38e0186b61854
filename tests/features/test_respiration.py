"""Breaths in the respiration wave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import analyse
from features.breathing import recording
from features.breathing.series import EcgBeats, Pulses
from features.breathing.tracking import fresh_state
from features.breathing.windows import Windows
from features.catalog import FeatureReason
from features.respiration import (
    WAVE_HZ,
    breath_rate,
    rate_columns,
    respiration_rate,
    wave_columns,
)
from features.runs import as_rows
from streams.segments import Segment
from tests.features.breathing.kit import Body, windows

Floats = NDArray[np.float64]
T = np.arange(240) / WAVE_HZ


def _wave(per_min: float, phase: float = 0.3) -> Floats:
    return np.sin(2 * np.pi * per_min / 60 * T + phase)


@pytest.mark.parametrize("per_min", [5, 8, 12, 15.5, 20, 30, 40, 55, 70])
@pytest.mark.parametrize("gain", [1.0, -1.0, 1e-3, 1e4])
def test_a_steady_wave_has_its_own_rate_whatever_its_size(per_min: float, gain: float) -> None:
    rate, quality = breath_rate((gain * _wave(per_min) + 5 * gain)[None], WAVE_HZ)
    assert rate[0] == pytest.approx(per_min, abs=0.3)
    assert quality[0] == 1.0


def test_a_wave_resting_on_its_rails_still_shows_breaths() -> None:
    rate, quality = breath_rate((5 * _wave(14)).clip(-0.5, 0.5)[None], WAVE_HZ)
    assert rate[0] == pytest.approx(14, abs=0.2)
    assert quality[0] == 1.0


def test_cardiac_ripple_is_no_breath() -> None:
    rippled = _wave(12) + 0.2 * np.sin(2 * np.pi * 1.2 * T)
    assert breath_rate(rippled[None], WAVE_HZ)[0][0] == pytest.approx(12, abs=0.3)


def test_a_cough_does_not_set_the_scale() -> None:
    coughed = _wave(15)
    coughed[100:104] += 40.0
    assert breath_rate(coughed[None], WAVE_HZ)[0][0] == pytest.approx(15, abs=1.0)


@pytest.mark.parametrize("length", [3, 20, 80])
def test_no_breath_is_counted_across_a_gap(length: int) -> None:
    holed = _wave(18)
    holed[110 : 110 + length] = np.nan
    rate, quality = breath_rate(holed[None], WAVE_HZ)
    assert rate[0] == pytest.approx(18, abs=0.7)
    assert quality[0] > 0.9


@pytest.mark.parametrize(
    "x",
    [
        np.zeros(240),
        np.full(240, 3.3),
        np.full(240, np.nan),
        np.full(240, np.inf),
        np.zeros(1),
        np.empty(0),
        np.where(np.arange(240) % 20 < 10, 1.0, np.nan),
    ],
    ids=["zero", "constant", "missing", "infinite", "one sample", "empty", "only short runs"],
)
def test_without_breaths_there_is_no_rate(x: Floats) -> None:
    rate, quality = breath_rate(x[None], WAVE_HZ)
    assert np.isnan(rate).all()
    assert (quality == 0).all()


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 0.5, 1e9])
def test_a_rate_of_sampling_that_cannot_be_gives_no_rate(fs_hz: float) -> None:
    assert np.isnan(breath_rate(_wave(15)[None], fs_hz)[0]).all()
    assert np.isnan(respiration_rate({"resp": _wave(15)}, fs_hz)[0])


def test_noise_has_low_quality() -> None:
    noise = np.random.default_rng(0).normal(size=(100, 240))
    assert np.median(breath_rate(noise, WAVE_HZ)[1]) < 0.6


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_row_does_not_depend_on_its_neighbours(size: int) -> None:
    rows = np.stack([_wave(10 + i % 9, i) for i in range(size)])
    rows[size // 2, 30:60] = np.nan
    together = breath_rate(rows, WAVE_HZ)
    for i, row in enumerate(rows):
        alone = breath_rate(row[None], WAVE_HZ)
        assert (alone[0][0], alone[1][0]) == (together[0][i], together[1][i])


@pytest.mark.parametrize("fs_hz", [4.0, 25.0, 62.5, 125.0, 250.0])
def test_the_public_entry_reads_the_wave_at_any_rate(fs_hz: float) -> None:
    t = np.arange(round(60 * fs_hz)) / fs_hz
    rate, quality = respiration_rate({"resp": np.sin(2 * np.pi * 0.3 * t)}, fs_hz)
    assert rate == pytest.approx(18, abs=0.2)
    assert quality == 1.0


@pytest.mark.parametrize("signals", [{}, {"ecg": np.zeros(10)}, {"resp": np.empty(0)}])
def test_without_breathing_in_any_signal_there_is_no_rate(signals: dict[str, Floats]) -> None:
    rate, quality = respiration_rate(signals, 125.0)
    assert np.isnan(rate)
    assert quality == 0.0


@pytest.fixture(scope="module")
def breathing_body(
    ecg_wave: Callable[..., Floats], ppg_wave: Callable[..., Floats]
) -> dict[str, Floats]:
    """Two minutes at 125 Hz of a patient who breathes 16 times a minute."""
    fs_hz, n = 125.0, 15000
    t = np.arange(n) / fs_hz
    breath = np.sin(2 * np.pi * 16 / 60 * t)
    at_s = np.cumsum(np.full(150, 0.78) + np.random.default_rng(1).normal(0, 0.01, 150))
    ecg = ecg_wave(n, fs_hz, at_s) * (1 + 0.15 * breath)
    ppg = ppg_wave(n, fs_hz, at_s + 0.1) + 0.2 * breath
    return {"ecg": ecg, "ppg": ppg, "resp": 3 + breath}


@pytest.mark.parametrize(
    "names", [["ecg"], ["ppg"], ["ecg", "ppg"], ["resp"], ["resp", "ecg", "ppg"]]
)
@pytest.mark.parametrize("seconds", [40, 60, 75, 120])
def test_any_signals_give_the_rate_at_any_length(
    breathing_body: dict[str, Floats], names: list[str], seconds: int
) -> None:
    signals = {name: breathing_body[name][: 125 * seconds] for name in names}
    rate, quality = respiration_rate(signals, 125.0)
    assert rate == pytest.approx(16, abs=0.6)
    assert quality > 0.5


def test_a_gap_in_the_signals_leaves_the_rate(breathing_body: dict[str, Floats]) -> None:
    holed = {name: x[:7500].copy() for name, x in breathing_body.items() if name != "resp"}
    for x in holed.values():
        x[2000:3500] = np.nan
    assert respiration_rate(holed, 125.0)[0] == pytest.approx(16, abs=1)


@pytest.mark.parametrize("seconds", [1, 5, 12])
def test_too_short_a_stretch_of_beats_gives_no_rate(
    breathing_body: dict[str, Floats], seconds: int
) -> None:
    signals = {name: breathing_body[name][: 125 * seconds] for name in ("ecg", "ppg")}
    assert np.isnan(respiration_rate(signals, 125.0)[0])


def test_a_signal_of_noise_beside_a_good_one_does_no_harm(
    breathing_body: dict[str, Floats],
) -> None:
    noise = np.random.default_rng(0).normal(size=7500)
    signals = {"ecg": noise, "resp": noise[::-1], "ppg": breathing_body["ppg"][:7500]}
    assert respiration_rate(signals, 125.0)[0] == pytest.approx(16, abs=1)


def test_columns_refuse_with_a_reason_instead_of_guessing() -> None:
    asked = windows([Body(), Body(depth=0.0, noise=0.2)], "ecg")
    columns, _ = rate_columns(asked, fresh_state(2))
    rate = columns["resp_rate_per_min"]
    assert rate.reason.tolist() == [FeatureReason.OK, FeatureReason.LOW_QUALITY]
    assert np.isnan(rate.value).tolist() == [False, True]
    assert columns["resp_source"].value[0] == 2
    for name in ("resp_wave_rate_per_min", "resp_ppg_rate_per_min"):
        assert (columns[name].reason == FeatureReason.GAP).all(), name
    assert (wave_columns(asked.wave)["resp_apnoea_s"].reason == FeatureReason.GAP).all()


def test_variability_is_that_of_the_breath_intervals() -> None:
    lengths = np.tile([3.0, 5.0], 40)
    turns = np.concatenate([[0.0], np.cumsum(lengths)])
    t = np.arange(1200) / WAVE_HZ
    phase = np.interp(t, turns, np.arange(turns.size))
    wave = np.sin(2 * np.pi * phase)
    for part in (wave[:240], wave):
        column = wave_columns(part[None])["resp_rate_cv"]
        assert column.value[0] == pytest.approx(0.25, abs=0.04)
        assert column.reason[0] == FeatureReason.OK
    assert wave_columns(_wave(15)[None])["resp_rate_cv"].value[0] < 0.01


def test_too_few_breaths_have_no_variability() -> None:
    column = wave_columns(_wave(5)[None])["resp_rate_cv"]
    assert column.reason[0] == FeatureReason.TOO_FEW_BEATS
    assert np.isnan(column.value[0])


def _hostile(rng: np.random.Generator, n: int) -> Floats:
    """Samples no device should send."""
    x = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300)
    holes = rng.random(n) < rng.choice([0.0, 0.01, 0.5])
    x[holes] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e308])
    if rng.random() < 0.3:
        x[n // 3 :] = x[n // 3] if n else 0.0
    return x.astype(rng.choice([np.float64, np.float32, np.float16]))


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_no_samples_raise_or_give_a_rate_that_cannot_be() -> None:
    rng = np.random.default_rng(11)
    for _ in range(100):
        names = rng.choice(["resp", "ecg", "ppg"], rng.integers(0, 4), replace=False)
        fs_hz = float(rng.choice([0.0, 2.0, 4.0, 25.0, 62.5, 100.0]))
        signals = {name: _hostile(rng, int(rng.integers(0, 8000))) for name in names}
        rate, quality = respiration_rate(signals, fs_hz)
        assert 0 <= quality <= 1
        assert np.isnan(rate) or 2 <= rate <= 90
        assert np.isnan(rate) == (quality == 0)


def test_no_beats_raise_or_give_values_beside_a_reason() -> None:
    """Beats doubled, before and after the window, of any run and any value."""
    rng = np.random.default_rng(12)
    for _ in range(100):
        n_rows = int(rng.integers(1, 6))
        row = np.sort(rng.integers(0, n_rows, rng.integers(0, 400)))
        time_us = rng.integers(-(10**7), 7 * 10**7, row.size)
        time_us = time_us[np.lexsort((time_us, row))]
        size = rng.choice([np.nan, np.inf, 0.0, 1.0, 1e300], row.size) * rng.normal(size=row.size)
        run = rng.integers(0, 3, row.size)
        wave = np.where(rng.random((n_rows, 240)) < 0.1, np.nan, rng.normal(size=(n_rows, 240)))
        asked = Windows(
            wave,
            EcgBeats(row, time_us, size, -size, run),
            Pulses(row, time_us, size, size, run),
            rng.integers(0, 10**15, n_rows),
        )
        columns, state = rate_columns(asked, fresh_state(n_rows))
        columns, state = rate_columns(asked._replace(end_us=asked.end_us + 10**7), state)
        for name, column in (columns | wave_columns(wave)).items():
            assert (np.isfinite(column.value) == (column.reason == 0)).all(), name


@pytest.mark.data
@pytest.mark.parametrize(
    ("names", "most"),
    [(["resp", "ecg", "ppg"], 0.4), (["ecg", "ppg"], 0.8), (["ppg"], 1.1), (["ecg"], 1.4)],
)
def test_rates_of_bidmc_from_any_signals_agree_with_two_human_annotators(
    bidmc: list[Any], names: list[str], most: float
) -> None:
    """All windows, each record followed from its start; none refused."""
    errors = []
    for record in bidmc:
        rows = {name: as_rows(record.signals[name]) for name in names}
        parts = list(recording.followed(rows, record.fs_hz))
        rate = np.concatenate([part.rate_per_min for part in parts])
        for start, value in zip(np.arange(0, 421, 10), rate, strict=False):
            truth = []
            for marks in record.breaths_s:
                inside = marks[(marks >= start) & (marks < start + 60)]
                truth.append(60 * (len(inside) - 1) / (inside[-1] - inside[0]))
            errors.append(abs(value - np.mean(truth)))
    assert len(errors) == 43 * len(bidmc)
    assert np.mean(errors) <= most


@pytest.mark.data
def test_rates_of_bidmc_agree_with_two_human_annotators(
    bidmc: list[Any], cut: Callable[..., list[Segment]]
) -> None:
    """All 60 s windows every 10 s of all records, through 10 s segments."""
    errors = []
    for record in bidmc:
        segments = cut(record.signals["resp"], record.fs_hz, "resp", 2.0)
        wave = np.full(len(segments) * 40, np.nan)
        for part in analyse(segments):
            wave[part.times_us // 250_000] = part.values
        starts = np.arange(0, 421, 10)
        rate, _ = breath_rate(np.stack([wave[4 * s : 4 * s + 240] for s in starts]), WAVE_HZ)
        for start, value in zip(starts, rate, strict=True):
            truth = []
            for marks in record.breaths_s:
                inside = marks[(marks >= start) & (marks < start + 60)]
                truth.append(60 * (len(inside) - 1) / (inside[-1] - inside[0]))
            errors.append(abs(value - np.mean(truth)))
    assert len(errors) == 43 * len(bidmc)
    assert np.mean(errors) <= 0.5

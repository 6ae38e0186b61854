"""Laws of the waveform spectra: scipy's Welch, Parseval, sinusoids, gaps, batches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from features.ecg import kernels
from features.feature import FeatureReason
from features.spectrum_specs import LARGEST_DEVIATION, SPECTRA
from features.waveform_spectra import (
    axes_bins,
    band_power,
    mean_bins,
    segment_bins,
    shape,
    spectral_columns,
)

RNG = np.random.default_rng(7)
KINDS = [
    ("ecg", 250.0),
    ("ecg", 360.0),
    ("ppg", 125.0),
    ("ppg", 64.0),
    ("acc", 32.0),
    ("acc", 25.0),
]


def tone(hz: float, amplitude: float, fs_hz: float, offset: float = 0.0) -> np.ndarray:
    t = np.arange(round(10 * fs_hz)) / fs_hz
    return (offset + amplitude * np.sin(2 * np.pi * hz * t + 0.4))[None, :]


@pytest.mark.parametrize(("kind", "fs_hz"), KINDS)
def test_the_mean_of_segments_is_welch_with_the_same_segments(kind: str, fs_hz: float) -> None:
    spec, n = SPECTRA[kind], round(10 * fs_hz)
    x = RNG.normal(3.0, 1.0, (6, n)) + np.sin(np.arange(n) / 9.0)
    hz, density = signal.welch(x.reshape(-1), fs_hz, "hann", n, noverlap=0, detrend="constant")
    mean, count = mean_bins(segment_bins(x, fs_hz, spec)[None])
    assert count.tolist() == [6]
    for band in spec.bands:
        inside = (hz >= band.low_hz - 1e-6) & (hz < band.high_hz - 1e-6)
        expected = density[inside].sum() * (hz[1] - hz[0])
        assert band_power(mean, spec, band)[0] == pytest.approx(expected, rel=1e-5), band.name


def test_all_bins_together_hold_the_power_of_the_windowed_segment() -> None:
    spec = SPECTRA["acc"]._replace(n_bins=161)  # up to and with half of 32 Hz
    x = RNG.normal(0.0, 2.0, (5, 320))
    window = signal.windows.hann(320, sym=False)
    centred = x - x.mean(axis=1, keepdims=True)
    expected = ((centred * window) ** 2).sum(axis=1) / (window**2).sum()
    power = segment_bins(x, 32.0, spec).astype(float).sum(axis=1)
    assert power == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "fs_hz"), KINDS)
def test_a_sinusoid_has_half_its_squared_amplitude_in_its_band(kind: str, fs_hz: float) -> None:
    spec = SPECTRA[kind]
    band = spec.bands[1]
    hz = (band.low_hz + band.high_hz) / 2 + 0.03  # between two lines
    mean, _ = mean_bins(segment_bins(tone(hz, 2.0, fs_hz, offset=50.0), fs_hz, spec)[None])
    assert band_power(mean, spec, band)[0] == pytest.approx(2.0, rel=0.001)
    found = shape(mean, spec)
    assert found.peak_hz[0] == pytest.approx(hz, abs=0.05 if spec.bin_hz == 0.1 else 0.25)
    assert found.centroid_hz[0] == pytest.approx(hz, abs=spec.bin_hz / 2)
    assert found.edge95_hz[0] == pytest.approx(hz, abs=0.25 + spec.bin_hz)
    assert found.entropy[0] < 0.4


def test_white_noise_has_an_entropy_near_one_and_its_middle_as_centroid() -> None:
    spec = SPECTRA["acc"]
    mean, _ = mean_bins(segment_bins(RNG.normal(size=(300, 320)), 32.0, spec)[None])
    found = shape(mean, spec)
    assert found.entropy[0] == pytest.approx(1.0, abs=0.002)
    assert found.centroid_hz[0] == pytest.approx((0.3 + 12.0) / 2, abs=0.1)
    assert found.edge95_hz[0] == pytest.approx(0.3 + 0.95 * 11.7, abs=0.15)


def test_power_grows_with_the_square_of_the_gain_and_ignores_the_offset() -> None:
    spec = SPECTRA["ppg"]
    x = RNG.normal(size=(4, 640))
    once = segment_bins(x, 64.0, spec)
    assert segment_bins(-8.0 * x + 3000.0, 64.0, spec) == pytest.approx(64.0 * once, rel=1e-4)


def test_turning_the_device_does_not_change_the_sum_of_the_axes() -> None:
    spec = SPECTRA["acc"]
    axes = RNG.normal(size=(3, 7, 320))
    q, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    turned = np.einsum("ij,jbn->ibn", q, axes)
    before, after = axes_bins(np.array(axes), 32.0, spec), axes_bins(np.array(turned), 32.0, spec)
    assert after == pytest.approx(before, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(("kind", "fs_hz"), KINDS)
def test_a_row_alone_gives_the_same_bits_as_among_others(kind: str, fs_hz: float) -> None:
    x = RNG.normal(size=(256, round(10 * fs_hz)))
    x[5, 100] = np.nan
    x[6, 100:200] = np.nan
    whole = segment_bins(x, fs_hz, SPECTRA[kind])
    for rows in (slice(0, 1), slice(0, 7), slice(5, 6), slice(200, 203)):
        part = segment_bins(x[rows], fs_hz, SPECTRA[kind])
        np.testing.assert_array_equal(part, whole[rows])


def test_a_segment_with_a_gap_is_left_out_and_a_hole_of_20_ms_is_not() -> None:
    x = RNG.normal(size=(3, 2500))
    x[0, 600:604] = np.nan
    x[1, 600:900] = np.nan
    known = ~np.isnan(segment_bins(x, 250.0, SPECTRA["ecg"])).any(axis=1)
    assert known.tolist() == [True, False, True]


def test_a_band_above_half_the_rate_has_no_power_to_report() -> None:
    spec = SPECTRA["ecg"]
    columns = spectral_columns(
        segment_bins(RNG.normal(size=(6, 600)), 60.0, spec)[None], np.ones(1), spec
    )
    assert columns["ecg_spec_high_mv2"].reason[0] == FeatureReason.UNDEFINED
    assert columns["ecg_spec_qrs_mv2"].reason[0] == FeatureReason.OK
    assert columns["ecg_spec_entropy"].value[0] > 0.95


def test_a_window_needs_half_of_its_segments() -> None:
    spec = SPECTRA["ppg"]
    bins = segment_bins(RNG.normal(size=(12, 640)), 64.0, spec).reshape(2, 6, -1)
    bins[0, :3] = np.nan
    bins[1, :4] = np.nan
    column = spectral_columns(bins, np.ones(2), spec)["ppg_spec_pulse_power"]
    assert column.reason.tolist() == [FeatureReason.OK, FeatureReason.GAP]
    assert np.isnan(column.value).tolist() == [False, True]
    assert column.n.tolist() == [3, 2]


def test_a_flat_segment_has_no_power_and_no_shape() -> None:
    spec = SPECTRA["ppg"]
    columns = spectral_columns(
        segment_bins(np.full((6, 640), 5.0), 64.0, spec)[None], np.ones(1), spec
    )
    assert columns["ppg_spec_pulse_power"].value[0] == 0.0
    assert columns["ppg_spec_peak_hz"].reason[0] == FeatureReason.UNDEFINED


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 1e9])
def test_no_rate_gives_no_spectrum(fs_hz: float) -> None:
    assert np.isnan(segment_bins(np.zeros((2, 100)), fs_hz, SPECTRA["ecg"])).all()


@pytest.mark.parametrize("shape_", [(0, 320), (3, 0), (3, 1), (3, 3)])
def test_nothing_gives_nothing(shape_: tuple[int, int]) -> None:
    out = segment_bins(np.zeros(shape_), 32.0, SPECTRA["acc"])
    assert out.shape == (shape_[0], 120)
    assert np.isnan(out).all()


def test_a_segment_too_short_for_the_bins_has_no_spectrum() -> None:
    x = RNG.normal(size=(2, 240))  # 7.5 s
    assert np.isnan(segment_bins(x, 32.0, SPECTRA["acc"])).all()
    assert not np.isnan(segment_bins(x, 32.0, SPECTRA["ecg"])[:, :30]).any()


@pytest.mark.parametrize("fs_hz", [62.4725, 62.6, 127.9])
def test_a_rate_a_little_off_keeps_the_lines_in_their_bins(fs_hz: float) -> None:
    spec, n = SPECTRA["ppg"], round(10 * fs_hz)
    t = np.arange(n) / fs_hz
    mean, _ = mean_bins(segment_bins(np.sin(2 * np.pi * 1.5 * t)[None], fs_hz, spec)[None])
    assert shape(mean, spec).peak_hz[0] == pytest.approx(1.5, abs=0.02)
    assert band_power(mean, spec, spec.bands[1])[0] == pytest.approx(0.5, rel=0.001)


def test_what_no_device_sends_is_not_transformed() -> None:
    x = RNG.normal(size=(2, 320))
    x[0, 7] = 10 * LARGEST_DEVIATION
    known = ~np.isnan(segment_bins(x, 32.0, SPECTRA["acc"])).any(axis=1)
    assert known.tolist() == [False, True]


@pytest.mark.parametrize(("kind", "fs_hz"), [*KINDS, ("ecg", 100.0), ("ppg", 20.0)])
def test_loops_give_the_bits_of_numpy(
    kind: str, fs_hz: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    for length_s in (10, 17, 30):
        x = RNG.normal(3.0, 1.0, (20, round(length_s * fs_hz)))
        x[1, 40:90] = np.nan
        x[2, 7] = np.nan  # bridged
        x[3, 5] = 1e12
        x[4] = 2.0
        bins = []
        for loops in (True, False):
            monkeypatch.setattr(kernels, "worth_it", lambda _, loops=loops: loops)
            bins.append(segment_bins(x, fs_hz, SPECTRA[kind]))
        np.testing.assert_array_equal(*bins)
        assert np.isnan(bins[0][1]).all()

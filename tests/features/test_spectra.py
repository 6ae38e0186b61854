from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.spectra import BandPowers, Spectrum, band_powers, nn_spectrum

Series = tuple[NDArray[np.int64], NDArray[np.float64]]


def modulated(
    duration_s: float, parts: tuple[tuple[float, float], ...], mean_ms: float = 800
) -> Series:
    """NN = mean + sum of A sin(2 pi f t), t the time of the beat that ends it."""
    times, t = [], 0.0
    while True:
        end = t + mean_ms / 1000
        for _ in range(60):
            wave = sum(a * np.sin(2 * np.pi * f * end) for a, f in parts)
            end = t + (mean_ms + wave) / 1000
        if end > duration_s:
            break
        times.append(end)
        t = end
    at = np.array([0.0, *times])
    return np.round(at[1:] * 1e6).astype(np.int64), np.diff(at) * 1000


def powers(*rows: Series) -> BandPowers:
    row = np.repeat(np.arange(len(rows)), [t.size for t, _ in rows])
    return band_powers(
        np.concatenate([t for t, _ in rows]), np.concatenate([nn for _, nn in rows]), row, len(rows)
    )


def spectrum(series: Series) -> Spectrum:
    return nn_spectrum(*series, np.zeros(series[0].size, np.int64), 1)


LF_AND_HF = ((30.0, 0.1), (20.0, 0.25))


def test_a_sinusoid_has_half_its_squared_amplitude_as_power() -> None:
    found = powers(modulated(300, LF_AND_HF))
    assert found.lf[0] == pytest.approx(450, rel=0.01)
    assert found.hf[0] == pytest.approx(200, rel=0.01)


def test_the_peak_is_where_the_oscillation_is() -> None:
    assert spectrum(modulated(300, LF_AND_HF)).hf_peak_hz[0] == pytest.approx(0.25, abs=1e-4)


def test_a_band_that_only_falls_has_no_peak() -> None:
    found = spectrum(modulated(300, ((40.0, 0.12),)))
    assert found.hf_ms2[0] > 0
    assert not 0.16 < found.hf_peak_hz[0] < 0.2


def test_a_slow_heart_is_said_to_alias() -> None:
    assert spectrum(modulated(300, (), mean_ms=3000)).alias[0]
    assert not spectrum(modulated(300, (), mean_ms=800)).alias[0]


def test_many_missing_intervals_are_bridged_by_the_curve() -> None:
    t, nn = modulated(300, LF_AND_HF)
    kept = np.arange(t.size) % 6 != 0
    found = powers((t[kept], nn[kept]))
    assert found.lf[0] == pytest.approx(450, rel=0.02)
    assert found.hf[0] == pytest.approx(200, rel=0.2)


def test_power_across_a_gap_is_estimated_without_bridging_it() -> None:
    t, nn = modulated(300, LF_AND_HF)
    kept = (t < 130e6) | (t > 155e6)
    found = powers((t[kept], nn[kept]))
    assert found.lf[0] == pytest.approx(450, rel=0.05)
    assert found.hf[0] == pytest.approx(200, rel=0.05)


def test_scaling_the_variation_by_two_gives_four_times_the_power() -> None:
    t, nn = modulated(300, LF_AND_HF)
    one, two = powers((t, nn)), powers((t, 2 * nn - nn.mean()))
    assert two.lf[0] == pytest.approx(4 * one.lf[0], rel=1e-9)
    assert two.hf[0] == pytest.approx(4 * one.hf[0], rel=1e-9)


def test_a_constant_rhythm_has_no_power() -> None:
    found = powers(modulated(300, ()))
    assert [p[0] for p in found] == pytest.approx([0, 0, 0], abs=1e-9)


def test_shifting_time_changes_no_bit() -> None:
    t, nn = modulated(300, LF_AND_HF)
    assert powers((t, nn)) == powers((t + 1_790_000_000_000_000, nn))


@pytest.mark.parametrize("size", [1, 7, 256])
def test_rows_do_not_depend_on_the_batch(size: int) -> None:
    rng = np.random.default_rng(2)
    rows: list[Series] = []
    for i in range(size):
        nn = rng.normal(800, 40, int(rng.integers(0, 400)))
        t = np.cumsum(np.round(nn * 1000)).astype(np.int64)
        if i % 3 == 0:
            t[t.size // 2 :] += 5_000_000
        rows.append((t, nn))
    together = np.array(powers(*rows))
    alone = np.array([np.array(powers(row))[:, 0] for row in rows]).T
    assert together.tobytes() == alone.tobytes()


def test_a_long_recording_does_not_change_its_neighbour() -> None:
    short, long = modulated(300, LF_AND_HF), modulated(1500, LF_AND_HF)
    both = powers(short, long)
    assert both.lf[0] == powers(short).lf[0]
    assert both.lf[1] == powers(long).lf[0]
    assert both.lf[1] == pytest.approx(450, rel=0.02)


@pytest.mark.parametrize(
    ("duration_s", "known"), [(50, "000"), (80, "001"), (150, "011"), (290, "111")]
)
def test_a_band_needs_ten_of_its_slowest_periods(duration_s: float, known: str) -> None:
    found = powers(modulated(duration_s, LF_AND_HF))
    assert "".join(str(int(np.isfinite(p[0]))) for p in found) == known


def test_bands_above_half_the_heart_rate_have_no_value() -> None:
    found = powers(modulated(300, ((100.0, 0.02),), mean_ms=3000))
    assert found.vlf[0] == pytest.approx(5000, rel=0.03)
    assert np.isnan(found.hf[0])
    assert np.isnan(powers(modulated(300, (), mean_ms=4000)).lf[0])


def test_a_long_recording_may_have_a_hole() -> None:
    t, nn = modulated(1500, LF_AND_HF)
    kept = (t < 500e6) | (t > 520e6)
    found = powers((t[kept], nn[kept]))
    assert found.lf[0] == pytest.approx(450, rel=0.02)
    assert found.hf[0] == pytest.approx(200, rel=0.02)


def test_a_hole_does_not_reach_into_its_surroundings() -> None:
    # A steep cubic over the hole would swing there and fill VLF and LF.
    t, nn = modulated(300, ((20.0, 0.25),))
    nn = np.where(t > 160e6, nn + 150.0, nn)
    kept = (t < 140e6) | (t > 160e6)
    assert powers((t[kept], nn[kept])).hf[0] == pytest.approx(200, rel=0.05)


def test_too_few_intervals_have_no_power() -> None:
    t, nn = modulated(300, LF_AND_HF)
    for n in range(8):
        assert np.isnan([p[0] for p in powers((t[:n], nn[:n]))]).all()


PATTERNS = "pcst_demos/Tools/HRV_Metrics_Tools/Physionet_EC57TPs"


@pytest.mark.data
@pytest.mark.parametrize(
    ("pattern", "band", "power_ms2"),
    [("TP2", "hf", 612.5), ("TP3", "lf", 2450.0), ("TP4", "vlf", 39200.0)],
)
def test_ec57_patterns_have_their_power_in_their_band(
    archive: Callable[[str], Path], pattern: str, band: str, power_ms2: float
) -> None:
    path = archive("hrv_reference") / PATTERNS / f"HRV256_{pattern}.txt"
    t_s, rr_s = np.loadtxt(path, delimiter=",").T
    inside = (t_s >= 600) & (t_s < 900)
    found = powers((np.round(t_s[inside] * 1e6).astype(np.int64), rr_s[inside] * 1000))
    assert getattr(found, band)[0] == pytest.approx(power_ms2, rel=0.01)


@pytest.mark.data
def test_the_ec57_ramp_has_almost_no_power(archive: Callable[[str], Path]) -> None:
    path = archive("hrv_reference") / PATTERNS / "HRV256_TP5.txt"
    t_s, rr_s = np.loadtxt(path, delimiter=",").T
    inside = (t_s >= 600) & (t_s < 900)
    found = powers((np.round(t_s[inside] * 1e6).astype(np.int64), rr_s[inside] * 1000))
    assert found.lf[0] + found.hf[0] < 0.01
    assert found.vlf[0] < 5

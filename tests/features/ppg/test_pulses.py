"""Pulses: found once each where they are, whatever the rate, the noise, the gaps or the cuts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features import beats
from features.ppg.pulses import CONTEXT_S, CORE_S, detect_pulses, find, pulses, taken

Floats = NDArray[np.float64]
FS = 125.0
UPSLOPE_S = 0.08  # after the foot, in the waves made here


def _matched(truth: Floats, found: Floats, within: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices of a one-to-one matching of two ascending series."""
    i, j, pairs = 0, 0, []
    while i < len(truth) and j < len(found):
        if abs(found[j] - truth[i]) <= within:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif found[j] < truth[i]:
            j += 1
        else:
            i += 1
    both = np.array(pairs, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _all_and_only(found_s: Floats, feet_s: Floats) -> bool:
    hits = len(_matched(feet_s + UPSLOPE_S, found_s, 0.1)[0])
    return hits == len(feet_s) == len(found_s)


def test_the_public_name_is_the_same_function() -> None:
    assert beats.detect_pulses is detect_pulses


@pytest.mark.parametrize("fs_hz", [25.0, 32.0, 64.0, 100.0, 125.0, 250.0, 499.7])
def test_intervals_are_right_to_a_fraction_of_a_sample(
    steady: Callable[..., Any], fs_hz: float
) -> None:
    made = steady(fs_hz=fs_hz)
    found = detect_pulses(made.x, fs_hz) / fs_hz
    assert _all_and_only(found, made.feet_s)
    error_ms = 1e3 * (found - made.feet_s)
    assert error_ms.std() < (1.5 if fs_hz < 50 else 0.75)


@pytest.mark.parametrize("per_min", [25, 40, 60, 100, 150, 200, 240])
@pytest.mark.parametrize("dicrotic", [0.0, 0.35, 0.5])
@pytest.mark.parametrize("fs_hz", [25.0, 64.0, 250.0])
def test_a_dicrotic_wave_is_no_pulse_at_any_rate(
    steady: Callable[..., Any], per_min: float, dicrotic: float, fs_hz: float
) -> None:
    quick = min(1.0, (60 / per_min / 0.8) ** 0.5)  # a pulse shortens with its interval
    slow = steady(60.0 / quick, fs_hz * quick, per_min * quick, dicrotic, 0.0)
    found = detect_pulses(slow.x, fs_hz) / fs_hz
    assert abs(len(found) - len(slow.feet_s)) <= 1
    assert np.diff(found).min() > 0.9 * 60 / per_min


def test_a_weak_early_pulse_is_found_by_search_back(steady: Callable[..., Any]) -> None:
    made = steady()
    t = np.arange(made.x.size) / FS
    early = made.feet_s[20] + 0.55
    x = made.x - _bump(t, made.feet_s[21], 1.0) + _bump(t, early, 0.15)
    found = detect_pulses(x, FS) / FS
    assert np.abs(found - early - UPSLOPE_S).min() < 0.08
    assert len(found) == len(made.feet_s)


def _bump(t: Floats, foot: float, height: float) -> Floats:
    wave = np.exp(-0.5 * ((t - foot - 0.15) / 0.07) ** 2)
    return np.asarray(height * (wave + 0.35 * np.exp(-0.5 * ((t - foot - 0.4) / 0.08) ** 2)))


def test_a_pause_holds_no_pulses(steady: Callable[..., Any]) -> None:
    """The filter swings back after the last pulse; what the raw wave does not show is none."""
    made = steady()
    t = np.arange(made.x.size) / FS
    silent = (made.feet_s > 20) & (made.feet_s < 26)
    x = made.x - sum(_bump(t, foot, 1.0) for foot in made.feet_s[silent])
    assert _all_and_only(detect_pulses(x, FS) / FS, made.feet_s[~silent])


@pytest.mark.parametrize("noise", [0.03, 0.06])
def test_noise_in_a_pause_is_no_pulse(steady: Callable[..., Any], noise: float) -> None:
    """An arrest must not look like a weak, regular pulse."""
    made = steady()
    t = np.arange(made.x.size) / FS
    silent = (made.feet_s > 20) & (made.feet_s < 26)
    x = made.x - sum(_bump(t, foot, 1.0) for foot in made.feet_s[silent])
    x += np.random.default_rng(5).normal(0, noise, x.size)
    found = detect_pulses(x, FS) / FS
    assert not np.any((found > 21.2) & (found < 25.8))


def test_alternating_strength_is_counted_in_full(steady: Callable[..., Any]) -> None:
    made = steady(jitter_s=0.0)
    t = np.arange(made.x.size) / FS
    x = made.x - sum(_bump(t, foot, 0.7) for foot in made.feet_s[::2])
    assert _all_and_only(detect_pulses(x, FS) / FS, made.feet_s)


def test_atrial_fibrillation_keeps_its_pulses(fibrillating: Callable[..., Any]) -> None:
    hits = n_found = n_true = 0
    for seed in range(5):
        made = fibrillating(seed=seed)
        found = detect_pulses(made.x, FS) / FS
        hits += len(_matched(made.feet_s + UPSLOPE_S, found, 0.1)[0])
        n_found, n_true = n_found + len(found), n_true + len(made.feet_s)
    assert 2 * hits / (n_found + n_true) > 0.99


@pytest.mark.parametrize(("noise", "least"), [(0.05, 0.99), (0.15, 0.98), (0.3, 0.95)])
def test_noise_costs_little(steady: Callable[..., Any], noise: float, least: float) -> None:
    made = steady()
    x = made.x + np.random.default_rng(3).normal(0, noise, made.x.size)
    found = detect_pulses(x, FS) / FS
    hits = len(_matched(made.feet_s + UPSLOPE_S, found, 0.1)[0])
    assert 2 * hits / (len(found) + len(made.feet_s)) >= least


@pytest.mark.parametrize("gain", [1e-4, 1e5])
@pytest.mark.parametrize("offset", [0.0, -3.0, 500.0])
def test_gain_and_offset_change_nothing(
    steady: Callable[..., Any], gain: float, offset: float
) -> None:
    made = steady()
    np.testing.assert_allclose(
        detect_pulses(gain * (made.x + offset), FS), detect_pulses(made.x, FS), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["i2", ">i2", "i4", "f4", ">f4", "f8"])
def test_the_type_of_the_samples_does_not_matter(steady: Callable[..., Any], kind: str) -> None:
    counts = np.rint(steady().x * 1000)
    np.testing.assert_allclose(
        detect_pulses(counts.astype(kind), FS), detect_pulses(counts, FS), atol=1e-6
    )


def test_a_strided_view_gives_the_same_pulses(steady: Callable[..., Any]) -> None:
    x = steady().x
    pair = np.stack([x, -x], axis=1)
    np.testing.assert_array_equal(detect_pulses(pair[:, 0], FS), detect_pulses(x, FS))


def test_a_shift_in_time_shifts_the_pulses(steady: Callable[..., Any]) -> None:
    x = steady().x
    whole, later = detect_pulses(x, FS), detect_pulses(x[501:], FS) + 501
    inside = later[later > 501 + 2 * FS]
    np.testing.assert_allclose(inside, whole[-len(inside) :], atol=0.15)


@pytest.mark.parametrize("length", [1, 3, 30, 250, 1250])
@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_gap_costs_only_pulses_within_a_second_of_it(
    steady: Callable[..., Any], length: int, hole: float
) -> None:
    made = steady()
    x = made.x.copy()
    x[3000 : 3000 + length] = hole
    whole, found = detect_pulses(made.x, FS), detect_pulses(x, FS)
    near = lambda p: (p > 3000 - FS) & (p < 3000 + length + FS)  # noqa: E731
    np.testing.assert_allclose(found[~near(found)], whole[~near(whole)], atol=0.5)
    if length > 3:
        assert not np.any((found >= 3000) & (found < 3000 + length))


@pytest.mark.parametrize("samples", [1, 12, 60])
def test_an_artefact_costs_only_pulses_within_a_second_of_it(
    steady: Callable[..., Any], samples: int
) -> None:
    made = steady()
    x = made.x.copy()
    x[3000 : 3000 + samples] += 50.0
    whole, found = detect_pulses(made.x, FS), detect_pulses(x, FS)
    near = lambda p: (p > 3000 - 1.5 * FS) & (p < 3000 + samples + 1.5 * FS)  # noqa: E731
    np.testing.assert_allclose(found[~near(found)], whole[~near(whole)], atol=1.0)


def test_a_flat_stretch_has_no_pulses(steady: Callable[..., Any]) -> None:
    made = steady()
    x = made.x.copy()
    x[2500:5000] = 2.5
    found, whole = detect_pulses(x, FS), detect_pulses(made.x, FS)
    assert not np.any((found > 2500) & (found < 5000))
    outside = (whole < 2500 - FS) | (whole > 5000 + FS)
    assert len(_matched(whole[outside], found, 2.0)[0]) == outside.sum()


def test_fiducial_points_are_in_order_and_measure_the_wave(steady: Callable[..., Any]) -> None:
    made = steady()
    found = pulses(made.x[None], FS)
    assert np.all(found.onset < found.position)
    assert np.all(found.position < found.peak)
    assert np.median(found.amplitude) == pytest.approx(1.0, abs=0.05)
    assert np.median(found.baseline) == pytest.approx(2.5, abs=0.05)
    assert np.median(found.rise_s) == pytest.approx(0.25, abs=0.05)
    np.testing.assert_allclose(found.rise_s, (found.peak - found.onset) / FS, atol=1e-9)
    np.testing.assert_allclose(
        found.peak / FS - made.feet_s, 0.15, atol=0.02, err_msg="the systolic peak"
    )


def test_breathing_is_seen_in_the_baseline(steady: Callable[..., Any]) -> None:
    made = steady()
    breath = lambda t: 0.3 * np.sin(2 * np.pi * 0.25 * t)  # noqa: E731
    found = pulses((made.x + breath(np.arange(made.x.size) / FS))[None], FS)
    expected = 0.5 * (breath(found.onset / FS) + breath(found.peak / FS))
    assert np.corrcoef(found.baseline, expected)[0, 1] > 0.98


@pytest.mark.parametrize("size", [1, 7, 256])
def test_a_row_does_not_depend_on_its_neighbours(
    steady: Callable[..., Any], coloured: Callable[..., Floats], size: int
) -> None:
    made = steady(14.0)
    rows = np.stack([np.roll(made.x, 37 * i) * (1 + i % 5) for i in range(size)])
    rows += coloured(size, made.x.size, 1.0) * np.linspace(0, 30, size)[:, None]
    rows[size // 2, 700:703] = np.nan
    rows[size // 3, 900:1200] = 1.0
    together = find(rows, FS)
    for i in {0, size // 3, size // 2, size - 1}:
        alone = find(rows[i : i + 1], FS)
        own = taken(together.pulses, together.pulses.row == i)
        for one, many in zip(alone.pulses[1:], own[1:], strict=True):
            np.testing.assert_array_equal(one, many)
        for one_count, counts in zip(alone.votes, together.votes, strict=True):
            assert one_count[0] == counts[i]


@pytest.mark.parametrize("fs_hz", [64.0, 125.0, 99.9])
def test_a_recording_has_the_pulses_of_its_segments(
    steady: Callable[..., Any], fs_hz: float
) -> None:
    """As streamed: each segment by itself, a pulse is owned by the core it lies in."""
    x = steady(65.0, fs_hz).x
    streamed = []
    for k in range(7):
        first = int(np.ceil((k * CORE_S - CONTEXT_S) * fs_hz - 1e-9))
        last = int(np.ceil(((k + 1) * CORE_S + CONTEXT_S) * fs_hz - 1e-9))
        row = np.full((1, last - first), np.nan)
        a, b = max(first, 0), min(last, x.size)
        row[0, a - first : b - first] = x[a:b]
        at = find(row, fs_hz).pulses.position + first
        streamed.append(at[(at >= k * CORE_S * fs_hz) & (at < (k + 1) * CORE_S * fs_hz)])
    np.testing.assert_array_equal(detect_pulses(x, fs_hz), np.concatenate(streamed))


def test_a_pulse_on_a_border_is_found_exactly_once(steady: Callable[..., Any]) -> None:
    """Upslopes are moved over the border of two segments in steps of a tenth of a sample."""
    for tenth in range(-10, 11):
        feet = np.arange(0.52, 29.0, 0.8)
        feet += 10.0 + tenth / 10 / FS - UPSLOPE_S - feet[np.abs(feet - 9.92).argmin()]
        feet = feet[feet > 0.4]
        t = np.arange(round(30 * FS)) / FS
        x = 2.0 + sum(_bump(t, foot, 1.0) for foot in feet)
        assert len(detect_pulses(x, FS)) == len(feet)


def test_a_long_recording_is_analysed_in_bounded_pieces(steady: Callable[..., Any]) -> None:
    one = steady(60.0, 25.0).x
    long = np.tile(one, 60)  # an hour: 360 segments
    per_hour = len(detect_pulses(long, 25.0))
    assert per_hour == pytest.approx(60 * len(detect_pulses(one, 25.0)), rel=0.03)


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 1.0, 19.0, 25.0, 125.0, 1e9])
@pytest.mark.parametrize(
    "x",
    [
        np.empty(0),
        np.zeros(1),
        np.zeros(3000),
        np.full(3000, np.nan),
        np.full(3000, -np.inf),
        np.full(3000, 1e300),
        np.where(np.arange(3000) % 2, 1e29, -1e29),
        np.where(np.arange(3000) % 2, 5e-324, 0.0),
        np.where(np.arange(3000) % 2, np.nan, 1.0),
        np.arange(40) % 2,
    ],
    ids=lambda x: f"{x.dtype}-{x.size}-{x[:1]}",
)
def test_unusable_samples_raise_nothing(fs_hz: float, x: NDArray[np.generic]) -> None:
    found = detect_pulses(x, fs_hz)
    assert found.ndim == 1
    assert np.all(np.isfinite(found))


def test_random_rows_never_raise_and_always_give_finite_ordered_pulses() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        n, fs_hz = int(rng.integers(1, 900)), float(rng.choice([20, 25, 64, 99.9, 125]))
        x = rng.normal(0, 10.0 ** rng.integers(-9, 9), (3, n)).cumsum(axis=1)
        x[rng.random(x.shape) < rng.choice([0, 0.001, 0.05])] = np.nan
        x[0] = np.round(x[0])
        x[:, : int(rng.integers(0, n + 1))] = rng.choice([np.nan, 0.0, 1.0])
        found = find(x, fs_hz).pulses
        assert all(np.all(np.isfinite(c)) for c in found[1:7])
        assert np.all((np.diff(found.row) > 0) | (np.diff(found.position) > 0))


@pytest.mark.data
def test_pulses_of_bidmc_agree_with_the_r_peaks(bidmc: list[Any]) -> None:
    """F1 over 35 records against R peaks moved by the record's median delay, 150 ms."""
    hits = n_found = n_true = 0
    error_ms = []
    for record in bidmc:
        truth = beats.detect_r_peaks(record.signals["ecg"], record.fs_hz) / record.fs_hz
        found = detect_pulses(record.signals["ppg"], record.fs_hz) / record.fs_hz
        delay = max(np.arange(0, 0.8, 0.02), key=lambda d: len(_matched(truth + d, found, 0.15)[0]))
        of_truth, of_found = _matched(truth + delay, found, 0.15)
        delay += np.median(found[of_found] - truth[of_truth] - delay)
        of_truth, of_found = _matched(truth + delay, found, 0.15)
        follows = (np.diff(of_truth) == 1) & (np.diff(of_found) == 1)
        error = np.abs(np.diff(found[of_found]) - np.diff(truth[of_truth]))[follows]
        error_ms.append(1e3 * error.mean())
        hits += len(of_truth)
        n_found, n_true = n_found + len(found), n_true + len(truth)
    assert 2 * hits / (n_found + n_true) >= 0.9905
    assert np.mean(error_ms) <= 9.5


@pytest.mark.data
def test_wrist_intervals_agree_with_the_wristband_itself(
    archive: Callable[[str], Path],
) -> None:
    """Where the E4 trusted an interval, the same two beats are found (three sessions)."""
    for name in ("S06", "S07", "S09"):
        folder = archive("stress_predict_e4") / "Raw_data" / name
        wave = np.loadtxt(folder / "BVP.csv")
        ibi = np.genfromtxt(folder / "IBI.csv", delimiter=",", skip_header=1)
        start = float((folder / "IBI.csv").read_text().split(",", 1)[0])
        ends = ibi[:, 0] + start - wave[0]
        truth = np.unique(np.concatenate([ends, ends - ibi[:, 1]]).round(3))
        truth = truth[np.diff(truth, prepend=-1.0) > 0.2]
        found = detect_pulses(wave[2:], wave[1]) / wave[1]
        shift = max(
            np.arange(-0.3, 0.3, 0.02), key=lambda d: len(_matched(truth + d, found, 0.1)[0])
        )
        assert len(_matched(truth + shift, found, 0.1)[0]) > 0.93 * len(truth)


def test_a_segment_is_not_cut_again(steady: Callable[..., Any]) -> None:
    """What analyses segments gets the pulses of the whole row, context included."""
    row = steady(14.0).x[None]
    np.testing.assert_array_equal(beats.pulses(row, FS).position, find(row, FS).pulses.position)


def test_a_small_creeping_wave_in_a_pause_is_no_pulse() -> None:
    """A simulated pause of fibrillation: the filter's swing climbs a third as fast as a pulse."""
    fs_hz, beats = 250.0, (0.5, 1.6, 2.5, 3.7, 4.7, 7.2, 8.3, 9.5)
    t = np.arange(round(11 * fs_hz)) / fs_hz
    x = sum(np.exp(-0.5 * ((t - beat - 0.15) / 0.07) ** 2) for beat in beats)
    x = x + 0.2 * np.exp(-0.5 * ((t - 6.2) / 0.25) ** 2)
    found = np.asarray(detect_pulses(x, fs_hz)) / fs_hz
    assert not np.any((found > 5.3) & (found < 7.0))
    assert found.size == len(beats)


def test_a_burst_costs_no_pulse_that_is_a_second_away(steady: Callable[..., Any]) -> None:
    """The high-pass climbs back behind a burst; the pulse on that climb rises from its own foot."""
    rng = np.random.default_rng(0)
    made = [steady(n_s=10.0, per_min=55.0, jitter_s=0.08, seed=k) for k in range(300)]
    x = np.stack([one.x for one in made])
    start_s, length = rng.uniform(1.0, 8.0, len(x)), round(0.3 * FS)
    for row, begin in zip(x, (start_s * FS).astype(int), strict=True):
        row[begin : begin + length] += 8.0 * rng.standard_normal(length) - 2.0 * np.hanning(length)
    for one, begin_s, found in zip(made, start_s, detect_pulses(x, FS), strict=True):
        steepest = one.feet_s + UPSLOPE_S
        far = (steepest < begin_s - 1.0) | (steepest > begin_s + 1.3)
        off = np.abs(steepest[far, None] - found / FS).min(axis=1, initial=np.inf)
        assert off.max(initial=0.0) < 0.1

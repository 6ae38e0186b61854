"""Segments in, primitives out: each beat once, gaps visible, rows independent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from features.analyse import CONTEXT_S, SIGNALS, analyse
from features.analysis.motion import analyse_motion
from features.axes import Triple
from features.beats import detect_pulses, detect_r_peaks
from features.catalog import FeatureReason
from features.layout import SEGMENT_NUMBERS
from features.primitives import Primitives
from features.quality import GATE
from features.signals import AXES, SignalKind
from streams.segments import Segment

Floats = NDArray[np.float64]
Cut = Callable[..., list[Segment]]
Wave = Callable[..., Floats]
FS = 125.0
NUMBERS = SEGMENT_NUMBERS[SignalKind.MOTION]
ORIGIN_US = 1_700_000_000_000_000


def _beats(primitives: list[Primitives], refractory_s: float = 0.25) -> NDArray[np.int64]:
    """Beats of consecutive segments; of two too close over a border the larger is kept."""
    times: list[int] = []
    sizes: list[float] = []
    for part in primitives:
        for time, size in zip(part.times_us.tolist(), part.values.tolist(), strict=True):
            if times and time - times[-1] < refractory_s * 1e6:
                if size > sizes[-1]:
                    times[-1], sizes[-1] = time, size
                continue
            times.append(time)
            sizes.append(size)
    return np.array(times, np.int64)


def _assert_same(a: Primitives, b: Primitives) -> None:
    """Equal bit for bit."""
    for one, other in zip(a, b, strict=True):
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
        else:
            assert one == other


def _mixed(ecg_wave: Wave, ppg_wave: Wave, cut: Cut) -> list[Segment]:
    """66 segments of every kind, with holes, rates and lengths mixed."""
    at = np.arange(0.4, 99.5, 0.83)
    ecg, ppg = ecg_wave(12_500, FS, at), ppg_wave(12_501, FS, at)
    ecg[3000:3004], ecg[5000:6600] = np.nan, np.nan
    ppg[7000:7400] = 1.0
    resp = np.sin(2 * np.pi * 0.25 * np.arange(12_500) / FS)
    rng = np.random.default_rng(5)
    parts = [
        cut(ecg, FS, "ecg", 1.0),
        cut(ecg_wave(25_000, 250.0, at), 250.0, "ecg", 1.0),
        cut(ppg, FS, "ppg", 2.0),
        cut(resp, FS, "resp", 2.0),
        cut(rng.normal(97, 1, 100), 1.0, "spo2", 0.0),
        cut(rng.normal(30, 0.3, 400), 4.0, "temp", 0.0),
    ]
    together = [segment for group in parts for segment in group]
    return [together[i] for i in rng.permutation(len(together))]


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_segment_gives_the_same_bits_in_any_company(
    ecg_wave: Wave, ppg_wave: Wave, cut: Cut, size: int
) -> None:
    segments = _mixed(ecg_wave, ppg_wave, cut)[:64]
    alone = [analyse([segment])[0] for segment in segments]
    for first in range(0, len(segments), size):
        for i, part in enumerate(analyse(segments[first : first + size])):
            _assert_same(part, alone[first + i])


def test_primitives_keep_the_order_and_the_names_of_their_segments(
    ecg_wave: Wave, ppg_wave: Wave, cut: Cut
) -> None:
    segments = _mixed(ecg_wave, ppg_wave, cut)
    for segment, part in zip(segments, analyse(segments), strict=True):
        assert (part.signal, part.device_id) == (segment.signal, segment.device_id)
        assert (part.start_us, part.end_us) == (segment.start_us, segment.end_us)


def test_events_lie_in_their_core_in_order(ecg_wave: Wave, ppg_wave: Wave, cut: Cut) -> None:
    for part in analyse(_mixed(ecg_wave, ppg_wave, cut)):
        assert np.all(np.diff(part.times_us) > 0)
        assert np.all(np.diff(part.run) >= 0)
        assert np.all((part.times_us >= part.start_us) & (part.times_us < part.end_us))
        assert len(part.values) == len(part.run) == len(part.times_us)
        assert np.isfinite(part.values).all()
        assert 0 <= part.quality <= 1
        assert 0 <= part.coverage <= 1
        assert (part.reason == FeatureReason.OK) == (part.quality >= GATE)


def test_nothing_at_all_is_analysed_to_nothing() -> None:
    assert analyse([]) == []


@pytest.mark.parametrize("tenths", range(-10, 11))
def test_a_beat_at_a_border_is_reported_exactly_once(ecg_wave: Wave, cut: Cut, tenths: int) -> None:
    at = np.arange(0.4, 29.5, 0.8)
    at = np.append(at[np.abs(at - 10.0) > 0.5], 10.0 + 0.1 * tenths / FS)
    parts = analyse(cut(ecg_wave(3750, FS, np.sort(at)), FS, "ecg", 1.0))
    found = _beats(parts)
    assert len(found) == len(at)
    assert np.abs(found - 1e7).min() < 2e6 / FS


def test_a_shift_of_the_clock_shifts_the_events(ecg_wave: Wave, cut: Cut) -> None:
    x = ecg_wave(3750, FS, np.arange(0.4, 29.5, 0.8))
    now = analyse(cut(x, FS, "ecg", 1.0))
    later = analyse(cut(x, FS, "ecg", 1.0, ORIGIN_US))
    for a, b in zip(now, later, strict=True):
        np.testing.assert_array_equal(a.times_us + ORIGIN_US, b.times_us)
        assert a.values.tobytes() == b.values.tobytes()


def test_an_unbroken_recording_is_open_between_its_segments(ecg_wave: Wave, cut: Cut) -> None:
    first, second, third = analyse(
        cut(ecg_wave(3750, FS, np.arange(0.4, 29.5, 0.8)), FS, "ecg", 1.0)
    )
    assert (first.open_left, first.open_right) == (False, True)
    assert (second.open_left, second.open_right) == (True, True)
    assert third.open_left
    assert second.coverage == 1.0
    assert set(second.run.tolist()) == {0}


def test_beats_on_two_sides_of_a_gap_are_of_different_runs(ecg_wave: Wave, cut: Cut) -> None:
    x = ecg_wave(3750, FS, np.arange(0.4, 29.5, 0.8))
    x[1800:1925] = np.nan  # 14.4 s to 15.4 s
    middle = analyse(cut(x, FS, "ecg", 1.0))[1]
    before = middle.times_us < 14_400_000
    assert set(middle.run[before].tolist()) == {0}
    assert set(middle.run[~before].tolist()) == {1}
    assert (middle.open_left, middle.open_right) == (True, True)
    assert middle.coverage == pytest.approx(0.9)
    assert middle.reason is FeatureReason.OK


def test_a_gap_near_the_end_closes_the_segment_though_its_last_run_has_no_beat(
    ecg_wave: Wave, cut: Cut
) -> None:
    #   |<-- core: beats ... beats  [gap]  .|<-- next core
    x = ecg_wave(3750, FS, np.arange(0.4, 29.5, 0.8))
    x[2300:2490] = np.nan  # 18.4 s to 19.92 s
    first, second, third = analyse(cut(x, FS, "ecg", 1.0))
    assert not second.open_right
    assert first.open_right
    assert third.coverage == 1.0


def test_a_gap_over_the_border_closes_both_sides(ecg_wave: Wave, cut: Cut) -> None:
    x = ecg_wave(3750, FS, np.arange(0.4, 29.5, 0.8))
    x[1240:1260] = np.nan
    first, second, _ = analyse(cut(x, FS, "ecg", 1.0))
    assert not first.open_right
    assert not second.open_left


@pytest.mark.parametrize("signal", ["ecg", "ppg", "resp"])
@pytest.mark.parametrize(
    ("level", "reason"), [(np.nan, FeatureReason.GAP), (2.5, FeatureReason.FLAT)]
)
def test_a_dead_signal_says_why(cut: Cut, signal: str, level: float, reason: FeatureReason) -> None:
    for part in analyse(cut(np.full(2500, level), FS, signal, CONTEXT_S[signal])):
        assert part.reason is reason
        assert part.quality == 0.0
        if signal != "resp":
            assert len(part.times_us) == 0


@pytest.mark.parametrize("signal", ["ecg", "ppg", "resp"])
def test_white_noise_does_not_pass_the_gate(cut: Cut, signal: str) -> None:
    noise = np.random.default_rng(3).normal(size=12_500)
    for part in analyse(cut(noise, FS, signal, CONTEXT_S[signal])):
        assert part.reason in {FeatureReason.NOISE, FeatureReason.TOO_FEW_BEATS}


def test_silence_with_a_trace_of_noise_has_too_few_beats_or_noise(cut: Cut) -> None:
    """Asystole must be seen: never as a gap."""
    line = np.random.default_rng(3).normal(0, 0.003, 3750)
    for part in analyse(cut(line, FS, "ecg", 1.0)):
        assert part.reason in {FeatureReason.NOISE, FeatureReason.TOO_FEW_BEATS}
        assert part.coverage == 1.0


def test_the_breath_wave_is_on_the_grid_of_the_clock_at_4_hz(cut: Cut) -> None:
    t = np.arange(3750) / FS
    parts = analyse(cut(np.sin(2 * np.pi * 0.25 * t), FS, "resp", 2.0))
    assert [len(part.times_us) for part in parts] == [40, 40, 40]
    wave = np.concatenate([part.values for part in parts])
    at = np.concatenate([part.times_us for part in parts])
    np.testing.assert_array_equal(at, np.arange(120) * 250_000)
    middle = slice(8, -8)
    np.testing.assert_allclose(wave[middle], np.sin(2 * np.pi * 0.25 * at[middle] / 1e6), atol=0.02)


def test_only_measurements_of_a_scalar_are_kept(cut: Cut) -> None:
    x = np.array([97, 96, 0, np.nan, 98, 400, 95, 95, 94, 2.0])
    (part,) = analyse(cut(x, 1.0, "hr", 0.0))
    assert part.values.tolist() == [97, 96, 98, 95, 95, 94]
    assert (part.times_us // 1_000_000).tolist() == [0, 1, 4, 6, 7, 8]
    assert part.run.tolist() == [0, 0, 1, 2, 2, 2]
    assert (part.open_left, part.open_right) == (True, False)
    assert part.coverage == pytest.approx(0.6)
    assert part.reason is FeatureReason.OK


def test_a_scalar_of_impossible_values_is_of_low_quality_not_missing(cut: Cut) -> None:
    (part,) = analyse(cut(np.zeros(10), 1.0, "hr", 0.0))
    assert part.reason is FeatureReason.LOW_QUALITY
    (part,) = analyse(cut(np.full(10, np.nan), 1.0, "hr", 0.0))
    assert part.reason is FeatureReason.GAP


@pytest.mark.parametrize(("unit", "one_g"), [("g", 1.0), ("mg", 1000.0), ("m/s2", 9.80665)])
def test_acceleration_is_in_g(cut: Cut, unit: str, one_g: float) -> None:
    x, y, z = (cut(np.full(320, v * one_g), 32.0, "acc_x", 0.0)[0] for v in (0.6, 0.8, 0.75))
    (part,) = analyse_motion([Triple(*(axis._replace(unit=unit) for axis in (x, y, z)))])
    assert (part.signal, part.reason, part.coverage) == ("acc", FeatureReason.OK, 1.0)
    assert part.stats[NUMBERS.index("enmo_mg")] == pytest.approx(250, rel=1e-5)
    assert part.stats[NUMBERS.index("n")] == 320


def test_movement_uses_samples_all_axes_have(cut: Cut) -> None:
    x = np.full(320, 1.0)
    holed = np.where(np.arange(320) < 80, np.nan, 0.0)
    axes = [cut(one, 32.0, "acc_x", 0.0)[0] for one in (x, holed, np.zeros(320))]
    (part,) = analyse_motion([Triple(*axes)])
    assert part.stats[NUMBERS.index("n")] == 240
    assert part.coverage == pytest.approx(0.75)


def test_axes_of_unlike_rates_are_a_gap(cut: Cut) -> None:
    fast, slow = (cut(np.zeros(n), fs, "acc_x", 0.0)[0] for n, fs in ((320, 32.0), (250, 25.0)))
    (part,) = analyse_motion([Triple(fast, fast, slow)])
    assert (part.signal, part.reason) == ("acc", FeatureReason.GAP)


def test_a_triple_gives_the_same_bits_in_any_company(cut: Cut) -> None:
    rng = np.random.default_rng(1)
    segments = [cut(rng.normal(0.5, 0.2, 3200), 32.0, "acc_x", 0.0) for _ in range(3)]
    triples = [Triple(*axes) for axes in zip(*segments, strict=True)]
    for one, alone in zip(analyse_motion(triples), triples, strict=True):
        _assert_same(one, analyse_motion([alone])[0])


@pytest.mark.parametrize("signal", ["ecg_v", *(s for s in SIGNALS if "ecg_" not in s), "unheard"])
@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 0.01, 1.0, 25.0, 333.3, 2000.0])
@pytest.mark.parametrize("n", [0, 1, 2, 40, 3000])
def test_no_samples_raise(signal: str, fs_hz: float, n: int) -> None:
    rng = np.random.default_rng(n)
    hard = [
        np.zeros(n),
        np.full(n, np.nan),
        np.full(n, np.inf),
        rng.normal(size=n) * 1e38,
        rng.normal(size=n) * 1e-45,
        np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        np.where(rng.random(n) < 0.5, -32768, 32767),
    ]
    segments = [
        Segment("p", "d", signal, 0, 10_000_000, fs_hz, "", first, x.astype(np.float32))
        for x in hard
        for first in (0.0, -1e6, 2e7)
    ]
    moved = signal in AXES
    parts = analyse_motion([Triple(*[s] * 3) for s in segments]) if moved else analyse(segments)
    assert len(parts) == len(segments)
    for part in parts:
        assert np.isfinite(part.values).all()
        assert np.isfinite([part.coverage, part.quality]).all()


def test_the_segments_are_not_changed(ecg_wave: Wave, ppg_wave: Wave, cut: Cut) -> None:
    segments = _mixed(ecg_wave, ppg_wave, cut)
    before = [segment.samples.tobytes() for segment in segments]
    analyse(segments)
    assert [segment.samples.tobytes() for segment in segments] == before


@pytest.mark.data
@pytest.mark.parametrize(("signal", "detect"), [("ecg", detect_r_peaks), ("ppg", detect_pulses)])
def test_segments_give_the_beats_of_the_whole_recording(
    bidmc: list[Any], cut: Cut, signal: str, detect: Callable[..., Floats]
) -> None:
    missed = total = 0
    for record in bidmc[:12]:
        x = record.signals[signal]
        whole_us = detect(x, record.fs_hz) * 1e6 / record.fs_hz
        whole_us = whole_us[(whole_us > 2e6) & (whole_us < 478e6)]
        parts = analyse(cut(x, record.fs_hz, signal, CONTEXT_S[signal]))
        found = _beats(parts, 0.25 if signal == "ecg" else 0.30)
        after = np.searchsorted(found, whole_us).clip(1, len(found) - 1)
        nearest = np.minimum(np.abs(found[after] - whole_us), np.abs(whole_us - found[after - 1]))
        missed, total = missed + int((nearest > 4000).sum()), total + len(whole_us)
    assert missed <= 0.002 * total


@pytest.mark.data
def test_heart_rate_of_bidmc_agrees_with_the_bedside_monitor(bidmc: list[Any], cut: Cut) -> None:
    """Lead II, all 60 s windows every 10 s; the gate keeps nearly all of it."""
    errors, passed = [], 0
    for record in bidmc:
        parts = analyse(cut(record.signals["ecg"], record.fs_hz, "ecg", 2.0))
        passed += sum(part.reason is FeatureReason.OK for part in parts[:48])
        beats_us = _beats(parts)
        for start in range(0, 421, 10):
            inside = (beats_us[1:] >= start * 1e6) & (beats_us[1:] < (start + 60) * 1e6)
            rate = 6e7 / np.diff(beats_us)[inside].mean()
            errors.append(rate - np.nanmean(record.hr[start : start + 60]))
    assert passed >= 0.985 * 48 * len(bidmc)
    assert len(errors) == 43 * len(bidmc)
    assert np.abs(errors).mean() <= 0.5
    assert np.mean(np.abs(errors) <= 5) >= 0.99

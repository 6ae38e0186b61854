"""One patient's windows are drawn from ideal primitives; a law each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.align import FeatureBatch
from features.analyse import analyse
from features.catalog import CATALOG, INDEX, FeatureReason
from features.concepts import CONCEPTS
from features.extract import extract
from features.feature import VALUED
from features.follow import Care, follow
from features.layout import SEGMENT_NUMBERS, shape_of
from features.memory import Memory
from features.primitives import Primitives
from features.signals import MOTION, SignalKind
from streams.windows import Window

NUMBERS = SEGMENT_NUMBERS[SignalKind.MOTION]
SEGMENT_SHAPE = shape_of(MOTION)
S = 1_000_000
CORE = 10 * S
OK = FeatureReason.OK


def window(end_s: float, name: str = "60s") -> Window:
    end_us = round(end_s * S)
    return Window("p", name, end_us - {"60s": 60, "300s": 300}[name] * S, end_us, end_us)


def segments(
    times_s: NDArray[np.float64],
    values: NDArray[np.float64] | float = 1.0,
    signal: str = "ecg",
    until_s: int = 60,
    **changes: Any,
) -> list[Primitives]:
    """Events as a gap-free signal from 0 to `until_s`."""
    times_us = np.round(np.asarray(times_s) * S).astype(np.int64)
    all_values = np.broadcast_to(np.asarray(values, np.float64), times_us.shape)
    made = []
    for start_us in range(0, until_s * S, CORE):
        own = (times_us >= start_us) & (times_us < start_us + CORE)
        p = Primitives(
            "d", signal, start_us, start_us + CORE, 1.0, 0.9, OK,
            times_us[own], all_values[own].copy(), np.zeros(own.sum(), np.int16), True, True,
        )  # fmt: skip
        made.append(p._replace(**changes))
    return made


def rings(*parts: Iterable[Primitives]) -> Memory:
    made = Memory()
    for part in parts:
        for p in part:
            made.rings.insert(p)
    return made


def look(
    of: Memory, name: str, at: Window | None = None
) -> tuple[float, FeatureReason, int, float]:
    """Value, reason, n and coverage of one feature."""
    rows = [(of, window(60) if at is None else at)]
    batch = extract(rows)
    follow(rows, batch, [Care(False, np.full(len(CONCEPTS), np.nan), np.zeros(len(CONCEPTS), int))])
    j = INDEX[name]
    reason = FeatureReason(int(batch.reason[0, j]))
    return float(batch.value[0, j]), reason, int(batch.n[0, j]), float(batch.coverage[0, j])


def beats(rate_bpm: float, until_s: float = 60, first_s: float = 0.1) -> NDArray[np.float64]:
    return np.arange(first_s, until_s, 60 / rate_bpm)


def bits(batch: FeatureBatch) -> list[list[bytes]]:
    return [[column[i].tobytes() for column in batch[1:]] for i in range(len(batch.windows))]


@pytest.mark.parametrize("rate_bpm", [12, 15, 20, 40, 75, 150, 230])
def test_the_heart_rate_is_that_of_the_beats(rate_bpm: int) -> None:
    value, reason, n, coverage = look(rings(segments(beats(rate_bpm))), "ecg_hr_bpm")
    assert reason == OK
    assert value == pytest.approx(rate_bpm, rel=1e-4)
    assert n == beats(rate_bpm).size - 1
    assert coverage > 0.9


def test_the_pulse_rate_is_that_of_the_pulses() -> None:
    value, reason, _, _ = look(rings(segments(beats(80), signal="ppg")), "ppg_pulse_rate_bpm")
    assert (reason, value) == (OK, pytest.approx(80, rel=1e-4))


def test_an_interval_belongs_to_the_window_of_its_end_beat() -> None:
    # segment 50-60 s     | window 60-120 s
    #          59.6 -------- 60.4: of this window
    of = rings(segments(np.arange(0.4, 120, 0.8), until_s=120))
    first, second = look(of, "ecg_hr_bpm"), look(of, "ecg_hr_bpm", window(120))
    assert first[2] + second[2] == np.arange(0.4, 120, 0.8).size - 1
    assert second[2] == 75


def test_a_gap_is_never_bridged() -> None:
    whole = segments(beats(75))
    hole = [whole[0], whole[1], whole[4], whole[5]]
    value, reason, n, _ = look(rings(hole), "ecg_hr_bpm")
    assert reason == OK
    assert value == pytest.approx(75, rel=1e-4)
    assert n == sum(p.times_us.size for p in hole) - 2


@pytest.mark.parametrize("side", ["open_left", "open_right"])
def test_a_closed_border_is_a_gap(side: str) -> None:
    whole = segments(beats(75))
    whole[3] = whole[3]._replace(**{side: False})
    assert look(rings(whole), "ecg_hr_bpm")[2] == beats(75).size - 2


def test_runs_inside_a_segment_are_not_joined() -> None:
    whole = segments(beats(75))
    run = (np.arange(whole[3].times_us.size) > 4).astype(np.int16)
    whole[3] = whole[3]._replace(run=run)
    assert look(rings(whole), "ecg_hr_bpm")[2] == beats(75).size - 2


def test_a_segment_that_failed_is_a_gap_though_it_has_beats() -> None:
    whole = segments(beats(75))
    whole[2] = whole[2]._replace(reason=FeatureReason.NOISE)
    n = look(rings(whole), "ecg_hr_bpm")[2]
    assert n == sum(whole[k].times_us.size for k in (0, 1, 3, 4, 5)) - 2


@pytest.mark.parametrize(
    ("amplitudes", "kept_s"), [((1.0, 2.0), 20.05), ((2.0, 1.0), 19.9), ((1.0, 1.0), 19.9)]
)
def test_a_beat_seen_on_both_sides_of_a_border_counts_once(
    amplitudes: tuple[float, float], kept_s: float
) -> None:
    times = np.array([*np.arange(0.7, 19.5, 0.8), 19.9, 20.05, *np.arange(20.7, 60, 0.8)])
    values = np.ones(times.size)
    twice = np.flatnonzero((times > 19.8) & (times < 20.1))
    values[twice] = amplitudes
    of = rings(segments(times, values))
    expected = times[~np.isin(times, np.setdiff1d(times[twice], [kept_s]))]
    value, reason, n, _ = look(of, "ecg_hr_bpm")
    assert (reason, n) == (OK, expected.size - 1)
    assert value == pytest.approx(60 * (expected.size - 1) / (expected[-1] - expected[0]))


def test_beats_300_ms_apart_at_a_border_are_two() -> None:
    assert look(rings(segments(np.arange(0.05, 60, 0.3))), "ecg_hr_bpm")[2] == 199


@pytest.mark.parametrize("n_beats", [0, 1, 2, 5])
def test_few_beats_in_a_whole_recording_are_too_few(n_beats: int) -> None:
    value, reason, _, _ = look(rings(segments(np.arange(n_beats) * 0.8)), "ecg_hr_bpm")
    assert np.isnan(value)
    assert reason == FeatureReason.TOO_FEW_BEATS


def test_a_patient_without_the_signal_has_no_signal() -> None:
    assert look(Memory(), "ecg_hr_bpm")[1] == FeatureReason.NO_SIGNAL
    assert look(rings(segments(beats(75))), "spo2_mean_pct")[1] == FeatureReason.NO_SIGNAL


def test_a_signal_that_was_there_before_is_a_gap() -> None:
    of = rings(segments(beats(75)))
    assert look(of, "ecg_hr_bpm", window(600))[1] == FeatureReason.GAP


def test_a_signal_that_began_in_the_window_is_too_short() -> None:
    of = rings(segments(beats(75))[-2:])
    assert look(of, "ecg_hr_bpm")[1] == FeatureReason.TOO_SHORT


@pytest.mark.parametrize(
    "why", [FeatureReason.FLAT, FeatureReason.CLIP, FeatureReason.NOISE, FeatureReason.LOW_QUALITY]
)
def test_the_reason_is_what_most_time_was_lost_to(why: FeatureReason) -> None:
    whole = segments(beats(75))
    bad = [p._replace(reason=why) for p in whole[1:5]]
    assert look(rings(whole[:1], bad), "ecg_hr_bpm")[1] == why


def test_a_feature_of_another_window_has_no_value() -> None:
    batch = extract([(rings(segments(beats(75))), window(60))])
    for j, feature in enumerate(CATALOG):
        assert (batch.reason[0, j] == FeatureReason.OTHER_WINDOW) == ("60s" not in feature.windows)


def modulated(until_s: float = 300) -> NDArray[np.float64]:
    """Beats of NN = 800 + 30 sin(2 pi 0.1 t) + 20 sin(2 pi 0.25 t)."""
    times, t = [], 0.1
    while t < until_s:
        times.append(t)
        end = t + 0.8
        for _ in range(40):
            wave = 30 * np.sin(2 * np.pi * 0.1 * end) + 20 * np.sin(2 * np.pi * 0.25 * end)
            end = t + (800 + wave) / 1000
        t = end
    return np.array(times)


def test_variability_of_a_known_rhythm() -> None:
    of = rings(segments(modulated(), until_s=300))
    at = window(300, "300s")
    assert look(of, "ecg_lf_ms2", at)[0] == pytest.approx(450, rel=0.02)
    assert look(of, "ecg_hf_ms2", at)[0] == pytest.approx(200, rel=0.02)
    assert look(of, "ecg_lf_hf", at)[0] == pytest.approx(2.25, rel=0.03)
    assert look(of, "ecg_sdnn_ms", at)[0] == pytest.approx(np.sqrt(650), rel=0.02)
    assert look(of, "ecg_pnn50_pct", at)[0] == 0.0


def test_variability_refuses_too_little_of_the_window() -> None:
    whole = segments(modulated(), until_s=300)
    late = rings(whole[-12:])
    assert look(late, "ecg_rmssd_ms", window(300, "300s"))[1] == FeatureReason.TOO_SHORT
    holed = rings(whole[:11], whole[21:])
    assert look(holed, "ecg_rmssd_ms", window(300, "300s"))[1] == OK
    assert look(holed, "ecg_lf_ms2", window(300, "300s"))[1] == FeatureReason.GAP


def test_variability_refuses_too_many_artefacts() -> None:
    rr = np.full(420, 0.8)
    rr[::7] = 1.6  # every seventh beat missed
    rr[3::7] = 0.3
    of = rings(segments(0.1 + np.cumsum(rr), until_s=300))
    value, reason, n, _ = look(of, "ecg_sdnn_ms", window(300, "300s"))
    assert np.isnan(value)
    assert n > 100
    assert reason == FeatureReason.ARTEFACT_PCT


def breathing(rate_per_min: float, until_s: int = 60) -> list[Primitives]:
    t = np.arange(0, until_s, 0.25)
    return segments(t, np.sin(2 * np.pi * rate_per_min / 60 * t), "resp", until_s)


@pytest.mark.parametrize("rate_per_min", [8, 15, 30])
def test_the_respiration_rate_is_that_of_the_wave(rate_per_min: int) -> None:
    value, reason, n, coverage = look(rings(breathing(rate_per_min)), "resp_rate_per_min")
    assert (reason, coverage) == (OK, 1.0)
    assert rate_per_min - 3 < n <= rate_per_min  # whole breaths in the minute
    assert value == pytest.approx(rate_per_min, rel=0.03)


def test_respiration_needs_half_of_the_window() -> None:
    whole = breathing(15)
    assert look(rings(whole[:3]), "resp_rate_per_min")[1] == OK
    assert look(rings(whole[:2]), "resp_rate_per_min")[1] == FeatureReason.GAP


def test_a_wave_without_breaths_has_no_rate() -> None:
    t = np.arange(0, 60, 0.25)
    of = rings(segments(t, 0.0, "resp"))
    assert look(of, "resp_rate_per_min")[1] == FeatureReason.TOO_FEW_BEATS


@pytest.mark.parametrize(
    ("name", "signal", "value"),
    [
        ("hr_mean_bpm", "hr", 80.0),
        ("pulse_mean_bpm", "pulse", 81.0),
        ("resp_device_per_min", "resp_rate", 16.0),
    ],
)
def test_numbers_of_devices_are_averaged(name: str, signal: str, value: float) -> None:
    t = np.arange(60.0)
    of = rings(segments(t, value + np.where(t % 2, 0.5, -0.5), signal))
    assert look(of, name)[:3] == (pytest.approx(value), OK, 60)


def measured(signal: str, value: float) -> list[Primitives]:
    """A minute of a number that leaves no events."""
    stats = np.full(shape_of(signal).n_stats, value, np.float32)
    return segments(np.empty(0), signal=signal, stats=stats)


@pytest.mark.parametrize(
    ("name", "signal", "value", "n"),
    [("spo2_mean_pct", "spo2", 97.0, 60), ("temp_mean_c", "temp", 36.8, 6)],
)
def test_numbers_of_segments_become_levels(name: str, signal: str, value: float, n: int) -> None:
    of = rings(measured(signal, value))
    assert look(of, name)[:3] == (pytest.approx(value), OK, n)


@pytest.mark.parametrize("name", ["spo2_mean_pct", "hr_mean_bpm", "temp_mean_c"])
def test_ten_seconds_of_samples_are_enough(name: str) -> None:
    signal = CATALOG[INDEX[name]].signal
    events, level = signal == "hr", 97.0 if signal == "spo2" else 37.0
    whole = segments(np.arange(60.0), 40.0, "hr") if events else measured(signal, level)
    assert look(rings(whole[2:3]), name)[1] == OK
    missing = whole[2]._replace(reason=FeatureReason.GAP, coverage=0.0)
    assert look(rings(whole[:0], [missing]), name)[1] == FeatureReason.GAP


def test_less_than_ten_seconds_is_not() -> None:
    most = segments(np.arange(60.0), 80.0, "hr")[2]._replace(coverage=0.9)
    assert look(rings([most]), "hr_mean_bpm")[1] == FeatureReason.GAP


def test_a_value_outside_its_declared_range_is_undefined() -> None:
    of = rings(measured("spo2", 101.0))
    assert look(of, "spo2_mean_pct")[1] == FeatureReason.UNDEFINED


def epochs(enmo_mg: float, n: int, **changes: Any) -> list[Primitives]:
    """A minute of movement, n samples in each 10 s."""
    stats = np.full(SEGMENT_SHAPE.n_stats, np.nan, np.float32)
    stats[NUMBERS.index("enmo_mg")], stats[NUMBERS.index("n")] = enmo_mg, n
    stats[NUMBERS.index("coverage")] = 1.0
    return segments(np.empty(0), signal=MOTION, stats=stats, **changes)


def test_movement_is_the_mean_over_all_samples() -> None:
    more = epochs(100, 300)[:3] + epochs(400, 100)[3:]
    assert look(rings(more), "acc_enmo_mg")[:3] == (pytest.approx(175), OK, 1200)


def test_movement_that_failed_is_told_why() -> None:
    flat = epochs(100, 300, reason=FeatureReason.LOW_QUALITY)
    assert look(rings(flat), "acc_enmo_mg")[1] == FeatureReason.LOW_QUALITY


def ward(seed: int, until_s: int = 320) -> Memory:
    """A patient with everything, irregular, holes and failures included."""
    rng = np.random.default_rng(seed)
    t = np.arange(0, until_s, 0.25)
    beat_s = 0.2 + np.cumsum(rng.normal(0.8, 0.05, int(until_s / 0.7)))
    parts = [
        segments(beat_s, rng.uniform(0.5, 2, beat_s.size), "ecg", until_s),
        segments(beat_s + 0.2, rng.uniform(0.5, 2, beat_s.size), "ppg", until_s),
        segments(t, np.sin(1.5 * t + seed), "resp", until_s),
        segments(t[::4], rng.uniform(90, 99, t[::4].size), "spo2", until_s),
        segments(t[::4], rng.uniform(60, 99, t[::4].size), "hr", until_s),
        [
            p._replace(stats=rng.uniform(1, 9, SEGMENT_SHAPE.n_stats).astype(np.float32))
            for p in segments(t[:0], signal=MOTION, until_s=until_s)
        ],
    ]
    made = [p for part in parts for p in part]
    bad = rng.random(len(made))
    reasons = [FeatureReason.NOISE if b < 0.05 else OK for b in bad]
    return rings(
        p._replace(reason=reason, quality=1 - b)
        for p, reason, b in zip(made, reasons, bad, strict=True)
        if b < 0.95
    )


def test_a_batch_gives_the_bits_of_its_rows_alone() -> None:
    rows = [
        (ward(seed), window(end, name))
        for seed in range(20)
        for end, name in ((60, "60s"), (110, "60s"), (300, "300s"), (320, "60s"))
    ]
    rows += [(Memory(), window(60)), (rings(segments(beats(75)[:2])), window(60))]
    together = bits(extract(rows))
    assert together == [bits(extract([row]))[0] for row in rows]
    assert together[::-1] == bits(extract(rows[::-1]))


def test_shifting_time_by_whole_segments_changes_no_bit() -> None:
    shift_us = 179_012_345 * CORE
    here, there = ward(3), Memory()
    for p in here.rings.primitives():
        moved = p._replace(
            start_us=p.start_us + shift_us,
            end_us=p.end_us + shift_us,
            times_us=p.times_us + shift_us,
        )
        there.rings.insert(moved)
    for at in (window(60), window(300, "300s")):
        later = at._replace(start_us=at.start_us + shift_us, end_us=at.end_us + shift_us)
        assert bits(extract([(here, at)])) == bits(extract([(there, later)]))


@pytest.mark.parametrize("gain", [0.001, 1000.0])
def test_the_gain_of_a_wave_changes_nothing(gain: float) -> None:
    plain, louder = ward(4), Memory()
    for p in plain.rings.primitives():
        if p.signal in ("ecg", "ppg", "resp"):
            louder.rings.insert(p._replace(values=p.values * gain))
    for name in ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "resp_wave_rate_per_min"):
        one, other = (look(of, name, window(120)) for of in (plain, louder))
        assert one[0] == pytest.approx(other[0], rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_segments_changes_nothing(seed: int) -> None:
    here, there = ward(seed), Memory()
    found = list(here.rings.primitives())
    for i in np.random.default_rng(seed).permutation(len(found)):
        there.rings.insert(found[i])
    rows = [window(120), window(300, "300s")]
    assert bits(extract([(here, w) for w in rows])) == bits(extract([(there, w) for w in rows]))


@pytest.mark.parametrize("end_s", [60, 95, 200])
def test_nothing_after_the_window_changes_it(end_s: int) -> None:
    past, full = Memory(), ward(6)
    for p in full.rings.primitives():
        if p.end_us <= end_s * S:
            past.rings.insert(p)
    at = window(end_s)
    assert bits(extract([(past, at)])) == bits(extract([(full, at)]))
    assert bits(extract([(Memory(), window(-60))])) == bits(extract([(full, window(-60))]))


def test_restored_rings_give_the_same_bits() -> None:
    one = ward(7)
    rows = [window(120), window(300, "300s")]
    again = Memory.from_state(one.to_state())
    assert bits(extract([(one, w) for w in rows])) == bits(extract([(again, w) for w in rows]))


def test_primitives_are_not_changed() -> None:
    one = ward(8)
    before = one.to_state()
    extract([(one, window(120)), (one, window(300, "300s"))])
    assert one.to_state() == before


def test_an_empty_batch_is_empty() -> None:
    batch = extract([])
    assert batch.windows == ()
    assert batch.value.shape == (0, len(CATALOG))


anything = st.floats(allow_nan=True, allow_infinity=True, width=32)
signals = st.sampled_from(sorted({f.signal for f in CATALOG} | {"acc", "ecg_v", "other"}))


@st.composite
def any_primitives(draw: Callable[..., Any]) -> Primitives:
    n = draw(st.integers(0, 40))
    start_us = draw(st.integers(-3, 35)) * CORE + draw(st.sampled_from([0, 0, 0, 3 * S]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    times_us = start_us + rng.integers(-S, CORE + S, n)
    if draw(st.booleans()):
        times_us.sort()
    values = rng.normal(0, 1, n) * draw(st.sampled_from([1.0, 1e30, 0.0]))
    if n and draw(st.booleans()):
        values[rng.integers(n)] = draw(anything)
    reason = draw(st.sampled_from([OK, OK, OK, *FeatureReason]))
    return Primitives(
        draw(st.sampled_from("ab")), draw(signals), start_us, start_us + CORE,
        draw(anything | st.just(1.0)), draw(anything | st.just(1.0)), reason, times_us, values,
        rng.integers(0, 3, n).astype(np.int16), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(any_primitives(), max_size=40), st.integers(0, 30))
def test_whatever_primitives_hold_the_result_is_in_range_or_missing(
    made: list[Primitives], end_s: int
) -> None:
    of = rings(made)
    batch = extract([(of, window(end_s * 10)), (of, window(end_s * 10, "300s"))])
    given_one = np.isin(batch.reason, VALUED)
    assert (np.isfinite(batch.value) == given_one).all()
    assert (np.isnan(batch.value) == ~given_one).all()
    low, high = (np.array([getattr(f, side) for f in CATALOG]) for side in ("lo", "hi"))
    assert ((batch.value >= low) & (batch.value <= high))[given_one].all()
    for share in (batch.quality, batch.coverage):
        assert ((share >= 0) & (share <= 1)).all()
    assert (batch.n >= 0).all()


@pytest.mark.data
def test_heart_rates_of_real_recordings_agree_with_the_bedside_monitor(
    bidmc: list[Any], cut: Callable[..., Any]
) -> None:
    chosen = bidmc[::5]  # every fifth record: seconds, not minutes
    rows, reference = [], []
    for record in chosen:
        made = rings(analyse(cut(record.signals["ecg"], record.fs_hz, "ecg", 1.0)))
        for end_s in range(60, 481, 10):
            rows.append((made, window(end_s)))
            monitor = record.hr[end_s - 60 : end_s]
            reference.append(monitor[monitor > 0].mean())
    error = np.abs(extract(rows).value[:, INDEX["ecg_hr_bpm"]] - np.array(reference))
    assert np.isfinite(error).mean() > 0.99
    assert np.nanmean(error) < 0.6
    assert np.mean(error[np.isfinite(error)] <= 5) >= 0.99

"""R peaks and pulses: found where they are, whatever the unit, the company or the gaps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.beats import ECG_REFRACTORY_S, detect_pulses, detect_r_peaks

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
FS = 250.0
BEAT_SYMBOLS = set("NLRBAaJSVrFejnE/fQ?")


def _times(n_s: float = 60.0, seed: int = 1) -> Floats:
    """Beats about 0.8 s apart, from 0.6 s to 0.6 s before the end."""
    steps = np.random.default_rng(seed).normal(0.8, 0.03, round(n_s / 0.8) + 10)
    times = 0.6 + np.cumsum(steps)
    return times[times < n_s - 0.6]


def _matched(truth: Floats, found: Floats, within: float) -> int:
    """How many of `truth` have their own one of `found` within reach (both ascending)."""
    i = j = hits = 0
    while i < len(truth) and j < len(found):
        if abs(found[j] - truth[i]) <= within:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[j] < truth[i]:
            j += 1
        else:
            i += 1
    return hits


@pytest.fixture(scope="module")
def ecg(ecg_wave: Wave) -> Floats:
    return ecg_wave(15_000, FS, _times())


@pytest.fixture(scope="module")
def ppg(ppg_wave: Wave) -> Floats:
    return ppg_wave(15_000, FS, _times())


def test_every_r_peak_is_found_once_to_a_millisecond(ecg: Floats) -> None:
    found = detect_r_peaks(ecg, FS)
    assert len(found) == len(_times())
    error_ms = (found / FS - _times()) * 1e3
    assert np.abs(error_ms - np.median(error_ms)).max() < 1.0


def test_every_pulse_is_found_once_to_two_milliseconds(ppg: Floats) -> None:
    found = detect_pulses(ppg, FS)
    assert len(found) == len(_times())
    error_ms = (found / FS - _times()) * 1e3
    assert np.abs(error_ms - np.median(error_ms)).max() < 2.0


@pytest.mark.parametrize("fs_hz", [25.0, 32.0, 64.0, 125.0, 360.0, 499.7, 1000.0, 2000.0])
def test_beats_are_found_at_every_rate_of_a_device(
    ecg_wave: Wave, ppg_wave: Wave, fs_hz: float
) -> None:
    n = round(30 * fs_hz)
    assert len(detect_r_peaks(ecg_wave(n, fs_hz, _times(30)), fs_hz)) == len(_times(30))
    assert len(detect_pulses(ppg_wave(n, fs_hz, _times(30)), fs_hz)) == len(_times(30))


@pytest.mark.parametrize("per_min", [15, 20, 40, 120, 200, 240, 260])
def test_the_slowest_and_the_fastest_heart_are_counted(
    ecg_wave: Wave, ppg_wave: Wave, per_min: float
) -> None:
    """A detector that misses every second beat would turn an emergency into a normal rate."""
    at = np.arange(0.5, 29.3, 60 / per_min)
    narrow = min(1.0, 60 / per_min / 0.8)  # a pulse shortens with the beat
    assert len(detect_r_peaks(ecg_wave(7500, FS, at), FS)) == len(at)
    squeezed = ppg_wave(7500, FS * narrow, at / narrow)
    found = detect_pulses(squeezed, FS)
    assert abs(len(found) - len(at)) <= max(1, 0.03 * len(at))
    assert np.diff(found).min() > 0.8 * 60 / per_min * FS


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("detect", [detect_r_peaks, detect_pulses])
def test_a_row_does_not_depend_on_its_neighbours(
    detect: Callable[..., list[Floats]], ecg: Floats, size: int
) -> None:
    rng = np.random.default_rng(size)
    rows = np.stack([np.roll(ecg[:3000], 31 * i) * (i + 1) for i in range(size)])
    rows += rng.normal(0, 0.02, rows.shape)
    rows[size // 2, 1000:1003] = np.nan
    for row, together in zip(rows, detect(rows, FS), strict=True):
        np.testing.assert_array_equal(detect(row, FS), together)
        np.testing.assert_array_equal(detect(row[None], FS)[0], together)


@pytest.mark.parametrize("gain", [1000.0, -1.0, -0.001])
def test_r_peaks_do_not_depend_on_gain_offset_or_polarity(ecg: Floats, gain: float) -> None:
    np.testing.assert_allclose(
        detect_r_peaks(gain * ecg + 17.0 * abs(gain), FS), detect_r_peaks(ecg, FS), atol=1e-6
    )


def test_pulses_do_not_depend_on_gain_or_offset(ppg: Floats) -> None:
    np.testing.assert_allclose(
        detect_pulses(300.0 * ppg - 40.0, FS), detect_pulses(ppg, FS), atol=1e-6
    )


def test_a_shift_in_time_shifts_the_beats(ecg: Floats) -> None:
    whole = detect_r_peaks(ecg, FS)
    later = detect_r_peaks(ecg[500:], FS) + 500
    inside = later[later > 750]
    np.testing.assert_allclose(inside, whole[-len(inside) :], atol=0.05)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64, ">i2", ">f4"])
def test_the_type_of_the_samples_does_not_matter(ecg: Floats, kind: str) -> None:
    counts = np.rint(ecg * 1000)
    np.testing.assert_allclose(
        detect_r_peaks(counts.astype(kind), FS), detect_r_peaks(counts, FS), atol=1e-6
    )


def test_a_strided_view_gives_the_same_beats(ecg: Floats) -> None:
    interleaved = np.stack([ecg, -ecg], axis=1)
    np.testing.assert_array_equal(detect_r_peaks(interleaved[:, 0], FS), detect_r_peaks(ecg, FS))


@pytest.mark.parametrize("detect", [detect_r_peaks, detect_pulses])
def test_the_samples_are_not_changed(detect: Callable[..., Floats], ecg: Floats) -> None:
    mine = ecg.copy()
    mine[100:102] = np.nan
    before = mine.copy()
    detect(mine, FS)
    np.testing.assert_array_equal(mine, before)


@pytest.mark.parametrize("length", [1, 3, 25, 250, 2500])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_gap_costs_only_beats_within_a_second_of_it(
    ecg: Floats, length: int, hole: float
) -> None:
    holed = ecg.copy()
    holed[6000 : 6000 + length] = hole
    near = lambda b: (b > 6000 - FS) & (b < 6000 + length + FS)  # noqa: E731
    whole, found = detect_r_peaks(ecg, FS), detect_r_peaks(holed, FS)
    np.testing.assert_allclose(found[~near(found)], whole[~near(whole)], atol=0.05)
    assert not np.any((found >= 6000) & (found < 6000 + length) & (length > 5))


def test_three_single_missing_samples_cost_nothing(ecg: Floats) -> None:
    holed = ecg.copy()
    holed[[3000, 7001, 11_003]] = np.nan
    assert len(detect_r_peaks(holed, FS)) == len(_times())


@pytest.mark.parametrize("samples", [1, 5, 25])
def test_an_artefact_of_50_mv_costs_only_beats_within_a_second(ecg: Floats, samples: int) -> None:
    struck = ecg.copy()
    struck[6000 : 6000 + samples] += 50.0
    near = lambda b: (b > 6000 - FS) & (b < 6000 + samples + FS)  # noqa: E731
    whole, found = detect_r_peaks(ecg, FS), detect_r_peaks(struck, FS)
    np.testing.assert_allclose(found[~near(found)], whole[~near(whole)], atol=0.2)


def test_a_flat_line_has_no_beats_and_costs_none_outside(ecg: Floats) -> None:
    cut_off = ecg.copy()
    cut_off[5000:10_000] = 1.234
    whole, found = detect_r_peaks(ecg, FS), detect_r_peaks(cut_off, FS)
    assert not np.any((found > 5000) & (found < 10_000))
    outside = (whole < 5000 - FS) | (whole > 10_000 + FS)
    assert _matched(whole[outside], found, 2.0) == outside.sum()


@pytest.mark.parametrize("detect", [detect_r_peaks, detect_pulses])
@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 1.0, 64.0, 250.0, 2000.0, 1e9])
@pytest.mark.parametrize(
    "x",
    [
        np.empty(0),
        np.zeros(1),
        np.zeros(5000),
        np.full(5000, 7.25),
        np.full(5000, np.nan),
        np.full(5000, np.inf),
        np.full(5000, 1e300),
        np.where(np.arange(5000) % 2, 1e308, -1e308),
        np.where(np.arange(5000) % 2, 5e-324, 0.0),
        np.where(np.arange(5000) % 2, np.nan, 1.0),
        np.ones(500, np.bool_),
        np.arange(100) % 2,  # shorter than two seconds
    ],
    ids=lambda x: f"{x.dtype}-{x.size}-{x[:1]}",
)
def test_unusable_samples_have_no_beats_and_raise_nothing(
    detect: Callable[..., Floats], fs_hz: float, x: NDArray[np.generic]
) -> None:
    assert detect(x, fs_hz).shape == (0,)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_an_empty_batch_has_one_empty_answer_per_row(rows: int) -> None:
    for width in (0, 1, 100):
        found = detect_r_peaks(np.zeros((rows, width)), FS)
        assert [len(row) for row in found] == [0] * rows


def test_a_wrong_shape_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        detect_r_peaks(np.zeros((2, 2, 2)), FS)
    with pytest.raises(ValueError, match="shape"):
        detect_pulses(np.float64(1.0), FS)


def test_a_long_recording_has_the_beats_of_its_segments(ecg: Floats) -> None:
    """Away from the recording's ends, cutting as a stream is cut changes no bit."""
    whole = detect_r_peaks(ecg, FS)
    core, context = round(10 * FS), round(2 * FS)
    last = len(ecg) - core - context
    streamed: list[float] = []
    for start in range(core, last, core):
        segment = ecg[start - context : start + core + context]
        at = np.asarray(detect_r_peaks(segment, FS)) + (start - context)
        streamed += at[(at >= start) & (at < start + core)].tolist()
    inside = (whole >= core) & (whole < core * (last // core))
    np.testing.assert_array_equal(np.array(streamed)[: inside.sum()], whole[inside])


@pytest.mark.parametrize("at", [2500.0, 5000.0])
@pytest.mark.parametrize("shift", [-1.0, -0.9, -0.5, -0.1, 0.0, 0.1, 0.3, 0.7, 1.0])
def test_a_beat_at_a_border_of_segments_is_found_once(
    ecg_wave: Wave, at: float, shift: float
) -> None:
    times = (at + shift) / FS + 0.8 * np.arange(-40, 60)
    times = times[(times > 0.5) & (times < 39.5)]
    assert len(detect_r_peaks(ecg_wave(10_000, FS, times), FS)) == len(times)


def test_t_waves_are_no_beats_however_large(ecg_wave: Wave) -> None:
    at = np.arange(0.6, 29.0, 0.9)
    x = ecg_wave(7500, FS, at)
    t = np.arange(7500) / FS
    for beat in at:
        x += 0.9 * np.exp(-0.5 * ((t - beat - 0.28) / 0.05) ** 2)
    assert len(detect_r_peaks(x, FS)) == len(at)


def test_a_pause_holds_no_beats(ecg_wave: Wave) -> None:
    at = np.concatenate((np.arange(0.6, 10.0, 0.8), np.arange(15.5, 29.0, 0.8)))
    assert len(detect_r_peaks(ecg_wave(7500, FS, at), FS)) == len(at)


@pytest.mark.parametrize("fs_hz", [50.0, 64.0, 125.0, 250.0])
def test_no_two_beats_lie_nearer_than_a_heart_can_beat(ecg_wave: Wave, fs_hz: float) -> None:
    """In a burst of noise two summits may share the largest excursion between them."""
    rng = np.random.default_rng(1)
    rows = np.tile(ecg_wave(round(10 * fs_hz), fs_hz, np.arange(0.3, 9.9, 0.45)), (300, 1))
    for row in rows:
        for start_s in rng.uniform(1, 8, 2):
            burst = row[int(start_s * fs_hz) :][: round(0.3 * fs_hz)]
            burst += rng.uniform(2, 6) * rng.standard_normal(burst.size)
    found = detect_r_peaks(rows, fs_hz)
    assert min(np.diff(beats).min(initial=np.inf) for beats in found) >= ECG_REFRACTORY_S * fs_hz


def _f1_of_mit_bih(archive: Callable[[str], Path], snr_db: float | None) -> float:
    """F1 in % over 24 records, lead 0, one-to-one within 150 ms, without 207's flutter."""
    import wfdb

    clean = wfdb.rdrecord(str(archive("mitdb") / "118")).p_signal[:, 0]
    noise = wfdb.rdrecord(str(archive("nstdb") / "118e24")).p_signal[:, 0] - clean
    noise = np.concatenate([noise[s * 360 : (s + 120) * 360] for s in range(300, 1501, 240)])
    noise -= noise.mean()
    hits = n_found = n_true = 0
    for header in sorted(archive("mitdb").glob("*.hea")):
        record = str(header.with_suffix(""))
        wave = wfdb.rdrecord(record, channels=[0])
        marks = wfdb.rdann(record, "atr")
        truth = marks.sample[np.isin(marks.symbol, list(BEAT_SYMBOLS))]
        x = wave.p_signal[:, 0]
        if snr_db is not None:
            power = np.median([np.ptp(x[p - 18 : p + 19]) for p in truth[5:200]]) ** 2 / 8
            added = np.resize(noise, x.size)
            x = x + added * np.sqrt(power / added.var() / 10 ** (snr_db / 10))
        found = detect_r_peaks(x, wave.fs)
        flutter = [marks.sample[np.array(marks.symbol) == mark] for mark in "[]"]
        for begin, end in zip(*flutter, strict=True):
            truth = truth[(truth < begin) | (truth > end)]
            found = found[(found < begin) | (found > end)]
        hits += _matched(truth, found, 0.150 * wave.fs)
        n_found, n_true = n_found + len(found), n_true + len(truth)
    return 200 * hits / (n_found + n_true)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb imports pandas the old way
@pytest.mark.parametrize(("snr_db", "least"), [(None, 99.85), (6.0, 99.7), (0.0, 98.8)])
def test_r_peaks_of_mit_bih_agree_with_the_annotations(
    archive: Callable[[str], Path], snr_db: float | None, least: float
) -> None:
    assert _f1_of_mit_bih(archive, snr_db) >= least

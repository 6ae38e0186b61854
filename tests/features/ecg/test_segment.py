"""ECG segments: beats, their kind and their quality, whatever the company, unit or gaps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features import filters
from features.beats import detect_r_peaks
from features.ecg import candidates, kernels
from features.ecg.leads import best_lead, fuse_leads
from features.ecg.quality import GATE
from features.ecg.segment import EcgSegments, analyse_ecg
from features.ecg.windows import NAMES, SegmentRows, quality_columns
from features.feature import FeatureReason
from features.tables.ecg_quality import FEATURES

Floats = NDArray[np.float64]
Wave = Callable[..., Floats]
FS = 250.0
N = 3500  # 10 s with 2 s of context on either side


def _same(a: EcgSegments, b: EcgSegments, row_of_a: int) -> None:
    """Row `row_of_a` of a is row 0 of b, bit for bit."""
    own = a.beats.row == row_of_a
    for ours, theirs in zip(a.beats[1:], b.beats[1:], strict=True):
        np.testing.assert_array_equal(ours[own], theirs)
    for ours, theirs in zip(a[1:], b[1:], strict=True):
        np.testing.assert_array_equal(ours[row_of_a], theirs[0])


@pytest.fixture(scope="module")
def rows(ecg_wave: Wave) -> Floats:
    """Forty rows of different rates, sizes, noise and gaps."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(40):
        x = ecg_wave(N, FS, np.arange(0.3 + 0.01 * i, 13.8, 0.5 + 0.02 * i), seed=i)
        x = x * (i + 1) + rng.normal(0, 0.01 * i, N)
        made.append(x)
    out = np.stack(made)
    out[3, 1000:1400] = np.nan
    out[5, 2000] = np.nan
    out[9] = 0.0
    out[11] = np.nan
    return out


@pytest.mark.parametrize("size", [1, 7, 40])
def test_a_row_does_not_depend_on_its_neighbours(rows: Floats, size: int) -> None:
    together = analyse_ecg(rows[:size], FS)
    for i in range(size):
        _same(together, analyse_ecg(rows[i : i + 1], FS), i)


def test_compiled_and_reference_loops_give_the_same_bits(
    rows: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    assert kernels.worth_it(len(rows))
    compiled = analyse_ecg(rows, FS)
    monkeypatch.setattr(kernels, "worth_it", lambda n_rows: False)
    reference = analyse_ecg(rows, FS)
    for ours, theirs in zip(compiled.beats, reference.beats, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(compiled[1:], reference[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n", [180, 900, 1751])
def test_every_compiled_loop_is_its_scipy_reference(n: int) -> None:
    pytest.importorskip("numba")
    x = np.cumsum(np.random.default_rng(n).normal(size=(19, n)), axis=1)
    ours, theirs = candidates._COMPILED, candidates._REFERENCE
    sos = filters.band_pass(1, 8.0, 24.0, 125.0)
    assert sos is not None
    shape = filters.band_pass(1, 4.0, 30.0, 125.0)
    assert shape is not None
    for width in (1, 11, 77):
        spec = kernels.ViewSpec(125, width, np.linspace(0, 2, len(x)))
        for mine, its in zip(
            ours.view(x, shape, sos, spec), theirs.view(x, shape, sos, spec), strict=True
        ):
            np.testing.assert_array_equal(mine, its)
    row, place = np.nonzero(np.random.default_rng(0).random(x.shape) < 0.02)
    some = row % 3 > 0  # rows without a place
    spec, limit = kernels.RatioSpec(11, 77, 6, 0.08), np.full(len(x), 5.0)
    at = row[some], place[some]
    np.testing.assert_array_equal(
        ours.ratios(np.abs(x), limit, at, spec), theirs.ratios(np.abs(x), limit, at, spec)
    )
    flat = np.round(x)  # plateaus: equal neighbours are all summits
    bar = np.zeros(len(x))
    for mine, its in zip(ours.summits(flat, 12, bar), theirs.summits(flat, 12, bar), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("gain", [1000.0, -1.0, -0.001])
def test_quality_and_beats_do_not_depend_on_gain_offset_or_polarity(
    ecg_wave: Wave, gain: float
) -> None:
    x = ecg_wave(N, FS, np.arange(0.4, 13.8, 0.8))[None]
    plain, other = analyse_ecg(x, FS), analyse_ecg(gain * x + 3 * gain, FS)
    np.testing.assert_allclose(other.beats.position, plain.beats.position, atol=1e-6)
    np.testing.assert_allclose(other.beats.amplitude, abs(gain) * plain.beats.amplitude, rtol=1e-6)
    np.testing.assert_allclose(other.quality, plain.quality, atol=1e-6)


def test_a_clean_ecg_is_believed(ecg_wave: Wave) -> None:
    found = analyse_ecg(ecg_wave(N, FS, np.arange(0.4, 13.8, 0.8))[None], FS)
    assert found.quality[0] > 0.9
    assert found.reason[0] == FeatureReason.OK
    assert found.bsqi[0] > 0.95
    assert found.template_corr[0] > 0.95
    assert (found.beats.confidence > 0.95).all()
    assert (found.beats.ectopic < 0.5).all()


@pytest.mark.parametrize("seed", range(12))
def test_noise_alone_is_not_believed(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 1, (1, N))
    smooth = np.cumsum(noise, axis=1) * 0.1
    for x in (noise, smooth):
        found = analyse_ecg(x, FS)
        assert found.quality[0] < GATE
        assert found.reason[0] != FeatureReason.OK


@pytest.mark.parametrize("hz", [3.0, 4.5, 6.0])
def test_ventricular_fibrillation_is_not_believed(hz: float) -> None:
    rng = np.random.default_rng(int(hz * 10))
    t = np.arange(N) / FS
    phase = 2 * np.pi * np.cumsum(hz + 0.004 * np.cumsum(rng.normal(size=N))) / FS
    wave = np.sin(phase) * (1 + 0.5 * np.sin(2 * np.pi * 0.3 * t)) + 0.05 * rng.normal(size=N)
    assert analyse_ecg(wave[None], FS).quality[0] < GATE


@pytest.mark.parametrize("hz", [3.4, 4.0, 5.0, 5.5])
def test_ventricular_flutter_is_not_believed(hz: float) -> None:
    t = np.arange(N) / FS
    wave = np.sin(2 * np.pi * hz * t + 0.3 * np.sin(2 * np.pi * 0.2 * t))
    wave = wave + 0.3 * np.sin(4 * np.pi * hz * t + 1.0)
    added = 0.02 * np.random.default_rng(0).normal(size=N)
    assert analyse_ecg((wave + added)[None], FS).quality[0] < GATE


@pytest.mark.parametrize("seed", range(4))
def test_asystole_is_not_believed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wander = 0.1 * np.sin(2 * np.pi * 0.25 * np.arange(N) / FS)
    assert analyse_ecg((wander + rng.normal(0, 0.01, N))[None], FS).quality[0] < GATE


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # wfdb imports pandas the old way
def test_the_flutter_of_record_207_is_not_believed(archive: Callable[[str], Path]) -> None:
    wfdb = pytest.importorskip("wfdb")
    name = str(archive("mitdb") / "207")
    signals, marks = wfdb.rdrecord(name).p_signal.T, wfdb.rdann(name, "atr")
    symbols = np.array(marks.symbol)
    spans = zip(marks.sample[symbols == "["], marks.sample[symbols == "]"], strict=True)
    starts = [s for begin, end in spans for s in range(begin, end - 3599, 360)]
    assert len(starts) > 90
    for signal in signals:
        rows = np.stack([signal[s - 720 : s + 4320] for s in starts])
        assert (analyse_ecg(rows, 360.0, (720, 4320)).quality < GATE).all()


def test_bigeminy_is_believed_and_its_wide_beats_are_ventricular(ecg_wave: Wave) -> None:
    normal, early = np.arange(0.5, 13.5, 1.7), np.arange(1.1, 13.5, 1.7)
    x = ecg_wave(N, FS, normal)
    t = np.arange(N) / FS
    for beat in early:
        x -= 1.5 * np.exp(-0.5 * ((t - beat) / 0.04) ** 2)
        x += 0.4 * np.exp(-0.5 * ((t - beat - 0.3) / 0.06) ** 2)
    found = analyse_ecg(x[None], FS)
    assert found.beats.position.size == normal.size + early.size
    assert found.quality[0] > GATE


def test_a_single_wide_early_beat_is_ventricular_and_the_others_are_not(ecg_wave: Wave) -> None:
    normal = np.arange(0.5, 13.5, 0.9)
    normal = normal[np.abs(normal - 6.8) > 0.2]
    x = ecg_wave(N, FS, normal)
    t = np.arange(N) / FS
    x -= 1.4 * np.exp(-0.5 * ((t - 6.45) / 0.045) ** 2)
    x += 0.5 * np.exp(-0.5 * ((t - 6.8) / 0.07) ** 2)
    found = analyse_ecg(x[None], FS)
    at = found.beats.position / FS
    odd = np.abs(at - 6.45) < 0.1
    assert odd.sum() == 1
    assert found.beats.ectopic[odd][0] > 0.5
    assert (found.beats.ectopic[~odd] < 0.5).all()


@pytest.mark.parametrize("length", [1, 3, 25, 250, 1000])
def test_a_gap_costs_only_beats_within_a_second_of_it(ecg_wave: Wave, length: int) -> None:
    x = ecg_wave(N, FS, np.arange(0.4, 13.8, 0.7))
    holed = x.copy()
    holed[1200 : 1200 + length] = np.nan
    whole = analyse_ecg(x[None], FS).beats.position
    result = analyse_ecg(holed[None], FS)
    found = result.beats.position
    far_whole = whole[(whole < 1200 - FS) | (whole > 1200 + length + FS)]
    far = found[(found < 1200 - FS) | (found > 1200 + length + FS)]
    np.testing.assert_allclose(far, far_whole, atol=0.1)
    assert result.gap_pct[0] == pytest.approx(100 * length / N)


def test_faults_are_named(ecg_wave: Wave) -> None:
    x = ecg_wave(N, FS, np.arange(0.4, 13.8, 0.8))
    rows = np.stack([np.full(N, 2.5), np.full(N, np.nan), x.clip(-0.03, 0.03), 1e-3 * x])
    reason = analyse_ecg(rows, FS).reason.tolist()
    assert reason[0] == FeatureReason.FLAT
    assert reason[1] == FeatureReason.GAP
    assert reason[2] in (FeatureReason.CLIP, FeatureReason.NOISE)
    assert reason[3] == FeatureReason.OK


def test_only_the_cores_faults_count(ecg_wave: Wave) -> None:
    x = ecg_wave(N, FS, np.arange(0.4, 13.8, 0.8))
    x[:400] = np.nan
    assert analyse_ecg(x[None], FS, (500, 3000)).gap_pct[0] == 0.0
    assert analyse_ecg(x[None], FS).gap_pct[0] == pytest.approx(100 * 400 / N)


def test_the_height_for_respiration_follows_the_r_wave(ecg_wave: Wave) -> None:
    at = np.arange(0.4, 13.8, 0.8)
    x = ecg_wave(N, FS, at) * (1 + 0.2 * np.sin(2 * np.pi * 0.25 * np.arange(N) / FS))
    found = analyse_ecg(x[None], FS).beats
    swing = 1 + 0.2 * np.sin(2 * np.pi * 0.25 * found.position / FS)
    assert np.corrcoef(found.up - found.down, swing)[0, 1] > 0.98


@pytest.mark.parametrize("fs_hz", [0.0, -1.0, np.nan, np.inf, 1.0, 1e9])
def test_at_an_impossible_rate_there_is_no_beat_and_no_quality(fs_hz: float) -> None:
    found = analyse_ecg(np.ones((3, 100)), fs_hz)
    assert found.beats.row.size == 0
    assert found.quality.tolist() == [0.0, 0.0, 0.0]
    assert (found.reason == FeatureReason.GAP).all()


@pytest.mark.parametrize("n", [0, 1, 2, 50, 130, 600])
@pytest.mark.parametrize("fs_hz", [25.0, 64.0, 250.0, 2000.0])
@pytest.mark.filterwarnings("error")
def test_no_samples_raise_and_every_index_is_in_its_range(n: int, fs_hz: float) -> None:
    rng = np.random.default_rng(n)
    odd = np.stack(
        [
            np.zeros(n),
            np.full(n, np.nan),
            rng.normal(size=n) * 1e29,
            rng.normal(size=n) * 1e-300,
            np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
            (rng.random(n) < 0.5).astype(float),
        ]
    )
    found = analyse_ecg(odd, fs_hz)
    ranges = {feature.name: (feature.lo, feature.hi) for feature in FEATURES}
    for index, name in NAMES.items():
        values = getattr(found, index)
        low, high = ranges[name]
        assert values.shape == (6,)
        assert not np.any((values < low) | (values > high))


def test_quality_of_a_window_is_the_mean_of_its_segments_by_length() -> None:
    segments = SegmentRows(
        row=np.array([0, 0, 1]),
        seconds=np.array([10.0, 5.0, 10.0]),
        quality=np.array([0.8, 0.2, 1.0]),
        indices={"bsqi": np.array([1.0, 0.4, np.nan])},
    )
    column = quality_columns(segments, np.array([20.0, 20.0]))["ecg_bsqi"]
    assert column.value[0] == pytest.approx((10 * 1.0 + 5 * 0.4) / 15)
    assert column.coverage.tolist() == [0.75, 0.0]
    assert column.quality[0] == pytest.approx((10 * 0.8 + 5 * 0.2) / 15)
    assert np.isnan(column.value[1])
    assert column.reason.tolist() == [FeatureReason.OK, FeatureReason.GAP]


def test_the_better_lead_decides_and_a_bad_one_costs_nothing(ecg_wave: Wave) -> None:
    at = np.arange(0.4, 13.8, 0.8)
    clean = ecg_wave(N, FS, at)
    noise = np.random.default_rng(1).normal(0, 1, N)
    segments = analyse_ecg(np.stack([noise, clean, clean, noise]), FS)
    fused = fuse_leads(segments, np.array([0, 0, 1, 1]), FS)
    assert fused.best.tolist() == [1, 2]
    for group in (0, 1):
        own = fused.beats.position[fused.beats.row == group] / FS
        assert own.size == at.size
        np.testing.assert_allclose(own - at, np.median(own - at), atol=0.003)


def test_the_best_lead_of_equals_is_the_first() -> None:
    best = best_lead(np.array([0.5, 0.9, 0.9]), np.array([1, 1, 1]), 3)
    assert best.tolist() == [-1, 1, -1]


@pytest.mark.parametrize("fs_hz", [125.0, 360.0])
def test_a_beat_that_a_recording_cuts_is_none_and_one_seen_whole_is(
    ecg_wave: Wave, fs_hz: float
) -> None:
    """Half of a QRS complex could as well be a T wave, or the beginning of noise."""
    at_s = np.array([0.1, *np.arange(1.0, 9.5, 0.8), 9.9])
    n = round(10 * fs_hz)
    whole = ecg_wave(n, fs_hz, at_s)
    for cut_s, n_found in ((0.0, at_s.size), (0.07, at_s.size - 2)):
        cut = round(cut_s * fs_hz)
        found = np.asarray(detect_r_peaks(whole[cut : n - cut], fs_hz))
        assert found.size == n_found


@pytest.mark.parametrize(("n_own", "passes"), [(0, False), (1, False), (3, True)])
def test_beats_of_the_context_do_not_stand_for_a_core_without(
    ecg_wave: Wave, n_own: int, passes: bool
) -> None:
    """A heart that stops at the segment's border, and one that beats every three seconds."""
    before = np.array([0.3, 0.8, 1.3, 1.8])
    x = ecg_wave(N, FS, np.concatenate([before, 3.5 + 3.0 * np.arange(n_own)]))
    found = analyse_ecg(x[None], FS, core=(round(2 * FS), round(12 * FS)))
    assert found.beats.row.size >= 4
    assert (found.quality[0] >= GATE) == passes
    if not passes:
        assert found.reason[0] == FeatureReason.TOO_FEW_BEATS


def test_beats_of_two_stretches_of_one_length_are_counted_once(ecg_wave: Wave) -> None:
    x = ecg_wave(N, FS, np.array([2.0, 9.0]))
    x[round(6.9 * FS) : round(7.1 * FS)] = np.nan
    found = analyse_ecg(x[None], FS)
    assert found.beats.row.size == 2
    assert found.quality[0] == 0.0

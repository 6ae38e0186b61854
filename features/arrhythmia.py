"""Evidence for and against a life-threatening arrhythmia in the minute before an alarm.

Every signal that shows the heart testifies by itself: how long it paused, how slow and how fast
it was, whether its beats look like its own earlier beats, how far it can be believed. A believable
pulse refutes an asystole that an ECG with a loose electrode claims.

Not here: the verdict. Who weighs evidence decides what a missed true alarm costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from scipy import ndimage

from features import filters
from features.arrhythmia_quality import believed
from features.beats import detect_pulses, detect_r_peaks
from features.ecg.second import second_opinion
from features.runs import Bools, Floats, Ints, spans

# An alarm sounds within 10 s of what it reports (ANSI/AAMI EC13); 6 s more hold what led to it.
LOOK_S: Final = 16.0
BELIEVED: Final = 0.4  # quality from which a signal's rates count when signals are compared

_INTERVALS: Final = {"slow5": 4, "fast5": 4, "fast12": 11, "fast17": 16}  # 5, 12, 17 beats
_FEWEST: Final = 5  # beats of a run of ventricular tachycardia, and of a usual shape
_QRS_S: Final = (0.152, 0.2)  # before and after the R peak: all of a wide complex
_QRS_HZ: Final = (0.5, 40.0)
_PULSE_HZ: Final = (0.5, 8.0)
_PULSE_S: Final = 0.35  # before and after the upslope: foot and top
_TACHYCARDIA_BPM: Final = 90.0  # a tenth below the 100 of the definition: beats are missed in it
_FRAME_S: Final = 3.0
_FRAME_HOP_S: Final = 0.5
_BINS: Final = 2048  # at 250 Hz 0.12 Hz each
_PEAK_HZ: Final = (1.5, 30.0)
_LOW_HZ: Final = (2.0, 8.0)  # flutter, fibrillation and wide complexes
_ALL_HZ: Final = (2.0, 30.0)
_NEAR_HZ: Final = 0.7
_MUSCLE_HZ: Final = (40.0, 100.0)
_DRIFT_HZ: Final = (0.5, 3.0)
_ENERGY_BAND_HZ: Final = (5.0, 20.0)
_ENERGY_HZ: Final = 25.0  # the energy's own rate
_ENERGY_WIDTH: Final = 3  # of its samples: about one QRS complex
_USUAL_PCT: Final = 90.0
_QUIET: Final = 0.2  # of the usual size
_LAGS_S: Final = (0.2, 1.6)  # 300 to 38 beats per minute
_AGREES_S: Final = 0.12
_DELAYS_S: Final = np.arange(0.0, 0.8, 0.04)  # from R peak to pulse


class _Beats(NamedTuple):
    """Beats of all rows: row ascending, then time in seconds from the row's first sample."""

    row: Ints
    t_s: Floats


Evidence = dict[str, Floats]


def arrhythmia_evidence(ecg: Sequence[Floats], pulse: Sequence[Floats], fs_hz: float) -> Evidence:
    """What each signal and all of them together say about the last 16 s of each row.

    Parameters
    ----------
    ecg : sequence of (B, n) float64
        Leads, any unit and polarity, ending at the alarm; NaN marks a gap, all NaN no lead.
        Rows of 30 s or more: what the heart usually looks like is taken from before the last 16.
        At least one signal in all.
    pulse : sequence of (B, n) float64
        Pulse waves (PPG, arterial pressure), systole upwards, of the same times.
    fs_hz : float
        Their sampling rate.

    Returns
    -------
    dict of str to (B,) float64
        Per signal `ecg0_...`, `pulse0_...`; over the believable ones `ecg_..._min|max`,
        `pulse_...`, `all_...`. `pause_s`: longest time without a beat, up to the end. `slow5`,
        `fast5`, `fast12`, `fast17`: slowest and fastest rate over that many beats in a row,
        1/min. `cv`, `jump`: irregularity of the intervals. `quality` 0-1, and what that of leads is
        made of (`features.arrhythmia_quality`). Of leads also `odd5`:
        how unlike the usual beat the four oddest of five fast beats are, 0-2; `alike5`: how alike
        those five are; `low`, `narrow`: share of power at 2-8 Hz and around the peak in the most
        sinusoidal 3 s; `quiet_s`: longest time without QRS energy, `rhythm`, `rhythm_bpm`: how
        periodic that energy is in the last 8 s, and its rate. Of pulses `height_min`,
        `height_mid`: pulse height over the usual one.
        NaN where it cannot be known.

    Notes
    -----
    Rates over 5 and 17 beats are the definitions of the PhysioNet/CinC Challenge 2015 (Clifford
    et al. 2016, Physiol Meas 37:E5). Rows do not depend on each other.
    Checked against: ``tests/features/test_arrhythmia.py``; ``benchmarks/bench_false_alarms.py``.
    """
    ecg, pulse = ([_long(x, fs_hz) for x in waves] for waves in (ecg, pulse))
    end_s = (ecg or pulse)[0].shape[1] / fs_hz
    out: Evidence = {}
    found: dict[str, _Beats] = {}
    for kind, waves in (("ecg", ecg), ("pulse", pulse)):
        for i, x in enumerate(waves):
            name = f"{kind}{i}"
            found[name] = _beats(x, fs_hz, kind)
            late = x[:, -round(LOOK_S * fs_hz) :]
            own = _rates(found[name], len(x), end_s)
            own |= believed(late, fs_hz, "ecg" if kind == "ecg" else "ppg")
            more = _lead if kind == "ecg" else _heights
            own |= more(x, fs_hz, found[name])
            if kind == "ecg":
                own |= _second(x, fs_hz)
            out |= {f"{name}_{key}": value for key, value in own.items()}
    leads, pulses = (
        [f"{k}{i}" for i in range(len(w))] for k, w in (("ecg", ecg), ("pulse", pulse))
    )
    for name, of in (("ecg", leads), ("pulse", pulses), ("all", leads + pulses)):
        out |= _compared(out, name, of) if of else {}
    for lead in leads:
        for p in pulses:
            out[f"{lead}_{p}_agree"] = _agreement(found[lead], found[p], len(ecg[0]), end_s)
    return out


def _long(x: Floats, fs_hz: float) -> Floats:
    """Rows that are too short to hold a usual stretch, continued into the past by a gap."""
    missing = round((LOOK_S + 2 * _FRAME_S) * fs_hz) - x.shape[1]
    return x if missing <= 0 else np.pad(x, ((0, 0), (missing, 0)), constant_values=np.nan)


def _beats(x: Floats, fs_hz: float, kind: str) -> _Beats:
    """R peaks or pulses of all rows."""
    rows = detect_r_peaks(x, fs_hz) if kind == "ecg" else detect_pulses(x, fs_hz)
    row = np.repeat(np.arange(len(x)), [len(r) for r in rows])
    return _Beats(row, np.concatenate([*rows, np.empty(0)]) / fs_hz)


def _second(x: Floats, fs_hz: float) -> Evidence:
    """Rates and oddity by a detector that also takes for a beat what does not look like one."""
    y = _filled(x)
    row, at = second_opinion(y, fs_hz)
    beats = _Beats(row, at / fs_hz)
    told = {
        **_rates(beats, len(x), x.shape[1] / fs_hz),
        **_oddity(_banded(y, _QRS_HZ, fs_hz), fs_hz, beats),
    }
    return {f"second_{name}": value for name, value in told.items()}


def _rates(beats: _Beats, n_rows: int, end_s: float) -> Evidence:
    """Pause, rates over runs of beats and irregularity in the last 16 s."""
    start_s = end_s - LOOK_S
    late = beats.t_s >= start_s
    row, t = beats.row[late], beats.t_s[late]
    n = np.bincount(row, minlength=n_rows).astype(np.float64)
    before = np.full(n_rows, start_s)
    np.maximum.at(before, beats.row[~late], beats.t_s[~late])
    # The pause before the first late beat began with the last early one, the last has not ended.
    edges_row = np.concatenate([np.arange(n_rows), row, np.arange(n_rows)])
    edges = np.concatenate([np.maximum(before, start_s - LOOK_S), t, np.full(n_rows, end_s)])
    order = np.lexsort((edges, edges_row))
    edges_row, edges = edges_row[order], edges[order]
    out = {"pause_s": _extreme(edges_row, edges, n_rows, 1)[1], "beats": n}
    for name, k in _INTERVALS.items():
        shortest, longest = _extreme(row, t, n_rows, k)
        out[name] = 60.0 * k / (longest if name.startswith("slow") else shortest)
    same = np.flatnonzero(np.diff(row) == 0)
    interval, of = np.diff(t)[same], row[same]
    borders = np.searchsorted(of, np.arange(n_rows + 1)).tolist()
    cv, jump = np.full(n_rows, np.nan), np.full(n_rows, np.nan)
    for i, (a, b) in enumerate(pairwise(borders)):
        if b - a >= _FEWEST - 1:
            own = interval[a:b]
            cv[i] = own.std() / own.mean()
            jump[i] = np.median(np.abs(np.diff(own))) / np.median(own)
    return {**out, "cv": cv, "jump": jump}


def _extreme(row: Ints, t: Floats, n_rows: int, k: int) -> tuple[Floats, Floats]:
    """Shortest and longest time over k intervals in a row; NaN for a row without."""
    span, of = t[k:] - t[:-k], row[k:]
    same = of == row[: len(of)]
    shortest, longest = np.full(n_rows, np.inf), np.full(n_rows, -np.inf)
    np.minimum.at(shortest, of[same], span[same])
    np.maximum.at(longest, of[same], span[same])
    known = np.isfinite(shortest)
    return np.where(known, shortest, np.nan), np.where(known, longest, np.nan)


def _filled(x: Floats) -> Floats:
    """Rows without their median, gaps at 0."""
    known = ~np.isnan(x)
    middle = np.array([np.median(r[k]) if k.any() else 0.0 for r, k in zip(x, known, strict=True)])
    return np.where(known, x - middle[:, None], 0.0)


def _banded(x: Floats, band_hz: tuple[float, float], fs_hz: float) -> Floats:
    """Zero-phase band-pass of gap-free rows; the rows themselves where the rate is too low."""
    band = filters.band_pass(2, *band_hz, fs_hz)
    return x if band is None else filters.zero_phase(band, x, round(fs_hz))


def _lead(x: Floats, fs_hz: float, beats: _Beats) -> Evidence:
    """Shape of the beats and of the wave of one lead."""
    y = _filled(x)
    wave = _banded(y, _QRS_HZ, fs_hz)
    out = {**_oddity(wave, fs_hz, beats), **_sinusoid(wave, fs_hz), **_energy(y, fs_hz)}
    for name, band in (("muscle", _MUSCLE_HZ), ("drift", _DRIFT_HZ)):
        out[name] = _louder(_banded(y, band, fs_hz), fs_hz)
    absent = np.isnan(x).all(axis=1)
    return {name: np.where(absent, np.nan, value) for name, value in out.items()}


def _oddity(wave: Floats, fs_hz: float, beats: _Beats) -> Evidence:
    """How unlike the usual beat a run of late beats is, and how alike its beats are."""
    names = ("odd5", "odd_mean", "alike5", "odd_bpm")
    out = {name: np.full(len(wave), np.nan) for name in names}
    around = np.arange(-round(_QRS_S[0] * fs_hz), round(_QRS_S[1] * fs_hz))
    centre = np.rint(beats.t_s * fs_hz).astype(np.intp)
    whole = (centre + around[0] >= 0) & (centre + around[-1] < wave.shape[1])
    row, centre = beats.row[whole], centre[whole]
    late = centre >= wave.shape[1] - LOOK_S * fs_hz
    borders = np.searchsorted(row, np.arange(len(wave) + 1)).tolist()
    for i, (a, b) in enumerate(pairwise(borders)):
        cut = wave[i][centre[a:b, None] + around]
        own_late = late[a:b]
        if np.count_nonzero(~own_late) <= _FEWEST or np.count_nonzero(own_late) < _FEWEST:
            continue
        usual = _unit(np.median(cut[~own_late], axis=0)[None])[0]
        shapes = _unit(cut[own_late])
        odd = 1.0 - (shapes * usual).sum(axis=1)
        for name, value in zip(
            names, _oddest(odd, shapes, centre[a:b][own_late], fs_hz), strict=True
        ):
            out[name][i] = value
    return out


def _oddest(
    odd: Floats, shapes: Floats, at: Ints, fs_hz: float
) -> tuple[float, float, float, float]:
    """Oddity, mean oddity, likeness and rate of the oddest five fast beats in a row."""
    five = np.lib.stride_tricks.sliding_window_view(odd, _FEWEST)
    bpm = 60.0 * (_FEWEST - 1) * fs_hz / (at[_FEWEST - 1 :] - at[: -_FEWEST + 1])
    four_oddest = np.sort(five, axis=1)[:, 1] * (bpm >= _TACHYCARDIA_BPM)
    first = int(four_oddest.argmax())
    run = shapes[first : first + _FEWEST]
    alike = (run[:, None, :] * run[None, :, :]).sum(axis=2).sum() - _FEWEST
    mean = float(five.mean(axis=1).max())
    pairs = _FEWEST * (_FEWEST - 1)
    return float(four_oddest[first]), mean, float(alike / pairs), float(bpm[first])


def _unit(x: Floats) -> Floats:
    """Rows with mean 0 and norm 1."""
    x = x - x.mean(axis=1, keepdims=True)
    norm = np.sqrt((x * x).sum(axis=1, keepdims=True))
    return np.asarray(x / np.where(norm > 0, norm, 1.0), np.float64)


def _energy(y: Floats, fs_hz: float) -> Evidence:
    """Quiet and rhythm of the QRS energy of the last 16 s, whatever a detector makes of it."""
    step = max(1, round(fs_hz / _ENERGY_HZ))
    power = _banded(y, _ENERGY_BAND_HZ, fs_hz) ** 2
    n = power.shape[1] // step
    power = power[:, power.shape[1] - n * step :].reshape(len(y), n, step).mean(axis=2)
    smooth = ndimage.uniform_filter1d(power, _ENERGY_WIDTH, axis=1, mode="nearest")
    size = np.sqrt(np.maximum(smooth, 0.0))
    n_late = round(LOOK_S * fs_hz / step)
    usual = np.percentile(size[:, :-n_late], _USUAL_PCT, axis=1, keepdims=True)
    row, start, stop = spans(size[:, -n_late:] < _QUIET * usual)
    quiet = np.zeros(len(y))
    np.maximum.at(quiet, row, (stop - start) * step / fs_hz)
    late = size[:, -n_late // 2 :]
    late = late - late.mean(axis=1, keepdims=True)
    spectrum = np.abs(np.fft.rfft(late, 2 * n_late, axis=1)) ** 2
    alike = np.fft.irfft(spectrum, axis=1)[:, : n_late // 2]
    lags = np.arange(round(_LAGS_S[0] * fs_hz / step), round(_LAGS_S[1] * fs_hz / step))
    best = lags[alike[:, lags].argmax(axis=1)]
    rhythm = alike[np.arange(len(y)), best] / np.maximum(alike[:, 0], 1e-300)
    return {"quiet_s": quiet, "rhythm": rhythm, "rhythm_bpm": 60.0 * fs_hz / (best * step)}


def _sinusoid(wave: Floats, fs_hz: float) -> Evidence:
    """Spectrum and size of the most sinusoidal 3 s of the last 16, against what is usual."""
    length, hop = round(_FRAME_S * fs_hz), round(_FRAME_HOP_S * fs_hz)
    frames = np.lib.stride_tricks.sliding_window_view(wave, length, axis=1)
    n_late = round(LOOK_S * fs_hz)
    late = frames[:, wave.shape[1] - n_late :: hop]
    early = frames[:, : max(wave.shape[1] - n_late - length + 1, 1) : length]
    narrow, low, peak_hz, size = _spectrum(late, fs_hz)
    _, usual_low, _, usual_size = (np.median(v, axis=1) for v in _spectrum(early, fs_hz))
    best = (narrow * low).argmax(axis=1)
    rows = np.arange(len(wave))
    with np.errstate(divide="ignore", invalid="ignore"):
        grown = np.log(size.max(axis=1) / usual_size), np.log(size.min(axis=1) / usual_size)
    finite = [np.where(np.isfinite(v), v, np.nan) for v in grown]
    return {
        "narrow": narrow[rows, best],
        "low": low[rows, best],
        "peak_hz": peak_hz[rows, best],
        "low_rise": low.max(axis=1) - usual_low,
        "size_up": finite[0],
        "size_down": finite[1],
    }


def _spectrum(frames: Floats, fs_hz: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Share of power near the peak, share at 2-8 Hz, the peak's frequency, and the size."""
    bins = max(_BINS, frames.shape[2])
    hz = np.fft.rfftfreq(bins, 1 / fs_hz)
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[2]), bins, axis=2)) ** 2

    def total(lo: float, hi: float) -> Floats:
        return np.asarray(power[:, :, (hz >= lo) & (hz <= hi)].sum(axis=2), np.float64)

    sought = np.flatnonzero((hz >= _PEAK_HZ[0]) & (hz <= _PEAK_HZ[1]))
    peak = sought[power[:, :, sought].argmax(axis=2)]
    reach = max(1, round(_NEAR_HZ / hz[1]))
    around = (peak[:, :, None] + np.arange(-reach, reach + 1)).clip(0, len(hz) - 1)
    near = np.take_along_axis(power, around, axis=2).sum(axis=2)
    narrow = near / np.maximum(total(_NEAR_HZ, _QRS_HZ[1]), 1e-12)
    low = total(*_LOW_HZ) / np.maximum(total(*_ALL_HZ), 1e-12)
    return narrow, low, hz[peak], frames.std(axis=2)


def _louder(y: Floats, fs_hz: float) -> Floats:
    """Logarithm of the late size over the usual size of a wave; NaN where there is none."""
    n_late, length = round(LOOK_S * fs_hz), round(_FRAME_S * fs_hz)
    frames = np.lib.stride_tricks.sliding_window_view(y, length, axis=1)
    early = frames[:, : max(y.shape[1] - n_late - length + 1, 1) : length].std(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(y[:, -n_late:].std(axis=1) / np.median(early, axis=1))
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _heights(x: Floats, fs_hz: float, beats: _Beats) -> Evidence:
    """Late pulse heights over the usual height; 0 where no pulse came any more."""
    wave = _banded(_filled(x), _PULSE_HZ, fs_hz)
    reach = round(_PULSE_S * fs_hz)
    centre = np.rint(beats.t_s * fs_hz).astype(np.intp)
    at = (centre[:, None] + np.arange(-reach, reach + 1)).clip(0, wave.shape[1] - 1)
    height = np.ptp(wave[beats.row[:, None], at], axis=1) if at.size else np.empty(0)
    late = centre >= wave.shape[1] - LOOK_S * fs_hz
    out = {name: np.full(len(x), np.nan) for name in ("height_min", "height_mid")}
    borders = np.searchsorted(beats.row, np.arange(len(x) + 1)).tolist()
    for i, (a, b) in enumerate(pairwise(borders)):
        usual, own = height[a:b][~late[a:b]], height[a:b][late[a:b]]
        if len(usual) < _FEWEST or not np.median(usual) > 0:
            continue
        middle = np.median(usual)
        out["height_min"][i] = own.min() / middle if len(own) else 0.0
        out["height_mid"][i] = np.median(own) / middle if len(own) else 0.0
    return out


def _compared(out: Evidence, name: str, of: Sequence[str]) -> Evidence:
    """The least and the most that believable signals say of each rate, and the best quality."""
    quality = np.stack([out[f"{s}_quality"] for s in of])
    counted = quality >= BELIEVED
    made: Evidence = {f"{name}_quality": quality.max(axis=0)}
    for what in ("pause_s", *_INTERVALS, "cv", "jump"):
        value = np.stack([out[f"{s}_{what}"] for s in of])
        counts = counted & ~np.isnan(value)
        made[f"{name}_{what}_min"] = _over(value, counts, np.inf)
        made[f"{name}_{what}_max"] = -_over(-value, counts, np.inf)
    return made


def _over(value: Floats, counts: Bools, neutral: float) -> Floats:
    """Least counted value of each column; NaN where none counts."""
    least = np.where(counts, value, neutral).min(axis=0)
    return np.where(counts.any(axis=0), least, np.nan)


def _agreement(lead: _Beats, pulse: _Beats, n_rows: int, end_s: float) -> Floats:
    """Share of the late R peaks a pulse follows after the row's own delay; NaN with few."""
    out = np.full(n_rows, np.nan)
    r_at = np.searchsorted(lead.row, np.arange(n_rows + 1)).tolist()
    p_at = np.searchsorted(pulse.row, np.arange(n_rows + 1)).tolist()
    for i in range(n_rows):
        r, p = lead.t_s[r_at[i] : r_at[i + 1]], pulse.t_s[p_at[i] : p_at[i + 1]]
        late = r >= end_s - LOOK_S
        if len(r) < _FEWEST or len(p) < _FEWEST or not late.any():
            continue
        expected = r + _DELAYS_S[:, None]
        after = np.searchsorted(p, expected).clip(1, len(p) - 1)
        off = np.minimum(np.abs(p[after] - expected), np.abs(expected - p[after - 1]))
        met = off < _AGREES_S
        out[i] = met[met.sum(axis=1).argmax()][late].mean()
    return out

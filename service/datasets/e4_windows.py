"""What one wristband session looks like in 60 s windows: the features a stress model is given.

Pulses, intervals, quality, breathing, the tracked rate and skin responses come from the functions
of `features`; the rest are plain statistics of the window. Nothing looks further ahead of the end
of a window than the 2 s of context a segment has in the service.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal as dsp

from features.beats import detect_pulses
from features.electrodermal import MOVING_MAD_MG, conductance_columns, half_seconds_of
from features.hrv import hrv
from features.intervals import nn_from_beats
from features.ppg.motion import segment_rates, track
from features.quality import GATE, signal_quality
from features.respiration import respiration_rate

Floats = NDArray[np.float64]

WINDOW_S: Final = 60
HOP_S: Final = 10
_SEGMENT_S: Final = 10
_CONTEXT_S: Final = 2
_USUAL: Final = 0.25  # of the median interval
_FEWEST: Final = 15  # intervals
_COUNTS_PER_G: Final = 64.0
SKIN_PLAIN: Final = (  # plain statistics of skin conductance and temperature
    "eda",
    "eda_slope",
    "eda_range",
    "scr_rate",
    "scr_sum",
    "eda_sd",
    "temp",
    "temp_slope",
)


class Trace(NamedTuple):
    """Samples of one sensor; `start_s` is Unix time."""

    start_s: float
    fs_hz: float
    x: Floats

    def cut(self, start_s: float, end_s: float) -> Floats:
        """Samples of `[start_s, end_s)`."""
        a = round((start_s - self.start_s) * self.fs_hz)
        b = round((end_s - self.start_s) * self.fs_hz)
        return self.x[max(a, 0) : max(b, 0)]


class Pulses(NamedTuple):
    """Pulses of a session in time order, and the quality of its 10 s segments."""

    times_s: Floats  # Unix
    heights: Floats  # from the foot to the top
    quality: Floats  # per segment
    start_s: float


def read_trace(path: Path) -> Trace:
    """One of the wristband's CSV files: start, rate, then samples (one or three columns)."""
    with path.open() as file:
        start_s, fs_hz = (float(file.readline().split(",")[0]) for _ in range(2))
        return Trace(start_s, fs_hz, np.loadtxt(file, delimiter=","))


def find_pulses(bvp: Trace) -> Pulses:
    """Pulses of a session, 10 s segments with 2 s around them at a time."""
    fs = round(bvp.fs_hz)
    n = len(bvp.x) // (fs * _SEGMENT_S)
    around = np.full(fs * _CONTEXT_S, np.nan)
    padded = np.concatenate([around, bvp.x, around])
    length = fs * (_SEGMENT_S + 2 * _CONTEXT_S)
    rows = np.stack([padded[i * fs * _SEGMENT_S :][:length] for i in range(n)])
    found = detect_pulses(rows, bvp.fs_hz)
    quality = np.array([signal_quality(row, bvp.fs_hz, "ppg")[0] for row in rows])
    times = []
    for i, positions in enumerate(found):
        t = positions / fs - _CONTEXT_S
        times.append(t[(t >= 0) & (t < _SEGMENT_S)] + i * _SEGMENT_S)
    t_s = np.concatenate(times)
    wave = dsp.sosfiltfilt(dsp.butter(2, (0.5, 8), "band", fs=fs, output="sos"), bvp.x)
    at = np.arange(len(wave)) / fs
    window = t_s[:, None] + np.linspace(-0.3, 0.3, 31)
    near = np.interp(window.ravel(), at, wave).reshape(window.shape)
    foot, top = near[:, :16].min(1), near[:, 15:].max(1)
    heights = np.maximum(top - foot, 1e-9)
    return Pulses(bvp.start_s + t_s, heights, quality, bvp.start_s)


class Parts(NamedTuple):
    """What each 10 s of a session says; the first begins with the pulse wave."""

    bpm: Floats  # (n, rates) offered by the spectrum, cadence taken out
    weight: Floats  # (n, rates)
    motion: Floats  # (n,) share of the wave that movement explains
    conductance: Floats  # (n, 20) half seconds, µS
    moving: NDArray[np.bool_]  # (n,)


class Session(NamedTuple):
    """One person's recording."""

    pulses: Pulses
    parts: Parts
    bvp: Trace
    acc: Trace
    eda: Trace
    temp: Trace


def read_session(folder: Path) -> Session:
    """All sensors of one person."""
    traces = {name: read_trace(folder / f"{name}.csv") for name in ("BVP", "ACC", "EDA", "TEMP")}
    acc = traces["ACC"]._replace(x=traces["ACC"].x / _COUNTS_PER_G)
    bvp, eda = traces["BVP"], traces["EDA"]
    return Session(find_pulses(bvp), find_parts(bvp, acc, eda), bvp, acc, eda, traces["TEMP"])


def find_parts(bvp: Trace, acc: Trace, eda: Trace) -> Parts:
    """Segments of 10 s from the pulse wave's start, with 2 s around them."""
    n = int(len(bvp.x) / bvp.fs_hz // _SEGMENT_S)
    size = acc._replace(x=np.sqrt((acc.x**2).sum(axis=1)))
    wave, moved = (_rows(trace, bvp.start_s, n, _CONTEXT_S) for trace in (bvp, size))
    found = segment_rates(wave, bvp.fs_hz, moved, acc.fs_hz)
    steps = half_seconds_of(_rows(eda, bvp.start_s, n, 0), eda.fs_hz)
    mad_g = np.abs(moved - moved.mean(axis=1, keepdims=True)).mean(axis=1)
    return Parts(found.bpm, found.weight, found.motion, steps, 1000 * mad_g > MOVING_MAD_MG)


def _rows(trace: Trace, start_s: float, n: int, around_s: int) -> Floats:
    """`n` rows of 10 s and what is around them; NaN where the trace has nothing."""
    length = round((_SEGMENT_S + 2 * around_s) * trace.fs_hz)
    hop = _SEGMENT_S * trace.fs_hz
    first = round((start_s - around_s - trace.start_s) * trace.fs_hz)
    at = first + np.rint(np.arange(n)[:, None] * hop).astype(int) + np.arange(length)
    there = (at >= 0) & (at < len(trace.x))
    return np.where(there, trace.x[at.clip(0, len(trace.x) - 1)], np.nan)


def window_features(session: Session, start_s: float) -> dict[str, float]:
    """Features of `[start_s, start_s + 60)`, Unix time; NaN where a sensor says nothing."""
    end_s = start_s + WINDOW_S
    return {
        **_pulse_features(session.pulses, start_s, end_s),
        **_skin_features(session, start_s, end_s),
        **_engine_features(session, start_s),
        **_motion_features(session.acc, start_s, end_s),
    }


def _pulse_features(p: Pulses, start_s: float, end_s: float) -> dict[str, float]:
    """Rate, variability, amplitude, shape and breathing of the pulses of good segments."""
    inside = np.flatnonzero((p.times_s >= start_s) & (p.times_s < end_s))
    segment = ((p.times_s[inside] - p.start_s) // _SEGMENT_S).astype(int)
    good = p.quality[segment.clip(max=len(p.quality) - 1)] >= GATE
    times = np.where(good, p.times_s[inside] - start_s, np.nan)
    nn = nn_from_beats(times)
    values = hrv(nn)
    # A moving wrist leaves single false intervals that no rhythm rule can tell in 60 s.
    middle = np.median(nn.nn_ms) if nn.nn_ms.size else np.nan
    usual = nn.valid & (np.abs(nn.nn_ms - middle) < _USUAL * middle)
    enough = int(usual.sum()) >= _FEWEST
    kept = inside[good]
    rate, at = 60000 / nn.nn_ms[usual], nn.times_s[usual]
    out = {
        "hr": 60000 / float(nn.nn_ms[usual].mean()) if enough else np.nan,
        "hr_slope": float(np.polyfit(at, rate, 1)[0]) if enough else np.nan,
        "sdnn": _log(float(nn.nn_ms[usual].std())) if enough else np.nan,
        "rmssd": _log(values["ecg_rmssd_ms"]) if enough else np.nan,
        "good_share": float(good.mean()) if good.size else 0.0,
    }
    tens = [rate[at // _SEGMENT_S == i] for i in range(WINDOW_S // _SEGMENT_S)]
    means = [60000 / np.mean(60000 / ten) for ten in tens if len(ten) >= 5]
    out["hr_high"] = float(max(means)) if means else np.nan
    out["hr_low"] = float(min(means)) if means else np.nan
    heights = p.heights[kept]
    rel = p.times_s[kept] - start_s
    out["amplitude"] = _log(float(np.median(heights))) if enough else np.nan
    out["amplitude_cv"] = _log(float(heights.std() / heights.mean())) if enough else np.nan
    breath = (at, rate), (rel, np.log(heights))
    for name, (t_s, series) in zip(("fm", "am"), breath, strict=True):
        found = _breath(t_s, series) if enough else (np.nan, np.nan)
        out[f"breath_{name}"], out[f"breath_{name}_share"] = found
    return out


def _breath(t_s: Floats, v: Floats) -> tuple[float, float]:
    """Rate per minute of the strongest 5-45 /min rhythm of a series, and its share of power."""
    if len(t_s) < 15 or np.ptp(t_s) < 30:
        return np.nan, np.nan
    grid = np.arange(t_s[0], t_s[-1], 0.25)
    y = dsp.detrend(np.interp(grid, t_s, v))
    power = np.abs(np.fft.rfft(y * np.hanning(len(y)), 1024)) ** 2
    hz = np.fft.rfftfreq(1024, 0.25)
    band = (hz >= 5 / 60) & (hz <= 45 / 60)
    peak = hz[band][power[band].argmax()]
    near = np.abs(hz - peak) <= 0.025
    return float(60 * peak), float(power[near].sum() / power[band].sum())


def _engine_features(session: Session, start_s: float) -> dict[str, float]:
    """Breathing from the pulse wave, the rate by its spectrum, skin level and responses."""
    parts, n = session.parts, WINDOW_S // _SEGMENT_S
    first = int((start_s - session.bvp.start_s) // _SEGMENT_S)
    own, led = slice(first, first + n), slice(first - 1, first + n)
    wave = session.bvp.cut(start_s, start_s + WINDOW_S)
    names = ("resp", "resp_q", "track", "track_q", "ppg_motion", "eda_tonic", "eda_responses")
    if first < 1 or len(parts.motion[own]) < n or len(wave) < WINDOW_S * session.bvp.fs_hz - 1:
        return dict.fromkeys(names, np.nan)
    rate, quality = respiration_rate({"ppg": wave}, session.bvp.fs_hz)
    tracked = track(parts.bpm[None, own], parts.weight[None, own])
    skin = conductance_columns(
        parts.conductance[led].reshape(1, -1), parts.moving[None, own], np.ones(1)
    )
    level, responses = (skin[k].value[0] for k in ("eda_tonic_us", "eda_scr_rate_per_min"))
    values = (rate, quality, tracked.bpm[0], tracked.confidence[0], parts.motion[own].mean())
    return dict(zip(names, (*map(float, values), _log(level + 0.05), responses), strict=True))


def _skin_features(session: Session, start_s: float, end_s: float) -> dict[str, float]:
    """Conductance and temperature of the skin."""
    eda, temp = session.eda.cut(start_s, end_s), session.temp.cut(start_s, end_s)
    if len(eda) < 100 or len(temp) < 100:
        return dict.fromkeys(SKIN_PLAIN, np.nan)
    level = np.log(eda + 0.05)
    smooth = np.convolve(eda, np.ones(4) / 4, "valid")
    rises = np.diff(smooth)
    up = np.r_[0, np.cumsum(np.maximum(rises, 0))]
    peaks = dsp.find_peaks(smooth, prominence=0.01)[0]
    t_min = np.arange(len(eda)) / len(eda)
    return {
        "eda": float(np.median(level)),
        "eda_slope": float(np.polyfit(t_min, level, 1)[0]),
        "eda_range": float(np.ptp(level)),
        "scr_rate": float(len(peaks)),
        "scr_sum": _log(float(up[-1]) + 1e-3),
        "eda_sd": _log(float(np.std(rises)) + 1e-4),
        "temp": float(np.median(temp)),
        "temp_slope": float(np.polyfit(np.arange(len(temp)) / len(temp), temp, 1)[0]),
    }


def _motion_features(trace: Trace, start_s: float, end_s: float) -> dict[str, float]:
    """How much and how the wrist moves, and how it is held."""
    a = trace.cut(start_s, end_s)
    fs = round(trace.fs_hz)
    if len(a) < 30 * fs:
        return dict.fromkeys(
            ("mad", "mad_high", "mad_low", "still", "sway", "sway_hz", "x", "y", "z"), np.nan
        )
    size = np.sqrt((a**2).sum(1))
    seconds = size[: len(size) // fs * fs].reshape(-1, fs).std(1)
    slow = dsp.detrend(a[: len(a) // 8 * 8].reshape(-1, 8, 3).mean(1), axis=0)  # 4 Hz
    power = (np.abs(np.fft.rfft(slow * np.hanning(len(slow))[:, None], 512, axis=0)) ** 2).sum(1)
    hz = np.fft.rfftfreq(512, 8 / fs)
    band = (hz >= 5 / 60) & (hz <= 45 / 60)
    peak = hz[band][power[band].argmax()]
    x, y, z = np.median(a, axis=0)
    return {
        "mad": _log(float(np.abs(size - size.mean()).mean()) + 1e-3),
        "mad_high": _log(float(np.percentile(seconds, 90)) + 1e-3),
        "mad_low": _log(float(np.percentile(seconds, 20)) + 1e-3),
        "still": float(np.mean(seconds < 0.01)),
        "sway": float(power[np.abs(hz - peak) <= 0.025].sum() / max(power[band].sum(), 1e-12)),
        "sway_hz": float(60 * peak),
        "x": float(x),
        "y": float(y),
        "z": float(z),
    }


def _log(value: float) -> float:
    return float(np.log(value)) if value > 0 else np.nan

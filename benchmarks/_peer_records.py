"""Recordings the peers are compared on, real electrode motion, how beats and time are counted."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BEAT_SYMBOLS: Final = set("NLRBAaJSVrFejnE/fQ?")
FIRST_S: Final = 300  # the noise recording is clean before
NOISE_S: Final = 120
SEGMENT_S: Final = 12  # 10 s and a second of context on both sides
MATCH_S: Final = 0.150


class Ecg(NamedTuple):
    """Lead 0 of one record and its true beats."""

    x: Floats
    fs_hz: float
    beats: Floats  # samples
    flutter: Bools  # samples nobody is judged on


def mit_bih(minutes: float) -> list[Ecg]:
    """Lead 0 of the development records, some minutes of each."""
    wfdb = importlib.import_module("wfdb")
    out = []
    for header in sorted(data_folder("mitdb").glob("*.hea")):
        name = str(header.with_suffix(""))
        wave, marks = wfdb.rdrecord(name, channels=[0]), wfdb.rdann(name, "atr")
        a = round(FIRST_S * wave.fs)
        b = min(a + round(minutes * 60 * wave.fs), wave.sig_len)
        symbols = np.array(marks.symbol)
        beats = marks.sample[np.isin(symbols, list(BEAT_SYMBOLS))].astype(np.float64)
        flutter = np.zeros(wave.sig_len, np.bool_)
        for begin, end in zip(*(marks.sample[symbols == mark] for mark in "[]"), strict=True):
            flutter[begin : end + 1] = True
        beats = beats[(beats >= a) & (beats < b)] - a
        out.append(Ecg(wave.p_signal[a:b, 0].copy(), float(wave.fs), beats, flutter[a:b]))
    return out


def electrode_motion(clean: Path, stressed: Path, fs_hz: float) -> list[Floats]:
    """The six noisy stretches of (118e24 - 118), two minutes each."""
    wfdb = importlib.import_module("wfdb")
    base = wfdb.rdrecord(str(clean / "118"), channels=[0]).p_signal[:, 0]
    noisy_record = wfdb.rdrecord(str(stressed / "118e24"), channels=[0]).p_signal[:, 0]
    n = min(len(base), len(noisy_record))
    noise = noisy_record[:n] - base[:n]
    length = round(NOISE_S * fs_hz)
    starts = [round(s * fs_hz) for s in range(300, 1501, 240)]
    return [noise[a : a + length] for a in starts]


def noisy(record: Ecg, noise: Floats, snr_db: float) -> Ecg:
    """The record with noise; signal power is that of a sine as high as the median beat."""
    reach = round(0.05 * record.fs_hz)
    at = record.beats[5:200].astype(int)
    heights = [np.ptp(record.x[max(a - reach, 0) : a + reach + 1]) for a in at]
    power = np.median(heights) ** 2 / 8
    tiled = np.resize(noise - noise.mean(), len(record.x))
    gain = np.sqrt(power / (noise.var() * 10 ** (snr_db / 10)))
    return record._replace(x=record.x + gain * tiled)


def segments(x: Floats, fs_hz: float) -> Floats:
    """12 s rows, 10 s apart."""
    length, hop = round(SEGMENT_S * fs_hz), round(10 * fs_hz)
    rows = np.lib.stride_tricks.sliding_window_view(x, length)[::hop]
    return np.ascontiguousarray(rows)


def f1(records: list[Ecg], found: list[Floats]) -> float:
    """F1 in % over all records, flutter left out."""
    hits = n_found = n_true = 0
    for record, peaks in zip(records, found, strict=True):
        at = peaks[(peaks >= 0) & (peaks < len(record.x))]
        at = np.sort(at[~record.flutter[at.astype(int)]])
        truth = record.beats[~record.flutter[record.beats.astype(int)]]
        hits += matches(truth, at, MATCH_S * record.fs_hz)
        n_found, n_true = n_found + len(at), n_true + len(truth)
    return 200 * hits / (n_found + n_true)


def matches(truth: Floats, found: Floats, within: float) -> int:
    """How many of two ascending series can be paired one to one."""
    i = j = hits = 0
    while i < len(truth) and j < len(found):
        if abs(found[j] - truth[i]) <= within:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[j] < truth[i]:
            j += 1
        else:
            i += 1
    return hits


def bidmc(n: int) -> list[tuple[Floats, Floats, Floats, float]]:
    """ECG, PPG, respiration and rate of some records."""
    out = []
    for path in sorted(data_folder("bidmc").glob("*_Signals.npz"))[::3][:n]:
        with np.load(path) as packed:
            names = [str(c) for c in packed["channels"]]
            x = packed["signals"]
            ecg, ppg, resp = (x[names.index(c)].astype(np.float64) for c in ("II", "PLETH", "RESP"))
            out.append((ecg, ppg, resp, float(packed["fs"])))
    return out


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Result and CPU seconds of a call; None when a peer raises."""
    began = time.process_time()
    try:
        result = call()
    except Exception as error:  # noqa: BLE001 - a peer that fails is a finding, not a fault
        result = None
        print(f"    raised {type(error).__name__}: {str(error)[:60]}")
    return result, time.process_time() - began

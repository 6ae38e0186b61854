"""How accurate the signal analysis is on real recordings, and what it costs.

Prints one table: R peaks on MIT-BIH; heart rate, pulses and respiration on BIDMC; CPU time.
Everything but the first line goes through 10 s segments, as in the service. Needs the recordings
(`VIGIL_DATA`, default ../shared/data): `python -m benchmarks.bench_accuracy_signals`.
"""

from __future__ import annotations

import csv
import os
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.analyse import CONTEXT_S, analyse
from features.beats import ECG_REFRACTORY_S, PPG_REFRACTORY_S, detect_r_peaks
from features.primitives import Primitives
from features.quality import GATE
from features.respiration import WAVE_HZ, breath_rate
from streams.segments import Segment

Floats = NDArray[np.float64]
DATA = Path(os.environ.get("VIGIL_DATA", "../shared/data"))
CORE_US = 10_000_000
WINDOW_S, HOP_S = 60, 10
BEAT_SYMBOLS = set("NLRBAaJSVrFejnE/fQ?")
CHANNELS = {"ecg": "II", "ppg": "PLETH", "resp": "RESP"}


class Record(NamedTuple):
    """One BIDMC record."""

    name: str
    fs_hz: float
    signals: dict[str, Floats]
    monitor_hr: Floats  # once a second
    breaths_s: list[Floats]  # two annotators


def main() -> None:
    """Measure everything and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        mitdb, bidmc = (unpack(name, Path(folder)) for name in ("mitdb", "bidmc"))
        lines = [*r_peak_lines(mitdb), *bidmc_lines(list(records(bidmc)))]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def unpack(name: str, folder: Path) -> Path:
    """Unpack one archive and return the folder that holds its files."""
    with tarfile.open(DATA / f"{name}.tar.xz") as tar:
        tar.extractall(folder / name, filter="data")
    inner = folder / name / name
    return inner if inner.is_dir() else folder / name


def r_peak_lines(folder: Path) -> Iterator[tuple[str, str]]:
    """F1 and jitter on lead 0 of whole MIT-BIH records, 150 ms, without 207's flutter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # wfdb imports pandas the old way
        import wfdb
    hits = n_found = n_true = 0
    jitter_ms = []
    for header in sorted(folder.glob("*.hea")):
        name = str(header.with_suffix(""))
        wave, marks = wfdb.rdrecord(name, channels=[0]), wfdb.rdann(name, "atr")
        symbols = np.array(marks.symbol)
        truth = marks.sample[np.isin(symbols, list(BEAT_SYMBOLS))].astype(np.float64)
        found = np.asarray(detect_r_peaks(wave.p_signal[:, 0], wave.fs))
        for begin, end in zip(*(marks.sample[symbols == mark] for mark in "[]"), strict=True):
            truth = truth[(truth < begin) | (truth > end)]
            found = found[(found < begin) | (found > end)]
        error_ms = matched(truth, found, 0.150 * wave.fs) / wave.fs * 1e3
        jitter_ms.append(np.abs(error_ms - np.median(error_ms)).mean())
        hits, n_found, n_true = hits + len(error_ms), n_found + len(found), n_true + len(truth)
    yield "R peaks, MIT-BIH, F1 %", f"{200 * hits / (n_found + n_true):.3f}"
    yield "R peaks, MIT-BIH, jitter ms", f"{np.mean(jitter_ms):.2f}"


def bidmc_lines(all_records: list[Record]) -> Iterator[tuple[str, str]]:
    """Accuracy and cost on BIDMC."""
    segments = [
        segment
        for record in all_records
        for signal, samples in record.signals.items()
        for segment in cut(record, signal, samples)
    ]
    began = time.process_time()
    primitives = analyse(segments)
    cpu_s = time.process_time() - began
    by: dict[tuple[str, str], list[Primitives]] = {}
    for segment, part in zip(segments, primitives, strict=True):
        by.setdefault((segment.patient_id, segment.signal), []).append(part)
    hr, pulse_rate = [], []
    for record in all_records:
        monitor = np.array([np.nanmean(record.monitor_hr[s : s + WINDOW_S]) for s in starts()])
        hr.append(heart_rates(by[record.name, "ecg"], ECG_REFRACTORY_S) - monitor)
        pulse_rate.append(heart_rates(by[record.name, "ppg"], PPG_REFRACTORY_S) - monitor)
    yield from rate_lines("HR (ECG) vs monitor", np.concatenate(hr))
    yield from rate_lines("pulse rate (PPG) vs monitor", np.concatenate(pulse_rate))
    yield from pulse_lines(all_records, by)
    yield from breath_lines(all_records, by)
    kept = np.mean([part.quality >= GATE for part in primitives if part.coverage > 0.5])
    yield "segments that pass the gate, %", f"{100 * kept:.2f}"
    minutes = sum(len(r.monitor_hr) for r in all_records) / 60
    yield "analysis, CPU ms per patient-minute", f"{1e3 * cpu_s / minutes:.2f}"
    yield "analysis, CPU s for all records", f"{cpu_s:.2f}"


def rate_lines(name: str, error: Floats) -> Iterator[tuple[str, str]]:
    """Mean absolute error, share within 5/min and share of windows with a value."""
    known = error[~np.isnan(error)]
    yield f"{name}, MAE /min", f"{np.abs(known).mean():.3f}"
    yield f"{name}, within 5/min, %", f"{100 * np.mean(np.abs(known) <= 5):.2f}"
    yield f"{name}, windows with a value, %", f"{100 * known.size / error.size:.2f}"


def pulse_lines(
    all_records: list[Record], by: dict[tuple[str, str], list[Primitives]]
) -> Iterator[tuple[str, str]]:
    """PPG pulses against R peaks shifted by each record's own delay, within 150 ms."""
    hits = n_found = n_true = 0
    interval_ms = []
    for record in all_records:
        truth = beats(by[record.name, "ecg"], ECG_REFRACTORY_S)[0] / 1e6
        found = beats(by[record.name, "ppg"], PPG_REFRACTORY_S)[0] / 1e6
        delays = np.arange(0, 0.8, 0.02)
        delay = delays[np.argmax([len(matched(truth + d, found, 0.15)) for d in delays])]
        delay += np.median(matched(truth + delay, found, 0.15))
        error = matched(truth + delay, found, 0.15)
        interval_ms.append(1e3 * np.abs(np.diff(error)).mean())
        hits, n_found, n_true = hits + len(error), n_found + len(found), n_true + len(truth)
    yield "PPG pulses vs R peaks, F1 %", f"{200 * hits / (n_found + n_true):.2f}"
    yield "PPG intervals vs RR, MAE ms", f"{np.mean(interval_ms):.2f}"


def breath_lines(
    all_records: list[Record], by: dict[tuple[str, str], list[Primitives]]
) -> Iterator[tuple[str, str]]:
    """Respiration rate against two annotators, by their intervals and by their counts."""
    by_interval, by_count = [], []
    for record in all_records:
        parts = by[record.name, "resp"]
        wave = np.full(len(parts) * 40, np.nan)
        for part in parts:
            wave[part.times_us // 250_000] = part.values
        rows = np.stack([wave[4 * s : 4 * (s + WINDOW_S)] for s in starts()])
        rate, _ = breath_rate(rows, WAVE_HZ)
        for value, start in zip(rate, starts(), strict=True):
            own = [m[(m >= start) & (m < start + WINDOW_S)] for m in record.breaths_s]
            by_interval.append(value - np.mean([60 * (len(m) - 1) / np.ptp(m) for m in own]))
            by_count.append(value - np.mean([60 / WINDOW_S * len(m) for m in own]))
    yield from rate_lines("RR (RESP) vs annotators' intervals", np.array(by_interval))
    yield from rate_lines("RR (RESP) vs annotators' counts", np.array(by_count))


def starts() -> range:
    """Starts of the 60 s windows of an 8 min record, in seconds."""
    return range(0, 480 - WINDOW_S + 1, HOP_S)


def records(folder: Path) -> Iterator[Record]:
    """All BIDMC records of a folder."""
    for path in sorted(folder.glob("*_Signals.npz")):
        name = path.name.removesuffix("_Signals.npz")
        with np.load(path) as packed:
            names = [str(channel) for channel in packed["channels"]]
            signals = {k: packed["signals"][names.index(v)] for k, v in CHANNELS.items()}
            fs_hz = float(packed["fs"])
        numerics = path.with_name(f"{name}_Numerics.csv")
        monitor_hr = np.genfromtxt(numerics, delimiter=",", skip_header=1)[:480, 1]
        with path.with_name(f"{name}_Breaths.csv").open() as file:
            marks = list(csv.reader(file))[1:]
        breaths_s = [
            np.array([float(row[i]) for row in marks if len(row) > i and row[i].strip()]) / fs_hz
            for i in (0, 1)
        ]
        yield Record(name, fs_hz, signals, monitor_hr, breaths_s)


def cut(record: Record, signal: str, x: Floats) -> Iterator[Segment]:
    """The segments of one signal, NaN before and after the recording."""
    period_us = 1e6 / record.fs_hz
    context_us = CONTEXT_S[signal] * 1e6
    for start_us in range(0, round(len(x) * period_us), CORE_US):
        lo = int(np.ceil((start_us - context_us) / period_us - 1e-9))
        hi = int(np.ceil((start_us + CORE_US + context_us) / period_us - 1e-9))
        samples = np.full(hi - lo, np.nan, np.float32)
        a, b = max(lo, 0), min(hi, len(x))
        samples[a - lo : b - lo] = x[a:b]
        first_us, end_us = lo * period_us - start_us, start_us + CORE_US
        fs_hz = record.fs_hz
        yield Segment(record.name, "d", signal, start_us, end_us, fs_hz, "", first_us, samples)


def beats(parts: list[Primitives], refractory_s: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Beat times in µs, and whether each follows the one before without a gap."""
    times: list[float] = []
    sizes: list[float] = []
    follows: list[bool] = []
    open_before = False
    for part in parts:
        if part.quality < GATE:
            open_before = False
            continue
        run_before = 0 if open_before and part.open_left else -1
        for t, size, run in zip(part.times_us, part.values, part.run, strict=True):
            if times and t - times[-1] < refractory_s * 1e6:
                if size > sizes[-1]:
                    times[-1], sizes[-1] = t, size
            else:
                times.append(float(t))
                sizes.append(float(size))
                follows.append(bool(run == run_before))
            run_before = run
        open_before = part.open_right
    return np.array(times, np.float64), np.array(follows, np.bool_)


def heart_rates(parts: list[Primitives], refractory_s: float) -> Floats:
    """60000 / mean NN of every window, NaN with less than 20 NN or half the window."""
    times_us, follows = beats(parts, refractory_s)
    ends_s, nn_s = times_us[1:] / 1e6, np.diff(times_us) / 1e6
    out = np.full(len(starts()), np.nan)
    for i, start in enumerate(starts()):
        own = nn_s[follows[1:] & (ends_s >= start) & (ends_s < start + WINDOW_S)]
        if len(own) >= 20 and own.sum() >= WINDOW_S / 2:
            out[i] = 60 / own.mean()
    return out


def matched(truth: Floats, found: Floats, within: float) -> Floats:
    """Errors of a one-to-one matching of two ascending series."""
    i = j = 0
    errors = []
    while i < len(truth) and j < len(found):
        error = found[j] - truth[i]
        if abs(error) <= within:
            errors.append(error)
            i, j = i + 1, j + 1
        elif error < 0:
            j += 1
        else:
            i += 1
    return np.array(errors)


if __name__ == "__main__":
    main()

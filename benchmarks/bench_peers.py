"""This package beside the field's libraries: same inputs, same run, same machine.

Runs in the peers' own environment: `benchmarks/peers/make`, then
`.vigil/peers/bin/python -m benchmarks.bench_peers [minutes]`. In the project's environment it only
says so. CPU is `process_time`; a ratio is a peer's CPU over ours on the same samples.
"""

from __future__ import annotations

import importlib
import importlib.util
import platform
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import data_folder
from benchmarks._peer_pipelines import monitor_table, pipeline_table
from benchmarks._peer_records import (
    MATCH_S,
    bidmc,
    electrode_motion,
    f1,
    matches,
    mit_bih,
    noisy,
    segments,
    timed,
)
from features.beat_intervals import Beats, intervals_between
from features.beats import detect_pulses, detect_r_peaks
from features.hrv import hrv
from features.hrv_windows import Standing, hrv_window
from features.intervals import nn_from_beats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Detector = Callable[[Floats, float], Any]

PEERS: Final = ("neurokit2", "sleepecg", "wfdb", "antropy", "biosppy")
# Noise of which only the mean of the whole is removed, as in `docs/signals.md`: the steps between
# its parts count as noise power, so "6 dB" is about 12 dB of what a QRS filter sees. The last
# column removes the mean of each part.
LEVELS: Final = ((None, False), (6.0, False), (0.0, False), (6.0, True))
HRV_S: Final = 300.0
PPG_RECORDS: Final = 12
HRV_BATCH: Final = 256


def main() -> None:
    """Print the tables."""
    if importlib.util.find_spec("neurokit2") is None:
        print("the peers are not installed here: benchmarks/peers/make says how to run this")
        return
    warnings.simplefilter("ignore")
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    print("This package beside its peers, same inputs, same run")
    print(f"{platform.machine()}, Python {platform.python_version()}, one thread of a shared CPU")
    print(", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", *PEERS)))
    r_peak_table(minutes)
    hrv_table()
    ppg_table()
    pipeline_table()
    monitor_table()


def r_peak_detectors() -> dict[str, Detector]:
    """Peers by name; each takes one lead and its rate."""
    nk, sleepecg, processing = (
        importlib.import_module(name) for name in ("neurokit2", "sleepecg", "wfdb.processing")
    )
    ecg = importlib.import_module("biosppy.signals.ecg")

    def neurokit(method: str) -> Detector:
        def run(x: Floats, fs: float) -> Any:
            clean = nk.ecg_clean(x, sampling_rate=round(fs), method=method)
            return nk.ecg_peaks(clean, sampling_rate=round(fs), method=method)[1]["ECG_R_Peaks"]

        return run

    return {
        "NeuroKit2 neurokit": neurokit("neurokit"),
        "NeuroKit2 pantompkins1985": neurokit("pantompkins1985"),
        "sleepecg (C)": lambda x, fs: sleepecg.detect_heartbeats(x, fs),
        "wfdb gqrs": lambda x, fs: processing.gqrs_detect(sig=x, fs=fs),
        "wfdb xqrs": lambda x, fs: processing.xqrs_detect(x, fs, verbose=False),
        "biosppy hamilton": lambda x, fs: ecg.hamilton_segmenter(signal=x, sampling_rate=fs)[0],
    }


def r_peak_table(minutes: float) -> None:
    """F1 at three noise levels and CPU per patient-minute on MIT-BIH lead 0."""
    records = mit_bih(minutes)
    parts = electrode_motion(data_folder("mitdb"), data_folder("nstdb"), records[0].fs_hz)
    noises = {True: np.concatenate([p - p.mean() for p in parts]), False: np.concatenate(parts)}
    mixed = [
        [r if db is None else noisy(r, noises[centred], db) for r in records]
        for db, centred in LEVELS
    ]
    total_min = sum(len(r.x) for r in records) / records[0].fs_hz / 60
    print(f"\nR peaks, MIT-BIH lead 0, {len(records)} records x {minutes:g} min from 300 s")
    heads = f"{'F1 %: clean':>12}{'6 dB':>8}{'0 dB':>8}{'strict 6':>9}"
    print(f"{'':28}{heads}{'CPU ms/min':>12}{'ratio':>8}")
    rows = np.concatenate([segments(r.x, r.fs_hz) for r in records])
    detect_r_peaks(rows[:2], records[0].fs_hz)
    cpu = min(timed(lambda: detect_r_peaks(rows, records[0].fs_hz))[1] for _ in range(3))
    ours_ms = 1e3 * cpu / (len(rows) * 10 / 60)
    title = f"Vigil, {len(rows)} 12 s segments at once"
    print(f"{title:65}{ours_ms:12.2f}{1.0:8.1f}")
    detectors: dict[str, Detector] = {"Vigil, whole records": detect_r_peaks, **r_peak_detectors()}
    for name, detect in detectors.items():
        f1s, cpu_s = [], 0.0
        for level in mixed:
            found, spent = [], 0.0
            for r in level:
                peaks, cpu = timed(partial(detect, r.x, r.fs_hz))
                found.append(np.empty(0) if peaks is None else np.asarray(peaks, np.float64))
                spent += cpu
            f1s.append(f1(level, found))
            cpu_s = spent if level is mixed[0] else cpu_s
        own_ms = 1e3 * cpu_s / total_min
        cells = "".join(f"{v:8.2f}" for v in f1s[1:]) + " "
        print(f"{name:28}{f1s[0]:12.2f}{cells}{own_ms:12.2f}{own_ms / ours_ms:8.1f}")


def hrv_table() -> None:
    """Values and CPU of the HRV vector of 300 s windows of annotated beats."""
    nk, antropy = importlib.import_module("neurokit2"), importlib.import_module("antropy")
    windows = []
    for record in mit_bih(25.0)[::3]:
        t = record.beats / record.fs_hz
        windows += [t[(t >= s) & (t < s + HRV_S)] for s in np.arange(0, 1200, HRV_S)]
    windows = [w for w in windows if len(w) > 150]
    series = [nn_from_beats(w) for w in windows]
    hrv(series[0])
    mine, own_s = timed(lambda: [hrv(nn_from_beats(w)) for w in windows])
    print(f"\nHRV vector, {len(windows)} windows of 300 s, CPU ms per window")
    print(f"{f'Vigil, one by one, {len(mine[0])} values':40}{1e3 * own_s / len(windows):10.2f}")
    own_ms = batched_hrv_ms(windows)
    print(f"{f'Vigil, {HRV_BATCH} windows at once':40}{own_ms:10.3f}   the ratios are to this")
    few = windows[:8]
    peaks = [np.round((w - w[0]) * 1000).astype(int) for w in few]
    calls: dict[str, Callable[[], Any]] = {
        "NeuroKit2 hrv_time": lambda: [nk.hrv_time(p, sampling_rate=1000) for p in peaks],
        "NeuroKit2 hrv_frequency": lambda: [nk.hrv_frequency(p, sampling_rate=1000) for p in peaks],
        "NeuroKit2, the measures both have": lambda: [both_have(nk, p) for p in peaks],
        "NeuroKit2 hrv (all)": lambda: [nk.hrv(p, sampling_rate=1000) for p in peaks],
        "antropy sample_entropy + DFA": lambda: [
            (antropy.sample_entropy(np.diff(w)), antropy.detrended_fluctuation(np.diff(w)))
            for w in few
        ],
    }
    timed(calls["antropy sample_entropy + DFA"])  # compiles
    results = {}
    for name, call in calls.items():
        results[name], cpu = timed(call)
        per = 1e3 * cpu / len(few)
        print(f"{name:40}{per:10.2f}   ratio {per / own_ms:8.1f}")
    pairs = {"ecg_rmssd_ms": "HRV_RMSSD", "ecg_sdnn_ms": "HRV_SDNN"}
    clean = [i for i in range(len(few)) if series[i].valid.all()]
    for name, theirs in pairs.items():
        ratio = [
            float(results["NeuroKit2 hrv_time"][i][theirs].iloc[0]) / mine[i][name] for i in clean
        ]
        if ratio:
            middle = np.median(ratio)
            print(f"  {theirs} over {name}: {middle:.4f} ({len(ratio)} windows without artefacts)")


def both_have(nk: Any, peaks: NDArray[np.int64]) -> tuple[Any, ...]:
    """What NeuroKit2 and this package both give of one window, each called once.

    Time and frequency domain, sample entropy and DFA. Fragmentation and the Poincaré plot, which
    both have too, are left out in NeuroKit2's favour; this package's own figure has them, the
    correction of intervals, capacities and irregularity besides.
    """
    rr = np.diff(peaks)
    return (
        nk.hrv_time(peaks, sampling_rate=1000),
        nk.hrv_frequency(peaks, sampling_rate=1000),
        nk.entropy_sample(rr, delay=1, dimension=2, tolerance=0.2 * rr.std(ddof=1)),
        nk.fractal_dfa(rr, scale=np.arange(4, 17)),
    )


def batched_hrv_ms(windows: list[Floats]) -> float:
    """CPU ms per window of the engine's own call: beats of many windows to all their values."""
    rows = [w - w[0] + 1e-3 for w in (windows * HRV_BATCH)[:HRV_BATCH]]
    row = np.repeat(np.arange(HRV_BATCH), [r.size for r in rows])
    times_us = np.rint(np.concatenate(rows) * 1e6).astype(np.int64)
    nothing = np.zeros(row.size, np.int64)
    beats = Beats(row, times_us, nothing, nothing > 0)
    length_us = np.full(HRV_BATCH, round(HRV_S * 1e6))
    every = np.ones(HRV_BATCH)
    standing = Standing(length_us, every, every, every.astype(np.uint8), 0.0 * every)

    def work() -> None:
        hrv_window(standing, intervals_between(beats, length_us))

    work()
    return 1e3 * min(timed(work)[1] for _ in range(5)) / HRV_BATCH


def ppg_table() -> None:
    """Pulses against R peaks moved by each record's own delay."""
    nk, ppg_of = (
        importlib.import_module("neurokit2"),
        importlib.import_module("biosppy.signals.ppg"),
    )
    records = bidmc(PPG_RECORDS)
    truths = [np.asarray(detect_r_peaks(ecg, fs)) / fs for ecg, _, _, fs in records]

    def neurokit(method: str) -> Detector:
        def run(x: Floats, fs: float) -> Any:
            clean = nk.ppg_clean(x, sampling_rate=round(fs))
            return nk.ppg_findpeaks(clean, sampling_rate=round(fs), method=method)["PPG_Peaks"]

        return run

    detectors: dict[str, Detector] = {
        "Vigil": detect_pulses,
        "NeuroKit2 elgendi": neurokit("elgendi"),
        "NeuroKit2 charlton": neurokit("charlton"),
        "biosppy elgendi": lambda x, fs: ppg_of.find_onsets_elgendi2013(x, fs)[0],
    }
    print(f"\nPulses, BIDMC, {len(records)} records x 8 min, against R peaks by Vigil")
    print(f"{'':28}{'F1 %':>8}{'IBI MAE ms':>12}{'CPU ms/min':>12}{'ratio':>8}")
    own_ms = 0.0
    for name, detect in detectors.items():
        hits = n = 0
        errors, cpu_s = [], 0.0
        for (_, ppg, _, fs), truth in zip(records, truths, strict=True):
            found, cpu = timed(partial(detect, ppg, fs))
            at = np.empty(0) if found is None else np.sort(np.asarray(found, np.float64)) / fs
            cpu_s += cpu
            h, error = delayed(truth, at)
            hits, n = hits + h, n + len(truth) + len(at)
            errors.append(error)
        ms = 1e3 * cpu_s / (8 * len(records))
        own_ms = own_ms or ms
        print(
            f"{name:28}{200 * hits / n:8.2f}{np.nanmean(errors):12.2f}{ms:12.2f}{ms / own_ms:8.1f}"
        )


def delayed(truth: Floats, found: Floats) -> tuple[int, float]:
    """Most pairs over delays of 0-0.8 s, and the mean error of their intervals in ms."""
    delays = np.arange(0, 0.8, 0.02)
    delay = delays[np.argmax([matches(truth + d, found, MATCH_S) for d in delays])]
    hits = matches(truth + delay, found, MATCH_S)
    if len(found) < 3:
        return hits, np.nan
    after = np.searchsorted(found, truth + delay).clip(1, len(found) - 1)
    nearer = np.abs(found[after] - truth - delay) < np.abs(found[after - 1] - truth - delay)
    error = np.where(nearer, found[after], found[after - 1]) - truth - delay
    pair = (np.abs(error[1:]) < MATCH_S) & (np.abs(error[:-1]) < MATCH_S)
    return hits, float(1e3 * np.abs(np.diff(error))[pair].mean())


if __name__ == "__main__":
    main()

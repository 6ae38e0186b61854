"""HRV: error after artefacts and gaps, bands of known oscillations, days, CPU per window.

Run with ``python -m benchmarks.bench_hrv``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lombscargle

from benchmarks._common import data_folder, heading
from benchmarks._hrv_data import (
    annotated_rr_s,
    as_they_are,
    clean_segments,
    day_history,
    injected,
    people_rr_ms,
)
from features.beat_intervals import Beats, intervals_between
from features.hrv import hrv, rows_of_series, time_values
from features.hrv_windows import Standing, hrv_window
from features.intervals import nn_from_beats
from features.long_windows import day_columns, hour_columns
from features.variability.long_term import HISTORY_COLUMNS

Floats = NDArray[np.float64]

_SEGMENTS: Final = 12  # of each person
_WINDOW_US: Final = 300_000_000
_BATCH: Final = 256
_PATTERNS: Final = "pcst_demos/Tools/HRV_Metrics_Tools/Physionet_EC57TPs"


def sinusoids(duration_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """End times and NN = 800 + 30 sin(2 pi 0.1 t) + 20 sin(2 pi 0.25 t) ms at those times."""
    times, t = [], 0.0
    while t < duration_s:
        end = t + 0.8
        for _ in range(60):
            wave = 30 * np.sin(0.2 * np.pi * end) + 20 * np.sin(0.5 * np.pi * end)
            end = t + (800.0 + wave) / 1000.0
        t = end
        times.append(t)
    at = np.array([0.0, *times[:-1]])
    return at[1:], np.diff(at) * 1000.0


def artefacts() -> None:
    """SDNN and RMSSD of clean stretches after beats went wrong."""
    people = people_rr_ms(data_folder("hrv_reference"), data_folder("mmash"))
    clean = [s for rr in people.values() for s in clean_segments(rr, _SEGMENTS, 1)]
    truth = [(s.std(ddof=1), np.sqrt(np.mean(np.diff(s) ** 2))) for s in clean]
    print(f"\nError after artefacts, {len(clean)} clean stretches of {len(people)} people,")
    print("% of the clean value: median / 90th percentile / mean")
    print(f"{'artefact':14s} {'SDNN':>22s} {'RMSSD':>22s} {'flagged %':>10s}")
    for kind, share in (
        ("none", 0.0),
        *((kind, share) for kind in ("missed", "extra", "ectopic") for share in (0.01, 0.05)),
    ):
        rng = np.random.default_rng(2)
        found = [hrv(nn_from_beats(injected(s, kind, share, rng))) for s in clean]
        error = [
            (100 * abs(f["ecg_sdnn_ms"] / sd - 1), 100 * abs(f["ecg_rmssd_ms"] / rm - 1))
            for f, (sd, rm) in zip(found, truth, strict=True)
        ]
        cells = [
            f"{np.median(e):6.2f} / {np.quantile(e, 0.9):5.1f} / {np.mean(e):4.1f}"
            for e in np.array(error).T
        ]
        flagged = np.mean([f["ecg_artefact_pct"] for f in found])
        print(f"{kind:8s} {share:4.0%}  {cells[0]:>22s} {cells[1]:>22s} {flagged:10.2f}")


def bands() -> None:
    """Power of oscillations that are known."""
    times, nn_ms = sinusoids(300.0)
    found = hrv(as_they_are(nn_ms, times))
    print("\nBands, ms² (expected; error)")
    lines = [("sinusoid", "lf", 450.0, found), ("sinusoid", "hf", 200.0, found)]
    for pattern, band, power in (
        ("TP2", "hf", 612.5),
        ("TP3", "lf", 2450.0),
        ("TP4", "vlf", 39200.0),
    ):
        path = data_folder("hrv_reference") / _PATTERNS / f"HRV256_{pattern}.txt"
        t_s, rr_s = np.loadtxt(path, delimiter=",").T
        inside = (t_s >= 600) & (t_s < 900)
        one = hrv(as_they_are(np.round(rr_s[inside] * 1000, 6), t_s[inside]))
        lines.append((pattern, band, power, one))
    for name, band, power, values in lines:
        value = values[f"ecg_{band}_ms2"]
        print(
            f"{name:9s} {band:3s} {value:10.1f} ({power:8.1f}; {100 * (value / power - 1):+.2f} %)"
        )


def _lomb(times_s: Floats, nn_ms: Floats) -> tuple[float, float]:
    """LF and HF by the Lomb periodogram, the usual answer to gaps."""
    y, span_s = nn_ms - nn_ms.mean(), times_s[-1] - times_s[0] + nn_ms.mean() / 1000.0
    hz = np.arange(1, int(0.4 * 4 * span_s) + 1) / (4 * span_s)
    density = 2 * span_s / nn_ms.size * lombscargle(times_s, y, 2 * np.pi * hz)
    lf, hf = (density[(hz >= a) & (hz < b)].sum() * hz[0] for a, b in ((0.04, 0.15), (0.15, 0.4)))
    return float(lf), float(hf)


def gaps() -> None:
    """LF and HF of stretches with a gap against the same without."""
    people = people_rr_ms(data_folder("hrv_reference"), data_folder("mmash"))
    clean = [s for rr in people.values() for s in clean_segments(rr, 6, 1)]
    print("\nError by one gap, median of |%| against the whole stretch: LF / HF")
    print(f"{'gap':>6s} {'line over the gap':>20s} {'Lomb':>20s}")
    for gap_s in (5.0, 20.0, 60.0):
        rng = np.random.default_rng(1)
        errors: list[list[float]] = []
        for rr in clean:
            t = np.cumsum(rr) / 1000.0
            begin = rng.uniform(20.0, 280.0 - gap_s)
            kept = (t < begin) | (t > begin + gap_s)
            whole, holed = (hrv(as_they_are(rr[k], t[k])) for k in (kept | True, kept))
            lomb = zip(_lomb(t[kept], rr[kept]), _lomb(t, rr), strict=True)
            ours = [abs(holed[n] / whole[n] - 1) for n in ("ecg_lf_ms2", "ecg_hf_ms2")]
            errors.append([*ours, *(abs(a / b - 1) for a, b in lomb)])
        lf, hf, lomb_lf, lomb_hf = 100 * np.median(errors, axis=0)
        print(f"{gap_s:4.0f} s {lf:12.1f} / {hf:5.1f} {lomb_lf:12.1f} / {lomb_hf:5.1f}")


def days() -> None:
    """Days added up from 300-s rows, and alpha 2 of hours against all their intervals."""
    people = people_rr_ms(data_folder("hrv_reference"), data_folder("mmash"))
    print("\nDays added up from rows of 300 s")
    print(f"{'person':8s} {'SDNN':>7s} {'SDANN':>7s} {'SDNNi':>7s} {'PVC':>4s} {'mesor':>6s}")
    off = []
    for name, rr in people.items():
        beats = np.cumsum(rr) / 1000.0
        beats = beats[beats < 86_400.0]
        rows = day_history(beats, 288)
        hours, vectors = hour_columns(rows.reshape(24, 12, -1))
        day = day_columns(vectors[None])
        cells = [
            day[f"ecg_{n}"].value[0] for n in ("sdnn_ms", "sdann_ms", "sdnni_ms", "circ_mesor_bpm")
        ]
        n_pvc = rows[:, HISTORY_COLUMNS.index("n_pvc")].sum()
        shown = " ".join(f"{cell:7.1f}" for cell in cells[:3])
        print(f"{name:8s} {shown} {n_pvc:4.0f} {cells[3]:6.1f}")
        for hour in (1, 9):
            own = beats[(beats >= hour * 3600) & (beats < (hour + 1) * 3600)]
            off.append(hours["ecg_dfa_a2"].value[hour] - hrv(nn_from_beats(own))["ecg_dfa_a2"])
    print(
        f"alpha 2 of {np.isfinite(off).sum()} hours, rows less all intervals: mean "
        f"{np.nanmean(off):+.3f}, SD {np.nanstd(off):.3f}"
    )


def _best_ms(work: Callable[[], object], repeats: int = 15) -> float:
    """Least CPU time of several runs, in ms."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.process_time()
        work()
        best = min(best, time.process_time() - begun)
    return best * 1e3


def speed() -> None:
    """CPU time of the whole vector per 300-s window, and of a day in one call."""
    rr = people_rr_ms(data_folder("hrv_reference"), data_folder("mmash"))
    clean = [s for own in rr.values() for s in clean_segments(own, 4, 1)]
    rng = np.random.default_rng(3)
    kinds = ("none", "none", "none", "ectopic")
    rows = [injected(clean[i % len(clean)], kinds[i % 4], 0.01, rng) for i in range(_BATCH)]
    row = np.repeat(np.arange(_BATCH), [r.size for r in rows])
    times_us = np.rint(np.concatenate(rows) * 1e6).astype(np.int64)
    nothing = np.zeros(row.size, np.int64)
    beats = Beats(row, times_us, nothing, nothing > 0)
    length_us = np.full(_BATCH, _WINDOW_US)
    every = np.ones(_BATCH)
    standing = Standing(length_us, every, every, every.astype(np.uint8), 0.0 * every)
    whole = _best_ms(lambda: hrv_window(standing, intervals_between(beats, length_us)))
    judged = _best_ms(lambda: intervals_between(beats, length_us))
    print(f"\nCPU per 300-s window of {row.size / _BATCH:.0f} beats, batch of {_BATCH}, one thread")
    print(f"beats to intervals, judged and corrected  {judged / _BATCH:.3f} ms")
    print(f"the whole vector from beats               {whole / _BATCH:.3f} ms")
    day = annotated_rr_s(data_folder("hrv_reference"), "nsr001") * 1000.0
    series = as_they_are(np.round(day, 6), np.cumsum(day) / 1000.0)
    one = rows_of_series(series)
    print(f"\nA day of {day.size} intervals in one call")
    print(f"time domain      {_best_ms(lambda: time_values(one), 5):6.1f} ms")
    print(f"everything       {_best_ms(lambda: hrv(series), 3):6.1f} ms")


def main() -> None:
    print(heading("Heart rate variability"))
    artefacts()
    bands()
    gaps()
    days()
    speed()


if __name__ == "__main__":
    main()

"""RR recordings for the HRV benchmarks, and the preparation of the reference toolbox.

The recipe is what reproduces the published numbers of the PhysioNet Cardiovascular Signal Toolbox
(Vest 2018); it is not this project's preprocessing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from features.beat_intervals import Beats, intervals_with_context
from features.hrv import hrv
from features.hrv_windows import Standing
from features.intervals import NnSeries
from features.long_windows import history_rows

Floats = NDArray[np.float64]

RECORDS: Final = ("nsr001", "nsr004", "nsr009")
_FS_HZ: Final = 125.0  # the header says 128, the published numbers were made with 125
_ANNOTATIONS: Final = "pcst_demos/Demos/TestData/Physionet_nsr2db"
_TABLE: Final = "pcst_demos/Demos/ReferenceOutput/NSR_HRV_allwindows_allpatients.csv"
_FIRST_S: Final = 7200.0
_TOO_LONG_S: Final = 2.0
_TOO_SHORT_S: Final = 0.375
_OFF: Final = 0.2  # of the median of the five before
_EDGE: Final = 30  # beats without PRSA anchors at both ends
_FEWEST_ANCHORS: Final = 20
_TOLERANCE: Final = 0.15  # of the standard deviation


class ReferenceWindow(NamedTuple):
    """One of the 693 windows: its intervals and the published values as printed."""

    record: str
    start_s: float
    nn: NnSeries
    printed: dict[str, str]


def as_they_are(nn_ms: Floats, times_s: Floats) -> NnSeries:
    """Intervals all taken as normal and adjacent."""
    n = nn_ms.size
    return NnSeries(nn_ms, times_s, np.ones(n, np.bool_), np.zeros(n, np.uint8), np.arange(n) > 0)


def annotated_rr_s(folder: Path, record: str) -> Floats:
    """All intervals between annotations of one 24-h record, in seconds.

    Samples are subtracted before they are divided: the other way round, rounding moves twelve of
    the windows by one interval.
    """
    import wfdb

    sample = wfdb.rdann(str(folder / _ANNOTATIONS / record), "ecg").sample
    return np.asarray(np.diff(sample) / _FS_HZ, np.float64)


def prepared(rr_s: Floats) -> tuple[Floats, Floats]:
    """End times and intervals in seconds, prepared as the toolbox does."""
    t = np.cumsum(rr_s)
    rr, t = rr_s[t < _FIRST_S], t[t < _FIRST_S]
    rr, t = rr[rr < _TOO_LONG_S], t[rr < _TOO_LONG_S]
    kept = ~(_off(rr) & _off(rr[::-1])[::-1]) & (rr >= _TOO_SHORT_S) & (rr <= _TOO_LONG_S)
    return t[kept], rr[kept]


def _off(rr: Floats) -> NDArray[np.bool_]:
    """Intervals a fifth off the median of the five before them."""
    before = np.lib.stride_tricks.sliding_window_view(rr, 5)[:-1]
    median = np.concatenate([np.full(5, np.median(rr[:5])), np.median(before, axis=1)])
    return np.asarray(np.abs(rr - median) / median >= _OFF)


def reference_windows(folder: Path) -> Iterator[ReferenceWindow]:
    """The 693 windows of `hrv_reference`, in the order of the published table."""
    made = {record: prepared(annotated_rr_s(folder, record)) for record in RECORDS}
    with (folder / _TABLE).open() as file:
        for line in csv.DictReader(file):
            t, rr = made[line["patID"]]
            start = float(line["t_start"])
            inside = (t >= start) & (t < start + 300.0)
            nn = as_they_are(np.round(rr[inside] * 1000.0, 6), t[inside])
            yield ReferenceWindow(line["patID"], start, nn, line)


def toolbox_pnn50(nn_ms: Floats) -> float:
    """Share of differences of at least 50 ms: the toolbox counts 50 itself."""
    return float((np.abs(np.diff(nn_ms)) >= 50.0).mean())


def toolbox_capacities(nn_ms: Floats) -> tuple[float, float]:
    """DC and AC with the toolbox's anchors: within 20 %, none in the outer 30 beats."""
    at = np.arange(_EDGE, nn_ms.size - _EDGE)
    change = nn_ms[at] / nn_ms[at - 1]
    slope = (nn_ms[at] + nn_ms[at + 1] - nn_ms[at - 1] - nn_ms[at - 2]) / 4.0
    slower, faster = (change > 1) & (change <= 1.2), (change > 0.7999) & (change <= 0.9999)
    dc, ac = (
        float(slope[chosen].mean()) if chosen.sum() >= _FEWEST_ANCHORS else float("nan")
        for chosen in (slower, faster)
    )
    return dc, ac


def toolbox_sampen(nn_ms: Floats) -> float:
    """Sample entropy as the toolbox: z-scores, r = 0.15, strict, N - 1 and N - 2 templates."""
    z = (nn_ms - nn_ms.mean()) / nn_ms.std(ddof=1)
    near = np.abs(z[:, None] - z[None, :]) < _TOLERANCE
    two = near[:-1, :-1] & near[1:, 1:]
    three = two[:-1, :-1] & near[2:, 2:]
    shares = [
        (alike.sum() - len(alike)) / (len(alike) * (len(alike) - 1)) for alike in (two, three)
    ]
    return float(-np.log(shares[1] / shares[0]))


def as_published(window: ReferenceWindow) -> dict[str, float]:
    """What the project computes, by the published table's column names."""
    found = hrv(window.nn)
    nn_ms = window.nn.nn_ms
    dc, ac = toolbox_capacities(nn_ms)
    return {
        "btsdet": float(nn_ms.size),
        "NNmean": found["ecg_nn_mean_ms"],
        "NNmedian": float(np.median(nn_ms)),
        "NNiqr": found["ecg_nn_iqr_ms"],
        "SDNN": found["ecg_sdnn_ms"],
        "RMSSD": found["ecg_rmssd_ms"],
        "pnn50": toolbox_pnn50(nn_ms),
        "SD1": found["ecg_sd1_ms"],
        "SD2": found["ecg_sd2_ms"],
        "SD1SD2": found["ecg_sd1_sd2"],
        "dc": dc,
        "ac": ac,
        "SampEn": toolbox_sampen(nn_ms),
    }


def agrees(value: float, printed: str) -> bool:
    """Whether a value is the printed one, to one unit of its last digit; empty: no value."""
    if not printed.strip() or printed.strip() == "NaN":
        return bool(np.isnan(value))
    digits = len(printed.partition(".")[2])
    return abs(value - float(printed)) <= 1.001 * 10.0**-digits


def people_rr_ms(hrv_reference: Path, mmash: Path) -> dict[str, Floats]:
    """Day-long RR in ms of every person of the two archives."""
    out = {name: annotated_rr_s(hrv_reference, name) * 1000.0 for name in RECORDS}
    for path in sorted(mmash.glob("*/RR.csv")):
        rr_s = np.loadtxt(path, delimiter=",", skiprows=1, usecols=1)
        out[path.parent.name] = np.asarray(rr_s * 1000.0, np.float64)
    return out


def clean_segments(rr_ms: Floats, wanted: int, seed: int) -> list[Floats]:
    """Five-minute stretches without an artefact: drawn by chance, kept when steady.

    Steady: 300-2000 ms, each within a fifth of the median of the 11 around, steps to 200 ms.
    """
    rng = np.random.default_rng(seed)
    found: list[Floats] = []
    for first in rng.integers(0, max(rr_ms.size - 1000, 1), 400):
        rr = rr_ms[first : first + 1000]
        rr = rr[np.cumsum(rr) <= 300_000.0]
        around = ndimage.median_filter(rr, 11, mode="nearest")
        steady = (np.abs(rr - around) <= 0.2 * around).all() and (np.abs(np.diff(rr)) <= 200).all()
        if steady and rr.size >= 100 and rr.min() >= 300 and rr.max() <= 2000:
            found.append(rr)
        if len(found) == wanted:
            break
    return found


def injected(rr_ms: Floats, kind: str, share: float, rng: np.random.Generator) -> Floats:
    """Beat times in s of a clean stretch after some of its beats went wrong.

    `missed`: taken out; `extra`: one more somewhere in the middle half of an interval; `ectopic`:
    20 to 40 % of the interval too early, with a full pause; `none`: as they are.
    """
    t = np.concatenate([[0.0], np.cumsum(rr_ms)]) / 1000.0
    at = np.sort(rng.choice(np.arange(2, t.size - 2), round(share * t.size), replace=False))
    if kind == "missed":
        return np.delete(t, at)
    if kind == "extra":
        more = t[at] + rng.uniform(0.25, 0.75, at.size) * np.diff(t)[at]
        return np.sort(np.concatenate([t, more]))
    if kind == "ectopic":
        at = at[np.diff(at, prepend=-2) > 1]
        t[at] -= rng.uniform(0.2, 0.4, at.size) * np.diff(t)[at - 1]
    return t


def day_history(beats_s: Floats, n_windows: int) -> Floats:
    """(n_windows, K) history of consecutive 300-s windows from 0, each with a minute of context."""
    start_s = 300.0 * np.arange(n_windows)
    parts = [beats_s[(beats_s >= s - 60.0) & (beats_s < s + 300.0)] - s for s in start_s]
    row = np.repeat(np.arange(n_windows), [part.size for part in parts])
    times_us = np.rint(np.concatenate(parts) * 1e6).astype(np.int64)
    nothing = np.zeros(row.size, np.int64)
    length_us = np.full(n_windows, 300_000_000)
    every = np.ones(n_windows)
    standing = Standing(length_us, every, every, every.astype(np.uint8), 0.0 * every)
    beats = Beats(row, times_us, nothing, nothing > 0)
    intervals = intervals_with_context(beats, length_us)
    return history_rows(standing, intervals, np.rint(start_s * 1e6).astype(np.int64))

"""Spectra, movement, saturation, temperature, skin conductance: cost and accuracy.

Speed is CPU time of one core, 256 patients at a time. Accuracy needs the recordings
(`VIGIL_DATA`, default ../shared/data): `python -m benchmarks.bench_body`.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from benchmarks._common import data_folder, heading
from features import baseline, derived
from features.electrodermal import MOVING_MAD_MG, conductance_columns, half_seconds_of
from features.motion import calibration
from features.motion.day import motion_row, nonwear_column
from features.motion.epochs import MotionEpochs, epoch
from features.motion.windows import asleep, motion_columns, numbers_of, sleep_column
from features.oximetry import hour_columns, level_columns, saturation_row, seconds_of
from features.population import POPULATION
from features.spectrum_specs import SPECTRA
from features.temperature import segment_median, slope_column, temperature_column
from features.waveform_spectra import band_power, mean_bins, segment_bins, spectral_columns

Floats = NDArray[np.float64]
Lines = Iterator[tuple[str, str]]
BATCH = 256
REPEATS = 8
Parts = dict[str, list[tuple[Callable[[], object], float]]]


def main() -> None:
    """Measure everything and print the table."""
    print(heading("Body signals"))
    lines = [*speed_lines(), *spectrum_lines()]
    wrists = sorted((data_folder("stress_predict_e4") / "Raw_data").glob("*/ACC.csv"))
    lines += [*wrist_lines(wrists), *skin_lines(wrists), *sleep_lines(data_folder("mmash"))]
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print(f"{name:<{width}}  {value}")


def cpu_ms(work: Callable[[], object], times: float) -> float:
    """CPU ms per patient-minute of `work` on a batch, done `times` a minute; best of 8."""
    work()
    best = np.inf
    for _ in range(REPEATS):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return float(best * 1e3 / BATCH * times)


def speed_lines() -> Lines:
    """Cost per patient-minute, every window at a hop of 60 s."""
    rng = np.random.default_rng(1)
    parts = {
        **movement_parts(rng),
        **saturation_and_temperature_parts(rng),
        "baseline and heart rate over movement": state_parts(rng),
    }
    total = 0.0
    for name, works in parts.items():
        cost = sum(cpu_ms(work, times) for work, times in works)
        total += cost
        yield f"{name}, ms/patient-minute", f"{cost:.4f}"
    yield "all of these (goal 0.4, aim 0.2)", f"{total:.4f}"
    for name, works in extra_parts(rng).items():
        cost = sum(cpu_ms(work, times) for work, times in works)
        yield f"{name}, ms/patient-minute", f"{cost:.4f}"


def movement_parts(rng: np.random.Generator) -> Parts:
    """Epochs of three axes at 32 Hz, and the windows made of them."""
    axes = rng.normal(0.0, 0.05, (3, BATCH, 320))
    axes[2] += 1.0
    axes[:, ::4] *= 5.0  # a quarter of the time they move
    x, y, z = axes
    epochs = epoch(x, y, z, 32.0)
    numbers = np.repeat(numbers_of(epochs)[:, None], 30, axis=1)
    bins = np.repeat(epochs.bins[:, None], 6, axis=1)
    moved = np.repeat(motion_row(numbers)[:, None], 12, axis=1)
    quality = np.ones(BATCH)
    return {
        "movement, 3 x 32 Hz: epochs with spectrum": [(lambda: epoch(x, y, z, 32.0), 6)],
        "movement: windows of 60, 300, 3600 s": [
            (lambda: motion_columns(numbers[:, :6], quality), 1),
            (lambda: motion_columns(numbers, quality), 1),
            (lambda: spectral_columns(bins, quality, SPECTRA["acc"]), 1),
            (lambda: sleep_column(numbers, quality), 1),
            (lambda: motion_row(numbers), 1),
            (lambda: nonwear_column(moved, quality), 1),
        ],
    }


def saturation_and_temperature_parts(rng: np.random.Generator) -> Parts:
    """Numbers once a second: their segments and windows."""
    quality = np.ones(BATCH)
    seconds = np.round(96.0 + rng.normal(0.0, 0.8, (BATCH, 540)))
    ten, temp = seconds[:, :10], 33.0 + rng.normal(0.0, 0.1, (BATCH, 10))
    rows = np.repeat(saturation_row(seconds)[:, None], 12, axis=1)
    return {
        "SpO2, 1 Hz: segments and windows": [
            (lambda: seconds_of(ten, 1.0), 6),
            (lambda: level_columns(seconds[:, :62], 60, quality), 1),
            (lambda: level_columns(seconds[:, :302], 300, quality), 1),
            (lambda: saturation_row(seconds), 1),
            (lambda: hour_columns(rows, quality), 1),
        ],
        "temperature, 1 Hz": [
            (lambda: segment_median(temp), 6),
            (lambda: temperature_column(temp[:, :6], quality), 1),
            (lambda: temperature_column(seconds[:, :30], quality), 1),
            (lambda: slope_column(seconds[:, :12], quality), 1),
        ],
    }


def extra_parts(rng: np.random.Generator) -> Parts:
    """What the goal does not count: skin conductance, spectra of waves."""
    quality, moving = np.ones(BATCH), np.zeros((BATCH, 30), np.bool_)
    steps = 3.0 + np.cumsum(rng.normal(0.0, 0.01, (BATCH, 620)), axis=1)
    return {
        "skin conductance, 4 Hz": [
            (lambda: half_seconds_of(steps[:, :40], 4.0), 6.0),
            (lambda: conductance_columns(steps[:, :140], moving[:, :6], quality), 1.0),
            (lambda: conductance_columns(steps, moving, quality), 1.0),
        ],
        **{
            f"spectrum of {name}, {fs_hz:g} Hz": [wave_part(rng, name, fs_hz)]
            for name, fs_hz in (("ecg", 250.0), ("ppg", 125.0))
        },
    }


def state_parts(rng: np.random.Generator) -> list[tuple[Callable[[], object], float]]:
    """One step of the stateful parts."""
    state, motion = baseline.fresh(BATCH), derived.fresh(BATCH)
    values = np.tile(POPULATION.mean[:, 0], (BATCH, 1)) + rng.normal(size=(BATCH, 8))
    end_us = np.full(BATCH, 1_700_000_000_000_000)
    moment = baseline.Moment(end_us, np.zeros(BATCH), np.zeros(BATCH), np.zeros(BATCH, np.bool_))
    ok, mg = np.ones(values.shape, np.bool_), np.full(BATCH, 20.0)
    return [
        (lambda: baseline.update(state, values, moment, ok), 1),
        (lambda: derived.unexplained(motion, values[:, 0], mg, end_us, ok[:, 0]), 1),
    ]


def wave_part(
    rng: np.random.Generator, name: str, fs_hz: float
) -> tuple[Callable[[], object], float]:
    """The spectrum of one minute of a wave."""
    x = rng.normal(size=(BATCH, round(10 * fs_hz)))
    return (lambda: segment_bins(x, fs_hz, SPECTRA[name])), 6.0


def spectrum_lines() -> Lines:
    """Largest deviation of band powers from scipy's Welch of the whole minute."""
    rng, worst = np.random.default_rng(2), 0.0
    for name, fs_hz in (("ecg", 250.0), ("ecg", 360.0), ("ppg", 125.0), ("acc", 32.0)):
        spec, n = SPECTRA[name], round(10 * fs_hz)
        x = rng.normal(size=(6, n))
        hz, density = signal.welch(x.reshape(-1), fs_hz, "hann", n, noverlap=0)
        mean, _ = mean_bins(segment_bins(x, fs_hz, spec)[None])
        for band in spec.bands:
            inside = (hz >= band.low_hz - 1e-6) & (hz < band.high_hz - 1e-6)
            whole = density[inside].sum() * (hz[1] - hz[0])
            worst = max(worst, abs(band_power(mean, spec, band)[0] / whole - 1.0))
    yield "band powers against scipy.signal.welch, largest deviation", f"{worst:.1e}"


def wrist(path: Path) -> MotionEpochs:
    """Epochs of an E4's ACC.csv."""
    raw = np.loadtxt(path, delimiter=",", skiprows=2) / 64.0
    axes = raw[: len(raw) // 320 * 320].reshape(-1, 320, 3)
    return epoch(axes[:, :, 0], axes[:, :, 1], axes[:, :, 2], 32.0)


def wrist_lines(paths: list[Path]) -> Lines:
    """Steps of people at a desk; the norm at rest before and after calibration on other data."""
    steps = hours = 0.0
    error_mg = []
    for path in paths:
        epochs = wrist(path)
        steps, hours = steps + float(epochs.steps.sum()), hours + len(epochs.n) / 360
        state, half = calibration.fresh(1), len(epochs.n) // 2
        for i in range(half):
            state = calibration.learned(state, epochs.mean_g[i : i + 1], epochs.still[i : i + 1])
        found = calibration.calibration(state)
        rest = epochs.mean_g[half:][epochs.still[half:] == 1.0]
        if len(rest):
            both = (rest, found.gain * rest + found.offset_g)
            error_mg.append([1e3 * np.abs(np.sqrt((m**2).sum(1)) - 1).mean() for m in both])
    before, after = np.mean(error_mg, axis=0)
    yield f"steps an hour of {len(paths)} people at a desk (Stress-Predict)", f"{steps / hours:.0f}"
    yield (
        "||a| - 1 g| at rest, second half, raw / calibrated on the first half",
        f"{before:.1f} / {after:.1f} mg",
    )


def skin_lines(paths: list[Path]) -> Lines:
    """Stress against rest by one feature of 60 s, within each person."""
    label = np.genfromtxt(paths[0].parents[2] / "hr_rsp_label.csv", delimiter=",", skip_header=1)
    areas = []
    for path in paths:
        own = label[label[:, 0] == int(path.parent.name[1:])]
        if not len(own):
            continue
        raw = np.loadtxt(path.with_name("EDA.csv"))
        x = raw[2 : 2 + (len(raw) - 2) // 40 * 40].reshape(-1, 40)
        steps = half_seconds_of(x, 4.0).reshape(1, -1)
        moving = np.zeros(len(x) + 6, np.bool_)
        mad = wrist(path).mad_mg[: len(x)]
        moving[: len(mad)] = mad > MOVING_MAD_MG
        starts = np.arange(1, len(x) - 6)
        rows = np.concatenate([steps[:, (k - 1) * 20 : (k + 6) * 20] for k in starts])
        gate = np.stack([moving[k : k + 6] for k in starts])
        columns = conductance_columns(rows, gate, np.ones(len(rows)))
        at_s = raw[0] + starts * 10 + 30
        known = (at_s >= own[0, 3]) & (at_s <= own[-1, 3])
        stressed = np.interp(at_s, own[:, 3], own[:, 4]) > 0.5
        areas.append(
            [area(c.value[known & stressed], c.value[known & ~stressed]) for c in columns.values()]
        )
    level, rate = np.nanmean(areas, axis=0)
    yield f"stress / rest AUROC within person, {len(areas)} people: EDA level", f"{level:.3f}"
    yield "  responses per minute (SCR)", f"{rate:.3f}"


def area(high: Floats, low: Floats) -> float:
    """Area under the ROC curve of values that should be high against those that should be low."""
    high, low = high[~np.isnan(high)], np.sort(low[~np.isnan(low)])
    if not high.size or not low.size:
        return float("nan")
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.mean() / 2 / low.size)


def sleep_lines(folder: Path) -> Lines:
    """Sleep by minute against the people's nights, from ActiGraph's counts once a second."""
    scores = []
    for path in sorted(folder.glob("user_*")):
        night = nights_of(path)
        if night is None:
            continue
        seconds, counts = actigraph(path)
        first, n = int(seconds[0]) // 60, int(seconds[-1] - seconds[0]) // 60 + 1
        total = np.bincount(seconds // 60 - first, weights=counts, minlength=n)
        minutes: Floats = total.astype(np.float64)
        five = np.lib.stride_tricks.sliding_window_view(minutes, 5)
        at_s = (np.arange(len(five)) + 4 + first) * 60
        found, truth = asleep(five) == 1.0, (at_s >= night[0]) & (at_s < night[1])
        scores.append([found[truth].mean(), (~found)[~truth].mean(), (found == truth).mean()])
    sleep, wake, both = np.mean(scores, axis=0)
    yield (
        f"sleep by minute, {len(scores)} people x 24 h (MMASH): sensitivity / specificity / right",
        f"{100 * sleep:.1f} / {100 * wake:.1f} / {100 * both:.1f} %",
    )


def actigraph(folder: Path) -> tuple[NDArray[np.int64], Floats]:
    """Seconds since the first midnight and vector magnitude."""
    with (folder / "Actigraph.csv").open() as file:
        rows = list(csv.DictReader(file))
    seconds = np.array([clock_s(row["time"]) for row in rows])
    seconds += 86_400 * np.r_[0, np.cumsum(np.diff(seconds) < -40_000)]
    return seconds, np.array([float(row["Vector Magnitude"]) for row in rows])


def nights_of(folder: Path) -> tuple[int, int] | None:
    """Begin and end of the night, seconds since the first midnight; None if not written down."""
    with (folder / "sleep.csv").open() as file:
        nights = list(csv.DictReader(file))
    if not nights:
        return None
    begin, end = (clock_s(nights[0][f"{what} Time"]) for what in ("Onset", "Out Bed"))
    begin += 86_400 * (begin < 43_200)  # after midnight: the second day
    return begin, end + 86_400


def clock_s(text: str) -> int:
    """Seconds of h:m or h:m:s."""
    parts = [int(part) for part in text.split(":")]
    return sum(part * size for part, size in zip(parts, (3600, 60, 1), strict=False))


if __name__ == "__main__":
    main()

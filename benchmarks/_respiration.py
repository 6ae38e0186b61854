"""BIDMC as respiration windows with annotated rates, and the fit of the fusion's weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from features import beats
from features.breathing import fiducials, fusion, series, spectrum, windows
from features.breathing.fusion import Source
from features.breathing.series import EcgBeats, Pulses
from features.breathing.wave import WAVE_HZ, breath_wave
from features.breathing.windows import Windows
from features.ppg import pulses as ppg_pulses

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

HOP_S: Final = 10.0
AGREE_PER_MIN: Final = 2.0
ECG: Final = ("r_peak", "r_trough", "rr_interval")
PPG: Final = ("pulse_baseline", "pulse_amplitude", "pulse_interval")
CHANNELS: Final = {"ecg": "II", "ppg": "PLETH", "resp": "RESP"}
_TARGET_SPREAD_PER_MIN: Final = 0.5
_RIDGE: Final = 1e-3


class Record(NamedTuple):
    """One recording: its waves, its beats (one row) and breaths; times in seconds."""

    name: str
    person: str
    fs_hz: float
    signals: dict[str, Floats]
    wave: Floats  # (n,) at 4 Hz
    ecg: EcgBeats
    ppg: Pulses
    breaths_s: list[Floats]  # by two annotators; empty without


class Labelled(NamedTuple):
    """Windows and what is known of them, one value a window."""

    asked: Windows
    record: Ints
    person: NDArray[np.str_]
    truth: Floats  # (n, 2) breaths/min by two annotators


def bidmc(folder: Path) -> Iterator[Record]:
    """All BIDMC records of a folder."""
    for path in sorted(folder.glob("*_Signals.npz")):
        name = path.name.removesuffix("_Signals.npz")
        with np.load(path) as packed:
            names = [str(channel) for channel in packed["channels"]]
            found = {k: packed["signals"][names.index(v)] for k, v in CHANNELS.items()}
            fs_hz = float(packed["fs"])
        signals = {k: np.asarray(v, np.float64) for k, v in found.items()}
        with path.with_name(f"{name}_Breaths.csv").open() as file:
            marks = list(csv.reader(file))[1:]
        breaths_s = [
            np.array([float(row[i]) for row in marks if len(row) > i and row[i].strip()]) / fs_hz
            for i in (0, 1)
        ]
        notes = path.with_name(f"{name}_Fix.txt").read_text(encoding="utf-8")
        person = notes.split("matched wdb ID: ")[1].split()[0]
        yield _record(name, person, fs_hz, signals, breaths_s)


def cinc2015(folder: Path) -> Iterator[Record]:
    """The last minute before an alarm, for the patients who wore a chest wave and an ECG."""
    packed = np.load(folder / "signals.npz")
    for entry in json.loads((folder / "meta.json").read_text(encoding="utf-8")):
        channels = entry["channels"]
        leads = [name for name in channels if name not in ("PLETH", "ABP", "RESP")]
        if "RESP" not in channels or not leads:
            continue
        counts = np.cumsum(packed[entry["record"]], axis=1, dtype=np.int16).astype(np.float64)
        scaled = (counts - np.array(entry["baseline"])[:, None]) / np.array(entry["gain"])[:, None]
        wanted = {"resp": "RESP", "ecg": "II" if "II" in leads else leads[0], "ppg": "PLETH"}
        signals = {k: scaled[channels.index(v)] for k, v in wanted.items() if v in channels}
        yield _record(entry["record"], entry["record"], float(entry["fs"]), signals, [])


def _record(
    name: str, person: str, fs_hz: float, signals: dict[str, Floats], breaths_s: list[Floats]
) -> Record:
    """Find the beats of a recording."""
    ecg, ppg = series.NO_ECG, series.NO_PULSES
    x = signals["ecg"][None]
    found = beats.r_peaks(x, fs_hz)
    time_us = np.rint(found.position / fs_hz * 1e6).astype(np.int64)
    heights = fiducials.edr_extremes(x, fs_hz, found.row, found.position)
    ecg = EcgBeats(found.row, time_us, *heights, np.zeros_like(found.row))
    if "ppg" in signals:
        x = signals["ppg"][None]
        seen = ppg_pulses.pulses(x, fs_hz)
        time_us = np.rint(seen.position / fs_hz * 1e6).astype(np.int64)
        ppg = Pulses(seen.row, time_us, seen.baseline, seen.amplitude, np.zeros_like(seen.row))
    x = signals["resp"][None]
    at = np.arange(0, x.shape[1], fs_hz / WAVE_HZ)[None]
    wave = breath_wave(x, fs_hz, at)[0]
    return Record(name, person, fs_hz, signals, wave, ecg, ppg, breaths_s)


def labelled(records: Sequence[Record], length_s: float, speed: float = 1.0) -> Labelled:
    """Windows every 10 s of all records; `speed` plays beats and breaths faster or slower."""
    ecg: list[EcgBeats] = []
    ppg: list[Pulses] = []
    waves, ends, number, person, truth = [], [], [], [], []
    row = 0
    for i, record in enumerate(records):
        duration_s = record.wave.size / WAVE_HZ / speed
        for start_s in np.arange(0.0, duration_s - length_s + 1e-6, HOP_S):
            begin = start_s * speed * 1e6
            end = (start_s + length_s) * speed * 1e6
            ecg.append(EcgBeats(*_cut(record.ecg, row, begin, end, speed)))
            ppg.append(Pulses(*_cut(record.ppg, row, begin, end, speed)))
            first = round(start_s * WAVE_HZ)
            own = record.wave[first : first + round(length_s * WAVE_HZ)]
            waves.append(own if speed == 1.0 else np.full(round(length_s * WAVE_HZ), np.nan))
            marks = [m[(m * 1e6 >= begin) & (m * 1e6 < end)] / speed for m in record.breaths_s]
            truth.append([60 * (len(m) - 1) / np.ptp(m) if len(m) > 1 else np.nan for m in marks])
            ends.append(round((start_s + length_s) * 1e6))
            number.append(i)
            person.append(record.person)
            row += 1
    asked = Windows(
        np.stack(waves),
        EcgBeats(*(np.concatenate(part) for part in zip(*ecg, strict=True))),
        Pulses(*(np.concatenate(part) for part in zip(*ppg, strict=True))),
        np.array(ends, np.int64),
    )
    return Labelled(asked, np.array(number), np.array(person), np.array(truth, np.float64))


def _cut(
    events: EcgBeats | Pulses, row: int, begin: float, end: float, speed: float
) -> Iterator[Any]:
    """The events of one window as its row, their times from its start."""
    first, last = np.searchsorted(events.time_us, (begin, end))
    own = slice(first, last)
    yield np.full(last - first, row, np.intp)
    yield np.rint((events.time_us[own] - begin) / speed).astype(np.int64)
    yield from (part[own] for part in events[2:])


def sources(asked: Windows) -> dict[str, Source]:
    """All sources of some windows by name."""
    shape = asked.wave.shape
    found = (*series.ecg_series(asked.ecg), *series.ppg_series(asked.ppg))
    waves = (wave for one in found for wave in series.on_grid(one, shape[0], shape[1]))
    return {
        name: fusion.source(name, spectrum.spectra(wave))
        for name, wave in zip((*ECG, *PPG), waves, strict=True)
    }


def terms(every: dict[str, Source], names: Sequence[str]) -> Floats:
    """What the weights multiply: (n, N_RATES, 9), the shared terms first."""
    shared, _ = fusion.shared_terms([every[name] for name in names])
    none = np.zeros_like(shared[0])
    products = [every[name].log_power if name in names else none for name in (*ECG, *PPG)]
    return np.stack([*shared, *products], axis=2)


def fit(x: Floats, rate_per_min: Floats, weight: Floats) -> Floats:
    """Weights of the terms by penalised maximum likelihood of the rates.

    The true rate counts as a normal of 0.5/min around the annotated one; the prior is fixed.
    """
    away = (spectrum.RATES_PER_MIN - rate_per_min[:, None]) / _TARGET_SPREAD_PER_MIN
    target = fusion.normalised(-0.5 * away**2)
    weight = weight / weight.sum()

    def loss(a: Floats) -> tuple[float, Floats]:
        p = fusion.normalised(x @ a + fusion.LOG_PRIOR)
        value = -(weight[:, None] * target * np.log(p + 1e-300)).sum() + _RIDGE * (a * a).sum()
        rest = weight[:, None] * (p - target)
        return float(value), (x * rest[:, :, None]).sum(axis=(0, 1)) + 2 * _RIDGE * a

    found = minimize(loss, np.zeros(x.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, np.float64)


def clear_wave(asked: Windows) -> tuple[Bools, Floats]:
    """Windows whose chest wave leaves no doubt of the rate, and that rate."""
    found = windows.evidence_of(asked)
    return found.wave_quality >= 0.8, found.wave.rate_per_min

"""How accurate respiration rates are on BIDMC, with people left out, and what they cost.

Prints MAE, median error, share within 2/min and share reported: with the chest wave, without it
(followed over time or each window alone), per signal, for 60-s and 32-s windows; the error over
coverage as the quality gate rises; faster and slower breathing than anyone in the data had (the
recordings played at another speed); the weights refitted with people left out; CPU time.
Needs the recordings (`VIGIL_DATA`, default ../shared/data). Run as
`python -m benchmarks.bench_respiration`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from benchmarks._common import data_folder, heading
from benchmarks._respiration import (
    AGREE_PER_MIN,
    ECG,
    PPG,
    Bools,
    Floats,
    Labelled,
    Record,
    bidmc,
    cinc2015,
    clear_wave,
    fit,
    labelled,
    sources,
    terms,
)
from features import respiration
from features.breathing import fusion, tracking, windows
from features.breathing.series import NO_ECG, NO_PULSES, EcgBeats, Pulses
from features.breathing.windows import Evidence, Windows

SUBSETS: Final = {"ECG + PPG": (*ECG, *PPG), "ECG": ECG, "PPG": PPG}
SPEEDS: Final = {0.5: 0.15, 0.6: 0.15, 1.5: 0.3, 1.9: 0.3}  # and their weight in the fit
FOLDS: Final = 7
GRID_PER_MIN: Final = (4.5, 44.0)  # rates outside cannot be found
WINDOWS_A_RECORD: Final = 43
CINC_WEIGHT: Final = 0.5  # of a BIDMC window: its rates are counted by this program, not people


def main() -> None:
    """Measure everything and print the tables."""
    print(heading("Respiration, 35 BIDMC records of 28 people, windows every 10 s"))
    records = list(bidmc(data_folder("bidmc")))
    whole = labelled(records, 60.0)
    columns = ("MAE", "median", "<=2 %", "q>=.5 %", "MAE kept")
    print("\nbreaths per minute".ljust(40) + "".join(f"{name:>9}" for name in columns))
    accuracy(whole, "60 s")
    accuracy(labelled(records, 32.0), "32 s")
    gates(whole)
    left_out(records, whole)
    cost(whole)


def accuracy(data: Labelled, length: str) -> None:
    """Shipped weights on every choice of signals, against windows with agreeing annotators."""
    none = np.full_like(data.asked.wave, np.nan)
    with_wave = {
        "RESP + ECG + PPG": data.asked,
        "RESP": data.asked._replace(ecg=NO_ECG, ppg=NO_PULSES),
    }
    beats = data.asked._replace(wave=none)
    without = {
        "ECG + PPG": beats,
        "ECG": beats._replace(ppg=NO_PULSES),
        "PPG": beats._replace(ecg=NO_ECG),
    }
    for name, asked in {**with_wave, **without}.items():
        found = windows.evidence_of(asked)
        followed = fused(found, data)
        line(f"{length} {name}, followed", *followed, data)
        if name in without:
            line(f"{length} {name}, each window alone", *alone(found), data)
    for name, asked in (("RESP + ECG + PPG", data.asked), ("ECG + PPG", beats)):
        rate, _ = fused(windows.evidence_of(asked), data)
        error = np.abs(rate - data.truth.mean(axis=1))
        print(f"{f'{length} {name}, also where two disagree':39}{np.nanmean(error):9.3f}")


def fused(found: Evidence, data: Labelled) -> tuple[Floats, Floats]:
    """Rate and quality of every window, each record followed from its start."""
    state = tracking.fresh_state(int(data.record.max()) + 1)
    order = np.argsort(data.asked.end_us, kind="stable")
    rate, quality = np.empty(order.size), np.empty(order.size)
    for end_us in np.unique(data.asked.end_us):
        now = order[data.asked.end_us[order] == end_us]
        result = windows.fuse(_rows(found, now), state[data.record[now]], data.asked.end_us[now])
        state[data.record[now]] = result.state
        rate[now], quality[now] = result.rate_per_min, result.quality
    return rate, quality


def alone(found: Evidence) -> tuple[Floats, Floats]:
    """Rate and quality of every window without history."""
    fresh = tracking.fresh_state(len(found.wave_quality))
    result = windows.fuse(found, fresh, np.zeros(len(fresh), np.int64))
    return result.rate_per_min, result.quality


def _rows(found: Evidence, rows: Any) -> Evidence:
    """Some rows of the evidence."""
    parts: list[Any] = [
        type(part)(*(value[rows] for value in part)) if isinstance(part, tuple) else part[rows]
        for part in found
    ]
    return Evidence(*parts)


def line(name: str, rate: Floats, quality: Floats, data: Labelled) -> None:
    """One line of the table."""
    agreed = np.abs(data.truth[:, 0] - data.truth[:, 1]) <= AGREE_PER_MIN
    error = np.abs(rate - data.truth.mean(axis=1))[agreed]
    kept = quality[agreed] >= 0.5
    known = ~np.isnan(error)
    print(
        f"{name:39}{error[known].mean():9.3f}{np.median(error[known]):9.2f}"
        f"{100 * np.mean(error <= 2):9.1f}{100 * kept.mean():9.1f}{error[kept & known].mean():9.3f}"
    )


def gates(data: Labelled) -> None:
    """Error over coverage of ECG + PPG as the gate rises."""
    asked = data.asked._replace(wave=np.full_like(data.asked.wave, np.nan))
    found = windows.evidence_of(asked)
    truth = data.truth.mean(axis=1)
    print("\nECG + PPG, quality at least:  reported %, MAE of those, % of them beyond 2/min")
    for name, (rate, quality) in (("followed", fused(found, data)), ("alone", alone(found))):
        for gate in (0.0, 0.3, 0.5, 0.7, 0.9):
            kept = quality >= gate
            error = np.abs(rate - truth)[kept]
            far = 100 * np.mean(error > 2)
            print(f"  {name:8} {gate:.1f}  {100 * kept.mean():6.1f} {error.mean():7.3f} {far:6.1f}")


def left_out(records: Sequence[Record], whole: Labelled) -> None:
    """Refit the weights with people left out; then on all, to compare with the shipped table."""
    people = sorted(set(whole.person.tolist()))
    fold_of = {person: i % FOLDS for i, person in enumerate(people)}
    sets = {1.0: whole} | {speed: labelled(records, 60.0, speed) for speed in SPEEDS}
    known = {speed: examples(data, whole, speed) for speed, data in sets.items()}
    folds = {s: np.array([fold_of[p] for p in d.person.tolist()]) for s, d in sets.items()}
    extra = [from_cinc()]
    said = {(s, k): np.empty(x.shape[:2]) for s, one in known.items() for k, x in one.x.items()}
    for fold in range(FOLDS):
        used = [known[s].chosen(folds[s] != fold) for s in sets]
        weights = fit(*(np.concatenate(part) for part in zip(*extra, *used, strict=True)))
        for (speed, subset), likelihood in said.items():
            held = folds[speed] == fold
            likelihood[held] = known[speed].x[subset][held] @ weights
    print(f"\nweights refitted with people left out, {FOLDS} folds of 4 people")
    for (speed, subset), likelihood in said.items():
        data = sets[speed]
        name = f"{subset}, speed x{speed}"
        line(f"{name}, followed", *followed_rates(likelihood, data), data)
        rate = fusion.best_rate(fusion.normalised(likelihood + fusion.LOG_PRIOR))
        line(f"{name}, each alone", *rate, data)
    used = [one.chosen(np.ones(one.rate_per_min.size, np.bool_)) for one in known.values()]
    weights = fit(*(np.concatenate(part) for part in zip(*extra, *used, strict=True)))
    shipped = [*fusion.SHARED_WEIGHTS.values(), *fusion.SOURCE_WEIGHTS.values()]
    print("weights fitted on all:", weights.round(2).tolist(), "shipped:", shipped)


class Examples(NamedTuple):
    """What the weights are fitted to: every window once for each choice of signals."""

    x: dict[str, Floats]  # (n, N_RATES, terms)
    rate_per_min: Floats
    weight: Floats

    def chosen(self, rows: Bools) -> tuple[Floats, Floats, Floats]:
        """Terms, rates and weights of some windows, all choices of signals after another."""
        used = rows & (self.weight > 0)
        n = len(self.x)
        x = np.concatenate([one[used] for one in self.x.values()])
        return x, np.tile(self.rate_per_min[used], n), np.tile(self.weight[used], n)


def examples(data: Labelled, whole: Labelled, speed: float) -> Examples:
    """BIDMC windows at one speed; a person counts by the root of their recorded time."""
    every = sources(data.asked)
    rate = data.truth.mean(axis=1)
    people, own = np.unique(data.person, return_counts=True)
    n_whole = {p: np.sum(whole.person == p) for p in people.tolist()}
    per = {p: np.sqrt(n_whole[p]) / n for p, n in zip(people.tolist(), own.tolist(), strict=True)}
    weight = SPEEDS.get(speed, 1.0) * np.array([per[p] for p in data.person.tolist()])
    thinned = np.arange(rate.size) % (1 if speed == 1.0 else 3) == 0
    inside = (rate > GRID_PER_MIN[0]) & (rate < GRID_PER_MIN[1])
    x = {name: terms(every, subset) for name, subset in SUBSETS.items()}
    return Examples(x, rate, np.where(thinned & inside, weight, 0.0))


def from_cinc() -> tuple[Floats, Floats, Floats]:
    """Terms, rates and weights of the CinC 2015 windows whose chest wave is clear."""
    data = labelled(list(cinc2015(data_folder("cinc2015_last60s"))), 60.0)
    clear, rate = clear_wave(data.asked)
    every = sources(data.asked)
    x, rates = [], []
    for subset in SUBSETS.values():
        used = clear & np.any([every[name].present for name in subset], axis=0)
        x.append(terms(every, subset)[used])
        rates.append(rate[used])
    both = np.concatenate(rates)
    return np.concatenate(x), both, np.full(both.size, CINC_WEIGHT / np.sqrt(WINDOWS_A_RECORD))


def followed_rates(likelihood: Floats, data: Labelled) -> tuple[Floats, Floats]:
    """Rate and quality from likelihoods, each record followed from its start."""
    state = tracking.fresh_state(int(data.record.max()) + 1)
    rate, quality = np.empty(len(likelihood)), np.empty(len(likelihood))
    for end_us in np.unique(data.asked.end_us):
        now = np.flatnonzero(data.asked.end_us == end_us)
        known = np.ones(now.size, np.bool_)
        own = data.record[now]
        step = tracking.track(state[own], data.asked.end_us[now], likelihood[now], known)
        state[own] = step.state
        rate[now], quality[now] = fusion.best_rate(step.probability)
    return rate, quality


def cost(data: Labelled) -> None:
    """CPU time of everything from beats and 4 Hz wave to the features' columns."""
    n = 256
    ecg: list[Any] = [part[data.asked.ecg.row < n] for part in data.asked.ecg]
    ppg: list[Any] = [part[data.asked.ppg.row < n] for part in data.asked.ppg]
    wave, end_us = data.asked.wave[:n], data.asked.end_us[:n]
    asked = Windows(wave, EcgBeats(*ecg), Pulses(*ppg), end_us)
    state = tracking.fresh_state(n)
    runs, began = 0, time.process_time()
    while time.process_time() - began < 2.0:
        respiration.rate_columns(asked, state)
        respiration.wave_columns(asked.wave)
        runs += 1
    each_ms = 1e3 * (time.process_time() - began) / runs / n
    print(f"\nCPU ms per 60-s window, batch of {n}, all features: {each_ms:.3f}")


if __name__ == "__main__":
    main()

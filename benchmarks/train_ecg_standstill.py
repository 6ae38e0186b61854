"""Fit what tells P waves from beats in one segment: numbers of `features/ecg/standstill.py`.

Segments that pass the gate: of MIT-BIH (both leads), BIDMC and the 2015 challenge as beats; of
simulated P waves, and of the P waves of MIT-BIH and BIDMC by themselves, as none. Prints the
weights, the bar at which so many of the beats are refused, and what records left out say.
`python -m benchmarks.train_ecg_standstill` (recordings: `VIGIL_DATA`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from unittest.mock import patch

import numpy as np

from benchmarks._common import data_folder, heading
from benchmarks.bench_standstill import LEVELS_MV, RATIOS, Lead, bidmc_leads, mit_leads
from benchmarks.ecg_records import FS_HZ, Floats
from benchmarks.standstill import own_p_wave, own_p_waves, standstill
from features.beats import detect_r_peaks
from features.ecg import standstill as told
from features.ecg.quality import GATE
from features.ecg.segment import analyse_ecg

REFUSED: Final = 5e-4  # share of the beats' segments, at the bars
_EACH: Final = 25
_STILL_S: Final = 40.0
_STEPS: Final = 60
_RIDGE: Final = 1e-3


def main() -> None:
    """Fit both rules and print them."""
    print(heading("P waves alone"))
    rng = np.random.default_rng(5)
    real = [*mit_leads(), *bidmc_leads()]
    beats = [(lead.name, of_lead(lead.x, lead.fs_hz)) for lead in (*real, *challenge_leads())]
    waves = [*simulated(rng), *own(rng, real)]
    for n_columns, name in ((2, "by shape"), (3, "by shape and size")):
        report(
            name,
            [(k, x[:, :n_columns]) for k, x in beats],
            [(k, x[:, :n_columns]) for k, x in waves],
        )


def challenge_leads() -> Iterator[Lead]:
    """ECG leads of the 2015 challenge's last minutes, mV."""
    folder = data_folder("cinc2015_last60s")
    with np.load(folder / "signals.npz") as held:
        for row in json.loads((folder / "meta.json").read_text()):
            counts = np.cumsum(held[row["record"]], axis=1, dtype=np.int16)
            for k, channel in enumerate(row["channels"]):
                if channel in ("PLETH", "RESP", "ABP") or row["units"][k] != "mV":
                    continue
                x = (counts[k].astype(np.float64) - row["baseline"][k]) / row["gain"][k]
                x[counts[k] == np.iinfo(np.int16).min] = np.nan
                yield Lead(row["record"], x, float(row["fs"]))


def of_lead(x: Floats, fs_hz: float) -> Floats:
    """Steepness, T wave and size of every segment that passes, (n, 3)."""
    core, context = round(10 * fs_hz), round(2 * fs_hz)
    first = np.arange(0, x.size - core - 2 * context + 1, core)
    rows = x[first[:, None] + np.arange(core + 2 * context)]
    seen: list[told.Measures] = []

    def noted(
        means: tuple[told.MeanBeats, told.MeanBeats], hz: float, _: float | None
    ) -> told.Verdict:
        seen.append(told.measures(means[0], hz, 1.0))
        nothing = np.zeros(means[0].n_beats.size)
        return told.Verdict(nothing > 0, nothing, nothing > 0)

    with patch.object(told, "told", noted):
        found = analyse_ecg(rows, fs_hz)
    if not seen:
        return np.empty((0, 3))
    kept = (found.quality >= GATE) & seen[0].known
    return np.stack(seen[0][1:4], axis=1)[kept]


def simulated(rng: np.random.Generator) -> Iterator[tuple[str, Floats]]:
    """Simulated P waves by themselves."""
    for ratio in RATIOS:
        for level in LEVELS_MV:
            for k in range(_EACH):
                x = standstill(rng, (10.0, _STILL_S), ratio, level)[round(10 * FS_HZ) :]
                yield f"simulated {ratio} {level} {k}", of_lead(x, FS_HZ)


def own(rng: np.random.Generator, real: list[Lead]) -> Iterator[tuple[str, Floats]]:
    """P waves of records by themselves."""
    for lead in real:
        found = own_p_wave(lead.x, np.asarray(detect_r_peaks(lead.x, lead.fs_hz)), lead.fs_hz)
        if found is not None:
            for level in (0.002, 0.01, 0.02):
                x = own_p_waves(rng, found, lead.fs_hz, 2 * _STILL_S, level)
                yield lead.name, of_lead(x, lead.fs_hz)


def fitted(beats: Floats, waves: Floats) -> Floats:
    """Weights and, last, the constant of a logistic regression; both kinds weigh the same."""
    x = np.concatenate([beats, waves])
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    y = np.repeat([0.0, 1.0], [len(beats), len(waves)])
    each = np.repeat([1.0, len(beats) / len(waves)], [len(beats), len(waves)])
    w = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (each * (y - p)) - _RIDGE * w
        bend = (x * (each * p * (1 - p))[:, None]).T @ x + _RIDGE * np.eye(w.size)
        w += np.linalg.solve(bend, slope)
    return np.asarray(w, np.float64)


def odds(x: Floats, w: Floats) -> Floats:
    return np.asarray(x @ w[:-1] + w[-1], np.float64)


def report(name: str, beats: list[tuple[str, Floats]], waves: list[tuple[str, Floats]]) -> None:
    """Weights, bar, and what is refused: in-sample, and of records left out in two folds."""
    w = fitted(np.concatenate([x for _, x in beats]), np.concatenate([x for _, x in waves]))
    bar = float(np.quantile(odds(np.concatenate([x for _, x in beats]), w), 1 - REFUSED))
    print(f"{name}: weights {np.round(w, 2).tolist()}, bar {bar:.2f}")
    refused = np.zeros((2, 2), np.intp)
    for fold in (0, 1):
        parts = [[x for k, x in kind if hash_of(k) == fold] for kind in (beats, waves)]
        rest = [[x for k, x in kind if hash_of(k) != fold] for kind in (beats, waves)]
        own_w = fitted(np.concatenate(rest[0]), np.concatenate(rest[1]))
        own_bar = np.quantile(odds(np.concatenate(rest[0]), own_w), 1 - REFUSED)
        for i in (0, 1):
            x = np.concatenate(parts[i])
            refused[i] += ((odds(x, own_w) > own_bar).sum(), len(x))
    for what, (n, of) in zip(("beats", "P waves"), refused, strict=True):
        print(f"  left out: {n} of {of} segments of {what} refused, {100 * n / of:.3f} %")


def hash_of(name: str) -> int:
    """Fold of a record: all its leads together."""
    return sum(name.split(".")[0].encode()) % 2


if __name__ == "__main__":
    main()

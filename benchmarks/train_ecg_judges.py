"""Train the quality score and the ventricular look, and write `features/ecg/judge_weights.py`.

The score: rows of the MIT-BIH records under noise, and simulated ones, analysed by networks that
have not seen the record; the answer is whether every beat of the core was found and no other.
The ventricular look: beats of the records as annotated. `python -m benchmarks.train_ecg_judges`
takes some five minutes and prints what records left out score.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks import train_ecg_decision as decisions
from benchmarks._common import heading
from benchmarks.ecg_records import FS_HZ, Floats, Record, electrode_motion, mixed, records
from benchmarks.train_ecg_decision import (
    Looks,
    Row,
    as_text,
    looks_of,
    network_text,
    rows_of,
    tables_of,
)
from features.ecg import detector, judge_weights
from features.ecg.morphology import broad_view, ectopy_inputs
from features.ecg.network import Network, logits
from features.ecg.segment import analyse_ecg

JUDGES: Final = Path(__file__).resolve().parent.parent / "features" / "ecg" / "judge_weights.py"
_FOLDS: Final = 8
_ROWS: Final = 250  # per record
_SECONDS: Final = 14.0
_CORE: Final = (round(2 * FS_HZ), round(12 * FS_HZ))
# Of rows kept on records left out. Half of these are mixtures of leads, worse than any lead: on
# leads themselves it is 99.9.
_KEPT_F1: Final = 99.77
_VENTRICULAR: Final = ("V", "E", "r")
_UNCLEAR: Final = ("F", "Q", "f")  # fusion and unclassified beats teach nothing
_HIDDEN: Final = 16


class Judged(NamedTuple):
    """Inputs of the score with what became of the beats."""

    inputs: Floats  # (5, n)
    n_true: NDArray[np.intp]
    n_found: NDArray[np.intp]
    n_hits: NDArray[np.intp]
    group: NDArray[np.intp]

    def right(self) -> NDArray[np.float32]:
        """1 where every beat was found and no other."""
        wrong = self.n_true + self.n_found - 2 * self.n_hits
        return np.asarray((wrong == 0) & (self.n_true > 0), np.float32)


def judged(rows: list[Row], looks: Looks, group: int) -> Judged:
    """Rows analysed by networks, compared with their beats."""
    x = np.stack([row.x for row in rows])
    found = analyse_ecg(x, FS_HZ, _CORE, looks)
    counts = np.zeros((3, len(x)), np.intp)
    for i, row in enumerate(rows):
        own = found.beats.position[found.beats.row == i]
        inside = own[(own >= _CORE[0]) & (own < _CORE[1])]
        truth = row.beats[(row.beats >= _CORE[0]) & (row.beats < _CORE[1])]
        # A beat at the core's border may lie on either side: it is neither lost nor extra.
        lost = sum(np.abs(own - beat).min(initial=np.inf) > 54 for beat in truth)
        extra = sum(np.abs(row.beats - beat).min(initial=np.inf) > 54 for beat in inside)
        counts[:, i] = truth.size, truth.size - lost + extra, truth.size - lost
    n_true, n_found, n_hits = counts
    return Judged(found.score_inputs.T, n_true, n_found, n_hits, np.full(len(x), group))


def score_rows(all_records: list[Record], real: list[Floats]) -> list[Judged]:
    """Rows of every record judged by networks that have not seen it, and simulated rows."""
    tables = tables_of(rows_of(all_records, real, _ROWS))
    fresh = rows_of(all_records, real, _ROWS, seed=7, lengths_s=(_SECONDS,))
    out = []
    for fold in range(_FOLDS):
        unseen = [g for g in range(len(all_records)) if g % _FOLDS == fold]
        looks = looks_of(tables, unseen)
        out += [judged([r for r in fresh if r.group == g], looks, g) for g in unseen]
        made = [r for r in fresh if r.group >= decisions.SIMULATED]
        out.append(judged(made[fold::_FOLDS], looks, decisions.SIMULATED))
    return out


def logistic(x: Floats, answer: NDArray[np.float32]) -> Network:
    """Logistic regression by Newton's method, lightly ridged."""
    scale = x.std(axis=1) + 1e-9
    design = np.concatenate((x / scale[:, None], np.ones((1, x.shape[1]))))
    w = np.zeros(len(design))
    for _ in range(30):
        chance = 1 / (1 + np.exp(-(w @ design)))
        slope = design @ (answer - chance) - 1e-2 * w
        bend = (design * (chance * (1 - chance))) @ design.T + 1e-2 * np.eye(len(w))
        w = w + np.linalg.solve(bend, slope)
    return Network(((w[:-1] / scale)[:, None],), (w[-1:],))


def gated(network: Network, parts: list[Judged]) -> float:
    """Lowest logit above which the kept beats have the F1 that is asked for."""
    order = np.argsort(-np.concatenate([logits(network, p.inputs) for p in parts]))
    z = np.concatenate([logits(network, p.inputs) for p in parts])[order]
    sums = [np.cumsum(np.concatenate([p[k] for p in parts])[order]) for k in (1, 2, 3)]
    f1 = 200 * sums[2] / np.maximum(sums[0] + sums[1], 1)
    good = np.flatnonzero(f1 >= _KEPT_F1)
    return float(z[good[-1]])


def score_network(parts: list[Judged]) -> Network:
    """The score trained on all rows, its gate at one half; prints what records left out do."""
    kept = np.zeros(3)
    n_kept = n_rows = 0
    for fold in range(_FOLDS):
        own = [p for p in parts if p.group[0] % _FOLDS == fold and p.group[0] < 1000]
        others = [p for p in parts if p.group[0] % _FOLDS != fold or p.group[0] >= 1000]
        network = _shifted(others)
        for p in own:
            good = logits(network, p.inputs) >= 0
            kept += [p.n_true[good].sum(), p.n_found[good].sum(), p.n_hits[good].sum()]
            n_kept, n_rows = n_kept + int(good.sum()), n_rows + good.size
    f1 = 200 * kept[2] / (kept[0] + kept[1])
    print(f"score, records left out: F1 {f1:.3f} in {100 * n_kept / n_rows:.1f} % of the rows")
    return _shifted(parts)


def _shifted(parts: list[Judged]) -> Network:
    """Logistic regression whose zero is the gate."""
    x = np.concatenate([p.inputs for p in parts], axis=1)
    network = logistic(x, np.concatenate([p.right() for p in parts]))
    real = [p for p in parts if p.group[0] < decisions.SIMULATED]
    return Network(network.weights, (network.biases[0] - gated(network, real),))


def ectopy_rows(
    all_records: list[Record],
    noise: list[Floats],
    versions: tuple[tuple[int, float | None], ...] = ((0, None), (1, None), (0, 12.0)),
) -> list[tuple[Floats, Floats]]:
    """Inputs and answers (1 ventricular, 0 not) of the beats of each record's versions."""
    out = []
    length, core = round(_SECONDS * FS_HZ), round(10 * FS_HZ)
    for record in all_records:
        columns, answers = [], []
        for lead, snr_db in versions:
            x = mixed(record, lead, snr_db, noise)
            start = (np.arange(0, x.size, core) - _CORE[0]).clip(0, x.size - length)
            for run in detector.run_blocks(x[start[:, None] + np.arange(length)], FS_HZ):
                beats = run.beats.row, run.place.peak
                view = broad_view(run.block, beats)
                own = ectopy_inputs(run.block, beats, run.place.position, view)
                at = start[run.row[run.beats.row]] + run.position()
                nearest = np.abs(record.beats[:, None] - at).argmin(axis=0)
                symbol = record.symbols[nearest]
                clear = np.abs(record.beats[nearest] - at) < 54
                clear &= ~np.isin(symbol, _UNCLEAR)
                columns.append(own[:, clear])
                answers.append(np.isin(symbol, _VENTRICULAR)[clear].astype(np.float64))
        out.append((np.concatenate(columns, axis=1), np.concatenate(answers)))
    return out


def ectopy_network(all_records: list[Record], noise: list[Floats]) -> Network:
    """The ventricular look trained on all records; prints what records left out do."""
    rows = ectopy_rows(all_records, noise)
    networks = [
        _ventricular([r for i, r in enumerate(rows) if i % _FOLDS != fold])
        for fold in range(_FOLDS)
    ]
    for lead in (0, 1):
        counts = np.zeros(3)
        for i, (x, answer) in enumerate(ectopy_rows(all_records, noise, ((lead, None),))):
            said = logits(networks[i % _FOLDS], x) > 0
            counts += [answer.sum(), said.sum(), (answer * said).sum()]
        shares = 100 * counts[2] / counts[:2]
        words = f"Se {shares[0]:.2f} PPV {shares[1]:.2f} %"
        print(f"ventricular, records left out, lead {lead}: {words}", flush=True)
    return _ventricular(rows)


def _ventricular(rows: list[tuple[Floats, Floats]]) -> Network:
    """Network on the beats of records, each record with the same weight per beat but no more."""
    x = np.concatenate([r[0] for r in rows], axis=1)
    answer = np.concatenate([r[1] for r in rows]).astype(np.float32)
    thinned = default_rng(3).random(answer.size) < np.where(answer > 0, 1.0, 0.4)
    weight = np.where(answer > 0, 1.0, 2.5).astype(np.float32)
    return decisions.trained(x[:, thinned], answer[thinned], weight[thinned], _HIDDEN, 5)


def main() -> None:
    """Train both, print and write."""
    print(heading("ECG quality score and ventricular look"))
    all_records, real = records(), electrode_motion()
    ectopy = ectopy_network(all_records, real)
    # The analysis runs with whatever is there: the new look, and a score that says nothing.
    idle = Network((np.zeros((5, 1)),), (np.zeros(1),))
    with (
        patch.object(judge_weights, "ECTOPY", as_text(ectopy)),
        patch.object(judge_weights, "SCORE", as_text(idle)),
    ):
        score = score_network(score_rows(all_records, real))
    lines = ['"""Weights of the judges, made by `python -m benchmarks.train_ecg_judges`."""', ""]
    lines += ["from typing import Final", ""]
    lines += [*network_text("SCORE", score), *network_text("ECTOPY", ectopy), ""]
    JUDGES.write_text("\n".join(lines))


if __name__ == "__main__":
    main()

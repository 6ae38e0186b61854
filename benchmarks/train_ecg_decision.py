"""Train the networks that tell beats from noise, and write `features/ecg/weights.py`.

Rows of 14 s (and shorter ones, as gaps leave) from the MIT-BIH records of the data folder, their
leads also mixed with each other, under real electrode-motion noise and simulated noise, plus
simulated hearts, fibrillation and noise alone. `python -m benchmarks.train_ecg_decision` takes
about a minute; `--folds 8` instead trains without each eighth of the records in turn and
prints how the beats of the records left out are found.
"""

from __future__ import annotations

import argparse
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks._common import heading
from benchmarks.ecg_records import (
    FS_HZ,
    Floats,
    Record,
    beat_power,
    counted,
    electrode_motion,
    matched,
    mixed,
    records,
)
from benchmarks.ecg_simulation import fibrillation, heart, spoilt
from features.ecg import candidates, decision, working
from features.ecg.alone import alone
from features.ecg.candidates import Block, Candidates, select
from features.ecg.company import together
from features.ecg.detector import CONTEXT_S, CORE_S, END_S, placed
from features.ecg.network import Network, logits

Singles = NDArray[np.float32]
Looks = decision.Looks
WEIGHTS: Final = Path(__file__).resolve().parent.parent / "features" / "ecg" / "weights.py"
SIMULATED: Final = 1000  # groups from here on are no records
_LENGTHS_S: Final = (14.0, 14.0, 14.0, 14.0, 12.0, 6.0, 3.0)
_DECIMATIONS: Final = (2, 3, 3, 3, 4)  # 180, 120 and 90 Hz
_LABEL_S: Final = 0.1
_MIXED_LEADS: Final = 0.5
_HIDDEN: Final = (16, 24)
_JITTER: Final = 0.2  # of an input's standard deviation, so that no value is learnt by heart
_DECAY: Final = 1e-3
_EPOCHS: Final = 10
_MINIBATCH: Final = 1024
_RATE: Final = 3e-3


class Row(NamedTuple):
    """Samples, the beats among them, stretches to leave out, and where they come from."""

    x: Floats
    beats: Floats
    left_out: list[tuple[int, int]]
    group: int


class Table(NamedTuple):
    """Candidates of rows with what they are."""

    block: Block
    found: Candidates
    is_beat: Singles
    weight: Singles
    group: NDArray[np.intp]


def rows_of(
    all_records: list[Record],
    real: list[Floats],
    per_record: int,
    seed: int = 0,
    lengths_s: tuple[float, ...] = _LENGTHS_S,
) -> list[Row]:
    """Training rows: of each record, and half as many simulated as real ones."""
    rng = default_rng(seed)
    out = []
    for group, record in enumerate(all_records):
        power = [beat_power(x, record.beats) for x in record.signals]
        for i in range(per_record):
            n = round(rng.choice(lengths_s) * FS_HZ)
            out.append(_real_row(rng, record, power, (n, i % 4 == 3, group), real))
    for i in range(per_record * 8):
        n = round(rng.choice(lengths_s) * FS_HZ)
        kind = rng.random()
        beats = np.empty(0)
        if kind < 0.75:
            x, beats = heart(rng, n)
            x = spoilt(rng, x, 0.125, real)
        elif kind < 0.9:
            x = fibrillation(rng, n)
        else:
            x = spoilt(rng, np.zeros(n), 0.125, real) + 1e-3 * rng.normal(size=n)
        out.append(Row(x, beats, [], SIMULATED + i))
    return out


def _real_row(
    rng: Generator,
    record: Record,
    power: list[float],
    what: tuple[int, bool, int],
    real: list[Floats],
) -> Row:
    """A stretch of one lead, or of a mixture of both, with or without noise."""
    n, second, group = what
    start = int(rng.integers(0, record.signals.shape[1] - n))
    cut = record.signals[:, start : start + n]
    beats = record.beats[(record.beats >= start) & (record.beats < start + n)] - start
    x, level = cut[int(second)], power[int(second)]
    if rng.random() < _MIXED_LEADS:
        x = rng.normal(size=2) @ cut
        inner = beats[(beats > 20) & (beats < n - 20)].astype(int)
        if inner.size:
            level = float(np.median([np.ptp(x[p - 18 : p + 19]) for p in inner])) ** 2 / 8
    left_out = [(a - start - 100, b - start + 100) for a, b in record.flutter]
    return Row(spoilt(rng, x.copy(), level, real), beats, left_out, group)


def tables_of(rows: list[Row]) -> list[Table]:
    """Candidates of all rows of equal length, at one of three working rates each."""
    rng = default_rng(1)
    by = rng.choice(_DECIMATIONS, len(rows))
    keys = sorted({(len(row.x), int(d)) for row, d in zip(rows, by, strict=True)})
    out = []
    for n, decimation in keys:
        own = [r for r, d in zip(rows, by, strict=True) if (len(r.x), d) == (n, decimation)]
        firsts = range(0, len(own), 400)
        out += [_table(own[first : first + 400], int(decimation)) for first in firsts]
    return out


def _table(rows: list[Row], by: int) -> Table:
    """Candidates of rows of one length."""
    x = np.stack([row.x for row in rows])
    n = x.shape[1] // by
    slow = np.ascontiguousarray(x[:, : n * by].reshape(len(rows), n, by).mean(axis=2))
    result = candidates.find(slow, FS_HZ / by)
    assert result is not None
    block, found = result
    at = np.asarray(found.at * by + 0.5 * (by - 1), np.float64)
    is_beat, weight = np.zeros(at.size, np.float32), np.ones(at.size, np.float32)
    for i, row in enumerate(rows):
        own = slice(*np.searchsorted(found.row, [i, i + 1]))
        label = _labels(at[own], row)
        is_beat[own], weight[own] = label
    group = np.array([row.group for row in rows], np.intp)[found.row]
    return Table(block, found, is_beat, weight, group)


def _labels(at: Floats, row: Row) -> tuple[Singles, Singles]:
    """Which candidates are the nearest one of a beat, and how much each counts."""
    is_beat, weight = np.zeros(at.size, np.float32), np.ones(at.size, np.float32)
    if at.size and row.beats.size:
        apart = np.abs(at[:, None] - row.beats)
        weight[apart.min(axis=1) <= 1.2 * _LABEL_S * FS_HZ] = 0.3
        nearest = apart.argmin(axis=0)
        close = apart[nearest, np.arange(row.beats.size)] <= _LABEL_S * FS_HZ
        is_beat[nearest[close]] = weight[nearest[close]] = 1
    for begin, end in row.left_out:
        weight[(at > begin) & (at < end)] = 0
    edge = 0.3 * FS_HZ
    weight[(at < edge) | (at > len(row.x) - edge)] *= 0.3
    return is_beat, weight


def trained(x: Floats, is_beat: Singles, weight: Singles, hidden: int, seed: int) -> Network:
    """A network of one hidden layer by Adam on the weighted logistic loss, (inputs, n) in."""
    rng = default_rng(seed)
    centre, scale = x.mean(axis=1), x.std(axis=1) + 1e-6
    inputs = ((x - centre[:, None]) / scale[:, None]).T.astype(np.float32)
    sizes = (inputs.shape[1], hidden, 1)
    parts: list[Singles] = []
    for a, b in pairwise(sizes):
        parts += [(rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32)]
        parts += [np.zeros(b, np.float32)]
    used = np.flatnonzero(weight > 0)
    first, second = [np.zeros_like(p) for p in parts], [np.zeros_like(p) for p in parts]
    step, steps = 0, _EPOCHS * (used.size // _MINIBATCH + 1)
    for _ in range(_EPOCHS):
        rng.shuffle(used)
        for begin in range(0, used.size, _MINIBATCH):
            some = used[begin : begin + _MINIBATCH]
            noise = rng.standard_normal((some.size, sizes[0]), dtype=np.float32)
            slopes = _slopes(parts, inputs[some] + _JITTER * noise, is_beat[some], weight[some])
            step += 1
            rate = _RATE * (1 - 0.98 * step / steps)
            for k, slope in enumerate(slopes):
                first[k] = 0.9 * first[k] + 0.1 * slope
                second[k] = 0.999 * second[k] + 0.001 * slope * slope
                size = np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8
                parts[k] -= (rate * first[k] / (1 - 0.9**step) / size).astype(np.float32)
    return _folded(parts, centre, scale)


def _slopes(parts: list[Singles], x: Singles, is_beat: Singles, weight: Singles) -> list[Singles]:
    """Gradient of the loss by each part."""
    w1, b1, w2, b2 = parts
    hidden = np.maximum(x @ w1 + b1, 0)
    chance = 1 / (1 + np.exp(-(hidden @ w2 + b2)[:, 0]))
    error = ((chance - is_beat) * weight / is_beat.size)[:, None].astype(np.float32)
    back = (error @ w2.T) * (hidden > 0)
    return [
        x.T @ back + _DECAY * w1,
        back.sum(axis=0),
        hidden.T @ error + _DECAY * w2,
        error.sum(axis=0),
    ]


def _folded(parts: list[Singles], centre: Floats, scale: Floats) -> Network:
    """The network with the inputs' centre and scale in it, to five digits."""
    w1, b1, w2, b2 = (p.astype(np.float64) for p in parts)
    b1 = b1 - (centre / scale) @ w1
    w1 = w1 / scale[:, None]
    five = np.vectorize(lambda value: float(f"{value:.5g}"), otypes=[np.float64])
    return Network((five(w1), five(w2)), (five(b1), five(b2)))


def looks_of(tables: list[Table], without: list[int]) -> Looks:
    """Both networks, trained on all groups but some."""
    used = [~np.isin(t.group, without) for t in tables]
    columns = [alone(t.block, t.found) for t in tables]
    first = _trained_on(tables, columns, used, 0)
    logit = [logits(first, c) for c in columns]
    possible = [z > decision.RULED_OUT for z in logit]
    tables = [
        Table(t.block, select(t.found, k), t.is_beat[k], t.weight[k], t.group[k])
        for t, k in zip(tables, possible, strict=True)
    ]
    used = [u[k] for u, k in zip(used, possible, strict=True)]
    logit = [z[k] for z, k in zip(logit, possible, strict=True)]
    by_itself = [c[:, k] for c, k in zip(columns, possible, strict=True)]
    columns = [
        together(t.block, t.found, z, c) for t, z, c in zip(tables, logit, by_itself, strict=True)
    ]
    return first, _trained_on(tables, columns, used, 1)


def _trained_on(
    tables: list[Table], columns: list[Floats], used: list[NDArray[np.bool_]], number: int
) -> Network:
    """One look, trained on the used candidates of all tables."""
    x = np.concatenate([c[:, u] for c, u in zip(columns, used, strict=True)], axis=1)
    is_beat = np.concatenate([t.is_beat[u] for t, u in zip(tables, used, strict=True)])
    weight = np.concatenate([t.weight[u] for t, u in zip(tables, used, strict=True)])
    return trained(x, is_beat, weight, _HIDDEN[number], number)


def found_by(looks: Looks, x: Floats) -> Floats:
    """Beats of a whole record by given networks, from segments as in a stream."""
    core, context = round(CORE_S * FS_HZ), round(CONTEXT_S * FS_HZ)
    length = core + 2 * context
    own = np.arange(0, x.size, core)
    start = (own - context).clip(0, x.size - length)
    slow, fs_hz = working.at_working_rate(x[start[:, None] + np.arange(length)], FS_HZ)
    result = candidates.find(slow, fs_hz)
    assert result is not None
    block, found = result
    decided = decision.decide(block, found, looks)
    beats, _, place = placed(block, decided.beats, decided.logit)
    at = start[beats.row] + working.to_samples(place.position, FS_HZ)
    at = np.sort(at[(at >= own[beats.row]) & (at < own[beats.row] + core)])
    at = at[(at >= END_S * FS_HZ) & (at <= x.size - 1 - END_S * FS_HZ)]
    return np.asarray(at[np.diff(at, prepend=-core) >= decision.REFRACTORY_S * FS_HZ], np.float64)


def left_out_scores(tables: list[Table], all_records: list[Record], folds: int) -> None:
    """Print F1 on the records each fold's networks have not seen."""
    noise = electrode_motion()
    by_fold = [
        looks_of(tables, [g for g in range(len(all_records)) if g % folds == fold])
        for fold in range(folds)
    ]
    for lead in (0, 1):
        for snr_db in (None, 12.0, 6.0, 0.0):
            hits = n_true = n_found = 0
            for i, record in enumerate(all_records):
                x = mixed(record, lead, snr_db, noise)
                found = counted(found_by(by_fold[i % folds], x), record)
                truth = counted(record.beats, record)
                hits += len(matched(truth, found))
                n_true, n_found = n_true + truth.size, n_found + found.size
            f1 = 200 * hits / (n_true + n_found)
            name = "clean" if snr_db is None else f"{snr_db:.0f} dB"
            share = f"Se {100 * hits / n_true:.3f} PPV {100 * hits / n_found:.3f}"
            print(f"lead {lead} {name:>6}: F1 {f1:.3f} {share}", flush=True)


def written(looks: Looks) -> str:
    """The module that holds the networks."""
    lines = ['"""Weights of the looks, made by `python -m benchmarks.train_ecg_decision`."""', ""]
    lines += ["from typing import Final", ""]
    for name, network in zip(("_FIRST", "_SECOND"), looks, strict=True):
        lines += network_text(name, network)
    return "\n".join([*lines, "LOOKS: Final = (_FIRST, _SECOND)", ""])


def as_text(network: Network) -> str:
    """A network in the form `features.ecg.network` reads."""
    sizes = [len(network.weights[0]), *(weight.shape[1] for weight in network.weights)]
    numbers = [str(size) for size in (len(sizes), *sizes)]
    for weight, bias in zip(network.weights, network.biases, strict=True):
        numbers += [f"{value:.5g}" for value in (*weight.ravel(), *bias)]
    return " ".join(numbers)


def network_text(name: str, network: Network) -> list[str]:
    """Lines that assign a network to a name."""
    return [f'{name}: Final = """', *textwrap.wrap(as_text(network), 98), '"""']


def main() -> None:
    """Train on everything and write the weights, or score on records left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=0, help="score instead of writing")
    parser.add_argument("--rows", type=int, default=400, help="per record")
    parser.add_argument("--simulated-noise-only", action="store_true")
    chosen = parser.parse_args()
    print(heading("ECG beat decision"))
    all_records = records()
    real = [] if chosen.simulated_noise_only else electrode_motion()
    tables = tables_of(rows_of(all_records, real, chosen.rows))
    print(f"{sum(t.is_beat.size for t in tables)} candidates", flush=True)
    if chosen.folds:
        left_out_scores(tables, all_records, chosen.folds)
    else:
        WEIGHTS.write_text(written(looks_of(tables, [])))


if __name__ == "__main__":
    main()

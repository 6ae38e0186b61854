"""How well ECG beats are found, judged and classed, and what it costs.

MIT-BIH records of the data folder, clean and under the real electrode-motion noise of 118e24, cut
into 10 s with 2 s on either side as in the service. One-to-one matching within 150 ms, without
the ventricular flutter of record 207. The networks have seen these records: figures of records
left out are printed by `train_ecg_decision --folds 8` and `train_ecg_judges`.
`python -m benchmarks.bench_beats_ecg` (recordings: `VIGIL_DATA`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from benchmarks._common import heading
from benchmarks.ecg_records import (
    FS_HZ,
    Floats,
    Record,
    counted,
    electrode_motion,
    matched,
    mixed,
    records,
)
from features.beats import detect_r_peaks
from features.ecg import detector, kernels
from features.ecg.decision import REFRACTORY_S
from features.ecg.leads import fuse_leads
from features.ecg.quality import GATE
from features.ecg.segment import EcgSegments, analyse_ecg

CORE: Final = round(10 * FS_HZ)
CONTEXT: Final = round(2 * FS_HZ)
SNRS_DB: Final = (None, 12.0, 6.0, 0.0)


class Counts(NamedTuple):
    """Beats of the truth, found, and found rightly."""

    n_true: int
    n_found: int
    hits: int

    def f1_pct(self) -> float:
        return 200 * self.hits / max(self.n_true + self.n_found, 1)


def main() -> None:
    """Measure everything and print the tables."""
    print(heading("ECG beats"))
    all_records, noise = records(), electrode_motion()
    whole_records(all_records, noise)
    segments(all_records, noise)
    fused(all_records, noise)
    cost(all_records)


def name_of(snr_db: float | None) -> str:
    return "clean" if snr_db is None else f"{snr_db:.0f} dB"


def total(parts: list[Counts]) -> Counts:
    return Counts(*(int(sum(column)) for column in zip(*parts, strict=True)))


def whole_records(all_records: list[Record], noise: list[Floats]) -> None:
    """F1 and jitter of `detect_r_peaks` on whole records."""
    for lead in (0, 1):
        for snr_db in SNRS_DB:
            parts, jitter_ms = [], []
            for record in all_records:
                found = np.asarray(detect_r_peaks(mixed(record, lead, snr_db, noise), FS_HZ))
                found, truth = counted(found, record), counted(record.beats, record)
                pairs = matched(truth, found)
                parts.append(Counts(truth.size, found.size, len(pairs)))
                error_ms = (found[pairs[:, 1]] - truth[pairs[:, 0]]) / FS_HZ * 1e3
                jitter_ms.append(float(np.abs(error_ms - np.median(error_ms)).mean()))
            all_of = total(parts)
            share = f"Se {100 * all_of.hits / all_of.n_true:.3f} "
            share += f"PPV {100 * all_of.hits / all_of.n_found:.3f}"
            words = f"whole records, lead {lead}, {name_of(snr_db):>5}"
            print(f"{words}: F1 {all_of.f1_pct():.3f} % {share} jitter {np.mean(jitter_ms):.2f} ms")


def cut(x: Floats) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Segments of a record, their first samples, and the first samples of their cores."""
    cores = np.arange(0, x.size, CORE)
    first = (cores - CONTEXT).clip(0, x.size - CORE - 2 * CONTEXT)
    return x[first[:, None] + np.arange(CORE + 2 * CONTEXT)], first, cores


def own_beats(
    row: NDArray[np.intp], position: Floats, first: NDArray[np.intp], cores: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.intp]]:
    """Beats of the cores in samples of the record, ascending, and where they came from."""
    at = first[row] + position
    own = np.flatnonzero((at >= cores[row]) & (at < cores[row] + CORE))
    own = own[np.argsort(at[own], kind="stable")]
    apart = np.diff(at[own], prepend=-np.inf)
    own = own[apart >= REFRACTORY_S * FS_HZ]
    return at[own], own


def segments(all_records: list[Record], noise: list[Floats]) -> None:
    """F1 of what passes the gate, and the ventricular beats."""
    pooled: list[NDArray[np.int64]] = []
    for lead in (0, 1):
        for snr_db in SNRS_DB:
            sums = np.zeros(5, np.int64)
            kinds = np.zeros(3, np.int64)
            for record in all_records:
                x, first, cores = cut(mixed(record, lead, snr_db, noise))
                result = analyse_ecg(x, FS_HZ)
                sums += kept_counts(record, result, first, cores)
                kinds += ventricular_counts(record, result, first, cores)
            f1 = 200 * sums[2] / (sums[0] + sums[1])
            words = f"gate, lead {lead}, {name_of(snr_db):>5}"
            kept = 100 * sums[3] / sums[4]
            shares = 100 * kinds[2] / kinds[:2]
            print(
                f"{words}: F1 {f1:.3f} % in the {kept:.1f} % kept; "
                f"ventricular Se {shares[0]:.1f} PPV {shares[1]:.1f} %"
            )
            if lead == 0 and snr_db is not None:
                pooled.append(sums)
    sums = np.sum(pooled, axis=0)
    f1 = 200 * sums[2] / (sums[0] + sums[1])
    print(f"gate, lead 0, 12 to 0 dB: F1 {f1:.3f} % in the {100 * sums[3] / sums[4]:.1f} % kept")


def kept_counts(
    record: Record, result: EcgSegments, first: NDArray[np.intp], cores: NDArray[np.intp]
) -> NDArray[np.int64]:
    """True, found, right beats of the kept segments; segments kept and all."""
    at, own = own_beats(result.beats.row, result.beats.position, first, cores)
    judged = np.ones(cores.size, np.bool_)
    for begin, end in record.flutter:
        judged[begin // CORE : end // CORE + 1] = False
    kept = (result.quality >= GATE) & judged
    of_truth = (record.beats // CORE).astype(np.intp).clip(0, cores.size - 1)
    pairs = matched(record.beats, at)
    counts = [
        np.bincount(of_truth, minlength=cores.size)[kept].sum(),
        np.bincount(result.beats.row[own], minlength=cores.size)[kept].sum(),
        np.bincount(of_truth[pairs[:, 0]], minlength=cores.size)[kept].sum(),
    ]
    return np.array([*counts, kept.sum(), judged.sum()], np.int64)


def ventricular_counts(
    record: Record, result: EcgSegments, first: NDArray[np.intp], cores: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Ventricular beats of the truth, said to be, and both, among beats that were found."""
    at, own = own_beats(result.beats.row, result.beats.position, first, cores)
    pairs = matched(record.beats, at)
    symbol = record.symbols[pairs[:, 0]]
    clear = ~np.isin(symbol, ("F", "Q", "f"))
    is_v = np.isin(symbol, ("V", "E", "r"))[clear]
    said = (result.beats.ectopic[own][pairs[:, 1]] > 0.5)[clear]
    return np.array([is_v.sum(), said.sum(), (is_v & said).sum()], np.int64)


def fused(all_records: list[Record], noise: list[Floats]) -> None:
    """F1 of both leads together, the noise on lead 0 only, and on neither."""
    for snr_db in SNRS_DB:
        parts: list[list[Counts]] = [[], [], []]
        for record in all_records:
            x0, first, cores = cut(mixed(record, 0, snr_db, noise))
            x1, _, _ = cut(record.signals[1])
            result = analyse_ecg(np.concatenate((x0, x1)), FS_HZ)
            n = cores.size
            both = fuse_leads(result, np.tile(np.arange(n), 2), FS_HZ).beats
            series = [(both.row, both.position)]
            for of in (0, 1):
                mine = result.beats.row // n == of
                series.append((result.beats.row[mine] - of * n, result.beats.position[mine]))
            truth = counted(record.beats, record)
            for k, (row, position) in enumerate(series):
                found = counted(own_beats(row, position, first, cores)[0], record)
                parts[k].append(Counts(truth.size, found.size, len(matched(truth, found))))
        two, one, other = (total(part).f1_pct() for part in parts)
        words = f"leads, lead 0 {name_of(snr_db):>5}, lead 1 clean"
        print(f"{words}: F1 together {two:.3f}, lead 0 {one:.3f}, lead 1 {other:.3f} %")


def cost(all_records: list[Record]) -> None:
    """CPU per patient-minute at 250 Hz, and that the size of a batch changes no bit."""
    n, core = (14 * 250), (10 * 250)
    rows = []
    for record in all_records:
        x = signal.resample_poly(record.signals[0], 25, 36)
        rows += [x[k * core : k * core + n] for k in range(11)]
    x = np.ascontiguousarray(np.stack(rows)[:256])
    kernels.warm_up()
    works: dict[str, Callable[[Floats], object]] = {
        "detection": lambda part: detector.in_segments(part, 250.0),
        "whole analysis": lambda part: analyse_ecg(part, 250.0),
    }
    for word, work in works.items():
        for size in (1, 32, 256):
            work(x[:size])
            best_s = min(timed(work, x, size) for _ in range(5))
            print(f"{word}, batch {size}: {6e3 * best_s / len(x):.3f} ms CPU per patient-minute")
    together = analyse_ecg(x, 250.0)
    for size in (1, 7):
        same = all(
            same_bits(together, analyse_ecg(x[i : i + size], 250.0), i, size)
            for i in range(0, 252, size)
        )
        print(f"batch {size} and 256 have identical bits: {same}")


def timed(work: Callable[[Floats], object], x: Floats, size: int) -> float:
    """CPU seconds for all rows in batches of a size."""
    began = time.process_time()
    for first in range(0, len(x), size):
        work(x[first : first + size])
    return time.process_time() - began


def same_bits(whole: EcgSegments, part: EcgSegments, first: int, size: int) -> bool:
    """Whether rows of a batch equal those rows of a larger one."""
    own = (whole.beats.row >= first) & (whole.beats.row < first + size)
    rows = slice(first, first + size)
    same = [
        np.array_equal(getattr(whole.beats, name)[own], getattr(part.beats, name))
        for name in whole.beats._fields[1:]
    ]
    same += [
        np.array_equal(getattr(whole, name)[rows], getattr(part, name), equal_nan=True)
        for name in whole._fields[1:]
    ]
    return all(same)


if __name__ == "__main__":
    main()

"""Random windows with known beats, broken in random ways: what raises, what is silently wrong.

`OMP_NUM_THREADS=1 python -m benchmarks.fuzz_features --windows 1000000 --seed 0 --jobs 16
--seconds 400`. A window is 10 s of a simulated ECG or pulse wave, rhythm, rate, unit, polarity,
type and damage drawn at random. Counted are exceptions; positions that are no positions; and wrong
values: a beat lost or invented further than 1 s from damage in a window the quality gate lets pass,
or an interval joined across a gap.

Windows come in batches of 500, each drawn from its seed and number alone, and are counted in their
order: the answer is the same whatever `--jobs`. At the limit of `--seconds` what is judged without
a hole is counted and said, with the batch from which `--first` goes on; one window is found again
by `--first BATCH --windows 500`, or in Python by `draw_batch(seed, batch)`.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._fuzz_windows import BATCH, SECONDS, Window, draw_batch
from features.beats import detect_pulses, detect_r_peaks
from features.hrv import hrv
from features.intervals import nn_from_beats
from features.quality import GATE, signal_quality

Floats = NDArray[np.float64]

COST_S: Final = 1.0  # a beat may be lost this near to damage
# And this near to the window's ends: a high-pass from 0.5 Hz swings there as it does at a gap. The
# service gives 2 s of context on either side.
EDGE_S: Final = {"ecg": 0.5, "ppg": 1.0}
NEAR_S: Final = {"ecg": 0.06, "ppg": 0.12}  # a found beat is the true one
DETECTORS: Final = {"ecg": detect_r_peaks, "ppg": detect_pulses}
EVERY_INTERVALS: Final = 50  # of the windows, one goes through intervals and their measures
BLOCK: Final = 50  # batches between two reports


class Count(NamedTuple):
    """What a run found."""

    windows: int
    exceptions: int
    wrong: Counter[str]  # by what was drawn
    kept: int  # windows the gate lets pass, of those it was asked about
    asked: int
    examples: list[str]


class Task(NamedTuple):
    """One batch to judge."""

    seed: int
    batch: int
    size: int


def main() -> int:
    """Fuzz and print the counts; the exit status says whether all is right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="batch of 500 to begin with")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seconds", type=float, default=math.inf, help="stop after so long")
    chosen = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes to come
    tasks = batches(chosen.windows, chosen.seed, chosen.first)
    count = fuzz(tasks, chosen.jobs, chosen.seconds, progress=True)
    print(f"{count.windows} windows, seed {chosen.seed}: {count.exceptions} exceptions, ", end="")
    print(f"{sum(count.wrong.values())} silently wrong")
    print(f"gate asked about {count.asked}, passed {count.kept}")
    for what, n in count.wrong.most_common(20):
        print(f"  {what}: {n}")
    for example in count.examples[:20]:
        print(f"  e.g. {example}")
    if count.windows < chosen.windows:
        going_on = chosen.first + count.windows // BATCH
        print(f"stopped at the limit of {chosen.seconds:g} s; goes on with --first {going_on}")
    return 1 if count.exceptions or count.wrong else 0


def batches(n_windows: int, seed: int, first: int = 0) -> list[Task]:
    """`n_windows` windows of a seed from batch `first`."""
    n = -(-n_windows // BATCH)
    return [Task(seed, first + k, min(BATCH, n_windows - k * BATCH)) for k in range(n)]


def fuzz(
    tasks: list[Task], jobs: int = 1, seconds: float = math.inf, progress: bool = False
) -> Count:
    """What is wrong in the batches, up to the first that was not judged in `seconds`."""
    until_s = time.monotonic() + seconds
    total = Count(0, 0, Counter(), 0, 0, [])
    with _judged(tasks, jobs) as counts:
        for k, count in enumerate(counts):
            total = _add(total, count)
            if progress:
                _report(tasks[k], total, count)
            if time.monotonic() >= until_s:
                break
    return total


@contextmanager
def _judged(tasks: list[Task], jobs: int) -> Iterator[Iterator[Count]]:
    """Counts in the order of the tasks; what is still being judged at the end is let go."""
    if jobs <= 1:
        yield map(judge, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield pool.imap(judge, tasks)


def _report(task: Task, total: Count, last: Count) -> None:
    """Findings at once, and how far it is after every block."""
    for example in last.examples:
        print(f"  {example}", file=sys.stderr, flush=True)
    if task.batch % BLOCK == BLOCK - 1:
        done = f"{total.windows} windows to batch {task.batch}, {total.exceptions} exceptions, "
        print(f"{done}{sum(total.wrong.values())} wrong", file=sys.stderr, flush=True)


def _add(a: Count, b: Count) -> Count:
    return Count(
        a.windows + b.windows,
        a.exceptions + b.exceptions,
        a.wrong + b.wrong,
        a.kept + b.kept,
        a.asked + b.asked,
        (a.examples + b.examples)[:50],
    )


def judge(task: Task) -> Count:
    """Windows of one signal and rate, detected together."""
    batch = task.batch
    signal, fs_hz, x, names, windows = draw_batch(task.seed, batch, task.size)
    try:
        found = DETECTORS[signal](x, fs_hz)
    except Exception:  # noqa: BLE001 - counting what raises is the point
        text = f"batch {batch}: {traceback.format_exc(limit=3)}"
        return Count(task.size, task.size, Counter(), 0, 0, [text])
    wrong: Counter[str] = Counter()
    examples: list[str] = []
    kept = asked = exceptions = 0
    for i, (positions, name, window) in enumerate(zip(found, names, windows, strict=True)):
        try:
            fault = _fault(positions / fs_hz, window, signal)
            if fault or i % EVERY_INTERVALS == 0 or not window.is_heart:
                asked += 1
                passed = signal_quality(x[i], fs_hz, signal)[0] >= GATE
                kept += passed
                fault = fault if passed else ""
            if i % EVERY_INTERVALS == 0:
                fault = fault or _interval_fault(positions / fs_hz, window)
        except Exception:  # noqa: BLE001 - counting what raises is the point
            exceptions += 1
            examples.append(f"batch {batch} row {i} {name}: {traceback.format_exc(limit=3)}")
            continue
        if fault:
            wrong[f"{signal} {name}: {fault}"] += 1
            examples.append(f"batch {batch} row {i}, {fs_hz:g} Hz {signal}, {name}: {fault}")
    return Count(task.size, exceptions, wrong, kept, asked, examples)


def _fault(found_s: Floats, window: Window, signal: str) -> str:
    """What is wrong with the beats far from damage; empty if nothing is."""
    if not np.all(np.isfinite(found_s)) or np.any(np.diff(found_s) <= 0):
        return "positions out of order"
    if found_s.size and not (found_s[0] >= 0 and found_s[-1] < SECONDS):
        return "positions outside the window"
    if not window.is_heart:
        return "beats where there is no heart" if found_s.size else ""
    delay = 0.0 if signal == "ecg" else _delay(window.beats_s, found_s)
    truth = window.beats_s + delay
    damage, edge = window.damage_s, EDGE_S[signal]
    truth_far, found_far = _far(truth, damage, edge), _far(found_s, damage, edge)
    near = NEAR_S[signal]
    if any(np.abs(found_s - t).min(initial=np.inf) > near for t in truth_far):
        return "a beat is lost"
    if any(np.abs(truth - t).min(initial=np.inf) > near for t in found_far):
        return "a beat is invented"
    return ""


def _delay(truth_s: Floats, found_s: Floats) -> float:
    """Time from a true foot to the pulse found for it, the same for all: the one most agree on."""
    if not truth_s.size or not found_s.size:
        return 0.0
    off = (found_s[:, None] - truth_s).ravel()
    off = np.sort(off[(off > -0.1) & (off < 0.4)])
    if not off.size:
        return 0.0
    near = np.searchsorted(off, off + 0.04) - np.arange(off.size)
    first = int(near.argmax())
    return float(np.median(off[first : first + near[first]]))


def _far(times_s: Floats, damage_s: tuple[tuple[float, float], ...], edge_s: float) -> Floats:
    """Times away from damage and from the window's ends."""
    kept = (times_s > edge_s) & (times_s < SECONDS - edge_s)
    for begin, end in damage_s:
        kept &= (times_s < begin - COST_S) | (times_s > end + COST_S)
    return times_s[kept]


def _interval_fault(found_s: Floats, window: Window) -> str:
    """Whether intervals and their measures say what no beat said."""
    gaps = np.array([(b + e) / 2 for b, e in window.damage_s if e - b > COST_S])
    times = np.sort(np.concatenate([found_s, gaps]))
    times[np.isin(times, gaps)] = np.nan
    nn = nn_from_beats(times)
    for end_s, length_ms in zip(nn.times_s, nn.nn_ms, strict=True):
        if np.any((gaps < end_s) & (gaps > end_s - length_ms / 1000)):
            return "an interval spans a gap"
    values = hrv(nn)
    if any(np.isinf(v) or v < 0 for name, v in values.items() if name.endswith(("_ms", "_bpm"))):
        return "a value no heart has"
    return ""


if __name__ == "__main__":
    sys.exit(main())

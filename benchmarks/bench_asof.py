"""Facts in force: the offline join beside pandas and polars, and the live store's cost per event.

Offline: 1,000,000 questions on 1,000,000 rows of 10,000 patients, both sorted by (patient, time),
each library's fastest form; rows per CPU-second are questions per CPU-second. The join here also
asks when a row was known, whether it was corrected and whether it was cancelled, which the others
do not: its plain form is their task, its two-clock form the product's.

Live: events of 12 concepts to 100, 1,000 and 10,000 patients at hourly rounds, after two days; one
question per patient and round. `python -m benchmarks.bench_asof` takes two minutes.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks._common import heading
from features.asof import AsOf, facts_at
from features.asof_join import Rows, dead_since, latest
from features.fact_windows import windows_at
from features.facts import TRACK, Fact, admit
from features.track import NEVER
from streams.records import ClinicalEvent, Reason

QUESTIONS: Final = 1_000_000
ROWS: Final = 1_000_000
PATIENTS: Final = 10_000
SPAN_US: Final = 10 * 86_400 * 1_000_000
REPEATS: Final = 5
S: Final = 1_000_000
T0: Final = 1_700_000_000 * S
ROUND_US: Final = 3600 * S
ROUNDS: Final = 64
BATCH: Final = 1_200  # events of one feed
WARM: Final = 48  # rounds before the clock starts: every track has its day
CODES: Final = (
    ("sbp", "mmHg", 120.0), ("dbp", "mmHg", 70.0), ("map", "mmHg", 85.0), ("hr", "bpm", 80.0),
    ("temp", "Cel", 37.0), ("resp_rate", "/min", 16.0), ("spo2", "%", 96.0),
    ("lactate", "mmol/L", 1.0), ("k", "mmol/L", 4.0), ("na", "mmol/L", 140.0),
    ("creatinine", "mg/dL", 1.0), ("glucose", "mg/dL", 110.0),
)  # fmt: skip

Ints = NDArray[np.int64]


def best(task: Callable[[], Any]) -> tuple[float, Any]:
    """Least CPU time of a few runs, in seconds, and the result."""
    result, least = None, float("inf")
    for _ in range(REPEATS):
        begin = time.process_time()
        result = task()
        least = min(least, time.process_time() - begin)
    return least, result


def sorted_pairs(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
    """Random patients and times, in order of both."""
    patient = rng.integers(0, PATIENTS, count)
    time_us = rng.integers(0, SPAN_US, count)
    order = np.lexsort((time_us, patient))
    return patient[order], time_us[order]


def offline() -> None:
    """Print the table of joins."""
    rng = np.random.default_rng(1)
    group, time_us = sorted_pairs(rng, ROWS)
    asked, t_us = sorted_pairs(rng, QUESTIONS)
    value = rng.standard_normal(ROWS)
    plain = Rows(group, time_us, time_us, np.full(ROWS, NEVER), value)
    known_us = time_us + np.round(rng.exponential(3600e6, ROWS)).astype(np.int64)
    event, number = np.arange(ROWS), np.zeros(ROWS, np.int64)
    again = rng.choice(ROWS // 2, ROWS // 50, replace=False) * 2  # one in fifty is corrected
    event[again + 1], number[again + 1] = event[again], 1
    cancelled = np.where(rng.random(ROWS) < 0.01, np.nan, value)
    dead_s, dead_us = best(lambda: dead_since(event, number, known_us))
    two = Rows(group, time_us, known_us, dead_us, cancelled)
    forever = np.full(QUESTIONS, NEVER - 1)
    mine_s, mine = best(lambda: latest(plain, asked, t_us, forever))
    both_s, _ = best(lambda: latest(two, asked, t_us, t_us))
    shuffled = rng.permutation(QUESTIONS)
    random_s, _ = best(lambda: latest(two, asked[shuffled], t_us[shuffled], t_us[shuffled]))
    print("\noffline, million rows per CPU-second")
    line("here, event time alone", mine_s)
    line("here, two clocks, corrections, cancellations", both_s)
    line("  the same, questions in random order", random_s)
    print(f"  ends of superseded rows, once per data set: {ROWS / dead_s / 1e6:.1f} M/s")
    expected = np.where(mine >= 0, value[mine], np.nan)
    for name, join in (("pandas", by_pandas), ("polars", by_polars)):
        try:
            module = importlib.import_module(name)
        except ImportError:
            print(f"{name} is not installed: left out")
            continue
        seconds, found = join(module, (group, time_us, value), (asked, t_us))
        assert np.array_equal(found, expected, equal_nan=True), f"{name} finds other rows"
        line(f"{name} {installed(name)}, event time alone", seconds)


def by_pandas(pandas: Any, rows: tuple[Any, ...], asked: tuple[Any, ...]) -> tuple[float, Any]:
    """`merge_asof` by patient, on frames sorted by time, which it demands; its result put back."""
    right = pandas.DataFrame({"p": rows[0], "t": rows[1], "v": rows[2]})
    left = pandas.DataFrame({"p": asked[0], "t": asked[1], "row": np.arange(len(asked[0]))})
    right, left = right.sort_values("t", kind="stable"), left.sort_values("t", kind="stable")
    seconds, merged = best(lambda: pandas.merge_asof(left, right, on="t", by="p"))
    return seconds, merged.sort_values("row")["v"].to_numpy()


def by_polars(polars: Any, rows: tuple[Any, ...], asked: tuple[Any, ...]) -> tuple[float, Any]:
    """`join_asof` by patient, on frames sorted by patient and time: its fastest form."""
    right = polars.DataFrame({"p": rows[0], "t": rows[1], "v": rows[2]})
    left = polars.DataFrame({"p": asked[0], "t": asked[1]})
    right, left = right.sort("p", "t"), left.sort("p", "t")
    seconds, joined = best(lambda: left.join_asof(right, on="t", by="p", check_sortedness=False))
    return seconds, joined["v"].to_numpy()


def installed(name: str) -> str:
    """Version of a package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def line(name: str, seconds: float) -> None:
    """One row of the table."""
    print(f"{name:48} {QUESTIONS / seconds / 1e6:6.1f}")


class Cost(NamedTuple):
    """CPU µs, live."""

    admit: float  # per event, median batch
    store: float  # per event, median batch
    store_mean: float  # per event, over all batches: with those that let rows go
    ask: float  # per question, median round
    windows: float  # per question of windows of 12 concepts


def live(patients: int) -> Cost:
    """Cost per event and per question."""
    stores = [AsOf() for _ in range(patients)]
    windowed = [TRACK[code] for code, _, _ in CODES]
    batches: list[tuple[float, float]] = []
    ask_s, window_s = [], []
    for turn in range(ROUNDS):
        taken = [deliver(stores, turn, start) for start in range(0, patients, BATCH // len(CODES))]
        now = np.full(patients, T0 + turn * ROUND_US + S)
        begin = time.process_time()
        facts_at(stores, now, now)
        asked = time.process_time()
        some = stores[:256]
        windows_at(some, now[: len(some)], now[: len(some)], windowed)
        done = time.process_time()
        if turn >= WARM:
            batches += taken
            ask_s.append((asked - begin) / patients)
            window_s.append((done - asked) / len(some))
    admit_s, store_s = (np.array(column) for column in zip(*batches, strict=True))
    medians = [float(np.median(column)) for column in (admit_s, store_s, ask_s, window_s)]
    admitted, stored, asked_once, windows = (1e6 * seconds for seconds in medians)
    return Cost(admitted, stored, 1e6 * float(store_s.mean()), asked_once, windows)


def deliver(stores: list[AsOf], turn: int, start: int) -> tuple[float, float]:
    """One batch of events, as a feed brings them; CPU s per event to admit and to store it."""
    append_us = T0 + turn * ROUND_US
    some = range(start, min(start + BATCH // len(CODES), len(stores)))
    events = [event(patient, turn, n, append_us) for patient in some for n in range(len(CODES))]
    begin = time.process_time()
    facts = [admit(what, append_us) for what in events]
    admitted = time.process_time()
    owners = [stores[start + i // len(CODES)] for i in range(len(facts))]
    good = [fact for fact in facts if not isinstance(fact, Reason)]
    pairs = list(zip(owners, good, strict=True))
    paired = time.process_time()
    take(pairs)
    done = time.process_time()
    return (admitted - begin) / len(events), (done - paired) / len(events)


def take(facts: list[tuple[AsOf, Fact]]) -> None:
    """What settling does with a batch of events."""
    for store, fact in facts:
        store.add(fact)


def event(patient: int, turn: int, number: int, append_us: int) -> ClinicalEvent:
    """One value of one concept; charted a few minutes before it was known."""
    code, unit, value = CODES[number]
    name = f"{patient}-{turn}-{number}"
    at_us = append_us - (number + 1) * 20 * S
    return ClinicalEvent(
        name, 1, "final", f"p{patient}", code, value, unit, "", at_us, append_us, "ehr"
    )


def main() -> int:
    """Print the figures."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # before polars is imported
    print(heading("facts in force"))
    offline()
    print("\nlive, CPU µs       admit an event       store it   (mean)   ask once   ask 12 windows")
    for patients in (100, 1_000, 10_000):
        gc.collect()
        cost = live(patients)
        print(
            f"{patients:6} patients {cost.admit:16.2f} {cost.store:14.2f} {cost.store_mean:8.2f} "
            f"{cost.ask:10.2f} {cost.windows:16.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Live patients while one sends hours that were kept back: what a poll costs, with and without.

    python -m benchmarks.bench_backfill [--live 50] [--hours 6] [--poll-mb 4]

The engine alone, fed as a host feeds it: every second of the one who was away at most `--poll-mb`
of what waits, until all of it has come, and then the live patients' records; each poll in the
host's portions (`streams.portions`), then what was put off, step by step. A live patient's score
waits for the CPU time of the first portion; that of one who shares the other's partition for all
portions up to its own; both for one step more if they come while that runs. The same without that
patient, and under `degraded:backfill`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks._common import heading
from features.ecg.kernels import warm_up
from service.build import build_engine
from service.config import Config
from service.engine import Engine
from service.load import CHUNK_S, Load, LoadSpec
from streams.codec import decode, encode
from streams.io.input_log import RawRecord
from streams.partition import partition_of
from streams.portions import portions
from streams.records import ANYONE, AlertCommand, Record, SignalBundle, Tick
from streams.shedding import BACKFILL

START_US = 1_750_000_000_000_000
WARM_S = 360
AFTER_S = 60
TICK_S = 5
PARTITIONS = Config().kafka.partitions
NEAR = "load-000000"
AWAY = next(
    n
    for k in count()
    if partition_of(n := f"away-{k}", PARTITIONS) == partition_of(NEAR, PARTITIONS)
)
MOST_FACTOR = 10.0  # p99 of a poll with the backfill, over p99 without


Arriving = Callable[[int], list[SignalBundle]]  # at a second


class Figures(NamedTuple):
    """CPU seconds until live patients are served, and what came of the one who was away."""

    median_s: float
    p99_s: float
    near_s: float  # p99 of who shares the partition
    step_s: float  # the longest portion or step of what was put off
    whole_s: float  # the longest poll with all its portions and steps
    polls: int  # that brought some of the backfill
    rows: int  # feature rows of the patient who was away


def live(patients: int, seconds: int) -> Iterator[list[tuple[int, Record]]]:
    """What the live patients send, second by second, with ticks."""
    load = Load(LoadSpec(patients, START_US))
    for second in range(seconds):
        sent: list[tuple[int, Record]] = [(e.partition, e.record) for e in load.second(second)]
        if second % TICK_S == 0:
            tick = Tick(START_US + second * 1_000_000)
            sent += [(partition, tick) for partition in range(PARTITIONS)]
        yield sent


def kept_back(hours: float) -> list[SignalBundle]:
    """Hours of one patient that ended when it went away, a minute a bundle."""
    steps = round(hours * 3600) // CHUNK_S
    spec = LoadSpec(1, START_US - steps * CHUNK_S * 1_000_000)
    sent = Load(spec)
    chunks = [
        replace(chunk, patient_id=AWAY, device_id=AWAY)
        for step in range(1, steps + 1)
        for entry in sent.second(step * CHUNK_S)
        if isinstance(entry.record, SignalBundle)
        for chunk in entry.record.chunks
    ]
    width = 6 * len(spec.signals)
    return [SignalBundle(tuple(chunks[at : at + width])) for at in range(0, len(chunks), width)]


def shed() -> AlertCommand:
    """The record that backfill is left out."""
    at_us = START_US + (WARM_S - 1) * 1_000_000
    words = ("shed", ANYONE, BACKFILL, "lost", "service:watch", "service", "load")
    return AlertCommand(*words, -1, 0, at_us)


def polled(waiting: list[SignalBundle], poll_bytes: int) -> Arriving:
    """What was kept back, so many bytes a poll."""
    queue = list(waiting)

    def arriving(second: int) -> list[SignalBundle]:
        found, size = [], 0
        while queue and size < poll_bytes:
            found.append(queue.pop(0))
            size += sum(len(chunk.data) for chunk in found[-1].chunks)
        return found

    return arriving


def hundredfold(second: int) -> list[SignalBundle]:
    """A hundred times a patient's data: sixteen devices, every chunk sent six times."""
    (*entries,) = Load(LoadSpec(1, START_US)).second(second)
    chunks = [c for e in entries if isinstance(e.record, SignalBundle) for c in e.record.chunks]
    return [
        SignalBundle(
            tuple(replace(c, patient_id=AWAY, device_id=f"{AWAY}-{device}") for c in chunks)
        )
        for device in range(16)
        for _ in range(6 if chunks else 0)
    ]


def measure(patients: int, arriving: Arriving, *, left_out: bool = False) -> Figures:
    """Feed it; figures of the polls from the moment the other one comes back."""
    engine, offsets = build_engine(Config()), [0] * PARTITIONS
    where, rows, polls = partition_of(AWAY, PARTITIONS), 0, 0
    spent, near = list[float](), list[float]()
    step_s = whole_s = 0.0
    for second, sent in enumerate(live(patients, WARM_S + AFTER_S)):
        if left_out and second == WARM_S - 1:
            sent = [(partition, shed()) for partition in range(PARTITIONS)] + sent
        others = arriving(second) if second >= WARM_S else []
        polls += bool(others)
        sent = [(where, bundle) for bundle in others] + sent
        done = fed(engine, sent, offsets, START_US + second * 1_000_000)
        rows += done.own
        if second >= WARM_S:
            spent.append(done.times_s[0])
            near.append(sum(done.times_s[: done.near]))
            step_s = max(step_s, *done.times_s)
            whole_s = max(whole_s, sum(done.times_s))
    return Figures(_p(spent, 0.5), _p(spent, 0.99), _p(near, 0.99), step_s, whole_s, polls, rows)


def _p(times_s: list[float], share: float) -> float:
    return sorted(times_s)[min(len(times_s) - 1, int(share * len(times_s)))]


class Fed(NamedTuple):
    """One poll: CPU time of its portions, then of the steps of what was put off."""

    times_s: list[float]
    near: int  # portions until the last record of the shared partition is fed
    own: int  # feature rows of the one who was away


def fed(engine: Engine, sent: list[tuple[int, Record]], offsets: list[int], now_us: int) -> Fed:
    """Feed one poll, and do all that it put off."""
    rows = []
    for partition, record in sent:
        rows.append(RawRecord(partition, offsets[partition], now_us, encode(record)))
        offsets[partition] += 1
    where, spent, near, own = partition_of(AWAY, PARTITIONS), list[float](), 0, 0
    parts = portions(rows)
    while len(spent) < len(parts) or engine.left():
        portion = parts[len(spent)] if len(spent) < len(parts) else []
        began = time.process_time()
        decoded = [decode(r.value, r.partition, r.offset, r.append_us) for r in portion]
        said = (engine.feed_soon(decoded) if decoded else engine.catch_up()).messages
        spent.append(time.process_time() - began)
        if any(r.partition == where for r in portion):
            near = len(spent)
        own += sum(m.topic == "features" and m.key == AWAY for m in said)
    return Fed(spent or [0.0], near, own)


def main() -> int:
    """Print the table; 1 when live patients wait longer than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--live", type=int, default=50)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--poll-mb", type=float, default=4.0)
    options = parser.parse_args()
    warm_up()
    print(heading(f"{options.live} live patients, one back after {options.hours:g} h"))
    print(
        "| run | median | p99 | p99 on its partition | longest step | longest poll | polls | rows |"
    )
    print("|---|---|---|---|---|---|---|---|")
    waiting, poll_bytes = kept_back(options.hours), round(options.poll_mb * 1e6)
    runs: tuple[tuple[str, Arriving, bool], ...] = (
        ("live alone", polled([], 0), False),
        ("with the backfill", polled(waiting, poll_bytes), False),
        ("... left out", polled(waiting, poll_bytes), True),
        ("one sends a hundred times as much", hundredfold, False),
    )
    found = {}
    for name, arriving, left_out in runs:
        f = found[name] = measure(options.live, arriving, left_out=left_out)
        print(
            f"| {name} | {1e3 * f.median_s:.0f} ms | {1e3 * f.p99_s:.0f} ms "
            f"| {1e3 * f.near_s:.0f} ms | {1e3 * f.step_s:.0f} ms | {1e3 * f.whole_s:.0f} ms "
            f"| {f.polls} | {f.rows} |",
            flush=True,
        )
    worst_s = max(max(f.p99_s, f.near_s) for f in found.values())
    factor = worst_s / found["live alone"].p99_s
    print(f"p99 of the live in the worst of them: {factor:.1f} times (at most {MOST_FACTOR:g})")
    return int(factor > MOST_FACTOR)


if __name__ == "__main__":
    sys.exit(main())

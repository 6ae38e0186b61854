"""Several workers of one group under live load: what they carry, and what joining and leaving cost.

    deploy/services run -- python -m benchmarks.bench_scale_out [--workers 2] [--patients 2000]

The load of `bench_live_load`; worker i is bound to core i, or shares where there are fewer cores;
generator and broker take what is left. After a steady stretch one more worker joins, leaves by
SIGTERM, and the first is killed with SIGKILL and started again, as a supervisor would. Told of each
stretch: how long scores waited, from the sending of the record that closed their window to the
broker. At the end every score is read: none may be missing between a patient's first and last,
none may be there twice with other content, and each patient's last must be of the end.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks._common import heading
from benchmarks._ward import Ward, cpu_s
from streams.io.kafka_log import append_us_of
from streams.windows import HOP_US

PARTITIONS: Final = 64
STRETCH_S: Final = 60.0  # after each change
LATE_US: Final = 60_000_000  # of a patient's last score, before the newest of all
BORDER_S: Final = 2.0  # what is sent so shortly before a change may wait for it: not counted


class _Key(msgspec.Struct):
    """What makes a score that one and no other."""

    patient_id: str
    scorer: str
    end_us: int
    revision: int = 0


class Row(NamedTuple):
    """A score on its topic."""

    patient_id: str
    scorer: str
    end_us: int
    revision: int
    content: int  # hash of its bytes
    sent_s: float
    at_s: float


class Stretch(NamedTuple):
    """A part of the run: from one change until the next."""

    name: str
    from_s: float
    to_s: float
    cores: dict[str, float]  # share of a core of every worker that lived through it

    def line(self, rows: Iterable[Row]) -> str:
        """A row of the table."""
        waits = sorted(r.at_s - r.sent_s for r in rows if self.from_s <= r.sent_s < self.to_s)
        if not waits:
            return f"| {self.name} | no score | | | |"
        cores = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.cores.items())
        p50, p99 = waits[len(waits) // 2], waits[int(0.99 * (len(waits) - 1))]
        return (
            f"| {self.name} | {len(waits)} | {p50:.2f} s | {p99:.2f} s | {waits[-1]:.2f} s | "
            f"{cores} |"
        )


class Group:
    """Workers on their cores."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self._cores = sorted(os.sched_getaffinity(0))
        self._core: dict[str, str] = {}

    def start(self, name: str) -> None:
        """Start one; a name keeps its core."""
        core = self._core.setdefault(name, str(self._cores[len(self._core) % len(self._cores)]))
        self.ward.start(name, "taskset", "-c", core)

    def watch(self, name: str, seconds: float, change: Callable[[], None]) -> Stretch:
        """Make a change and look on for so long."""
        from_s = time.time()
        change()
        alive = {n: w.pid for n, w in self.ward.workers.items() if w.poll() is None}
        before = {n: cpu_s(pid) for n, pid in alive.items()}
        began_s = time.time()
        time.sleep(seconds)
        to_s = time.time()
        shares = {
            n: (cpu_s(pid) - before[n]) / (to_s - began_s)
            for n, pid in alive.items()
            if self.ward.workers[n].poll() is None
        }
        return Stretch(name, from_s, to_s - BORDER_S, shares)


def played(ward: Ward, options: argparse.Namespace) -> tuple[list[Stretch], str]:
    """The whole run; its stretches and what the generator said."""
    group, names = Group(ward), [f"w{i}" for i in range(options.workers)]
    for name in names:
        group.start(name)
    for name in names:
        ward.wait_until_ready(name)
    steady_s = 60 * options.minutes
    load = ward.play(options.patients, round(options.warm + steady_s + 3 * STRETCH_S + 5))
    time.sleep(options.warm)

    def kill() -> None:
        ward.signal("w0", signal.SIGKILL)
        group.start("w0")

    found = [
        group.watch(f"{options.workers} workers", steady_s, lambda: None),
        group.watch("one more joins", STRETCH_S, lambda: group.start("more")),
        group.watch("it leaves (SIGTERM)", STRETCH_S, lambda: ward.signal("more", signal.SIGTERM)),
        group.watch("one is killed, comes back", STRETCH_S, kill),
    ]
    _ended(load)
    ward.drain()
    return found, (ward.folder / "load.log").read_text(encoding="utf-8").strip()


def _ended(load: subprocess.Popen[bytes]) -> None:
    if load.wait() != 0:
        raise SystemExit("the generator failed: see load.log")


def row_of(record: Any) -> Row:
    """A score as it lies on its topic, stamped on arrival."""
    key = msgspec.json.decode(record.value, type=_Key)
    sent_s = append_us_of(record.headers, record.timestamp) / 1e6
    content, at_s = hash(record.value), record.timestamp / 1000
    return Row(key.patient_id, key.scorer, key.end_us, key.revision, content, sent_s, at_s)


def firsts(rows: Iterable[Row]) -> list[Row]:
    """Every score when it first came: what a new owner says again nobody waits for."""
    found: dict[tuple[str, str, int, int], Row] = {}
    for row in sorted(rows, key=lambda row: row.at_s):
        found.setdefault(row[:4], row)
    return list(found.values())


def verdict(rows: Iterable[Row], patients: int) -> tuple[bool, str]:
    """Whether every patient's scores are there, each once by content; in words."""
    said: dict[tuple[str, str, int, int], set[int]] = defaultdict(set)
    count = 0
    for row in rows:
        said[row.patient_id, row.scorer, row.end_us, row.revision].add(row.content)
        count += 1
    ends: dict[tuple[str, str], set[int]] = defaultdict(set)
    for patient_id, scorer, end_us, _ in said:
        ends[patient_id, scorer].add(end_us)
    newest = max((max(own) for own in ends.values()), default=0)
    lost = short = 0
    step = _steps(ends)
    for (_, scorer), own in ends.items():
        lost += (max(own) - min(own)) // step[scorer] + 1 - len(own)
        short += max(own) < newest - LATE_US - step[scorer]
    other = sum(len(contents) > 1 for contents in said.values())
    whole = len(ends) == patients * len(step)
    return whole and not lost and not short and not other, (
        f"{len(said)} scores in {len(ends)} series of {patients} patients and {len(step)} scorers: "
        f"{lost} lost, {short} series end early, {other} doubled with other content, "
        f"{count - len(said)} sent again as they were"
    )


def _steps(ends: dict[tuple[str, str], set[int]]) -> dict[str, int]:
    """How far apart a scorer's scores are, µs: the least distance anybody has."""
    found: dict[str, int] = {}
    for (_, scorer), own in ends.items():
        times = sorted(own)
        least = min((b - a for a, b in pairwise(times)), default=HOP_US)
        found[scorer] = min(found.get(scorer, least), least)
    return found


def main() -> None:
    """Print the table and the verdict; exit 1 if anything was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patients", type=int, default=2000, help="of all workers together")
    parser.add_argument("--minutes", type=float, default=2.0, help="before anything changes")
    parser.add_argument("--warm", type=float, default=90.0, help="seconds before that")
    parser.add_argument("--runner", choices=("faust", "direct"), default="direct")
    options = parser.parse_args()
    title = f"{options.workers} {options.runner} workers, {options.patients} patients"
    print(heading(title), flush=True)
    settings = {"worker": {"runner": options.runner}}
    with tempfile.TemporaryDirectory(prefix="vigil-scale-") as folder:
        ward = Ward(os.environ["VIGIL_KAFKA"], Path(folder), PARTITIONS, settings)
        try:
            ward.stamp_on_arrival("scores")
            stretches, words = played(ward, options)
            rows = ward.each("scores", row_of)
        finally:
            ward.close()
    print("| stretch | scores | p50 | p99 | longest wait | CPU |\n|---|---|---|---|---|---|")
    once = firsts(rows)
    for stretch in stretches:
        print(stretch.line(once))
    good, found = verdict(rows, options.patients)
    print(f"{found}\ngenerator: {words}; load average {os.getloadavg()[0]:.1f}")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()

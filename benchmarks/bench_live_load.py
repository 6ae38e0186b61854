"""The largest number of live patients that one worker on one core sustains on a real broker.

    deploy/services run -- python -m benchmarks.bench_live_load [--patients 2000] [--minutes 3]

ECG 250 Hz, pulse wave 125 Hz, acceleration 3 x 32 Hz, SpO2 and temperature in ten-second chunks, in
real time. The worker is bound to the last core; the generator, a process of its own, to the others.
A count is sustained when 99 % of scores are on their topic within a second of the record that
closed their window being sent, and the generator itself was in time. From the first count it goes
up or down by half until one is sustained and one is not, and then between them.

The time is the broker's: the topic of scores is stamped on arrival. `--only` measures one count.
All bundles of a second are sent at its beginning, which is the hardest way; `--spread` sends them
over the second, as gateways do that are not in step.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from psutil import Process

from benchmarks._common import heading
from benchmarks._ward import Ward, cpu_s
from service.load import CHUNK_S, SIGNALS

PARTITIONS = 64
LOOKED_AT = 16  # partitions of scores whose times are read
P99_S, LATE_S = 1.0, 1.0
STEP, CLOSE_ENOUGH = 1.5, 1.12
MOST = 10_000


class Trial(NamedTuple):
    """What one count came to."""

    patients: int
    core: float  # share of the core
    p50_s: float
    p99_s: float
    end_s: float  # from the load's end until the last score
    mib: float
    late_s: float  # of the generator
    steps: dict[str, float]  # share of the wall by step of the engine

    @property
    def sustained(self) -> bool:
        """Whether scores were in time."""
        return self.p99_s <= P99_S and self.late_s <= LATE_S

    def line(self) -> str:
        """A row of the table."""
        each = 60_000 * self.core / self.patients
        return (
            f"| {self.patients} | {self.patients * len(SIGNALS) / CHUNK_S:.0f} | "
            f"{100 * self.core:.0f} % | {each:.1f} | {self.p50_s:.2f} s | {self.p99_s:.2f} s | "
            f"{self.end_s:.1f} s | {self.mib:.0f} | {self.late_s:.2f} s | "
            f"{'yes' if self.sustained else 'no'} |"
        )


def trial(patients: int, options: argparse.Namespace) -> Trial:
    """Run one count from empty topics."""
    cores = sorted(os.sched_getaffinity(0))
    others = ",".join(str(core) for core in cores[:-1] or cores)
    worker = {"runner": options.runner}
    with tempfile.TemporaryDirectory(prefix="vigil-load-") as folder:
        ward = Ward(os.environ["VIGIL_KAFKA"], Path(folder), PARTITIONS, {"worker": worker})
        try:
            ward.stamp_on_arrival("scores")
            ward.start("one", "taskset", "-c", str(cores[-1]))
            ward.wait_until_ready("one")
            port = ward.ports["one"]
            total_s = round(options.warm + 60 * options.minutes)
            load = ward.play(patients, total_s, "taskset", "-c", others, spread=options.spread)
            from_s = time.time() + options.warm
            time.sleep(options.warm)
            pid = ward.workers["one"].pid
            before, stepped, began_s = cpu_s(pid), _steps(port), time.monotonic()
            load.wait()
            spent_s, wall_s = cpu_s(pid) - before, time.monotonic() - began_s
            steps = {
                name: (value - stepped.get(name, 0.0)) / wall_s
                for name, value in _steps(port).items()
            }
            end_s, mib = time.time(), Process(pid).memory_info().rss / 2**20
            late_s = _late_s(Path(folder) / "load.log")
            time.sleep(2 * P99_S)
            came = ward.arrivals("scores", LOOKED_AT)
            waits = sorted(row.at_s - row.sent_s for row in came if row.sent_s >= from_s)
            last_s = max((row.at_s for row in came), default=end_s)
        finally:
            ward.close()
    if not waits:
        raise SystemExit("no score at all: see the worker's log")
    return Trial(
        patients,
        spent_s / wall_s,
        waits[len(waits) // 2],
        waits[int(0.99 * (len(waits) - 1))],
        max(0.0, last_s - end_s),
        mib,
        late_s,
        steps,
    )


def _steps(port: int) -> dict[str, float]:
    """Seconds the worker has spent in each step of the engine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            step = sample.name.removeprefix("vigil_").removesuffix("_seconds_sum")
            if sample.name.endswith("_seconds_sum") and step in (
                "feed",
                "segments",
                "window_features",
                "score",
            ):
                name = sample.labels.get("model") or step
                found[name] = found.get(name, 0.0) + sample.value
    return found


def _late_s(log: Path) -> float:
    """How late the generator says it was, at most."""
    before, found, _ = log.read_text(encoding="utf-8").rpartition(" s late")
    if not found:
        raise SystemExit(f"the generator failed: {log.read_text(encoding='utf-8')[-2000:]}")
    return float(before.split()[-1])


def _told(patients: int, options: argparse.Namespace) -> Trial:
    found = trial(patients, options)
    print(found.line(), flush=True)
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in found.steps.items())
    print(f"  of the wall: {shares}; load average {os.getloadavg()[0]:.1f}", flush=True)
    return found


def largest(options: argparse.Namespace) -> int:
    """Go up or down until one count is sustained and the next is not; 0 if none is."""
    good, bad, patients = 0, MOST + 1, options.patients
    while True:
        if _told(patients, options).sustained:
            good = patients
        else:
            bad = patients
        if good >= MOST or bad <= 10 or bad <= CLOSE_ENOUGH * good:
            return good
        if bad > MOST:
            patients = min(MOST, round(STEP * good))
        elif not good:
            patients = round(bad / STEP)
        else:
            patients = round((good + bad) / 2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--warm", type=float, default=120.0, help="seconds before it is measured")
    parser.add_argument("--runner", choices=("faust", "direct"), default="direct")
    parser.add_argument("--spread", action="store_true", help="bundles over the whole second")
    parser.add_argument("--only", action="store_true", help="this count and no other")
    options = parser.parse_args()
    how = "spread over the second" if options.spread else "a second's bundles at once"
    title = f"Live load, {options.runner} worker on one core, {options.minutes:g} min each, {how}"
    print(heading(title))
    print(
        "| patients | chunks/s | core | CPU ms / patient-minute | p50 | p99 | after the end | "
        "MiB | generator late | sustained |\n|---|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    if options.only:
        _told(options.patients, options)
        return
    print(f"largest count sustained: {largest(options)}")


if __name__ == "__main__":
    main()

"""How long from a score to its alert, in one process, at 50,000 updates per second and core.

One thread, open loop: update i arrives at i / rate, waits for those before it, and is served as
long as its call really took on this CPU (thread time: other work on the machine does not count). A
served update includes the bytes of the alert and its headers. Nine patients in ten are quiet, one
in twenty moves around the threshold, one in twenty has an open alert.

    python -m benchmarks.bench_alerts [--updates 400000] [--rate 50000]
"""

from __future__ import annotations

import argparse
import gc
import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from alerts.alert import AlertEvent
from alerts.envelope import alert_value, cloud_event_headers, state_value
from alerts.machine import AlertMachine
from alerts.policy import default_policy_text, parse_policy
from benchmarks._common import heading
from models.score import Evidence, RuleScore, Score

SEED: Final = 7
PATIENTS: Final = 1000
START_US: Final = 1_767_225_600_000_000
HOP_US: Final = 10_000_000
INPUTS: Final = ("resp_rate", "spo2", "pulse", "temp")


def news2(patient: str, step: int, total: int) -> Score:
    """A NEWS2 score with four inputs."""
    end_us = START_US + step * HOP_US
    points: dict[str, int] = {}
    left = total
    for name in INPUTS:
        points[name] = min(3, left)
        left -= points[name]
    items = tuple(
        Evidence(n, n, 20.0 + p, "1/min", end_us, 0.0, "wearable", 0.95, float(p))
        for n, p in points.items()
    )
    lower, upper = float(total), float(total + 9)
    rule = RuleScore(total, total, total + 9, 3 in points.values(), 1, ("sbp",), points)
    return Score(
        patient, "news2", "news2/1", end_us - 60_000_000, end_us, end_us + 2_000_000, 0,
        lower, lower, upper, None, False, 0.0, {"wearable": lower}, {"wearable": True}, 0.57,
        rule, items,
    )  # fmt: skip


def totals(patients: int, steps: int) -> NDArray[np.int64]:
    """NEWS2 of every patient and step: quiet, around the threshold, or high."""
    rng = np.random.default_rng(SEED)
    kind = rng.choice(3, patients, p=[0.9, 0.05, 0.05])
    noise = rng.integers(0, 3, (patients, steps))
    usual = np.array([0, 3, 6])[kind]
    return np.minimum(usual[:, None] + noise, 12)


def served_us(updates: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Thread time of every update, µs, and whether it gave an alert event."""
    steps = updates // PATIENTS
    policy = parse_policy(default_policy_text())
    machines = [AlertMachine(policy, f"p{i}") for i in range(PATIENTS)]
    wanted = totals(PATIENTS, steps).tolist()
    cost, spoke = np.zeros(steps * PATIENTS), np.zeros(steps * PATIENTS, bool)
    at, clock = 0, time.thread_time_ns
    for step in range(steps):
        scores = [(news2(f"p{i}", step, wanted[i][step]),) for i in range(PATIENTS)]
        gc.collect(0)
        for machine, score in zip(machines, scores, strict=True):
            started = clock()
            events = machine.on_scores(score)
            for event in events:
                _bytes(event)
            cost[at] = (clock() - started) / 1e3
            spoke[at] = bool(events)
            at += 1
    return cost, spoke


def latency_us(cost: NDArray[np.float64], rate: float) -> NDArray[np.float64]:
    """Waiting plus service of every update when they arrive evenly at `rate` per second."""
    arrival = np.arange(len(cost)) * (1e6 / rate)
    done = np.empty(len(cost))
    free = 0.0
    for index, (came, took) in enumerate(zip(arrival.tolist(), cost.tolist(), strict=True)):
        free = max(free, came) + took
        done[index] = free
    return done - arrival


def _bytes(event: AlertEvent) -> int:
    """All that is published of an event."""
    return len(alert_value(event)) + len(state_value(event)) + len(cloud_event_headers(event))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--updates", type=int, default=400_000)
    parser.add_argument("--rate", type=float, default=50_000.0)
    chosen = parser.parse_args()
    cost, spoke = served_us(chosen.updates)
    wait = latency_us(cost, chosen.rate)  # at `rate` updates per second
    print(heading(f"Score to alert, {len(cost):,} updates of {PATIENTS} patients"))
    per_s = 1e6 / cost.mean()
    print(f"mean cost of an update  {cost.mean():8.1f} us  ({per_s:,.0f} per CPU-second)")
    print(f"... that gave an alert  {cost[spoke].mean():8.1f} us  ({spoke.sum():,} of them)")
    for name, rows in (("all updates", wait), ("updates with an alert", wait[spoke])):
        p50, p99, most = np.percentile(rows, [50, 99, 100]) / 1e3
        print(f"{name:22} p50 {p50:.3f} ms, p99 {p99:.3f} ms, max {most:.1f} ms")


if __name__ == "__main__":
    main()

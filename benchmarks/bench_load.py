"""Cost of the live engine per patient, from 100 patients to 10,000, fed second by second.

    python -m benchmarks.bench_load [MINUTES] [PATIENTS ...]

The engine alone: bytes are decoded, analysed, scored and judged as in a worker, without a broker,
and in the same passes.
CPU time of this process, after two minutes that fill the rings; memory is resident size over it.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import NamedTuple

from psutil import Process

from benchmarks._common import heading
from features.ecg.kernels import warm_up
from service import collector
from service.build import build_engine
from service.config import Config
from service.load import Load, LoadSpec
from service.metrics import Metrics
from streams.codec import decode, encode
from streams.io.input_log import RawRecord
from streams.portions import passes
from streams.processor import Output
from streams.records import Tick

START_US = 1_750_000_000_000_000
WARM_S = 120
TICK_S = 5


class Cost(NamedTuple):
    """What a size cost."""

    patients: int
    cpu_ms_per_patient_minute: float
    p99_s: float  # of one second's records, wall
    kib_per_patient: float
    chunks_per_cpu_s: float
    steps: dict[str, float]  # share of the CPU by step of the engine


def measure(patients: int, minutes: float) -> Cost:
    """Feed `minutes` after the warm-up."""
    from prometheus_client import CollectorRegistry

    metrics = Metrics(CollectorRegistry())
    before = _resident()
    engine = build_engine(Config(), metrics.timed)
    load = Load(LoadSpec(patients, START_US))
    partitions = Config().kafka.partitions
    offsets = [0] * partitions
    spent, warm_chunks, walls = 0.0, 0, []
    total_s = WARM_S + round(60 * minutes)
    for second in range(total_s):
        now_us = START_US + second * 1_000_000
        if second == WARM_S:
            warm_chunks = engine.counters["chunks"]
        values = [(e.partition, encode(e.record)) for e in load.second(second)]
        if second % TICK_S == 0:
            values += [(partition, encode(Tick(now_us))) for partition in range(partitions)]
        raw = []
        for partition, value in values:
            raw.append(RawRecord(partition, offsets[partition], now_us, value))
            offsets[partition] += 1
        began, wall = time.process_time(), time.perf_counter()
        for part in passes(raw):
            records = [decode(r.value, r.partition, r.offset, r.append_us) for r in part]
            _forget(engine.feed(records).messages)
        if second >= WARM_S:
            spent += time.process_time() - began
            walls.append(time.perf_counter() - wall)
    chunks = engine.counters["chunks"] - warm_chunks
    gc.collect()
    walls.sort()
    return Cost(
        patients,
        1000 * spent / (patients * minutes),
        walls[int(0.99 * len(walls))],
        (_resident() - before) / 1024 / patients,
        chunks / spent,
        _steps(metrics),
    )


def _forget(messages: tuple[Output, ...]) -> None:
    """Outputs go to a broker; here they only must exist."""
    assert all(message.value for message in messages[:1])


def _steps(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name.endswith("_seconds_sum") and sample.value:
                name = sample.labels.get("model") or family.name.removeprefix("vigil_")
                found[name] = sample.value
    return found


def _resident() -> int:
    return int(Process().memory_info().rss)


def main() -> None:
    """Print the table."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    sizes = [int(word) for word in sys.argv[2:]] or [100, 1000, 10_000]
    print(heading("Live engine, ECG 250 + PPG 125 + ACC 3x32 + SpO2 + temp, 10 s chunks"))
    warm_up()
    collector.calm()
    print(
        "| patients | CPU ms / patient-minute | sustained per core | KiB / patient | p99 of 1 s |"
    )
    print("|---|---|---|---|---|")
    for patients in sizes:
        cost = measure(patients, minutes)
        per_core = 60_000 / cost.cpu_ms_per_patient_minute
        print(
            f"| {patients} | {cost.cpu_ms_per_patient_minute:.2f} | {per_core:.0f} | "
            f"{cost.kib_per_patient:.0f} | {cost.p99_s:.2f} s |",
            flush=True,
        )
        shown = ", ".join(f"{name} {value:.1f} s" for name, value in cost.steps.items())
        print(f"  steps (wall): {shown}; {cost.chunks_per_cpu_s:.0f} chunks per CPU-second")


if __name__ == "__main__":
    main()

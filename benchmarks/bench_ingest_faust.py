"""Chunks per CPU-second through either worker on a real broker, bundled and not.

Counts the CPU time of the whole worker process (all threads) from taking the partitions over to its
last record, so fetching, the library, decoding and the processor are in it, start-up is not.

Run: VIGIL_KAFKA=host:port python -m benchmarks.bench_ingest_faust [--processor ingest|engine]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import numpy as np

from service.build import build_engine
from service.config import Config
from service.roster import CONTEXT_US
from streams.clock import TimingSpec
from streams.device import Arrival, Device
from streams.history import LogEntry
from streams.partition import partition_of
from streams.processor import Fault, Loaded, Outputs, Processor, Prompt
from streams.records import Chunk, LogRecord, SignalBundle

PARTITIONS = 8
PATIENTS = 400
FS_HZ = 250.0
CHUNK_S = 10
SAMPLES = int(FS_HZ) * CHUNK_S  # 5,000 bytes
START_US = 1_600_000_000_000_000
GOALS_PER_CPU_S = {"faust": 13_000, "direct": 20_000}  # bundled


class Devices(Prompt):
    """What Vigil does with a chunk before analysing it: check, de-duplicate, buffer, cut.

    The engine's own `streams.device.Device` per patient; the segments it cuts are counted and
    dropped.
    """

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self.segments = 0

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Take every chunk in."""
        for row in records:
            if isinstance(row.record, SignalBundle):
                for position, chunk in enumerate(row.record.chunks):
                    device = self._devices.get(chunk.patient_id)
                    if device is None:
                        device = Device(chunk.patient_id, "d", TimingSpec(), CONTEXT_US)
                        self._devices[chunk.patient_id] = device
                    arrival = Arrival(row.offset, row.append_us)
                    done = device.ingest([(position, chunk)], arrival, row.append_us)
                    self.segments += len(done.segments)
        return Outputs(())

    def snapshots(
        self, partition: int, share: float = 1.0, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        """Nothing: the figure is of ingest alone."""
        return []

    def unstored(self, partition: int) -> int | None:
        """Nothing waits to be stored."""
        return None

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        """Nothing was stored."""
        return Loaded(0, 0)

    def refill(self, records: Sequence[LogRecord]) -> None:
        """Nothing is missing."""

    def complete(self, partition: int) -> None:
        """Nothing is missing."""

    def suspects(self, records: Sequence[LogRecord]) -> dict[tuple[int, str], Fault]:
        """Nobody's records raise."""
        return {}

    def quarantine(self, patient_id: str, fault: Fault) -> None:
        """Nobody is taken out."""

    def drop(self, partition: int) -> None:
        """Nothing is kept per partition."""


def whole_engine() -> Processor:
    """The engine as the worker runs it: analysis, features, scores and alerts included."""
    config = Config()
    kafka = msgspec.structs.replace(config.kafka, partitions=PARTITIONS)
    return build_engine(msgspec.structs.replace(config, kafka=kafka))


FACTORIES: dict[str, Callable[[], Processor]] = {"ingest": Devices, "engine": whole_engine}


class Measured(Prompt):
    """Another processor, with the CPU time from its first record to its last; then the end."""

    def __init__(self, inner: Processor, chunks: int, report: Path) -> None:
        self._inner = inner
        self._left = chunks
        self._total = chunks
        self._report = report
        self._began: tuple[float, float] | None = None

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        """Feed and count."""
        outputs = self._inner.feed(records)
        for row in records:
            if isinstance(row.record, SignalBundle):
                self._left -= len(row.record.chunks)
        if self._left <= 0 and self._began is not None:
            cpu_s = time.process_time() - self._began[0]
            wall_s = time.monotonic() - self._began[1]
            self._report.write_text(
                json.dumps({"chunks": self._total, "cpu_s": cpu_s, "wall_s": wall_s})
            )
            os.kill(os.getpid(), signal.SIGTERM)
        return outputs

    def snapshots(
        self, partition: int, share: float = 1.0, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        """Pass on."""
        return self._inner.snapshots(partition, share, also)

    def unstored(self, partition: int) -> int | None:
        """Pass on."""
        return self._inner.unstored(partition)

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        """Pass on."""
        return self._inner.restore(partition, patient_id, state)

    def refill(self, records: Sequence[LogRecord]) -> None:
        """Pass on."""
        self._inner.refill(records)

    def complete(self, partition: int) -> None:
        """Pass on."""
        self._inner.complete(partition)

    def suspects(self, records: Sequence[LogRecord]) -> dict[tuple[int, str], Fault]:
        """Pass on."""
        return self._inner.suspects(records)

    def quarantine(self, patient_id: str, fault: Fault) -> None:
        """Pass on."""
        self._inner.quarantine(patient_id, fault)

    def drop(self, partition: int) -> None:
        """Pass on; the first call comes before the first record is fetched."""
        if self._began is None:
            self._began = (time.process_time(), time.monotonic())
        self._inner.drop(partition)


def log_of(chunks: int, per_record: int) -> Iterator[LogEntry]:
    """Chunks of 10 s of ECG, `per_record` of one partition in each record."""
    noise = np.random.default_rng(1).integers(-500, 500, SAMPLES).astype("<i2").tobytes()
    patients: dict[int, list[str]] = {partition: [] for partition in range(PARTITIONS)}
    for number in range(PATIENTS):
        patients[partition_of(f"p{number}", PARTITIONS)].append(f"p{number}")
    due: dict[int, list[Chunk]] = {partition: [] for partition in range(PARTITIONS)}
    made, at_us = 0, START_US
    for turn in range(chunks):
        at_us = START_US + turn * CHUNK_S * 1_000_000
        for partition, names in patients.items():
            for name in names:
                if made == chunks:
                    break
                made += 1
                first = turn * SAMPLES
                due[partition].append(
                    Chunk(name, "d", "ecg", turn, first, at_us, FS_HZ, "mV", 0.01, 0.0, 0, noise)
                )
                if len(due[partition]) == per_record:
                    yield LogEntry(partition, at_us, SignalBundle(tuple(due.pop(partition))))
                    due[partition] = []
        if made == chunks:
            break
    for partition, rest in due.items():
        if rest:
            yield LogEntry(partition, at_us, SignalBundle(tuple(rest)))


def measure(bootstrap: str, log: tuple[int, int], processor: str, runner: str) -> dict[str, float]:
    """One run: fill the topic with (chunks, so many per record), start the worker, measure."""
    from streams.io.ingest import ingest
    from streams.io.kafka_admin import create_topics, delete_topics
    from streams.io.kafka_log import LogWriter

    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    create_topics(bootstrap, prefix, PARTITIONS, recorded_time=True)

    async def fill() -> None:
        async with LogWriter(bootstrap) as writer:
            await ingest(log_of(*log), writer, prefix=prefix)

    try:
        asyncio.run(fill())
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [sys.executable, "-m", "benchmarks.bench_ingest_faust", "--worker", prefix]
            command += ["--report", str(report)]
            command += ["--chunks", str(log[0]), "--processor", processor, "--runner", runner]
            subprocess.run(command, check=True, timeout=300)
            return cast(dict[str, float], json.loads(report.read_text()))
    finally:
        delete_topics(bootstrap, prefix)


def work(bootstrap: str, options: argparse.Namespace) -> int:
    """The worker process."""
    from streams.io.start import run
    from streams.io.worker_settings import WorkerSettings

    factory = FACTORIES[options.processor]
    settings = WorkerSettings(
        bootstrap,
        prefix=options.worker,
        group=options.worker,
        instance="b",
        ticks="recorded",
        datadir=str(options.report.parent),
    )
    return run(
        options.runner, settings, lambda: Measured(factory(), options.chunks, options.report)
    )


def main() -> int:
    """Print one line per form and whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=40_000)
    parser.add_argument("--per-record", type=int, default=50)
    parser.add_argument("--processor", choices=sorted(FACTORIES), default="ingest")
    parser.add_argument("--runner", choices=(*GOALS_PER_CPU_S, "both"), default="both")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    bootstrap = os.environ.get("VIGIL_KAFKA", "")
    if not bootstrap:
        print("VIGIL_KAFKA is unset (make services-up starts a broker)", file=sys.stderr)
        return 2
    if options.worker:
        return work(bootstrap, options)
    print(f"{platform.machine()} {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{SAMPLES * 2} B per chunk, processor {options.processor}")
    runners = list(GOALS_PER_CPU_S) if options.runner == "both" else [options.runner]
    met = [_told(bootstrap, options, runner) for runner in runners]
    return 0 if all(met) or options.processor != "ingest" else 1


def _told(bootstrap: str, options: argparse.Namespace, runner: str) -> bool:
    """Measure one runner and say so; whether its goal is met."""
    rates = []
    for per_record, chunks in ((options.per_record, options.chunks), (1, options.chunks // 4)):
        figures = measure(bootstrap, (chunks, per_record), options.processor, runner)
        rates.append(figures["chunks"] / figures["cpu_s"])
        print(
            f"{runner}, {per_record:3d} chunks per record: {rates[-1]:9,.0f} chunks per CPU-second "
            f"({figures['chunks'] / figures['wall_s']:,.0f} per second)",
            flush=True,
        )
    met = rates[0] >= GOALS_PER_CPU_S[runner]
    if options.processor == "ingest":
        verdict = "met" if met else "MISSED"
        print(f"goal: {GOALS_PER_CPU_S[runner]:,} bundled through {runner}: {verdict}", flush=True)
    return met


if __name__ == "__main__":
    sys.exit(main())

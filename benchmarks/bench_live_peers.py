"""Vigil's worker beside what a user would pick instead, on the same Kafka and the same records.

    benchmarks/peers/make-live && deploy/services run -- python -m benchmarks.bench_live_peers [N]

Each consumer reads N patients' ECG (250 Hz, ten-second chunks, five minutes) from one topic and
makes a window of 60 s every 10 s. The peers compute heart rate and time-domain HRV with NeuroKit2;
Vigil computes its whole catalogue, scores and alerts. CPU time of the consumer's process.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from psutil import Process

from benchmarks._common import ROOT, heading
from service.config import to_toml
from service.load import Load, LoadSpec
from streams.history import LogEntry
from streams.io.ingest import ingest
from streams.io.kafka_admin import create_topics, delete_topics
from streams.io.kafka_log import LogWriter
from streams.io.kafka_read import lag, read_topic
from streams.records import SignalBundle, Tick

PARTITIONS = 8
SECONDS = 310
START_US = 1_750_000_000_000_000
PEERS = {
    "Faust 0.15.3, a table": "live_faust.py",
    "Quix Streams 3.28.1, hopping window": "live_quix.py",
    "aiokafka + pandas": "live_pandas.py",
}
PYTHON = ROOT / ".vigil" / "live-peers" / "bin" / "python"


class Row(NamedTuple):
    """What one consumer came to."""

    name: str
    windows: int
    cpu_s: float
    mib: int


def entries(patients: int) -> Iterator[LogEntry]:
    """The log: waveforms, and ticks that only Vigil reads."""
    load = Load(LoadSpec(patients, START_US, PARTITIONS, signals=("ecg",)))
    for second in range(SECONDS):
        now_us = START_US + second * 1_000_000
        yield from load.second(second)
        if second % 5 == 0:
            for partition in range(PARTITIONS):
                yield LogEntry(partition, now_us, Tick(now_us))


def peer(script: str, bootstrap: str, topic: str, chunks: int) -> Row:
    """Run one peer to the end of the topic."""
    command = [str(PYTHON), str(ROOT / "benchmarks" / "peers" / script)]
    command += [bootstrap, topic, f"peer-{uuid.uuid4().hex[:8]}", str(chunks)]
    own = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=3600)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"windows"')]
    if done.returncode != 0 or not lines:
        raise SystemExit(f"{script}: {done.stdout[-500:]} {done.stderr[-2000:]}")
    found = json.loads(lines[-1])
    return Row(script, found["windows"], found["cpu_s"], found["mib"])


def vigil(bootstrap: str, prefix: str) -> Row:
    """Run `vigil run` to the end of the topic."""
    with tempfile.TemporaryDirectory() as folder:
        kafka = {"bootstrap": bootstrap, "prefix": prefix, "partitions": PARTITIONS}
        tree = {
            "kafka": {**kafka, "group": prefix},
            "worker": {"ticks": "recorded", "http_port": -1, "data_dir": folder},
        }
        (Path(folder) / "vigil.toml").write_text(to_toml(tree), encoding="utf-8")
        own = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
        own |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        own |= {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
        command = [sys.executable, "-m", "service", "run"]
        with subprocess.Popen(command, cwd=folder, env=own, stderr=subprocess.DEVNULL) as worker:
            cpu_s = mib = 0.0
            while asyncio.run(lag(bootstrap, prefix, f"{prefix}.in.v1")):
                times = Process(worker.pid).cpu_times()
                cpu_s = times.user + times.system
                mib = Process(worker.pid).memory_info().rss / 2**20
                time.sleep(0.5)
            worker.send_signal(signal.SIGTERM)
    rows = asyncio.run(read_topic(bootstrap, f"{prefix}.features.v1"))
    minute = sum(b'"window":"60s"' in row.value for row in rows)
    return Row("vigil", minute, cpu_s, round(mib))


async def _write(log: list[LogEntry], bootstrap: str, prefix: str) -> None:
    async with LogWriter(bootstrap) as writer:
        await ingest(log, writer, prefix=prefix)


def main() -> None:
    """Print the table."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 12
    if not PYTHON.exists():
        sys.exit("no peers: run benchmarks/peers/make-live")
    bootstrap, prefix = os.environ["VIGIL_KAFKA"], f"peers-{uuid.uuid4().hex[:8]}"
    create_topics(bootstrap, prefix, PARTITIONS, recorded_time=True)
    try:
        log = list(entries(patients))
        asyncio.run(_write(log, bootstrap, prefix))
        chunks = sum(len(e.record.chunks) for e in log if isinstance(e.record, SignalBundle))
        title = f"{patients} patients, {chunks} chunks of ECG; start-up of Vigil is counted"
        print(heading(title))
        print("| consumer | windows | CPU s | ms per window | ratio | MiB |")
        print("|---|---|---|---|---|---|", flush=True)
        ours = vigil(bootstrap, prefix)
        _told(ours, ours)
        for name, script in PEERS.items():
            _told(peer(script, bootstrap, f"{prefix}.in.v1", chunks)._replace(name=name), ours)
    finally:
        delete_topics(bootstrap, prefix)


def _told(row: Row, ours: Row) -> None:
    """Print a row of the table."""
    each_ms, own_ms = (1000 * one.cpu_s / max(one.windows, 1) for one in (row, ours))
    print(
        f"| {row.name} | {row.windows} | {row.cpu_s:.1f} | {each_ms:.1f} | "
        f"{each_ms / own_ms:.0f} | {row.mib} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

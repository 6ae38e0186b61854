"""The same replay through a real broker: topics of its own, Faust workers as processes.

The log that is written is the one the embedded runner reads, so the bytes must be the same.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from service.config import Config, KeysConfig, to_toml
from service.progress import SILENT, Watcher
from service.replay import Inputs, Replayed, describe, entries
from service.results import Collector
from streams.errors import BrokerError
from streams.io.ingest import IngestReport, ingest
from streams.io.kafka_admin import create_topics, delete_topics
from streams.io.kafka_log import LogWriter
from streams.io.kafka_read import lag, read_topic
from streams.processor import Output
from streams.topics import topic_name

FINISH_S = 600.0  # the workers must have processed everything this long after the last record
STOP_S = 15.0
PUBLISHED = ("features", "scores", "alerts", "dlq")


class Workers:
    """Worker processes of one replay; a dead one is started again, as a supervisor would."""

    def __init__(self, config: Config, folder: Path, count: int) -> None:
        self._commands = [self._command(config, folder, i) for i in range(count)]
        self._folder = folder
        self._running = [self._start(i) for i in range(count)]
        self.restarts = 0

    def __len__(self) -> int:
        return len(self._running)

    def tend(self) -> None:
        """Start dead workers again.

        Raises
        ------
        BrokerError
            If workers keep dying; the message ends with what the last one said.
        """
        for i, process in enumerate(self._running):
            if process.poll() is not None:
                self.restarts += 1
                if self.restarts > 50:
                    raise BrokerError(f"replay workers keep stopping: {self._last_words(i)}")
                self._running[i] = self._start(i)

    def kill(self, which: int) -> None:
        """SIGKILL one worker; `tend` starts it again. For crash tests."""
        self._running[which].kill()
        self._running[which].wait()

    def stop(self) -> None:
        """Let all of them drain; kill what does not."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._running:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @staticmethod
    def _command(config: Config, folder: Path, number: int) -> list[str]:
        worker = msgspec.structs.replace(
            config.worker,
            ticks="recorded",
            instance=f"replay-{number}",
            data_dir=str(folder / f"worker-{number}"),
            http_port=-1,
        )
        own = folder / f"worker-{number}.toml"
        tree = msgspec.to_builtins(msgspec.structs.replace(config, worker=worker))
        own.write_text(to_toml(tree), encoding="utf-8")
        return [sys.executable, "-m", "service", "run", "--config", str(own)]

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        with self._log(number).open("ab") as log:
            return subprocess.Popen(
                self._commands[number],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"OMP_NUM_THREADS": "1", "VIGIL_PREFIX": "", "VIGIL_KAFKA": ""},
            )

    def _log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def _last_words(self, number: int) -> str:
        lines = self._log(number).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "(it said nothing)"


def replay_kafka(
    inputs: Inputs, config: Config, workers: int = 1, watcher: Watcher = SILENT
) -> Replayed:
    """Ingest the inputs' log into topics of its own, let workers process it, read it back.

    Parameters
    ----------
    inputs : Inputs
        What to replay.
    config : Config
        `kafka.bootstrap` and `kafka.partitions` count; prefix and group are the replay's own.
    workers : int
        Worker processes sharing the partitions.

    Raises
    ------
    BrokerError
        If the broker is away, or the workers do not finish within `FINISH_S`.
    """
    prefix = f"vigil-replay-{uuid.uuid4().hex[:12]}"
    kafka = msgspec.structs.replace(config.kafka, prefix=prefix, group=prefix)
    # Topics of its own that nobody else writes: what stands on them needs no signature.
    own = msgspec.structs.replace(config, kafka=kafka, keys=KeysConfig())
    began_s = time.perf_counter()
    watcher.stage("creating topics", None)
    create_topics(kafka.broker, prefix, kafka.partitions, kafka.replication, recorded_time=True)
    try:
        with tempfile.TemporaryDirectory(prefix="vigil-replay-") as folder:
            report, restarts = asyncio.run(_drive(inputs, own, Path(folder), workers, watcher))
        collector = asyncio.run(collect(kafka.broker, prefix))
    finally:
        delete_topics(kafka.broker, prefix)
    described = describe(inputs, config, "kafka")
    described["workers"], described["worker_restarts"] = workers, restarts
    described["ingested"] = report._asdict()
    described["cost"] = {"wall_s": round(time.perf_counter() - began_s, 3)}
    return Replayed(collector.results(), described)


async def _drive(
    inputs: Inputs, config: Config, folder: Path, count: int, watcher: Watcher
) -> tuple[IngestReport, int]:
    kafka = config.kafka
    workers = Workers(config, folder, count)
    try:
        watcher.stage("ingesting", None)
        async with LogWriter(kafka.broker) as writer:
            report = await ingest(entries(inputs, kafka.partitions), writer, prefix=kafka.prefix)
        watcher.stage("waiting for the workers", report.records)
        await finish(config, workers, watcher)
        return report, workers.restarts
    finally:
        workers.stop()


async def finish(config: Config, workers: Workers, watcher: Watcher = SILENT) -> None:
    """Wait until the group has committed the whole input topic.

    Raises
    ------
    BrokerError
        If that takes longer than `FINISH_S`.
    """
    kafka = config.kafka
    deadline_s = time.monotonic() + FINISH_S
    before = None
    while time.monotonic() < deadline_s:
        workers.tend()
        left = await lag(kafka.broker, kafka.group, topic_name("in", kafka.prefix))
        if before is not None and before > left:
            watcher.step(before - left)
        before = left
        if left == 0:
            return
        await asyncio.sleep(0.5)
    raise BrokerError(f"the workers left {before} records after {FINISH_S:.0f} s")


async def collect(bootstrap: str, prefix: str, topics: Sequence[str] = PUBLISHED) -> Collector:
    """Read a replay's output topics into a collector."""
    collector = Collector()
    for short in topics:
        rows = await read_topic(bootstrap, topic_name(short, prefix))
        collector.take(
            Output(short, (row.key or b"").decode(), row.partition, row.append_us, row.value)
            for row in rows
        )
    return collector

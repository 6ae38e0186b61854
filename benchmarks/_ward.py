"""A ward on a real broker: topics of its own, `vigil run` processes, a simulated load, its verdict.

What the scripts of faults, endurance and load share. Workers are processes with a configuration of
their own; the verdict replays the input log they left and compares.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from aiokafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from psutil import Process

from benchmarks._common import ROOT
from service.config import Config, load, to_toml
from service.replay_kafka import collect
from service.replay_log import LogSource, replay_log
from service.results import Results
from streams.io.kafka_admin import admin_client, create_topics, delete_topics
from streams.io.kafka_log import append_us_of, start_client, stop_client
from streams.io.kafka_read import lag, open_consumer, read_topic
from streams.topics import topic_name

T = TypeVar("T")
START_S, DRAIN_S = 180.0, 240.0
# As the image and the systemd unit set them.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


class Arrived(NamedTuple):
    """A record of a topic that is stamped on arrival."""

    key: str
    sent_s: float  # append time of what caused it
    at_s: float


@dataclass
class Ward:
    """Topics, workers and a load.

    Parameters
    ----------
    bootstrap : str
        The broker.
    folder : Path
        For configurations, logs and data of workers.
    partitions : int
        Of every topic.
    settings : mapping
        Tables of `vigil.toml` beside those of the ward, and lists of tables.
    """

    bootstrap: str
    folder: Path
    partitions: int = 8
    settings: Mapping[str, Any] = field(default_factory=dict)
    config: Config = field(init=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # where each worker serves its health

    def __post_init__(self) -> None:
        prefix = f"ward-{uuid.uuid4().hex[:8]}"
        create_topics(self.bootstrap, prefix, self.partitions)
        kafka = {"bootstrap": self.bootstrap, "prefix": prefix, "group": prefix}
        own: dict[str, dict[str, Any]] = {
            "kafka": {**kafka, "partitions": self.partitions},
            "worker": {},
        }
        self._tree: dict[str, Any] = {**own, **self.settings}
        self._tree |= {name: {**own[name], **self.settings.get(name, {})} for name in own}
        self._write("vigil", {})
        self.config = load(self.folder / "vigil.toml", {})

    def topic(self, short: str) -> str:
        """Full name of a topic of this ward."""
        return topic_name(short, self.config.kafka.prefix)

    def start(self, name: str, *before: str, module: str = "service") -> None:
        """Start a worker of this name; `before` are words before the command, like `taskset`."""
        port = self.ports[name] = free_port()
        worker = {"instance": name, "data_dir": str(self.folder / name), "http_port": port}
        self._write(name, worker)
        words = ["run", "--config", f"{name}.toml"]
        self.workers[name] = self.run(words, f"{name}.log", *before, module=module)

    def run(
        self, words: list[str], log: str, *before: str, module: str = "service"
    ) -> subprocess.Popen[bytes]:
        """Start `vigil` with these words in the ward's folder."""
        own = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
        own |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        command = [*before, sys.executable, "-m", module, *words]
        with (self.folder / log).open("ab") as file:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=own | ALLOCATOR,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
            )

    def is_ready(self, name: str) -> bool:
        """Whether a worker has restored its partitions and processes."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=5):
                return True
        except OSError:  # 503 while it restores, nobody there before
            return False

    def wait_until_ready(self, name: str) -> None:
        """The first start on a machine compiles: it may take a minute where others work too."""
        deadline_s = time.monotonic() + START_S
        while not self.is_ready(name):
            if time.monotonic() > deadline_s or self.workers[name].poll() is not None:
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                raise SystemExit(f"the worker did not start: {log[-2000:]}")
            time.sleep(0.2)

    def play(
        self, patients: int, seconds: int, *before: str, spread: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start the waveforms of so many patients, in real time; `spread` over each second."""
        words = ["load", "--patients", str(patients), "--seconds", str(seconds)]
        words += ["--spread"] * spread
        return self.run([*words, "--config", "vigil.toml"], "load.log", *before)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a worker a signal; wait for its end where it is one."""
        self.workers[name].send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            self.workers[name].wait(20)

    def lag(self) -> int:
        """Records of the input that the workers have not committed."""
        return asyncio.run(lag(self.bootstrap, self.config.kafka.group, self.topic("in")))

    def drain(self, longest_s: float = DRAIN_S) -> None:
        """Wait until the workers have committed everything but ticks, and stop them."""
        deadline_s = time.monotonic() + longest_s
        while self.lag() > 4 * self.partitions:
            if time.monotonic() > deadline_s:
                raise SystemExit("the workers do not keep up: more CPU, or fewer patients")
            time.sleep(0.5)
        for name, worker in self.workers.items():
            if worker.poll() is None:
                self.signal(name, signal.SIGTERM)

    def verdict(self, besides: str = "") -> tuple[bool, str]:
        """Whether what was published is the crash-free run over the same log, in words.

        `besides`: a patient who is not compared.
        """
        live = asyncio.run(collect(self.bootstrap, self.config.kafka.prefix)).results()
        calm = replay_log(LogSource(self.topic("in")), self.config).results
        lost = _lost(live, calm, besides)
        raw = len(asyncio.run(read_topic(self.bootstrap, self.topic("alerts"))))
        words = (
            f"{len(calm.alerts)} alert events, {lost} lost or different, "
            f"{raw - len(live.alerts)} sent again under the same id; "
            f"{len(calm.scores)} scores, {len(calm.features)} feature rows"
        )
        return lost == 0, words

    def stamp_on_arrival(self, short: str) -> None:
        """Let the broker's time of a topic's records be that of their arrival."""
        resource = ConfigResource(
            ConfigResourceType.TOPIC,
            self.topic(short),
            configs={"message.timestamp.type": "LogAppendTime"},
        )
        with admin_client(self.bootstrap) as admin:
            admin.alter_configs([resource])

    def arrivals(self, short: str, partitions: int | None = None) -> list[Arrived]:
        """When the records of such a topic came, of all partitions or the first few."""
        numbers = range(self.partitions if partitions is None else partitions)
        parts = [TopicPartition(self.topic(short), number) for number in numbers]
        return asyncio.run(_each(self.bootstrap, parts, _arrived))

    def each(self, short: str, make: Callable[[Any], T]) -> list[T]:
        """What `make` gives for every record of a topic, as aiokafka has it."""
        parts = [TopicPartition(self.topic(short), number) for number in range(self.partitions)]
        return asyncio.run(_each(self.bootstrap, parts, make))

    def close(self) -> None:
        """Kill what runs, delete the topics."""
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        delete_topics(self.bootstrap, self.config.kafka.prefix)

    def _write(self, name: str, worker: Mapping[str, Any]) -> None:
        tree = {**self._tree, "worker": {**self._tree["worker"], **worker}}
        (self.folder / f"{name}.toml").write_text(to_toml(tree), encoding="utf-8")


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used, all its threads."""
    times = Process(pid).cpu_times()
    return float(times.user + times.system)


def _arrived(row: Any) -> Arrived:
    sent_s = append_us_of(row.headers, row.timestamp) / 1e6
    return Arrived((row.key or b"").decode(), sent_s, row.timestamp / 1000)


async def _each(bootstrap: str, parts: list[TopicPartition], make: Callable[[Any], T]) -> list[T]:
    consumer = open_consumer(bootstrap)
    await start_client(consumer, bootstrap)
    found: list[T] = []
    try:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        left = {part for part in parts if ends[part]}
        while left:
            for part, rows in (await consumer.getmany(*left, timeout_ms=500)).items():
                found += map(make, rows)
                if rows[-1].offset + 1 >= ends[part]:
                    left.discard(part)
    finally:
        await stop_client(consumer)
    return found


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lost(live: Results, calm: Results, besides: str) -> int:
    """Alert events of the crash-free run that were not published just so, and inventions.

    The last records may not have been processed before the workers were stopped: what the
    crash-free run says after the newest published event is not counted.
    """
    said = {(a.occurrence_id, a.seq): a for a in live.alerts if a.subject != besides}
    due = {(a.occurrence_id, a.seq): a for a in calm.alerts if a.subject != besides}
    until_us = max((a.recorded_us for a in live.alerts), default=0)
    missing = [k for k, a in due.items() if said.get(k) != a and a.recorded_us <= until_us]
    return len(missing) + len(said.keys() - due.keys())

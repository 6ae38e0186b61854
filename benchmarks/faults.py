"""Faults on real processes, long form: what happens to alerts when things are killed.

    deploy/services run -- python -m benchmarks.faults [failover] [storm] [zombie] [outage SECONDS]

Each scenario plays simulated waveforms and loose electrodes onto a real broker while real workers
are killed, added, put to sleep, or the broker goes away. Then the whole input log is replayed in
this process: alerts, scores and features must be the crash-free run's, by id and content, none
missing, none doubled by id. `outage` starts a broker of its own and stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._common import ROOT, heading
from service.config import Config, load, to_toml
from service.replay_kafka import collect
from service.replay_log import LogSource, replay_log
from service.results import Results
from streams.codec import encode
from streams.errors import BrokerError
from streams.io.kafka_admin import create_topics, delete_topics
from streams.io.kafka_follow import Follower
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import lag, read_topic
from streams.partition import partition_of
from streams.records import DeviceStatus
from streams.topics import topic_name

PARTITIONS = 8
PATIENTS = 40
DRAIN_S = 240.0


@dataclass
class Ward:
    """A prefix of its own, workers, a load, and electrodes that fall off every second."""

    bootstrap: str
    folder: Path
    config: Config = field(init=False)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)  # patient whose electrode fell off: when
    heard: dict[str, float] = field(default_factory=dict)  # patient with an alert: when first seen
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        prefix = f"fault-{uuid.uuid4().hex[:8]}"
        create_topics(self.bootstrap, prefix, PARTITIONS, recorded_time=True)
        tree = {
            "kafka": {
                **{"bootstrap": self.bootstrap, "prefix": prefix},
                **{"partitions": PARTITIONS, "group": prefix},
            },
            "worker": {"http_port": -1, "checkpoint_s": 2.0},
        }
        (self.folder / "vigil.toml").write_text(to_toml(tree), encoding="utf-8")
        self.config = load(self.folder / "vigil.toml", {})

    def start(self, name: str) -> None:
        """Start a worker of this name."""
        command = [sys.executable, "-m", "service", "run", "--config", "vigil.toml"]
        own = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
        own |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        own["VIGIL_DATA_DIR"] = str(self.folder / name)
        own["HOSTNAME"] = name
        tree = (self.folder / "vigil.toml").read_text(encoding="utf-8")
        config = self.folder / f"{name}.toml"
        config.write_text(tree.replace("[worker]", f'[worker]\ninstance = "{name}"'), "utf-8")
        command[-1] = config.name
        with (self.folder / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                command, cwd=self.folder, env=own, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a worker a signal; wait for its end where it is one."""
        self.workers[name].send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.workers[name].wait(20)

    def play(self, seconds: int) -> None:
        """Waveforms of the load and electrodes that fall off, in the background."""
        command = [sys.executable, "-m", "service", "load", "--patients", str(PATIENTS)]
        command += ["--seconds", str(seconds), "--config", "vigil.toml"]
        own = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        own = {k: v for k, v in own.items() if k not in ("VIGIL_KAFKA", "VIGIL_PREFIX")}
        with (self.folder / "load.log").open("ab") as log:
            playing = subprocess.Popen(command, cwd=self.folder, env=own, stdout=log, stderr=log)
        self._threads = [
            threading.Thread(target=playing.wait, daemon=True),
            threading.Thread(target=lambda: asyncio.run(self._electrodes()), daemon=True),
            threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    async def _electrodes(self) -> None:
        topic = topic_name("in", self.config.kafka.prefix)
        number = 0
        async with LogWriter(self.bootstrap) as writer:
            while not self._stop.is_set():
                patient = f"loose-{number:05d}"
                number += 1
                now_us = time.time_ns() // 1000
                status = DeviceStatus(patient, "d", "ecg", "lead_off", None, "", 0, now_us)
                where = partition_of(patient, PARTITIONS)
                self.sent[patient] = time.time()
                row = Message(topic, where, now_us, patient.encode(), encode(status))
                await writer.send_all([row])
                await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        """See alerts as a subscriber does."""
        topic = topic_name("alerts", self.config.kafka.prefix)
        async with Follower(self.bootstrap, [topic], "latest") as follower:
            while not self._stop.is_set():
                with contextlib.suppress(BrokerError):
                    for row in await follower.poll():
                        self.heard.setdefault((row.key or b"").decode(), time.time())

    def drain(self) -> None:
        """Let the load end, then wait until the workers have committed everything but ticks."""
        self._threads[0].join()
        self._stop.set()
        for thread in self._threads[1:]:
            thread.join(60)
        kafka = self.config.kafka
        topic = topic_name("in", kafka.prefix)
        deadline_s = time.monotonic() + DRAIN_S
        while asyncio.run(lag(self.bootstrap, kafka.group, topic)) > 4 * PARTITIONS:
            if time.monotonic() > deadline_s:
                raise SystemExit("the workers do not keep up: more CPU, or fewer patients")
            time.sleep(0.5)
        for name, worker in self.workers.items():
            if worker.poll() is None:
                self.signal(name, signal.SIGTERM)

    def verdict(self) -> tuple[bool, str]:
        """Whether what was published is the crash-free run over the same log, in words."""
        kafka = self.config.kafka
        live = asyncio.run(collect(self.bootstrap, kafka.prefix)).results()
        calm = replay_log(LogSource(topic_name("in", kafka.prefix)), self.config).results
        lost = _lost(live, calm)
        raw = len(asyncio.run(read_topic(self.bootstrap, topic_name("alerts", kafka.prefix))))
        words = (
            f"{len(calm.alerts)} alert events, {lost} lost or different, "
            f"{raw - len(live.alerts)} sent again under the same id; "
            f"{len(calm.scores)} scores, {len(calm.features)} feature rows"
        )
        return lost == 0, words

    def close(self) -> None:
        """Kill what runs, delete the topics."""
        for worker in self.workers.values():
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        delete_topics(self.bootstrap, self.config.kafka.prefix)


def _lost(live: Results, calm: Results) -> int:
    """Alert events of the crash-free run that were not published just so, and inventions.

    The last records may not have been processed before the workers were stopped: what the
    crash-free run says after the newest published event is not counted.
    """
    said = {(a.occurrence_id, a.seq): a for a in live.alerts}
    due = {(a.occurrence_id, a.seq): a for a in calm.alerts}
    until_us = max((a.recorded_us for a in live.alerts), default=0)
    missing = [k for k, a in due.items() if said.get(k) != a and a.recorded_us <= until_us]
    return len(missing) + len(said.keys() - due.keys())


def failover(ward: Ward) -> list[str]:
    """SIGKILL one of two workers; how long until its patients' alerts come again."""
    ward.start("one")
    ward.start("two")
    ward.play(100)
    time.sleep(55)
    ward.signal("one", signal.SIGKILL)
    killed_s = time.time()
    ward.drain()
    waited = [
        ward.heard[patient] - sent_s
        for patient, sent_s in ward.sent.items()
        if killed_s - 1 <= sent_s <= killed_s + 30 and patient in ward.heard
    ]
    longest = max(waited, default=float("nan"))
    return [f"longest wait of {len(waited)} alerts around the kill: {longest:.1f} s (must <= 15)"]


def storm(ward: Ward) -> list[str]:
    """Twenty joins and leaves, one every five seconds, by SIGTERM and SIGKILL."""
    chance = random.Random(5)
    ward.start("anchor")
    ward.play(140)
    time.sleep(12)
    running: list[str] = []
    for number in range(20):
        if len(running) < 2 or (len(running) < 3 and chance.random() < 0.5):
            name = f"guest-{number}"
            ward.start(name)
            running.append(name)
        else:
            gone = running.pop(chance.randrange(len(running)))
            ward.signal(gone, chance.choice([signal.SIGTERM, signal.SIGKILL]))
        time.sleep(5)
    ward.drain()
    return ["20 joins and leaves"]


def zombie(ward: Ward) -> list[str]:
    """SIGSTOP a worker for 30 s, then let it wake."""
    ward.start("one")
    ward.start("two")
    ward.play(110)
    time.sleep(35)
    ward.signal("one", signal.SIGSTOP)
    time.sleep(30)
    ward.signal("one", signal.SIGCONT)
    time.sleep(5)
    if ward.workers["one"].poll() is not None:
        ward.start("one")
    ward.drain()
    return ["one of two workers slept for 30 s"]


def outage(ward: Ward, away_s: float, act: Callable[[str], None]) -> list[str]:
    """The broker is away; alerts must come within seconds of its return, with nobody's help."""
    ward.start("one")
    ward.play(60)
    time.sleep(40)
    act("stop")
    time.sleep(away_s)
    act("start")
    back_s = time.monotonic()
    ward.drain()
    return [f"broker away for {away_s:.0f} s; drained {time.monotonic() - back_s:.0f} s after"]


def main() -> None:
    """Run the scenarios that are named, or all but the outage."""
    wanted = sys.argv[1:] or ["failover", "storm", "zombie"]
    print(heading("Faults, long form"), flush=True)
    scenarios = {"failover": failover, "storm": storm, "zombie": zombie}
    failed = False
    for name in wanted:
        if name not in scenarios:
            continue
        with tempfile.TemporaryDirectory(prefix="vigil-fault-") as folder:
            ward = Ward(os.environ["VIGIL_KAFKA"], Path(folder))
            failed |= not _told(name, ward, scenarios[name])
    if "outage" in wanted:
        seconds = float(wanted[wanted.index("outage") + 1])
        failed |= not _outage(seconds)
    sys.exit(failed)


def _told(name: str, ward: Ward, scenario: Callable[[Ward], list[str]]) -> bool:
    try:
        lines = scenario(ward)
        same, words = ward.verdict()
        print(f"{name}: {'; '.join(lines)}; {words}: {'SAME' if same else 'DIFFERENT'}", flush=True)
        return same
    finally:
        ward.close()


def _outage(away_s: float) -> bool:
    with tempfile.TemporaryDirectory(prefix="vigil-broker-") as state:
        own = os.environ | {
            "VIGIL_KAFKA_PORT": "29870",
            "VIGIL_SERVICES_STATE": state,
            "VIGIL_SERVICES_MODE": "native",
        }

        def act(action: str) -> None:
            script = [sys.executable, str(ROOT / "deploy" / "services"), action, "kafka"]
            subprocess.run(script, env=own, check=True, timeout=120, capture_output=True)

        act("up")
        try:
            with tempfile.TemporaryDirectory(prefix="vigil-fault-") as folder:
                ward = Ward("127.0.0.1:29870", Path(folder))
                return _told("outage", ward, lambda w: outage(w, away_s, act))
        finally:
            act("down")


if __name__ == "__main__":
    main()

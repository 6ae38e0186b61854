"""Faults on real processes, long form: what happens to alerts when things are killed.

    deploy/services run -- python -m benchmarks.faults [failover] [drain] [comeback] [storm]
        [zombie] [backfill] [flood] [torrent] [poison] [swap] [outage SECONDS] [database SECONDS]

Each scenario plays simulated waveforms and loose electrodes onto a real broker while real workers
are killed, added, put to sleep, meet data that break their engine, change the model, or the broker
or the database goes away. Then the whole input log is replayed in this process: alerts must be the
crash-free run's, by id and content, none missing, none doubled by id, and in time. `outage` and
`database` start services of their own and stop them. FAULTS_RUNNER=direct: with the direct worker.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from benchmarks._common import ROOT, heading
from benchmarks._fault_scenes import (
    database,
    own_database,
    poison,
    send_backfill,
    send_flood,
    swap,
    two_versions,
)
from benchmarks._ward import Ward
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message
from streams.partition import partition_of
from streams.records import DeviceStatus

PATIENTS = 40
OUTAGE_S = 10.0  # from the broker's return to the first alert, at most
FACTOR = 10.0  # of the live alerts' p99 before, what it may be beside a flood


class Scene:
    """A ward with waveforms, and electrodes of ever new patients that fall off five times a second.

    `sent` has when each of them fell off, `heard` when the first alert event of it was published,
    `in_time` whether all waits were as short as they must be.
    """

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.sent: dict[str, float] = {}
        self.heard: dict[str, float] = {}
        self.in_time = True
        self._stop = threading.Event()
        self._load: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._electrodes()), daemon=True)
        ward.stamp_on_arrival("alerts")

    def play(self, seconds: int) -> None:
        """Begin, in the background."""
        self._load = self.ward.play(PATIENTS, seconds)
        self._thread.start()

    def end(self) -> None:
        """Let the load end, then wait until the workers have done it, and stop them."""
        assert self._load is not None
        self._load.wait()
        self._stop.set()
        self._thread.join(60)
        self.ward.drain()
        for row in self.ward.arrivals("alerts"):
            self.heard[row.key] = min(row.at_s, self.heard.get(row.key, row.at_s))

    def waits_s(self, from_s: float, to_s: float, beside: str = "") -> list[float]:
        """How long alerts took to be seen, of electrodes that fell off in that time.

        `beside`: only of patients who share that one's partition.
        """
        count = self.ward.partitions
        return [
            self.heard[patient] - sent_s
            for patient, sent_s in self.sent.items()
            if from_s <= sent_s <= to_s
            and patient in self.heard
            and (not beside or partition_of(patient, count) == partition_of(beside, count))
        ]

    async def _electrodes(self) -> None:
        number = 0
        async with LogWriter(self.ward.bootstrap) as writer:
            while not self._stop.is_set():
                patient = f"loose-{number:05d}"
                number += 1
                now_us = time.time_ns() // 1000
                status = DeviceStatus(patient, "d", "ecg", "lead_off", None, "", 0, now_us)
                where = partition_of(patient, self.ward.partitions)
                self.sent[patient] = time.time()
                row = Message(
                    self.ward.topic("in"), where, now_us, patient.encode(), encode(status)
                )
                await writer.send_all([row])
                await asyncio.sleep(0.2)


def failover(scene: Scene) -> list[str]:
    """SIGKILL one of two workers; how long until its patients' alerts come again."""
    return _gone(scene, signal.SIGKILL, "the kill", 15.0)


def drain(scene: Scene) -> list[str]:
    """SIGTERM one of two workers for good: the other one takes its patients over at once."""
    return _gone(scene, signal.SIGTERM, "SIGTERM", 5.0)


def comeback(scene: Scene) -> list[str]:
    """SIGHUP one of two workers and start it again at once, as a supervisor does."""
    return _gone(scene, signal.SIGHUP, "SIGHUP", 15.0, back=True)


def _gone(
    scene: Scene, number: signal.Signals, word: str, most_s: float, back: bool = False
) -> list[str]:
    ward = scene.ward
    ward.start("one")
    ward.start("two")
    ward.wait_until_ready("one")
    ward.wait_until_ready("two")
    scene.play(100)
    time.sleep(55)
    gone_s = time.time()
    ward.signal("one", number)
    ended_s = time.time() - gone_s
    if back:
        ward.start("one")
    scene.end()
    waited = scene.waits_s(gone_s - 1, gone_s + 30)
    longest = max(waited, default=float("nan"))
    scene.in_time = longest <= most_s  # not of NaN either
    return [
        f"longest wait of {len(waited)} alerts around {word}: {longest:.1f} s (must be at most "
        f"{most_s:.0f}); the process ended within {ended_s:.1f} s"
    ]


def storm(scene: Scene) -> list[str]:
    """Twenty joins and leaves, one every five seconds, by SIGTERM and SIGKILL."""
    chance = random.Random(5)
    ward = scene.ward
    ward.start("anchor")
    ward.wait_until_ready("anchor")
    scene.play(140)
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
    scene.end()
    return ["20 joins and leaves"]


def zombie(scene: Scene) -> list[str]:
    """SIGSTOP a worker for 30 s, then let it wake."""
    ward = scene.ward
    ward.start("one")
    ward.start("two")
    ward.wait_until_ready("one")
    scene.play(110)
    time.sleep(35)
    ward.signal("one", signal.SIGSTOP)
    time.sleep(30)
    ward.signal("one", signal.SIGCONT)
    time.sleep(5)
    if ward.workers["one"].poll() is not None:
        ward.start("one")
    scene.end()
    return ["one of two workers slept for 30 s"]


def outage(scene: Scene, away_s: float, act: Callable[[str], None]) -> list[str]:
    """The broker is away; alerts must come within seconds of its return, with nobody's help."""
    scene.ward.start("one")
    scene.ward.wait_until_ready("one")
    scene.play(60)
    time.sleep(40)
    act("stop")
    time.sleep(away_s)
    act("start")
    back_s = time.time()
    scene.end()
    first = min((at_s for at_s in scene.heard.values() if at_s > back_s), default=float("nan"))
    scene.in_time = first - back_s <= OUTAGE_S
    return [
        f"broker away for {away_s:.0f} s; first alert published {first - back_s:.1f} s after it "
        f"answered again, drained after {time.time() - back_s:.0f} s"
    ]


def backfill(scene: Scene) -> list[str]:
    """Six hours of the past at a hundred times real time, while others are live."""
    return _beside(scene, "late", "six hours at 100 x", send_backfill(scene.ward, 6.0, 100.0), 290)


def flood(scene: Scene) -> list[str]:
    """One patient with a hundred times the data of the others."""
    name = "a patient with 100 devices"
    return _beside(scene, "flood", name, send_flood(scene.ward, 90, 100), 160)


def torrent(scene: Scene) -> list[str]:
    """Six hours of the past as fast as a device can send them: far more than can be carried."""
    return _beside(scene, "late", "six hours at once", send_backfill(scene.ward, 6.0, 2000.0), 160)


def _beside(
    scene: Scene, whose: str, name: str, sending: Coroutine[Any, Any, int], seconds: int
) -> list[str]:
    """How long live alerts wait before and while that is sent, and those of its partition."""
    scene.ward.start("one")
    scene.ward.wait_until_ready("one")
    scene.play(seconds)
    time.sleep(60)
    from_s = time.time()
    chunks = asyncio.run(sending)
    to_s = max(time.time(), from_s + 40)  # what was sent at once is worked off for longer
    scene.end()
    calm, busy = scene.waits_s(from_s - 40, from_s), scene.waits_s(from_s, to_s)
    near = scene.waits_s(from_s, to_s, whose)
    scene.in_time = max(_p(busy, 0.99), _p(near or busy, 0.99)) <= FACTOR * _p(calm, 0.99)
    return [
        f"{name}, {chunks} chunks; alerts of the others waited {_p(calm, 0.5):.2f} s (p99 "
        f"{_p(calm, 0.99):.2f}) before, {_p(busy, 0.5):.2f} s (p99 {_p(busy, 0.99):.2f}) "
        f"meanwhile, the {len(near)} on its partition {_p(near, 0.5):.2f} s (p99 "
        f"{_p(near, 0.99):.2f}, longest {max(near, default=float('nan')):.2f})"
    ]


def _p(waits: list[float], share: float) -> float:
    """A quantile; NaN of nothing."""
    return sorted(waits)[int(share * (len(waits) - 1))] if waits else float("nan")


SCENES = {
    "failover": failover,
    "drain": drain,
    "comeback": comeback,
    "storm": storm,
    "zombie": zombie,
    "backfill": backfill,
    "flood": flood,
    "torrent": torrent,
}


def main() -> None:
    """Run the scenarios that are named, or those of workers."""
    wanted = sys.argv[1:] or ["failover", "storm", "zombie"]
    print(heading("Faults, long form"), flush=True)
    failed = False
    for place, name in enumerate(wanted):
        if name in SCENES:
            failed |= not _played(name, os.environ["VIGIL_KAFKA"], SCENES[name])
        elif name == "outage":
            failed |= not _outage(float(wanted[place + 1]))
        elif name == "poison":
            failed |= not _staged(name, {}, poison)
        elif name == "swap":
            with tempfile.TemporaryDirectory(prefix="vigil-model-") as folder:
                models = {"models": two_versions(Path(folder))}
                failed |= not _staged(name, models, swap)
        elif name == "database":
            failed |= not _database(float(wanted[place + 1]))
    sys.exit(failed)


def _played(name: str, bootstrap: str, scenario: Callable[[Scene], list[str]]) -> bool:
    def whole(ward: Ward) -> tuple[bool, str]:
        scene = Scene(ward)
        lines = scenario(scene)
        same, words = ward.verdict()
        late = "" if scene.in_time else "; TOO LATE"
        return same and scene.in_time, f"{'; '.join(lines)}; {words}{late}"

    return _staged(name, {}, whole, bootstrap)


def _staged(
    name: str,
    settings: Mapping[str, Any],
    scenario: Callable[[Ward], tuple[bool, str]],
    bootstrap: str = "",
) -> bool:
    """Give a scenario a ward and tell what came of it."""
    runner = os.environ.get("FAULTS_RUNNER", "faust")
    with tempfile.TemporaryDirectory(prefix="vigil-fault-") as folder:
        ward = Ward(
            bootstrap or os.environ["VIGIL_KAFKA"],
            Path(folder),
            settings={"worker": {"checkpoint_s": 2.0, "runner": runner}, **settings},
        )
        try:
            good, words = scenario(ward)
        finally:
            ward.close()
    load = os.getloadavg()[0]
    verdict = "SAME" if good else "FAILED"
    print(f"{name} ({runner}, load average {load:.1f}): {words}: {verdict}", flush=True)
    return good


def _database(away_s: float) -> bool:
    with (
        tempfile.TemporaryDirectory(prefix="vigil-database-") as state,
        own_database(state) as (dsn, act),
    ):
        settings = {"database": {"dsn": dsn}}
        return _staged("database", settings, lambda ward: database(ward, away_s, act))


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
            return _played("outage", "127.0.0.1:29870", lambda w: outage(w, away_s, act))
        finally:
            act("down")


if __name__ == "__main__":
    main()

"""Scenes of `benchmarks.faults`: an engine that breaks, a model, a database, too many data."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks._buggy import MARK
from benchmarks._common import ROOT
from benchmarks._ward import Ward
from models.artifact import encode as artifact_files
from service.artifacts import read_artifact, shipped_folder, write_artifact
from service.load import Load, LoadSpec
from streams.codec import encode
from streams.history import LogEntry
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import lag, read_topic
from streams.io.store import Store
from streams.partition import partition_of
from streams.records import Chunk, SignalBundle

POISON = "poison"
OWN_PG = "29872"
Act = Callable[[str], object]  # of `deploy/services`: up, stop, start


def poison(ward: Ward) -> tuple[bool, str]:
    """Fault 24: one patient's data make the engine raise; quarantine, restart, mend, replay."""
    ward.start("one", module="benchmarks._buggy")
    ward.wait_until_ready("one")
    load = ward.play(20, 90)
    time.sleep(15)
    asyncio.run(_send_saturation(ward, seconds=30, bad_at=15))
    raised_s = _wait_for_alert(ward, "monitoring_lost", 30)
    alive = ward.workers["one"].poll() is None
    ward.signal("one", signal.SIGKILL)
    ward.start("one", module="benchmarks._buggy")  # the same bug meets the same records
    time.sleep(12)
    survived = ward.workers["one"].poll() is None
    ward.signal("one", signal.SIGTERM)
    ward.start("one")  # mended
    words = ["dlq", "replay", POISON, "--config", "vigil.toml"]
    replayed = ward.run(words, "dlq.log").wait(60) == 0
    back_s = _wait_for_alert(ward, "monitoring_lost", 30, phase="cleared")
    load.wait()
    ward.drain()
    same, verdict = ward.verdict(besides=POISON)
    letters = len(asyncio.run(read_topic(ward.bootstrap, ward.topic("dlq"))))
    good = same and alive and survived and replayed and raised_s < 30 and back_s < 30
    return good, (
        f"the worker went on and the same build stayed up after a kill ({survived}); "
        f"monitoring_lost was raised, and over {back_s:.1f} s after `vigil dlq replay`; "
        f"{letters} dead letters; the others: {verdict}"
    )


def swap(ward: Ward) -> tuple[bool, str]:
    """Fault 22: another version of a model by a record of the log, with a kill after it."""
    ward.start("one")
    ward.wait_until_ready("one")
    load = ward.play(20, 150)
    time.sleep(75)
    digest = read_artifact(Path(ward.config.models[1].artifact)).digest
    words = ["models", "use", f"default@{digest}", "--by", "kim/service", "-m", "a new release"]
    used = ward.run([*words, "--config", "vigil.toml"], "use.log").wait(60) == 0
    time.sleep(20)
    ward.signal("one", signal.SIGKILL)
    ward.start("one")
    load.wait()
    ward.drain()
    same, verdict = ward.verdict()
    rows = asyncio.run(read_topic(ward.bootstrap, ward.topic("scores")))
    spoken: dict[str, list[str]] = {}
    for row in rows:
        score = json.loads(row.value)
        if score["scorer"] == "default":
            spoken.setdefault(score["patient_id"], []).append(score["model"].rsplit("/", 1)[1])
    swapped = [own for own in spoken.values() if own[0] != digest and own[-1] == digest]
    back = sum(_went_back(own, digest) for own in spoken.values())
    good = used and same and len(swapped) == len(spoken) > 0 and not back
    return good, (
        f"{len(swapped)} of {len(spoken)} patients scored by the second version from the record "
        f"on, {back} by the first one again after a kill; {verdict}"
    )


def two_versions(folder: Path) -> list[dict[str, Any]]:
    """The shipped model and another version of it, as `[[models]]`."""
    shipped = shipped_folder("default")
    assert shipped is not None
    first = read_artifact(shipped)
    spec = msgspec.structs.replace(first.spec, version=f"{first.spec.version}-b")
    (folder / "second").mkdir()
    write_artifact(folder / "second", artifact_files(spec, first.weights, first.onnx))
    return [
        {"name": "default", "artifact": str(shipped)},
        {"name": "default", "artifact": str(folder / "second")},
    ]


def database(ward: Ward, away_s: float, act: Act) -> tuple[bool, str]:
    """Fault 8: the database is away; alerts go on, the sink catches up, nothing is missing."""
    ward.start("one")
    ward.wait_until_ready("one")
    init = ward.run(["init", "--config", "vigil.toml"], "init.log").wait(120) == 0
    sink = ward.run(["sink", "--config", "vigil.toml"], "sink.log")
    load = ward.play(20, round(60 + away_s))
    time.sleep(30)
    before = _published(ward)
    act("stop")
    time.sleep(away_s)
    during = _published(ward)
    act("start")
    back_s = time.monotonic()
    load.wait()
    ward.drain()
    while _sink_lag(ward) and time.monotonic() - back_s < 300:
        time.sleep(0.5)
    caught_up_s = time.monotonic() - back_s
    alive = sink.poll() is None
    sink.send_signal(signal.SIGTERM)
    sink.wait(30)
    said = _published(ward)
    with Store(ward.config.database_dsn()) as store:
        stored = store.counts()
    missing = {name: said[name] - stored[name] for name in said}
    same, verdict = ward.verdict()
    good = init and alive and same and not any(missing.values())
    return good and during["scores"] > before["scores"], (
        f"database away for {away_s:.0f} s, meanwhile {during['scores'] - before['scores']} scores "
        f"published; the sink was at the end {caught_up_s:.0f} s after it answered again (the load "
        f"went on for 30 s); missing in the database: {missing}; {verdict}"
    )


@contextmanager
def own_database(state: str) -> Iterator[tuple[str, Act]]:
    """A database of one's own: its address, and `deploy/services` for it."""
    own = os.environ | {"VIGIL_PG_PORT": OWN_PG, "VIGIL_SERVICES_STATE": state}
    own |= {"VIGIL_SERVICES_MODE": "native"}

    def act(action: str) -> str:
        script = [sys.executable, str(ROOT / "deploy" / "services"), action, "timescale"]
        done = subprocess.run(
            script, env=own, check=True, timeout=180, capture_output=True, text=True
        )
        return done.stdout

    told = dict(line.split("=", 1) for line in act("up").splitlines() if "=" in line)
    try:
        yield told["VIGIL_DATABASE"], act
    finally:
        act("down")


def _published(ward: Ward) -> dict[str, int]:
    """Different rows on each topic that the sink reads."""
    found = {}
    for short in ("features", "scores", "alerts"):
        rows = asyncio.run(read_topic(ward.bootstrap, ward.topic(short)))
        found[short] = len({row.value for row in rows})
    return found


def _sink_lag(ward: Ward) -> int:
    group = f"{ward.config.kafka.group}-sink"
    return sum(
        asyncio.run(lag(ward.bootstrap, group, ward.topic(short)))
        for short in ("features", "scores", "alerts")
    )


def _went_back(spoken: list[str], digest: str) -> bool:
    """Whether the first version spoke after the second one."""
    since = spoken.index(digest) if digest in spoken else len(spoken)
    return any(word != digest for word in spoken[since:])


def _wait_for_alert(ward: Ward, condition: str, longest_s: float, phase: str = "raised") -> float:
    """Seconds until the patient who breaks the engine has such an alert event."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < longest_s:
        for row in asyncio.run(read_topic(ward.bootstrap, ward.topic("alerts"))):
            event = json.loads(row.value)
            if (event["subject"], event["condition"]["code"], event["phase"]) == (
                POISON,
                condition,
                phase,
            ):
                return time.monotonic() - began_s
        time.sleep(0.3)
    return longest_s


async def _send_saturation(ward: Ward, seconds: int, bad_at: int) -> None:
    """A saturation a second, and once what the engine cannot bear."""
    where = partition_of(POISON, ward.partitions)
    good = np.int16(9700).tobytes()
    async with LogWriter(ward.bootstrap) as writer:
        for second in range(seconds):
            now_us = time.time_ns() // 1000
            data = MARK if second == bad_at else good
            chunk = Chunk(POISON, "d", "spo2", second, second, now_us, 1.0, "%", 0.01, 0.0, 0, data)
            value = encode(SignalBundle((chunk,)))
            await writer.send_all(
                [Message(ward.topic("in"), where, now_us, POISON.encode(), value)]
            )
            await asyncio.sleep(1.0)


async def send_backfill(ward: Ward, hours: float, speed: float) -> int:
    """One more device's hours of the past, at many times real time; how many chunks."""
    seconds = round(3600 * hours)
    start_us = (time.time_ns() // 1_000_000_000 - seconds) * 1_000_000
    load, sent, began_s = Load(LoadSpec(1, start_us)), 0, time.monotonic()
    async with LogWriter(ward.bootstrap) as writer:
        for second in range(seconds):
            for entry in load.second(second):
                sent += await _send_as(ward, writer, "late", "d", entry)
            await asyncio.sleep(max(0.0, began_s + second / speed - time.monotonic()))
    return sent


async def send_flood(ward: Ward, seconds: int, devices: int) -> int:
    """One patient with many devices that all send the same signals; how many chunks."""
    start_us = time.time_ns() // 1_000_000_000 * 1_000_000
    load, sent = Load(LoadSpec(1, start_us)), 0
    async with LogWriter(ward.bootstrap) as writer:
        for second in range(seconds):
            await asyncio.sleep(max(0.0, start_us / 1e6 + second - time.time()))
            for entry in load.second(second):
                for device in range(devices):
                    sent += await _send_as(ward, writer, "flood", f"d{device}", entry)
    return sent


async def _send_as(
    ward: Ward, writer: LogWriter, patient: str, device: str, entry: LogEntry
) -> int:
    assert isinstance(entry.record, SignalBundle)
    chunks = tuple(
        msgspec.structs.replace(chunk, patient_id=patient, device_id=device)
        for chunk in entry.record.chunks
    )
    where, now_us = partition_of(patient, ward.partitions), time.time_ns() // 1000
    value = encode(SignalBundle(chunks))
    await writer.send_all([Message(ward.topic("in"), where, now_us, patient.encode(), value)])
    return len(chunks)

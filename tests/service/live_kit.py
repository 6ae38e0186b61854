"""A small gateway: the simulated ward's signals onto a real log, at the present time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from alerts.policy import default_policy_text
from service.config import Config
from service.simulate import Ward
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message
from streams.partition import partition_of
from streams.records import SignalBundle
from streams.topics import topic_name

HEADER = "patient_id,event_time,known_time,code,value,unit,text,source"
TIMING = {"lateness_s": 1.0, "hold_s": 2.0, "wait_s": 5.0}


def now_us() -> int:
    """The wall clock, µs UTC."""
    return time.time_ns() // 1000


def impatient_policy(folder: Path) -> Path:
    """The shipped policy, alerting at the first score that is over."""
    path = folder / "policy.toml"
    text = default_policy_text().replace("for_s = 120", "for_s = 0")
    path.write_text(text, encoding="utf-8")
    return path


def sick_events(folder: Path, patient_id: str, at_us: int | None = None) -> Path:
    """A CSV of facts whose NEWS2 alone is 8: blood pressure 84, voice, oxygen."""
    event_us = (now_us() if at_us is None else at_us) - 300_000_000
    rows = [HEADER]
    for code, value, unit, text in (
        ("sbp", "84", "mm[Hg]", ""),
        ("consciousness", "", "", "V"),
        ("oxygen", "1", "", ""),
    ):
        rows.append(f"{patient_id},{event_us},{event_us + 1000},{code},{value},{unit},{text},ehr")
    path = folder / "sick.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def send_signals(config: Config, patient_id: str, history_s: float, live_s: float) -> int:
    """Send the last `history_s` at once and then `live_s` as they happen; how many bundles."""
    ward = Ward(patients=1, duration_s=history_s + live_s, start_us=now_us() - _us(history_s))
    return asyncio.run(_send(config, patient_id, ward))


async def _send(config: Config, patient_id: str, ward: Ward) -> int:
    topic = topic_name("in", config.kafka.prefix)
    partition = partition_of(patient_id, config.kafka.partitions)
    count = 0
    async with LogWriter(config.kafka.bootstrap) as writer:
        for due_us, record in ward:
            if not isinstance(record, SignalBundle):
                continue
            await asyncio.sleep(max(0.0, (due_us - now_us()) / 1e6))
            own = SignalBundle(
                tuple(msgspec.structs.replace(c, patient_id=patient_id) for c in record.chunks)
            )
            key = patient_id.encode()
            message = Message(topic, partition, now_us(), key, encode(own))
            await writer.send_all([message])
            count += 1
    return count


def send_garbage(config: Config, words: str) -> None:
    """Write bytes that are no record, with these words in them, to partition 0."""

    async def send() -> None:
        topic = topic_name("in", config.kafka.prefix)
        async with LogWriter(config.kafka.bootstrap) as writer:
            message = Message(topic, 0, now_us(), words.encode(), b"\xff" + words.encode())
            await writer.send_all([message])

    asyncio.run(send())


def _us(seconds: float) -> int:
    return round(seconds * 1e6)


def recording(folder: Path, patient_id: str, seconds: int = 240) -> Path:
    """A CSV recording of 2020: heart rate 140 and SpO2 84 once a second."""
    start_us = 1_577_836_800_000_000
    rows = ["time_us,hr,spo2,patient_id"]
    rows += [
        f'{start_us + second * 1_000_000},{140 + second % 3},{84 + second % 2},"{patient_id}"'
        for second in range(seconds)
    ]
    path = folder / f"recording-{len(list(folder.glob('recording-*')))}.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def recorded_events(folder: Path, patient_id: str) -> Path:
    """Facts about that recording, known while it runs, and none of them late."""
    rows = [HEADER]
    for code, value, unit, minute in (
        ("sbp", 118, "mm[Hg]", 0),
        ("temp", 39.5, "Cel", 1),
        ("sbp", 84, "mm[Hg]", 2),
    ):
        clock = f"2020-01-01T00:0{minute}"
        rows.append(f"{patient_id},{clock}:10Z,{clock}:20Z,{code},{value},{unit},,ehr")
    path = folder / "events.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path

"""Signed commands on a real broker: worker and desk as processes, a stranger between them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from service.alert_desk import messages
from service.config import Config
from service.keys import new_key
from service.outputs import DeadLetter
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import AlertCommand, DeviceStatus
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import Vigil, wait_until
from tests.service.live_kit import now_us

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.fixture
def config(vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str) -> Config:
    ring: Path = vigil.folder / "keys.toml"
    ring.touch(0o600)
    ring.write_text(new_key("both", ("command", "tick")), encoding="utf-8")
    return vigil.configure(
        kafka={
            **{"bootstrap": kafka_bootstrap, "prefix": kafka_prefix},
            **{"partitions": PARTITIONS, "group": kafka_prefix},
        },
        worker={"http_port": -1, "instance": "w1", "checkpoint_s": 1.0},
        keys={"file": str(ring), "sign_as": "both"},
    )


def write(config: Config, rows: list[Message]) -> None:
    async def send() -> None:
        async with LogWriter(config.kafka.bootstrap) as writer:
            await writer.send_all(rows)

    asyncio.run(send())


def loosen(config: Config, patient: str) -> None:
    at_us = now_us()
    record = DeviceStatus(patient, "dev", "ecg", "lead_off", None, "", 0, at_us)
    topic, where = topic_name("in", config.kafka.prefix), partition_of(patient, PARTITIONS)
    write(config, [Message(topic, where, at_us, patient.encode(), encode(record))])


def refusals(config: Config) -> list[str]:
    topic = topic_name("dlq", config.kafka.prefix)
    rows = asyncio.run(read_topic(config.kafka.bootstrap, topic))
    return [msgspec.json.decode(row.value, type=DeadLetter).reason for row in rows]


def test_a_forged_command_is_refused_and_the_desks_own_is_carried_out(
    vigil: Vigil, config: Config
) -> None:
    vigil.start("run")
    loosen(config, "p1")
    wait_until(lambda: vigil.json("alert", "list"), 60, "the alert is raised")
    (alert,) = vigil.json("alert", "list")
    at_us = now_us()
    forged = AlertCommand(
        "c-1", "p1", alert["occurrence_id"], "resolve", "user:eve", "md", "", -1, 0, at_us
    )
    write(config, messages(config, forged, at_us))
    wait_until(lambda: refusals(config), 30, "the forged command is dead-lettered")
    assert set(refusals(config)) == {"unauthorised"}  # and no tick of the worker's own
    assert [a["occurrence_id"] for a in vigil.json("alert", "list")] == [alert["occurrence_id"]]
    done = vigil.run("alert", "ack", alert["occurrence_id"], "--by", "user:kim/rn")
    assert done.stdout.startswith("acknowledged:"), done.stderr

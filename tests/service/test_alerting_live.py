"""The whole way on a real broker: worker, people, webhook, subscriber, watch, all as processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from alerts.policy import default_policy_text
from service.config import Config
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message
from streams.partition import partition_of
from streams.records import DeviceStatus
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import Vigil, wait_until
from tests.service.emitters.emitter_kit import Listener
from tests.service.live_kit import now_us

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def loosen(config: Config, patient: str) -> None:
    """A patient's sensor says that it is off the skin."""
    at_us = now_us()
    record = DeviceStatus(patient, f"{patient}-dev", "ecg", "lead_off", None, "", 0, at_us)
    topic, where = topic_name("in", config.kafka.prefix), partition_of(patient, PARTITIONS)

    async def send() -> None:
        async with LogWriter(config.kafka.bootstrap) as writer:
            await writer.send_all([Message(topic, where, at_us, patient.encode(), encode(record))])

    asyncio.run(send())


@pytest.fixture
def config(vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, listener: Listener) -> Config:
    """A loose sensor is urgent here, and two consumers must confirm within two seconds."""
    text = default_policy_text()
    before, table, after = text.partition("[technical.lead_off]")
    after = after.replace('priority = "low"', 'priority = "medium"', 1)
    (vigil.folder / "policy.toml").write_text(before + table + after, "utf-8")
    (vigil.folder / "pager.secret").write_text("of both\n", "utf-8")
    pager = {
        "kind": "webhook",
        "url": f"{listener.url}/alerts",
        "secret_file": str(vigil.folder / "pager.secret"),
        "start": "earliest",
    }
    return vigil.configure(
        policy=str(vigil.folder / "policy.toml"),
        kafka={
            **{"bootstrap": kafka_bootstrap, "prefix": kafka_prefix},
            **{"partitions": PARTITIONS, "group": kafka_prefix},
        },
        worker={"http_port": -1, "instance": "w1", "checkpoint_s": 1.0},
        watch={"consumers": ["pager", "night"], "receipt_s": 2.0, "http_port": -1},
        deliver={"pager": pager},
    )


Told = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def told(listener: Listener) -> Told:
    """What the webhook was told of a patient's condition."""

    def of(patient: str, code: str = "lead_off:ecg") -> list[dict[str, Any]]:
        data = [request.json["data"] for request in listener.requests]
        return [d for d in data if (d["subject"], d["condition"]["code"]) == (patient, code)]

    return of


def phases(told: list[dict[str, Any]]) -> list[str]:
    return [str(each["phase"]) for each in told]


def test_an_alert_is_delivered_taken_silenced_confirmed_and_its_lapse_is_told(
    vigil: Vigil, config: Config, told: Told
) -> None:
    for command in (("run",), ("deliver", "pager"), ("watch",)):
        vigil.start(*command)
    loosen(config, "p1")
    wait_until(lambda: phases(told("p1")) == ["raised"], 60, "the webhook is called")
    (listed,) = [a for a in vigil.json("alert", "list") if a["condition"]["code"] == "lead_off:ecg"]

    done = vigil.run("alert", "ack", listed["occurrence_id"][:8], "--by", "user:kim/rn")
    assert done.stdout.startswith("acknowledged:"), done.stderr
    wait_until(lambda: phases(told("p1")) == ["raised", "acknowledged"], 30, "and told who took it")
    assert told("p1")[-1]["actions"][-1]["by"] == "user:kim"
    again = vigil.run("alert", "ack", listed["occurrence_id"], "--for", "0s")
    assert (again.returncode, again.stderr.partition(":")[0]) == (1, "refused")

    done = vigil.run("alert", "silence", "condition=lead_off:*", "--for", "1h", "-m", "new straps")
    quiet = done.stdout.split()[-1]
    wait_until(lambda: phases(told("p1"))[-1] == "suppressed", 30, "the silence holds")
    loosen(config, "p2")
    wait_until(lambda: told("p2"), 30, "a patient who comes later is heard of")
    assert (told("p2")[0]["phase"], told("p2")[0]["suppressed_by"]) == ("raised", quiet)
    wait_until(lambda: vigil.json("alert", "silences"), 30, "the silence is stored")
    (known,) = vigil.json("alert", "silences")
    assert (known["id"], known["patient"], known["comment"]) == (quiet, "*", "new straps")
    assert vigil.run("alert", "unsilence", quiet).returncode == 0
    wait_until(lambda: phases(told("p2")) == ["raised", "unsuppressed"], 30, "nothing holds it")

    lost = "delivery_lost:night"
    wait_until(lambda: phases(told("p1", lost)) == ["raised"], 30, "night confirms nothing")
    assert told("p1", "delivery_lost:pager") == []
    vigil.start("subscribe", "alerts", "--from", "earliest", "--confirm", "night")
    wait_until(lambda: "cleared" in phases(told("p1", lost)), 60, "night confirms again")

"""Delivery on a real broker: killed processes, real targets, receipts, audit, documents."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer

from alerts.alert import AlertEvent
from alerts.envelope import alert_value, cloud_event_headers, state_value
from service.audit import verify
from service.config import Config
from service.heartbeat import Heartbeat, heartbeat_value
from service.outputs import DeadLetter
from service.receipts import parse_receipt
from streams.codec import decode, encode
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import AlertCommand
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import Vigil, wait_until
from tests.service.emitters.alertmanager_kit import Alertmanager
from tests.service.emitters.emitter_kit import NOW_US, Listener, life, raised

pytestmark = [pytest.mark.broker, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def configured(vigil: Vigil, bootstrap: str, prefix: str, **sections: Any) -> Config:
    kafka = {"bootstrap": bootstrap, "prefix": prefix, "partitions": PARTITIONS, "group": prefix}
    return vigil.configure(kafka=kafka, **sections)


def write(config: Config, messages: list[Message]) -> None:
    async def send() -> None:
        async with LogWriter(config.kafka.bootstrap) as writer:
            await writer.send_all(messages)

    asyncio.run(send())


def publish(config: Config, events: list[AlertEvent]) -> None:
    """Put events on both alert topics, as the worker does."""
    prefix, now_us = config.kafka.prefix, time.time_ns() // 1000
    messages = []
    for event in events:
        partition = partition_of(event.subject, PARTITIONS)
        headers = cloud_event_headers(event)
        for short, key, value in (
            ("alerts", event.subject, alert_value(event)),
            ("alert-state", event.dedup_key, state_value(event)),
        ):
            topic = topic_name(short, prefix)
            messages.append(Message(topic, partition, now_us, key.encode(), value, headers))
    write(config, messages)


def sequences(listener: Listener) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for request in listener.requests:
        data = request.json["data"]
        found[data["occurrence_id"]].append(data["seq"])
    return found


def in_topic(config: Config, short: str) -> list[bytes]:
    name = topic_name(short, config.kafka.prefix)
    return [row.value for row in asyncio.run(read_topic(config.kafka.bootstrap, name))]


def test_a_killed_courier_loses_nothing_and_confirms_everything(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, listener: Listener
) -> None:
    secret = vigil.folder / "pager.secret"
    secret.write_text("s3cret-of-both\n", "utf-8")
    table = {
        "kind": "webhook",
        "url": f"{listener.url}/alerts",
        "secret_file": str(secret),
        "start": "earliest",
        "retry_first_s": 0.05,
        "retry_last_s": 0.5,
    }
    config = configured(vigil, kafka_bootstrap, kafka_prefix, deliver={"pager": table})
    names = [f"occ-{n}" for n in range(12)]
    publish(config, [event for n, name in enumerate(names) for event in life(name, f"p{n}")])
    seen = len(names) * 4
    listener.answer = lambda request: (202 if len(listener.requests) < 15 else 503, {})
    first = vigil.start("deliver", "pager")
    wait_until(lambda: len(listener.requests) > 17, 30, "some are delivered, then it is away")
    assert first.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    listener.answer = lambda request: (202, {})
    second = vigil.start("deliver", "pager")

    def everything() -> bool:
        found = {name: sorted(set(seqs)) for name, seqs in sequences(listener).items()}
        return found == {name: [1, 2, 3, 4] for name in names}

    wait_until(everything, 30, "everything has arrived")
    wait_until(lambda: len(in_topic(config, "receipts")) >= seen - 14, 20, "receipts are written")
    assert second.stop()[0] == 0
    assert "s3cret" not in first.said() + second.said()
    assert all(seqs == sorted(seqs) for seqs in sequences(listener).values())
    path = vigil.folder / ".vigil" / "audit" / "delivery-pager.jsonl"
    rows = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    attempts = [row for row in rows if row["kind"] == "attempt"]
    assert len(attempts) == len(listener.requests)
    assert verify(path).faults == ()
    confirmed = {(r.occurrence_id, r.seq) for r in map(parse_receipt, in_topic(config, "receipts"))}
    assert confirmed <= {(name, seq) for name in names for seq in (1, 2, 3, 4)}
    third = vigil.start("deliver", "pager")
    time.sleep(3)
    count = len(listener.requests)
    assert third.stop()[0] == 0
    assert count == len(attempts)  # nothing is sent again


def test_an_unknown_target_and_a_missing_secret_are_one_line(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    table = {"kind": "webhook", "url": "http://127.0.0.1:1/", "secret_env": "ABSENT_SECRET"}
    configured(vigil, kafka_bootstrap, kafka_prefix, deliver={"pager": table})
    for name, words in (("nobody", "no table [deliver.nobody]: pager"), ("pager", "ABSENT_SECRET")):
        done = vigil.run("deliver", name)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_lapse_becomes_a_command_on_the_patient_s_log_and_its_end_another(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    watch = {"consumers": ["pager"], "receipt_s": 2.0, "heartbeat_s": 2.0, "http_port": 0}
    config = configured(vigil, kafka_bootstrap, kafka_prefix, watch=watch)
    watching = vigil.start("watch")
    time.sleep(3)
    part, now_us = partition_of("p1", PARTITIONS), time.time_ns() // 1000
    beat = Heartbeat(
        instance="w1",
        at_us=now_us,
        started_us=now_us,
        self_checks=1,
        ready=True,
        partitions=(part,),
        lag_s=0.0,
    )
    topics = {short: topic_name(short, kafka_prefix) for short in ("heartbeat", "scores")}
    write(
        config,
        [
            Message(topics["scores"], part, now_us, b"p1", b"{}"),
            Message(topics["heartbeat"], 0, now_us, b"w1", heartbeat_value(beat)),
        ],
    )
    publish(config, [raised("occ")])

    def commands() -> list[tuple[str, str, str]]:
        rows = [decode(v, part, 0, 0).record for v in in_topic(config, "in")]
        found = [row for row in rows if isinstance(row, AlertCommand)]
        return [(row.patient_id, row.action, row.occurrence_id) for row in found]

    wanted = {("p1", "lost", f"delivery_lost:{name}") for name in ("pager", "heartbeat")}
    wait_until(lambda: set(commands()) == wanted, 30, "both lapses are on the patient's log")
    done = vigil.run(
        *("subscribe", "alerts", "--group", f"{kafka_prefix}-g", "--from", "earliest"),
        *("--confirm", "pager", "--once"),
    )
    assert done.returncode == 0
    assert "raised high" in done.stdout
    over = ("p1", "regained", "delivery_lost:pager")
    wait_until(lambda: over in commands(), 20, "the receipt ends the lapse")
    assert len(commands()) == 3
    assert watching.stop()[0] == 0


def test_what_people_did_is_in_the_log_of_actions_once(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix)
    publish(config, life("occ-1"))
    command = AlertCommand("c-9", "p1", "occ-1", "snooze", "user:x", "rn", "", -1, 0, NOW_US)
    original = base64.b64encode(encode(command)).decode()
    letter = DeadLetter("bad_command", "snooze needs a reason", 0, 7, 0, original)
    dead = topic_name("dlq", kafka_prefix)
    write(config, [Message(dead, 0, 1, b"0:7", msgspec.json.encode(letter))])
    path = vigil.folder / ".vigil" / "audit" / "actions.jsonl"
    for _ in range(2):  # the second run finds nothing new
        following = vigil.start("audit", "follow")
        wait_until(lambda it=following: "following" in it.said(), 60, "it follows")
        wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") == 2, 30, "two rows")
        time.sleep(1.5)
        assert following.stop()[0] == 0
    rows = {row["kind"]: row for row in map(json.loads, path.read_text("utf-8").splitlines())}
    assert rows["action"]["by"] == "user:nurse"
    assert rows["action"]["action"] == "acknowledge"
    assert (rows["refused_action"]["command_id"], rows["refused_action"]["ref"]) == ("c-9", "0:7")
    assert verify(path).faults == ()


def test_subscribing_from_a_position_by_group_and_filtered(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix)
    publish(config, [*life("occ-1", "p1"), *life("occ-2", "p2")])
    listen = ("subscribe", "alerts", "--once", "--json")

    def ids(*options: str) -> list[str]:
        done = vigil.run(*listen, *options)
        assert done.returncode == 0, done.stderr
        return sorted(json.loads(line)["id"] for line in done.stdout.splitlines())

    assert ids("--patient", "p2", "--phase", "raised", "--phase", "resolved") == [
        "occ-2:1",
        "occ-2:4",
    ]
    assert ids("--priority", "low") == []
    assert len(ids("--condition", "deter*", "--kind", "physiological")) == 8
    part = partition_of("p1", PARTITIONS)
    assert ids("--from", f"{part}:2", "--patient", "p1") == ["occ-1:3", "occ-1:4"]
    assert len(ids("--from", "2020-01-01T00:00Z")) == 8
    assert ids("--from", "2100-01-01T00:00Z") == []
    group = ("--group", f"{kafka_prefix}-night", "--from", "earliest")
    assert len(ids(*group)) == 8
    assert ids(*group) == []  # it goes on where it was
    for wrong in (("--priority", "hgih"), ("--from", "yesterday"), ("--confirm", "a b")):
        assert vigil.run("subscribe", "alerts", *wrong).returncode == 2
    assert vigil.run("subscribe", "scores", "--patient", "p1").returncode == 2


@pytest.mark.parametrize("document", ["alerts.md", "delivery.md"])
def test_the_consumer_of_the_documents_runs_as_it_stands(
    document: str, vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    if document == "delivery.md":
        pytest.importorskip("cloudevents")
    config = configured(vigil, kafka_bootstrap, kafka_prefix)
    publish(config, life("occ-1"))
    programs = FENCE.findall((ROOT / "docs" / document).read_text("utf-8"))
    (program,) = [text for text in programs if "KafkaConsumer(" in text]
    steps = [
        line for line in program.splitlines() if line and not line.startswith(("import", "from"))
    ]
    assert len(steps) <= 10
    program = program.replace("127.0.0.1:29192", kafka_bootstrap)
    program = program.replace("vigil.alerts.v1", topic_name("alerts", kafka_prefix))
    program = re.sub(r'"group_id": "([\w-]+)"', rf'"group_id": "{kafka_prefix}-\1"', program)
    out = vigil.folder / "out"
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", program], stdout=stdout, env=dict(os.environ)
        )
    try:
        wanted = "resolved" if document == "alerts.md" else "io.vigil.alert.resolved.v1 occ-1:4 p1"
        wait_until(lambda: wanted in out.read_text("utf-8"), 40, "all steps are told")
        assert "NEWS2" in out.read_text("utf-8")
    finally:
        process.kill()
        process.wait(10)


def test_kafka_python_reads_the_headers_as_the_guide_says(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    config = configured(vigil, kafka_bootstrap, kafka_prefix)
    publish(config, [raised("occ-1")])
    consumer = KafkaConsumer(
        topic_name("alerts", kafka_prefix),
        bootstrap_servers=kafka_bootstrap,
        auto_offset_reset="earliest",
        consumer_timeout_ms=10_000,
    )
    message = next(iter(consumer))
    consumer.close()
    headers = dict(message.headers)
    assert headers["ce_type"] == b"io.vigil.alert.raised.v1"
    assert headers["ce_id"] == b"occ-1:1"


def test_a_real_alertmanager_shows_what_is_open_even_after_a_kill(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, alertmanager: Alertmanager
) -> None:
    table = {"kind": "alertmanager", "url": alertmanager.url, "start": "earliest", "resend_s": 1.0}
    config = configured(vigil, kafka_bootstrap, kafka_prefix, deliver={"am": table})
    publish(config, [raised("occ-1", "p1"), *life("occ-2", "p2"), raised("occ-3", "p3")])

    def shown() -> set[str]:
        return {alert["labels"]["occurrence_id"] for alert in alertmanager.alerts()}

    first = vigil.start("deliver", "am")
    wait_until(lambda: shown() == {"occ-1", "occ-3"}, 30, "what is open is shown")
    first.stop(signal.SIGKILL)
    alertmanager.restart()
    assert shown() == set()
    second = vigil.start("deliver", "am")  # every event is committed: it knows them from the state
    wait_until(lambda: shown() == {"occ-1", "occ-3"}, 30, "all open ones are told again")
    assert second.stop()[0] == 0

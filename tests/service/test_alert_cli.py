"""`vigil alert ...` on a real log, answered by the real engine."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alerts.policy import default_policy_text, parse_policy
from service.__main__ import run
from service.cli import quiet_cli
from service.cli.common import EXIT_REFUSED
from service.config import load
from service.engine import Engine
from service.judging import Judges
from streams.clock import TimingSpec
from streams.codec import decode, encode
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic
from streams.partition import partition_of
from streams.records import AlertCommand, DeviceStatus, Record
from streams.topics import topic_name
from tests.fixtures_kafka import PARTITIONS
from tests.fixtures_services import wait_until

pytestmark = pytest.mark.broker
NOW_US = 1_750_000_000_000_000


class SmallWorker:
    """The real engine over a real log, one pass at a time."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        policy = parse_policy(default_policy_text())
        self.engine = Engine(policy, Judges(), TimingSpec(), PARTITIONS)
        self.bootstrap, self.prefix = bootstrap, prefix
        self.done: dict[int, int] = {}

    async def write(self, *records: tuple[int, Record]) -> None:
        topic = topic_name("in", self.prefix)
        async with LogWriter(self.bootstrap) as writer:
            await writer.send_all(
                [Message(topic, at, NOW_US, b"p1", encode(record)) for at, record in records]
            )

    async def work(self) -> None:
        """Feed what is new and publish what it causes."""
        rows = await read_topic(self.bootstrap, topic_name("in", self.prefix))
        new = [row for row in rows if row.offset >= self.done.get(row.partition, 0)]
        for row in new:
            self.done[row.partition] = row.offset + 1
        said = self.engine.feed(
            [decode(row.value, row.partition, row.offset, row.append_us) for row in new]
        )
        messages = [
            Message(
                topic_name(out.topic, self.prefix), out.partition, out.append_us,
                out.key.encode(), out.value, out.headers,
            )
            for out in said.messages
        ]  # fmt: skip
        async with LogWriter(self.bootstrap) as writer:
            await writer.send_all(messages)


@pytest.fixture
def worker(kafka_bootstrap: str, kafka_prefix: str) -> SmallWorker:
    """A worker whose patient p1 has a loose sensor."""
    made = SmallWorker(kafka_bootstrap, kafka_prefix)
    status = DeviceStatus("p1", "chest-1", "ecg", "lead_off", None, "", 0, NOW_US)
    asyncio.run(made.write((partition_of("p1", PARTITIONS), status)))
    asyncio.run(made.work())
    return made


@pytest.fixture
def working(worker: SmallWorker) -> Iterator[SmallWorker]:
    """The worker, answering in the background."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            asyncio.run(worker.work())
            stop.wait(0.3)

    thread = threading.Thread(target=loop)
    thread.start()
    yield worker
    stop.set()
    thread.join(20)


Vigil = Callable[..., tuple[int, str, str]]


@pytest.fixture
def vigil(
    kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Vigil:
    """Run one `vigil alert` command in this process: exit code, stdout, stderr."""
    own = tmp_path / "vigil.toml"
    own.write_text(
        f'kafka = {{ bootstrap = "{kafka_bootstrap}", prefix = "{kafka_prefix}", '
        f"partitions = {PARTITIONS} }}\n"
    )
    assert load(own).kafka.prefix == kafka_prefix

    def go(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["alert", *arguments, "-c", str(own)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


def listed(vigil: Vigil) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(vigil("list", "--json")[1])
    return found


def test_an_alert_is_listed_taken_refused_commented_and_closed(
    working: SmallWorker, vigil: Vigil
) -> None:
    code, out, _ = vigil("list")
    assert code == 0
    assert "low active none p1: Low: Sensor off." in out
    (record,) = listed(vigil)
    name = str(record["occurrence_id"])[:8]
    taken = vigil("ack", name, "--for", "30m", "-m", "on my <b>way</b>", "--by", "user:kim/rn")
    assert taken[0] == 0
    assert taken[1].startswith("acknowledged: Acknowledged: Sensor off.")
    (record,) = listed(vigil)
    assert record["state"]["responsibility"] == "accepted"  # type: ignore[index]
    code, _, err = vigil("unsnooze", name)
    assert (code, err) == (
        EXIT_REFUSED,
        "refused: cannot unsnooze while active, responsibility accepted, none\n",
    )
    assert vigil("assign", name, "user:lee")[0] == 0
    assert vigil("feedback", name, "artefact/loose-sensor")[0] == 0
    shown = vigil("show", name)[1]
    assert "acknowledge by user:kim (rn): on my <b>way</b>" in shown
    assert vigil("resolve", name, "-m", "fixed")[0] == 0
    assert listed(vigil) == []
    assert len(json.loads(vigil("list", "--all", "--json")[1])) == 1
    assert vigil("comment", name, "looked at again")[0] == 0


def test_without_a_worker_a_command_is_sent_and_says_so(worker: SmallWorker, vigil: Vigil) -> None:
    (record,) = listed(vigil)
    name = str(record["occurrence_id"])
    code, out, _ = vigil("reject", name, "--wait", "0.5")
    assert code == 0
    assert out.startswith("sent; the engine has not answered yet")
    asyncio.run(worker.work())
    (after,) = listed(vigil)
    assert after["state"]["responsibility"] == "rejected"  # type: ignore[index]


def test_a_silence_is_previewed_made_and_ended(working: SmallWorker, vigil: Vigil) -> None:
    quiet = "subject=p1,condition=lead_off:*"
    code, out, _ = vigil("silence", quiet, "--preview")
    assert code == 0
    assert "1 open alerts would be held back; nothing was sent" in out
    assert "0 open alerts" in vigil("silence", "subject=p1,condition=no_data:*", "--preview")[1]
    code, out, _ = vigil("silence", quiet, "--for", "2h", "-m", "network works")
    assert code == 0
    silence = out.split()[-1]
    # the comment stands behind the silence on the same partition: once answered, both are done
    vigil("comment", str(listed(vigil)[0]["occurrence_id"]), "x")
    (record,) = listed(vigil)
    assert record["suppressed_by"] == silence


def test_who_leaves_has_no_open_alert(working: SmallWorker, vigil: Vigil) -> None:
    done = vigil("discharge", "p1", "-m", "home")
    assert done[0] == 0, done
    wait_until(lambda: not listed(vigil), 30, "nothing is open")
    (record,) = json.loads(vigil("list", "--all", "--json")[1])
    assert record["closed_reason"] == "discharge: home"


def test_a_silence_that_is_refused_says_why(
    working: SmallWorker, vigil: Vigil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_cli, "REFUSAL_S", 30.0)
    code, out, err = vigil("silence", "condition=lead_off:*", "--for", "9d", "-m", "for ever")
    assert (code, out) == (EXIT_REFUSED, "")
    assert "at most 86400 s ahead" in err


def test_a_silence_for_everybody_ends_one_patients_own_too(
    working: SmallWorker, vigil: Vigil
) -> None:
    vigil("silence", "subject=p1,condition=lead_off:*", "-m", "network works")
    quiet = vigil("silence", "condition=no_data:*", "-m", "network works")[1].split()[-1]
    wait_until(lambda: listed(vigil)[0]["suppressed_by"], 30, "the first holds")
    assert vigil("unsilence", str(listed(vigil)[0]["suppressed_by"]))[0] == 0
    assert vigil("unsilence", quiet)[0] == 0
    wait_until(lambda: listed(vigil)[0]["suppressed_by"] is None, 30, "nothing holds it back")


def test_a_silence_of_all_patients_is_on_every_partition(
    worker: SmallWorker, vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    assert vigil("maintenance", "kind=technical", "-m", "gateway update")[0] == 0
    assert vigil("unsilence", "some-id")[0] == 0
    assert vigil("locate", "p1", "ward=W4,bed=12")[0] == 0
    rows = asyncio.run(read_topic(kafka_bootstrap, topic_name("in", kafka_prefix)))
    found = [
        (row.partition, record)
        for row in rows
        if isinstance(record := decode(row.value, 0, 0, row.append_us).record, AlertCommand)
    ]
    for action in ("maintenance", "unsilence"):
        copies = [(at, c) for at, c in found if c.action == action]
        assert [at for at, _ in copies] == list(range(PARTITIONS))
        assert len({c.command_id for _, c in copies}) == 1
        assert {c.patient_id for _, c in copies} == {"*"}
    (moved,) = [(at, c) for at, c in found if c.action == "locate"]
    assert moved[0] == partition_of("p1", PARTITIONS)

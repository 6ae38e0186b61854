"""TLS, SCRAM and ACLs on a real broker that denies by default."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka.admin import ACL, ACLOperation, ResourceType

from streams.codec import encode
from streams.errors import BrokerError
from streams.io.broker import Broker, Security
from streams.io.grants import ROLES, Where, grant, rights
from streams.io.kafka_admin import admin_client, check_topics, create_topics
from streams.io.kafka_log import LogWriter, Message
from streams.io.kafka_read import read_topic, spans
from streams.partition import partition_of
from streams.records import DeviceStatus
from streams.topics import topic_name
from tests.fixtures_services import Vigil, wait_until
from tests.secure_broker import USERS, SecureBroker, password_of, start, stop
from tests.service.live_kit import now_us

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    # kafka-python leaves the sockets of a refused login to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PREFIX, GROUP = "sealed", "sealed"
RUNNERS = ("faust", "direct")


@pytest.fixture(scope="module")
def broker(kafka_bootstrap: str) -> Iterator[SecureBroker]:
    with tempfile.TemporaryDirectory(prefix="vigil-secure-") as folder:
        found, process = start(Path(folder))
        try:
            create_topics(found.login("admin"), PREFIX, 4)
            where = Where(found.login("admin"), PREFIX, GROUP)
            for role in ("worker", "gateway", "desk", "sink"):
                assert grant(where, role, role) == grant(where, role, role)
            yield found
        finally:
            stop(process)


def loose(patient: str, at_us: int, prefix: str = PREFIX) -> Message:
    record = DeviceStatus(patient, "dev", "ecg", "lead_off", None, "", 0, at_us)
    return Message(topic_name("in", prefix), 1, at_us, patient.encode(), encode(record))


def write(broker: Broker, message: Message) -> None:
    async def send() -> None:
        async with LogWriter(broker) as writer:
            await asyncio.wait_for(writer.send_all([message]), 8)

    asyncio.run(send())


def test_a_gateway_may_write_signals_and_read_nothing(broker: SecureBroker) -> None:
    write(broker.login("gateway"), loose("p1", now_us()))
    with pytest.raises(BrokerError):
        asyncio.run(read_topic(broker.login("gateway"), topic_name("in", PREFIX)))


def test_a_sink_cannot_write_an_alert(broker: SecureBroker) -> None:
    forged = loose("p1", now_us())._replace(topic=topic_name("alerts", PREFIX))
    with pytest.raises((BrokerError, TimeoutError)):
        write(broker.login("sink"), forged)
    assert asyncio.run(read_topic(broker.login("sink"), topic_name("alerts", PREFIX))) == []


def test_a_wrong_password_is_refused_in_one_line_that_does_not_show_it(
    broker: SecureBroker,
) -> None:
    with pytest.raises(BrokerError) as caught:
        check_topics(broker.login("worker", "wrong-5521"), PREFIX)
    assert "wrong-5521" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broker_with_a_strangers_certificate_is_not_believed(broker: SecureBroker) -> None:
    security = Security("sasl_ssl", "SCRAM-SHA-512", "worker", password_of("worker"))
    with pytest.raises(BrokerError):
        check_topics(Broker(broker.servers, security), PREFIX)


def test_every_role_of_the_table_can_be_granted(broker: SecureBroker) -> None:
    where = Where(broker.login("admin"), PREFIX, GROUP)
    assert all(grant(where, role, f"other-{role}") >= 3 for role in ROLES)


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_worker_a_gateway_and_a_desk_do_their_work_with_their_own_rights(
    broker: SecureBroker, vigil: Vigil, runner: str
) -> None:
    prefix = f"{PREFIX}-{runner}"
    create_topics(broker.login("admin"), prefix, 4)
    for role in ("worker", "gateway", "desk"):
        grant(Where(broker.login("admin"), prefix, prefix), role, role)

    def configure(user: str) -> None:
        kafka = {**broker.settings(user), "prefix": prefix, "partitions": 4, "group": prefix}
        worker = {"http_port": -1, "instance": "w1", "runner": runner}
        vigil.configure(kafka=kafka, worker=worker)

    configure("worker")
    worker = vigil.start("run")
    wait_until(lambda: "worker w1" in worker.said(), 60, "the worker starts")
    patient = next(f"p{i}" for i in range(99) if partition_of(f"p{i}", 4) == 1)
    write(broker.login("gateway"), loose(patient, now_us(), prefix))
    configure("desk")
    wait_until(lambda: vigil.json("alert", "list"), 60, "the alert is there for the desk")
    (alert,) = vigil.json("alert", "list")
    done = vigil.run("alert", "ack", alert["occurrence_id"], "--by", "user:kim/rn")
    assert done.stdout.startswith("acknowledged:"), done.stderr
    assert worker.stop()[0] == 0
    committed = asyncio.run(spans(broker.login("admin"), prefix, topic_name("in", prefix), [1]))
    assert committed[1].committed, "its rights let it commit"
    assert not any(password_of(user) in worker.said() + done.stderr for user in USERS)


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("withheld", ["group", "in"])
def test_a_worker_that_lacks_a_right_ends_and_says_so(
    broker: SecureBroker, vigil: Vigil, runner: str, withheld: str
) -> None:
    prefix = f"{PREFIX}-no-{withheld}-{runner}"
    create_topics(broker.login("admin"), prefix, 4)
    with admin_client(broker.login("admin")) as admin:
        where = Where(broker.login("admin"), prefix, prefix)
        admin.create_acls(
            [row for row in rights(where, "worker", "worker") if keeps(row, withheld)]
        )
    kafka = {**broker.settings("worker"), "prefix": prefix, "partitions": 4, "group": prefix}
    vigil.configure(kafka=kafka, worker={"http_port": -1, "instance": "w1", "runner": runner})
    started = vigil.start("run")
    wait_until(lambda: started.process.poll() is not None, 60, "the worker ends")
    assert started.process.returncode not in (0, None)
    assert "Authorization" in started.said().splitlines()[-1]
    assert "Traceback" not in started.said()
    assert password_of("worker") not in started.said()


def keeps(right: ACL, withheld: str) -> bool:
    """Whether this right is left to a worker."""
    name = right.resource_pattern.resource_name
    if withheld == "group":
        return right.resource_pattern.resource_type is not ResourceType.GROUP
    return not (right.operation is ACLOperation.READ and name.endswith(f".{withheld}.v1"))

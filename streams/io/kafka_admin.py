"""Topics: create, verify, describe, delete. Idempotent; nothing here moves records."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError, for_code

from streams.errors import BrokerError, ConfigError
from streams.io.broker import client_options
from streams.partition import PARTITIONS
from streams.topics import DEFAULT_PREFIX, TOPICS, Topic, topic_config, topic_name

TIMEOUT_MS = 10_000
TOPIC_EXISTS = 36  # Kafka protocol error codes
UNKNOWN_TOPIC = 3


class TopicState(NamedTuple):
    """One topic as the broker has it; `partitions` is 0 when it does not exist."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]  # only what differs from the broker's defaults


def create_topics(
    bootstrap: str,
    prefix: str = DEFAULT_PREFIX,
    partitions: int = PARTITIONS,
    replication: int = 1,
    *,
    recorded_time: bool = False,
) -> list[str]:
    """Create the topics that are missing and verify those that exist.

    Parameters
    ----------
    bootstrap : str
        `host:port`, several separated by commas.
    prefix : str
        Namespace of the topics.
    partitions : int
        For every topic; all must be equal because outputs follow their input's partition.
    replication : int
        Copies of each partition; 3 in production.
    recorded_time : bool
        True for replays: old records are not deleted because of their age.

    Returns
    -------
    list of str
        Names of the topics created now; empty when all were there.

    Raises
    ------
    ConfigError
        If an existing topic differs in a way that loses or moves data; says how.
    BrokerError
        If the broker is away or refuses.
    """
    wanted = {topic_name(short, prefix): topic for short, topic in TOPICS.items()}
    order = {
        name: {
            "num_partitions": partitions,
            "replication_factor": replication,
            "configs": topic_config(topic, recorded_time=recorded_time),
        }
        for name, topic in wanted.items()
    }
    with admin_client(bootstrap) as admin:
        answer = admin.create_topics(order, timeout_ms=TIMEOUT_MS, raise_errors=False)
        created = []
        for row in answer["topics"]:
            if row["error_code"] == 0:
                created.append(str(row["name"]))
            elif row["error_code"] != TOPIC_EXISTS:
                raise _refused(f"create topic {row['name']}", row)
        admin.wait_for_topics(list(wanted), timeout_ms=TIMEOUT_MS)
        states = _describe(admin, list(wanted))
    faults = _differences(states, wanted, partitions, recorded_time=recorded_time)
    if faults:
        raise ConfigError("; ".join(faults))
    return created


def check_topics(
    bootstrap: str,
    prefix: str = DEFAULT_PREFIX,
    partitions: int | None = None,
    *,
    recorded_time: bool = False,
) -> list[str]:
    """What is wrong with the topics, one line each; empty when all is well.

    `partitions` None accepts any count as long as all topics share it.

    Raises
    ------
    BrokerError
        If the broker is away.
    """
    wanted = {topic_name(short, prefix): topic for short, topic in TOPICS.items()}
    states = describe(bootstrap, prefix)
    if partitions is None:
        partitions = max(state.partitions for state in states)
    return _differences(states, wanted, partitions, recorded_time=recorded_time)


def take_out(bootstrap: str, group: str, member_id: str) -> None:
    """Take a member out of its group, so that the others share its partitions at once.

    Named by its member id and not by its instance: who has come under the same instance since has
    another one, and stays. A member that is gone already is no fault.

    Raises
    ------
    BrokerError
        If the broker is away or refuses.
    """
    with admin_client(bootstrap) as admin:
        admin.remove_group_members(group, [MemberToRemove(member_id, reason="worker drained")])


def describe(bootstrap: str, prefix: str = DEFAULT_PREFIX) -> list[TopicState]:
    """Every topic of the table as the broker has it, in the table's order.

    Raises
    ------
    BrokerError
        If the broker is away.
    """
    with admin_client(bootstrap) as admin:
        return _describe(admin, [topic_name(short, prefix) for short in TOPICS])


def delete_topics(bootstrap: str, prefix: str) -> list[str]:
    """Delete the topics of a prefix and all their records; returns the names that existed.

    Raises
    ------
    BrokerError
        If the broker is away or refuses.
    """
    names = [topic_name(short, prefix) for short in TOPICS]
    with admin_client(bootstrap) as admin:
        answer = admin.delete_topics(names, timeout_ms=TIMEOUT_MS, raise_errors=False)
    deleted = []
    for row in answer["topics"]:
        if row["error_code"] == 0:
            deleted.append(str(row["name"]))
        elif row["error_code"] != UNKNOWN_TOPIC:
            raise _refused(f"delete topic {row['name']}", row)
    return deleted


@contextmanager
def admin_client(bootstrap: str) -> Iterator[Any]:
    """An admin client whose every failure is one clear line."""
    _knock(bootstrap)
    # kafka-python tells of each refused connection on its own; one line from us is enough.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","),
            **client_options(bootstrap),
            request_timeout_ms=TIMEOUT_MS,
            bootstrap_timeout_ms=TIMEOUT_MS,
        )
    except (KafkaError, OSError, ValueError, AssertionError) as error:
        raise broker_away(bootstrap, error) from error
    try:
        yield admin
    except KafkaError as error:
        raise broker_away(bootstrap, error) from error
    finally:
        admin.close()


def _knock(bootstrap: str) -> None:
    """Fail at once when nobody listens: the client would try for 10 s and leak its sockets."""
    trouble: OSError | None = None
    for server in bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ConfigError(f"Kafka address {server!r}: must be host:port[,host:port…]")
        try:
            socket.create_connection((host.strip("[]"), int(port)), TIMEOUT_MS / 1000).close()
        except OSError as error:
            trouble = error
        else:
            return
    assert trouble is not None  # split gives at least one server
    raise broker_away(bootstrap, trouble)


def broker_away(bootstrap: str, error: BaseException) -> BrokerError:
    """The one line that says Kafka cannot be used and what to do."""
    return BrokerError(
        f"Kafka at {bootstrap} does not answer ({type(error).__name__}: {error}): "
        "is it running (make services-up), and is the address right?"
    )


def _refused(what: str, row: dict[str, Any]) -> BrokerError:
    reason = row.get("error_message") or for_code(row["error_code"]).__name__
    return BrokerError(f"{what}: the broker refused: {reason}")


def _describe(admin: Any, names: list[str]) -> list[TopicState]:
    rows = {row["name"]: row for row in admin.describe_topics(names)}
    present = [name for name in names if rows.get(name, {}).get("partitions")]
    configs: dict[str, dict[str, Any]] = {}
    if present:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in present]
        configs = admin.describe_configs(wanted)["topic"]
    return [_state(name, rows.get(name, {}), configs.get(name, {})) for name in names]


def _state(name: str, row: dict[str, Any], config: dict[str, Any]) -> TopicState:
    partitions = row.get("partitions") or []
    replication = min((len(part["replica_nodes"]) for part in partitions), default=0)
    values = {key: str(entry["value"]) for key, entry in sorted(config.items())}
    return TopicState(name, len(partitions), replication, values)


def _differences(
    states: list[TopicState], wanted: dict[str, Topic], partitions: int, *, recorded_time: bool
) -> list[str]:
    """Only what loses or moves data; another retention is the owner's right."""
    faults = []
    for state in states:
        if state.partitions == 0:
            faults.append(f"topic {state.name} does not exist (run vigil init)")
            continue
        if state.partitions != partitions:
            faults.append(
                f"topic {state.name} has {state.partitions} partitions, not {partitions}: the "
                "count of a topic version never changes; use the same count or another prefix"
            )
        faults += _config_faults(state, wanted[state.name], recorded_time=recorded_time)
    return faults


def _config_faults(state: TopicState, topic: Topic, *, recorded_time: bool) -> list[str]:
    config = topic_config(topic, recorded_time=recorded_time)
    faults = []
    for key in ("cleanup.policy", "max.message.bytes"):
        value = state.config.get(key, _BROKER_DEFAULT[key])
        if value != config[key]:
            faults.append(f"topic {state.name} has {key}={value}, not {config[key]}")
    if recorded_time and config["cleanup.policy"] == "delete":
        retention_ms = state.config.get("retention.ms", "the broker's default")
        if retention_ms != "-1":
            faults.append(
                f"topic {state.name} deletes by age (retention.ms={retention_ms}): recorded "
                "history needs -1; use another prefix"
            )
    return faults


_BROKER_DEFAULT = {"cleanup.policy": "delete", "max.message.bytes": "1048588"}

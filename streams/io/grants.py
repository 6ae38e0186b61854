"""Least privilege on Kafka: what each kind of process may read and write, as broker ACLs.

THE table of service rights. It cannot tell a gateway from a desk, because both write the input
log: that is what `streams.signing` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from streams.errors import BrokerError
from streams.io.kafka_admin import admin_client
from streams.topics import topic_name


class Role(NamedTuple):
    """What one kind of process does; topics by their short names."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    group: str | None  # suffix of its consumer group's name; None: it joins none
    words: str


ROLES: Final[dict[str, Role]] = {
    "gateway": Role((), ("in",), None, "device gateways, vigil ingest"),
    "feed": Role(("in",), ("in",), None, "vigil events feed; reads what a crash left unmarked"),
    "worker": Role(
        ("in", "state", "alerts"),
        ("in", "features", "scores", "alerts", "alert-state", "state", "dlq", "heartbeat"),
        "",
        "vigil run",
    ),
    "desk": Role(("alerts", "alert-state", "state", "dlq"), ("in",), None, "vigil alert"),
    "watch": Role(
        ("alerts", "alert-state", "receipts", "heartbeat", "scores"), ("in",), None, "vigil watch"
    ),
    "deliver": Role(("alerts", "alert-state"), ("receipts",), "-deliver-", "vigil deliver"),
    "subscriber": Role(
        ("alerts", "alert-state", "scores", "features", "heartbeat"),
        ("receipts",),
        None,
        "vigil subscribe; its groups begin with its user's name",
    ),
    "sink": Role(("features", "scores", "alerts"), (), "-sink", "vigil sink"),
    "audit": Role(("alerts", "dlq"), (), "-audit", "vigil audit follow"),
}


class Where(NamedTuple):
    """Which Vigil: its broker, topics and group."""

    bootstrap: str
    prefix: str
    group: str


def grant(where: Where, role: str, user: str) -> int:
    """Give a user the rights of a role; again changes nothing. How many rights it has then.

    Parameters
    ----------
    where : Where
        The login of `bootstrap` must be allowed to alter the cluster.
    role : str
        One of `ROLES`.
    user : str
        As the broker knows it, without "User:".

    Raises
    ------
    BrokerError
        If the broker is away, has no authoriser, or refuses.
    """
    wanted = list(rights(where, role, user))
    with admin_client(where.bootstrap) as admin:
        answer = admin.create_acls(wanted)
    for _, error in answer["failed"]:
        raise BrokerError(f"grant {role} to {user}: the broker refused: {error!r}")
    return len(wanted)


def rights(where: Where, role: str, user: str) -> Iterator[ACL]:
    """The ACLs of a role.

    Everybody may look at the topics' settings: each process proves them before it starts.
    """
    own = ROLES[role]
    principal = f"User:{user}"
    names = (ResourceType.TOPIC, f"{where.prefix}.", ACLResourcePatternType.PREFIXED)
    for operation in (ACLOperation.DESCRIBE, ACLOperation.DESCRIBE_CONFIGS):
        yield _allow(principal, operation, names)
    for operation, topics in ((ACLOperation.READ, own.reads), (ACLOperation.WRITE, own.writes)):
        for short in topics:
            name = topic_name(short, where.prefix)
            exact = (ResourceType.TOPIC, name, ACLResourcePatternType.LITERAL)
            yield _allow(principal, operation, exact)
    if own.group is not None:
        name = f"{where.group}{own.group}"
        open_end = name.endswith("-")  # one group per target
        kind = ACLResourcePatternType.PREFIXED if open_end else ACLResourcePatternType.LITERAL
        yield _allow(principal, ACLOperation.READ, (ResourceType.GROUP, name, kind))
    elif role == "watch":  # it asks how far the others are
        groups = (ResourceType.GROUP, where.group, ACLResourcePatternType.PREFIXED)
        yield _allow(principal, ACLOperation.DESCRIBE, groups)
    elif role == "subscriber":
        groups = (ResourceType.GROUP, user, ACLResourcePatternType.PREFIXED)
        yield _allow(principal, ACLOperation.READ, groups)


def _allow(
    principal: str,
    operation: ACLOperation,
    what: tuple[ResourceType, str, ACLResourcePatternType],
) -> ACL:
    return ACL(principal, "*", operation, ACLPermissionType.ALLOW, ResourcePattern(*what))

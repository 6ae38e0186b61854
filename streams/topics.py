"""The one table of topics: name, key, content, retention. Creating them is not here."""

from __future__ import annotations

import re
from typing import NamedTuple

from streams.errors import ConfigError

DEFAULT_PREFIX = "vigil"
VERSION = "v1"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MAX_MESSAGE_BYTES = 8 * 1024 * 1024  # a snapshot; the broker's default is 1 MiB
# A refused record comes back in base64, a third longer: it must fit its dead letter.
MAX_INPUT_BYTES = 4 * 1024 * 1024
_NO_LIMIT = "9223372036854775807"
_PREFIX = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,199}")


class Topic(NamedTuple):
    """One topic. All have the input's partition count: outputs stay beside their cause."""

    short: str
    key: str
    content: str
    retention_ms: int | None  # None: compacted, the last value per key stays


TOPICS: dict[str, Topic] = {
    topic.short: topic
    for topic in (
        Topic("in", "patient", "SignalBundle, ClinicalEvent, DeviceStatus, Tick, …", DAY_MS),
        Topic("features", "patient", "FeatureRow as JSON", 7 * DAY_MS),
        Topic("scores", "patient", "Score as JSON", 7 * DAY_MS),
        Topic("alerts", "patient", "alert life-cycle events, CloudEvents", 365 * DAY_MS),
        Topic("alert-state", "dedup key", "current state of each alert", None),
        Topic("state", "patient", "engine state: epoch, frontier, bytes", None),
        Topic("dlq", "patient", "refused records: original bytes and reason", 30 * DAY_MS),
        Topic("receipts", "patient", "which consumer has which alert event", 30 * DAY_MS),
        Topic("heartbeat", "instance", "each worker's sign of life", DAY_MS),
    )
}


def topic_name(short: str, prefix: str = DEFAULT_PREFIX) -> str:
    """Full name of a topic.

    Parameters
    ----------
    short : str
        A key of `TOPICS`.
    prefix : str
        Namespace; replays use their own so that they never mix with live data.

    Raises
    ------
    ConfigError
        If the topic is unknown or the prefix has characters Kafka refuses.

    Examples
    --------
    >>> topic_name("in"), topic_name("alert-state", "replay-7")
    ('vigil.in.v1', 'replay-7.alert-state.v1')
    """
    if short not in TOPICS:
        raise ConfigError(f"topic {short!r}: no such topic; choose from {', '.join(TOPICS)}")
    if not _PREFIX.fullmatch(prefix):
        raise ConfigError(f"topic prefix {prefix!r}: letters, digits, '.', '_' and '-' only")
    return f"{prefix}.{short}.{VERSION}"


def topic_config(topic: Topic, *, recorded_time: bool = False) -> dict[str, str]:
    """Broker settings of a topic, by Kafka's own names.

    Parameters
    ----------
    topic : Topic
        The topic.
    recorded_time : bool
        True for replays: records carry old append times, so a limit on age would delete them
        as soon as they arrive, and one on the future might refuse them.

    Returns
    -------
    dict of str to str
        For topic creation and verification.
    """
    limit_bytes = MAX_INPUT_BYTES if topic.short == "in" else MAX_MESSAGE_BYTES
    config = {"max.message.bytes": str(limit_bytes)}
    if topic.retention_ms is None:
        # A worker that lost its partition may still write an old snapshot over a new one:
        # the lag keeps both long enough to choose by epoch and frontier.
        lag_ms = HOUR_MS if topic.short == "state" else 0
        config |= {
            "cleanup.policy": "compact",
            "min.compaction.lag.ms": str(lag_ms),
            "segment.ms": str(HOUR_MS),
        }
    else:
        retention_ms = -1 if recorded_time else topic.retention_ms
        config |= {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}
        if not recorded_time:
            config["segment.ms"] = str(max(HOUR_MS, topic.retention_ms // 24))
    if recorded_time:
        config["message.timestamp.after.max.ms"] = _NO_LIMIT
    return config

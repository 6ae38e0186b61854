"""Prove the topics before a long-running process writes to or reads from them."""

from __future__ import annotations

from service.config import Config
from streams.errors import ConfigError
from streams.io.kafka_admin import check_topics

_ABSENT = "does not exist (run vigil init)"


def require_topics(config: Config, *, recorded_time: bool = False) -> None:
    """Return if the topics fit the configuration.

    Parameters
    ----------
    config : Config
        Which broker, prefix and partition count. Another count would put patients on partitions
        where no worker accepts them.
    recorded_time : bool
        Whether they must keep records of any age.

    Raises
    ------
    ConfigError
        Saying what differs and what to do.
    BrokerError
        If Kafka does not answer.
    """
    kafka = config.kafka
    faults = check_topics(kafka.broker, kafka.prefix, kafka.partitions, recorded_time=recorded_time)
    absent = [fault for fault in faults if fault.endswith(_ABSENT)]
    other = [fault for fault in faults if not fault.endswith(_ABSENT)]
    if absent:
        how = "vigil init --recorded-time" if recorded_time else "vigil init"
        raise ConfigError(
            f"{len(absent)} topics of prefix {kafka.prefix!r} do not exist at "
            f"{kafka.bootstrap}: run `{how}`, or set VIGIL_PREFIX"
        )
    if other:
        more = f" (and {len(other) - 1} more like it)" if len(other) > 1 else ""
        raise ConfigError(f"{other[0]}{more}")

"""How far each consumer group is behind its topics, asked from outside: a dead one cannot say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from service.config import Config
from streams.errors import BrokerError
from streams.io.kafka_read import lag
from streams.topics import topic_name

EVERY_S: Final = 15.0

log = logging.getLogger(__name__)


def groups(config: Config) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Group and topics (short names) of every process that must keep up, by its name."""
    own = config.kafka.group
    found = {
        "worker": (own, ("in",)),
        "sink": (f"{own}-sink", ("features", "scores", "alerts")),
    }
    for name in sorted(config.deliver):
        found[f"deliver-{name}"] = (f"{own}-deliver-{name}", ("alerts",))
    return found


async def watch_lags(config: Config, tell: Callable[[str, int], None]) -> None:
    """Tell `(name, records behind)` of every group again and again; ends when cancelled."""
    kafka = config.kafka
    while True:
        for name, (group, topics) in groups(config).items():
            try:
                behind = [
                    await lag(kafka.broker, group, topic_name(short, kafka.prefix))
                    for short in topics
                ]
            except BrokerError as fault:
                log.warning("lag of %s is not known: %s", name, fault)
                break
            tell(name, sum(behind))
        await asyncio.sleep(EVERY_S)

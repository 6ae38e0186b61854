"""A worker's heartbeat: a thread beside the worker, so that a busy engine still beats.

What it says of the engine is read from its metrics; a beat that cannot be written is left out.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from types import TracebackType
from typing import Final, Protocol, Self

from service.config import Config
from service.heartbeat import EVERY_S, Heartbeat, heartbeat_value
from streams.errors import BrokerError
from streams.io.kafka_log import LogWriter, Message
from streams.partition import partition_of
from streams.topics import topic_name

SELF_CHECK_S: Final = 60.0  # a frontier older than this: the engine is not ready, whatever it says

log = logging.getLogger(__name__)


class Vitals(Protocol):
    """What a beat tells; `service.metrics.Metrics` is one."""

    @property
    def is_ready(self) -> bool:
        """Restored and processing."""
        ...

    def partitions(self) -> tuple[int, ...]:
        """Partitions being processed."""
        ...

    def oldest_frontier_s(self) -> float | None:
        """Age of the one furthest behind."""
        ...


class Beating:
    """Beats from entry to exit.

    Parameters
    ----------
    config : Config
        Broker, prefix, partitions.
    instance : str
        The worker's name.
    vitals : Vitals
        Asked before every beat.
    every_s : float
        Between beats.
    """

    def __init__(
        self, config: Config, instance: str, vitals: Vitals, every_s: float = EVERY_S
    ) -> None:
        self._config, self._instance, self._vitals = config, instance, vitals
        self._every_s = every_s
        self._started_us = time.time_ns() // 1000
        self._checks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(2.0)

    def beat(self, now_us: int) -> Heartbeat:
        """Check the engine and say how it is."""
        self._checks += 1
        lag_s = self._vitals.oldest_frontier_s()
        fresh = lag_s is None or lag_s <= SELF_CHECK_S
        return Heartbeat(
            instance=self._instance,
            at_us=now_us,
            started_us=self._started_us,
            self_checks=self._checks,
            ready=self._vitals.is_ready and fresh,
            partitions=self._vitals.partitions(),
            lag_s=None if lag_s is None else round(lag_s, 3),
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._beat_on())
        except BrokerError as fault:
            log.warning("no heartbeat: %s", fault)

    async def _beat_on(self) -> None:
        kafka = self._config.kafka
        topic = topic_name("heartbeat", kafka.prefix)
        partition = partition_of(self._instance, kafka.partitions)
        async with LogWriter(kafka.broker) as writer:
            while not self._stopping.is_set():
                now_us = time.time_ns() // 1000
                value = heartbeat_value(self.beat(now_us))
                message = Message(topic, partition, now_us, self._instance.encode(), value)
                try:
                    await asyncio.wait_for(writer.send_all([message]), self._every_s)
                except TimeoutError:
                    log.warning("a heartbeat could not be written in time")
                await asyncio.to_thread(self._stopping.wait, self._every_s)

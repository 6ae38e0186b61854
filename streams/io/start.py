"""Start one worker, carried by Faust or by aiokafka alone, and run it until it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streams.errors import ConfigError
from streams.io.host_metrics import HostMetrics, SilentMetrics
from streams.io.kafka_admin import check_topics
from streams.io.kafka_log import LogWriter
from streams.io.kafka_read import spans
from streams.io.worker import Worker
from streams.io.worker_settings import WorkerSettings
from streams.processor import Processor
from streams.topics import topic_name


def run(
    runner: str,
    settings: WorkerSettings,
    processor_factory: Callable[[], Processor],
    metrics: HostMetrics | None = None,
) -> int:
    """Run one worker until SIGTERM, SIGINT or SIGHUP; the process's main thread.

    Parameters
    ----------
    runner : str
        What carries records: `faust` or `direct`.
    settings : WorkerSettings
        Where and how to join.
    processor_factory : callable
        Makes the engine; called once.
    metrics : HostMetrics, optional
        Where figures go.

    Returns
    -------
    int
        0 after a drain, `FATAL_EXIT` when a restart is needed; nothing acknowledged is lost.

    Raises
    ------
    ConfigError
        If a topic is missing or wrong.
    BrokerError
        If Kafka does not answer at the start, or lets this user not into the group.
    """
    carrier = _carrier(runner)
    faults = check_topics(settings.bootstrap, settings.prefix)
    if faults:
        raise ConfigError("; ".join(faults))

    async def live() -> int:
        # Faust asks for ever, in silence, to be let into a group that is not its user's.
        await spans(settings.bootstrap, settings.group, topic_name("in", settings.prefix), [0])
        writer = LogWriter(settings.bootstrap)
        await writer.start()
        return await carrier(settings, metrics or SilentMetrics()).run(writer, processor_factory)

    return asyncio.run(live())


def _carrier(runner: str) -> Callable[[WorkerSettings, HostMetrics], Worker]:
    """What carries the records; the library of the other one is not loaded."""
    if runner == "direct":
        from streams.io.direct_worker import DirectWorker

        return DirectWorker
    from streams.io.faust_worker import FaustWorker

    return FaustWorker

"""Start a live worker from the configuration: engine, metrics, health page, Faust."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from prometheus_client import CollectorRegistry

from service.build import build_engine
from service.config import Config
from service.http import HealthServer
from service.metrics import Metrics
from streams.io.faust_worker import WorkerSettings, run_worker


def settings_of(config: Config) -> WorkerSettings:
    """The worker's part of the configuration."""
    worker, kafka = config.worker, config.kafka
    return WorkerSettings(
        bootstrap=kafka.bootstrap,
        prefix=kafka.prefix,
        group=kafka.group,
        instance=worker.instance or socket.gethostname(),
        ticks="wall" if worker.ticks == "wall" else "recorded",
        checkpoint_s=worker.checkpoint_s,
        take_records=worker.batch,
        take_within_s=worker.within_s,
        datadir=str(Path(worker.data_dir).resolve()),
    )


def run_live(config: Config) -> int:
    """Run the Faust worker until SIGTERM; returns its exit status.

    Raises
    ------
    ConfigError
        If a topic is missing or the HTTP port is taken.
    BrokerError
        If Kafka does not answer at the start.
    """
    metrics = Metrics(CollectorRegistry())
    with ExitStack() as stack:
        if config.worker.http_port >= 0:
            host, port = config.worker.http_host, config.worker.http_port
            stack.enter_context(HealthServer(metrics, host, port))
        return run_worker(settings_of(config), lambda: build_engine(config), metrics)

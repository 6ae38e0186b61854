"""Start a live worker from the configuration: engine, metrics, health page, Faust or aiokafka."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from features.ecg.kernels import warm_up
from service import collector, logs, row_texts
from service.artifacts import open_seats
from service.build import build_engine, load_policy, model_names, scorers
from service.config import Config
from service.engine import Engine
from service.heartbeat_host import Beating
from service.http import HealthServer
from service.keys import load_ring
from service.metrics import Metrics
from service.topics import require_topics
from streams.errors import ConfigError
from streams.io.start import run
from streams.io.worker_settings import WorkerSettings
from streams.signing import Keyring

STALE_S = 60.0  # twelve ticks: a live partition this far behind is not being watched


def settings_of(config: Config) -> WorkerSettings:
    """The worker's part of the configuration."""
    worker, kafka = config.worker, config.kafka
    return WorkerSettings(
        bootstrap=kafka.broker,
        prefix=kafka.prefix,
        group=kafka.group,
        instance=worker.instance or socket.gethostname(),
        ticks="wall" if worker.ticks == "wall" else "recorded",
        checkpoint_s=worker.checkpoint_s,
        snapshot_s=worker.snapshot_s,
        take_records=worker.batch,
        take_within_s=worker.within_s,
        datadir=str(Path(worker.data_dir).resolve()),
        leave_on_stop=worker.leave_on_stop,
    )


def run_live(config: Config, on_start: Callable[[str], None] = lambda line: None) -> int:
    """Run a worker until SIGTERM, SIGINT or SIGHUP; returns its exit status.

    Parameters
    ----------
    config : Config
        The whole configuration.
    on_start : callable
        Told one line that says who runs, on what, and where its health is served.

    Raises
    ------
    ConfigError
        If a topic is missing or differs, the policy or the ring of keys is bad, or the HTTP port
        is taken.
    BrokerError
        If Kafka does not answer at the start.
    """
    scorers(load_policy(config.policy), models=model_names(config))
    # A worker orders a patient's quarantine by a command on the log.
    kinds = ("command", "tick") if config.worker.ticks == "wall" else ("command",)
    ring = load_ring(config, *kinds)
    settings = replace(settings_of(config), sign=ring.sign)
    _make_folder(Path(settings.datadir))
    require_topics(config)
    metrics = Metrics(CollectorRegistry())
    metrics.models({seat.name: seat.detail or seat.absent for seat in open_seats(config)})
    served = "no HTTP"
    with ExitStack() as stack:
        if config.worker.http_port >= 0:
            host, port = config.worker.http_host, config.worker.http_port
            limit_s = STALE_S if settings.ticks == "wall" else None
            server = stack.enter_context(HealthServer(metrics, host, port, limit_s))
            served = f"http://{host}:{server.port}/metrics /healthz /readyz"
        on_start(
            f"worker {settings.instance} of group {settings.group} on {settings.bootstrap}, "
            f"topics {settings.prefix}.*; {served}"
        )
        warm_up()  # seconds, once on a machine: no patient's first minute waits for it
        row_texts.warm_up()
        if settings.ticks == "wall":
            stack.enter_context(Beating(config, settings.instance, metrics))
        logs.hear_clients()
        collector.calm()
        return run(
            config.worker.runner,
            settings,
            lambda: _engine(config, metrics, ring.keys),
            metrics,
        )


def _engine(config: Config, metrics: Metrics, keys: Keyring) -> Engine:
    """An engine whose figures are shown."""
    engine = build_engine(config, metrics.timed, keys)
    metrics.taken(engine.counters, engine.spreads)
    return engine


def _make_folder(folder: Path) -> None:
    """Faust makes no parents of its folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"worker.data_dir {folder}: cannot be made ({error.strerror}); set VIGIL_DATA_DIR"
        ) from error

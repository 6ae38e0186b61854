"""Start a live worker from the configuration: engine, metrics, health page, Faust."""

from __future__ import annotations

from pathlib import Path

from service.config import Config
from streams.io.faust_worker import WorkerSettings


def settings_of(config: Config) -> WorkerSettings:
    """The worker's part of the configuration."""
    worker, kafka = config.worker, config.kafka
    given = {"instance": worker.instance} if worker.instance else {}
    return WorkerSettings(
        bootstrap=kafka.bootstrap,
        prefix=kafka.prefix,
        group=kafka.group,
        ticks="wall" if worker.ticks == "wall" else "recorded",
        checkpoint_s=worker.checkpoint_s,
        take_records=worker.batch,
        take_within_s=worker.within_s,
        datadir=str(Path(worker.data_dir).resolve()),
        **given,
    )

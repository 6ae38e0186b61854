"""`vigil doctor`: what is wrong, and what to do about it. Each check stands alone."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from service.build import load_policy
from service.config import Config
from streams.errors import VigilError
from streams.io.kafka_admin import check_topics
from streams.io.store import Store

FREE_BYTES = 1 << 30


class Finding(NamedTuple):
    """One check: its result in words, and a remedy when it failed."""

    name: str
    ok: bool
    detail: str
    remedy: str


def examine(config: Config) -> list[Finding]:
    """Run every check; none of them raises."""
    checks: tuple[tuple[str, Callable[[Config], str], str], ...] = (
        ("policy", _policy, "vigil policy check FILE; leave `policy` out for the shipped one"),
        ("broker", _broker, "deploy/services up kafka, or set VIGIL_KAFKA to host:port"),
        ("topics", _topics, "vigil init"),
        ("database", _database, "deploy/services up timescale, or set VIGIL_DATABASE; vigil init"),
        ("disk", _disk, "free at least 1 GiB for worker.data_dir"),
    )
    return [_run(name, check, remedy, config) for name, check, remedy in checks]


def _run(name: str, check: Callable[[Config], str], remedy: str, config: Config) -> Finding:
    try:
        return Finding(name, True, check(config), "")
    except (VigilError, OSError) as error:
        return Finding(name, False, str(error), remedy)


def _policy(config: Config) -> str:
    policy = load_policy(config.policy)
    return f"{policy.ref.id} {policy.ref.version}"


def _broker(config: Config) -> str:
    host, _, port = config.kafka.bootstrap.split(",")[0].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=3):
        return f"{config.kafka.bootstrap} answers"


def _topics(config: Config) -> str:
    faults = check_topics(config.kafka.bootstrap, config.kafka.prefix)
    if faults:
        raise OSError("; ".join(faults))
    return f"all topics of {config.kafka.prefix} are there"


def _database(config: Config) -> str:
    with Store.connect(config.database_dsn()) as store:
        version = store.schema_version()
        return f"{store.edition()}, schema version {version}"


def _disk(config: Config) -> str:
    folder = Path(config.worker.data_dir)
    while not folder.exists():
        folder = folder.parent if folder != folder.parent else Path("/")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise OSError(f"only {free >> 20} MiB free at {config.worker.data_dir}")
    return f"{free >> 30} GiB free"

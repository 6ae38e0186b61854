"""`vigil doctor`: what is wrong, and what to do about it. Each check stands alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from service.artifacts import open_seats
from service.build import load_policy, model_names, scorers
from service.config import Config, redact_dsn
from service.keys import load_ring
from service.topics import require_topics
from streams.errors import StoreError, VigilError
from streams.io.kafka_admin import describe
from streams.io.migrate import SCHEMA_VERSION
from streams.io.store import Store
from streams.io.timescale import RetrySpec

FREE_BYTES = 1 << 30
FEED_S = 60.0  # a feed that runs has published by then, whatever else came
CLOCK_S = 2.0  # further apart, ages and silences are wrong by more than a tick's half
QUICK = RetrySpec(attempts=1)


class Finding(NamedTuple):
    """One check: its result in words, and a remedy when it failed."""

    name: str
    ok: bool
    detail: str
    remedy: str


class _CheckError(VigilError):
    """A check that failed without an error of its own."""


def examine(config: Config) -> list[Finding]:
    """Run every check; none of them raises."""
    checks: tuple[tuple[str, Callable[[Config], str], str], ...] = (
        ("policy", _policy, "correct the file `policy` names, or leave the key out"),
        ("models", _models, "correct [[models]], or leave the table out; the rules go on"),
        ("keys", _keys, "correct the file `keys.file` names; vigil keys new makes keys"),
        ("broker", _broker, "deploy/services up kafka, or set VIGIL_KAFKA to host:port"),
        ("topics", _topics, "vigil init, once the broker answers"),
        ("database", _database, "deploy/services up timescale, or set VIGIL_DATABASE"),
        ("schema", _schema, "vigil init, once the database answers"),
        ("roles", _roles, "vigil init, by a login that may create roles"),
        ("feed", _feed, "vigil events feed, or look at what it says"),
        ("clock", _clock, "synchronise this machine and the database's (NTP)"),
        ("disk", _disk, "free at least 1 GiB for worker.data_dir, or set VIGIL_DATA_DIR"),
    )
    return [_run(name, check, remedy, config) for name, check, remedy in checks]


def _run(name: str, check: Callable[[Config], str], remedy: str, config: Config) -> Finding:
    try:
        return Finding(name, True, check(config), "")
    except (VigilError, OSError) as error:
        return Finding(name, False, " ".join(str(error).split()), remedy)


def _policy(config: Config) -> str:
    policy = load_policy(config.policy)
    scorers(policy, models=model_names(config))
    return f"{policy.ref.id} {policy.ref.version}"


def _models(config: Config) -> str:
    """Open every configured model, as a worker would."""
    seats = open_seats(config)
    empty = [f"{seat.name}: {seat.detail or seat.absent}" for seat in seats if not seat.versions]
    if empty:
        raise _CheckError("; ".join(empty))
    return ", ".join(f"{s.name} {'/'.join(s.versions)}" for s in seats) or "none: rules only"


def _keys(config: Config) -> str:
    ring = load_ring(config)
    if not ring.keys:
        return "no signatures: whoever may write the log may command"
    return f"{len(ring.keys)} keys; commands and ticks must be signed"


def _broker(config: Config) -> str:
    describe(config.kafka.broker, config.kafka.prefix)
    return f"{config.kafka.bootstrap} answers"


def _topics(config: Config) -> str:
    require_topics(config)
    return f"all of {config.kafka.prefix}.* with {config.kafka.partitions} partitions"


def _database(config: Config) -> str:
    with Store.connect(config.database_dsn(), QUICK) as store:
        return f"{redact_dsn(config.database.dsn)} answers: {store.edition()}"


def _schema(config: Config) -> str:
    with Store.connect(config.database_dsn(), QUICK) as store:
        version = store.schema_version()
    if version != SCHEMA_VERSION:
        raise _CheckError(f"version {version}, this build needs {SCHEMA_VERSION}")
    return f"version {version}"


def _roles(config: Config) -> str:
    """Say who owns the tables; one login that owns everything is for trying things out."""
    try:
        with Store.connect(config.database_dsn(), QUICK) as store:
            owner = store.owner()
    except StoreError:
        return "not looked at: the database has no schema or does not answer"
    if owner == "vigil_migrate":
        return "vigil_migrate, vigil_writer, vigil_reader and vigil_audit are in force"
    return f"none: {owner} owns everything and may change it"


def _feed(config: Config) -> str:
    """Fail if facts wait for the log although a feed publishes, or did until lately."""
    try:
        with Store.connect(config.database_dsn(), QUICK) as store:
            backlog = store.feed.backlog()
    except StoreError:
        return "not looked at: the database has no schema or does not answer"
    waits = f"{backlog.rows} events wait for the log, the oldest for {backlog.oldest_s:.0f} s"
    if backlog.held and config.feed.patients == "all" and backlog.oldest_s > FEED_S:
        raise _CheckError(waits)
    return waits if backlog.rows else "no event waits for the log"


def _clock(config: Config) -> str:
    """Compare this machine's clock with the database's."""
    try:
        with Store.connect(config.database_dsn(), QUICK) as store:
            ahead_s = time.time() - store.now_us() / 1e6
    except StoreError:
        return "not compared: the database does not answer"
    if abs(ahead_s) > CLOCK_S:
        raise _CheckError(f"this machine is {ahead_s:+.1f} s from the database")
    return f"{ahead_s * 1e3:+.0f} ms from the database"


def _disk(config: Config) -> str:
    folder = Path(config.worker.data_dir).resolve()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES:
        raise _CheckError(f"only {free >> 20} MiB free at {config.worker.data_dir}")
    return f"{free >> 30} GiB free"

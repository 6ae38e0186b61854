"""`vigil events`, `vigil ingest`, `vigil sink`: data into the database, onto the log, off it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli import import_cli
from service.cli.common import (
    EXIT_REFUSED,
    AsJson,
    ConfigFile,
    configured,
    note_access,
    open_store,
    progress,
    say,
    tell,
    warn,
)

if TYPE_CHECKING:
    from service.replay import Inputs
    from streams.io.ingest import IngestReport

events_app = typer.Typer(
    help="Clinical events: labs, vitals, medication, notes.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    import_cli.add_to(events_app)
    app.add_typer(events_app, name="events", rich_help_panel="Data")
    app.command("ingest", rich_help_panel="Data")(ingest)
    app.command("sink", rich_help_panel="Live")(sink)
    app.command("upkeep", rich_help_panel="Data")(upkeep)


@events_app.command("list")
def list_events(
    patient: Annotated[str, typer.Option("--patient", help="Only this patient.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help="As known then: ISO 8601 with a zone.")
    ] = "",
    as_used: Annotated[
        bool, typer.Option("--as-used", help="With --known-at: as the engine could know it.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List stored events in the order they became known.

    With --known-at, only what was known then: the newest version of each
    event at that time, by patient and event time, cancelled ones left out.

    Example: vigil events list --patient p1 --known-at 2024-03-01T10:00:00Z
    """
    from itertools import islice

    from service.event_store import known_time_us, listed
    from streams.codec import MAX_TIME_US

    patients = [patient] if patient else None
    known_us = known_time_us(known_at) if known_at else None
    with open_store(configured(config_file)) as store:
        asked = {"known_at": known_at, "as_used": as_used, "limit": limit}
        note_access(store, "events.list", "clinical_events", patients or (), asked)
        stored = (
            store.stored_events(patients, 0, MAX_TIME_US)
            if known_us is None
            else store.known_at(known_us, patients, as_used=as_used)
        )
        rows = [listed(event) for event in islice(stored, limit)]
    if as_json:
        say(rows)
        return
    shown = ("patient_id", "known_time", "event_time", "code", "value", "unit", "status")
    for row in rows:
        tell("  ".join(str(row[name]) for name in shown))
    if not rows:
        warn("no events; `vigil events import FILE` stores some")


@events_app.command("feed")
def feed(
    once: Annotated[bool, typer.Option("--once", help="Publish what waits, then end.")] = False,
    again: Annotated[
        list[str] | None,
        typer.Option("--again", help="Publish this patient's events anew first; `*`: everyone's."),
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Publish new rows of the database to the patients' logs, until stopped.

    The feed is how a stored fact reaches the engine. It waits while the
    database or the broker is away, and publishes every row once. Several
    may run: one publishes, the others stand by.

    Example: vigil events feed --once
    """
    from service.feed import run

    everyone = again is not None and "*" in again
    count = run(configured(config_file), once=once, again=() if everyone else again)
    if as_json:
        say({"published": count})
    else:
        tell(f"{count} events published")


def ingest(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Recordings: files or folders.")
    ],
    events: Annotated[
        Path | None, typer.Option("--events", help="Clinical events to play with them.")
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="1 is real time, N is N times as fast, or max.")
    ] = "1",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Play recordings onto Kafka as a gateway would, with recorded times.

    The log brings its own ticks. The topics must keep old records: create
    them with `vigil init --recorded-time` under a prefix of their own, and
    run the worker with `worker.ticks = "recorded"`.

    Example: VIGIL_PREFIX=history vigil ingest recordings/ --speed max
    """
    from service.replay import load
    from service.topics import require_topics

    config = configured(config_file)
    factor = _factor(speed)
    require_topics(config, recorded_time=True)
    with progress() as watcher:
        inputs = load(sources, events, watcher=watcher)
    report = asyncio.run(_write(inputs, config, factor))
    for fault in inputs.faults:
        warn(f"refused: {fault}")
    if as_json:
        say(report._asdict())
    else:
        tell(
            f"{report.records} records, {report.chunks} chunks, {report.ticks} ticks, "
            f"{report.size_bytes} bytes in {report.seconds:.1f} s"
        )
    return EXIT_REFUSED if inputs.faults else 0


def _factor(speed: str) -> float | None:
    from streams.errors import ConfigError

    if speed == "max":
        return None
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0 < factor <= 1e6:
        raise ConfigError(f"--speed {speed}: must be a number above 0, or max")
    return factor


async def _write(inputs: Inputs, config: Any, factor: float | None) -> IngestReport:
    from service.keys import load_ring, with_signed_ticks
    from service.replay import entries
    from streams.io.ingest import ingest as play
    from streams.io.kafka_log import LogWriter

    ring = load_ring(config, "tick")
    async with LogWriter(config.kafka.broker) as writer:
        log = with_signed_ticks(entries(inputs, config.kafka.partitions), ring)
        return await play(log, writer, prefix=config.kafka.prefix, speed=factor)


def sink(config_file: ConfigFile = None) -> None:
    """Write features, scores and alerts from Kafka into the database.

    Runs until stopped, as a process of its own: while the database is away
    it waits, and no alert waits with it. A row is written once however
    often the sink is started again.

    Example: vigil sink --config vigil.toml
    """
    from service.sink_host import run

    run(configured(config_file))


def upkeep(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Drop from the database what is older than the table retention says, once.

    `vigil sink` does the same every hour. What `vigil init` was told last
    counts, not the file of this call: only the owner decides what goes.

    Example: vigil upkeep --json
    """
    with open_store(configured(config_file)) as store:
        dropped = store.upkeep()
    if as_json:
        say(dropped)
        return
    for table, count in dropped.items():
        tell(f"{table}: {count} dropped")
    if not dropped:
        tell("nothing is dropped: every table is kept for ever")

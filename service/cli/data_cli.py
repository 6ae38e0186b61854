"""`vigil events`, `vigil ingest`, `vigil sink`: data into the database, onto the log, off it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.common import (
    ERR,
    EXIT_REFUSED,
    OUT,
    AsJson,
    ConfigFile,
    configured,
    progress,
    say,
)

events_app = typer.Typer(
    help="Clinical events: labs, vitals, medication, notes.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(events_app, name="events", rich_help_panel="Data")
    app.command("ingest", rich_help_panel="Data")(ingest)
    app.command("sink", rich_help_panel="Live")(sink)


@events_app.command("import")
def import_events(
    file: Annotated[Path, typer.Argument(help="CSV file of events.")],
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Import a CSV of clinical events into the database; importing again changes nothing.

    Columns: patient_id,event_time,known_time,code,value,unit,text,source. Times are ISO 8601 with
    a zone. A bad row is reported with its line and reason; the others go in.
    """
    from service import event_store
    from streams.io.store import Store

    config = configured(config_file)

    def refuse(error: Any) -> None:
        line = f"refused: {error.file}: line {error.line}: {error.column or 'row'}: {error.rule}"
        ERR.print(line, style="yellow", markup=False, highlight=False)

    with Store.connect(config.database_dsn()) as store:
        store.migrate()
        report = event_store.import_events(store, file, on_error=refuse)
    if as_json:
        say(report._asdict())
    else:
        for name, value in report._asdict().items():
            OUT.print(f"{name:>12}  {value}", markup=False, highlight=False)
    return EXIT_REFUSED if report.refused or report.changed else 0


@events_app.command("list")
def list_events(
    patient: Annotated[str, typer.Option("--patient", help="Only this patient.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List stored events in the order they became known."""
    from itertools import islice

    from rich.table import Table

    from service.event_store import listed
    from streams.codec import MAX_TIME_US
    from streams.io.store import Store

    with Store.connect(configured(config_file).database_dsn()) as store:
        stored = store.stored_events([patient] if patient else None, 0, MAX_TIME_US)
        rows = [listed(event) for event in islice(stored, limit)]
    if as_json:
        say(rows)
        return
    shown = ("patient_id", "known_time", "event_time", "code", "value", "unit", "status")
    table = Table(*shown)
    for row in rows:
        table.add_row(*(str(row[name]) for name in shown))
    OUT.print(table)


@events_app.command("feed")
def feed(
    once: Annotated[bool, typer.Option("--once", help="Publish what waits, then end.")] = False,
    config_file: ConfigFile = None,
) -> None:
    """Publish new rows of the database to the patients' logs, until stopped."""
    from service.feed import run

    count = run(configured(config_file), once=once)
    ERR.print(f"{count} events published", highlight=False)


def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Recordings.")],
    events: Annotated[
        Path | None, typer.Option("--events", help="Clinical events CSV to play with them.")
    ] = None,
    speed: Annotated[
        str, typer.Option("--speed", help="1 is real time, N is N times as fast, or max.")
    ] = "1",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Play recordings onto Kafka as a gateway would, with their recorded times and ticks.

    The topics must keep old records: create them with `vigil init --recorded-time`, and run the
    worker with `worker.ticks = "recorded"`.
    """
    from service.replay import entries, load
    from streams.errors import ConfigError
    from streams.io.ingest import ingest as play
    from streams.io.kafka_log import LogWriter

    config = configured(config_file)
    try:
        factor = None if speed == "max" else float(speed)
    except ValueError as error:
        raise ConfigError(f"--speed {speed}: must be a number or max") from error
    with progress() as watcher:
        inputs = load(sources, events, watcher=watcher)

    async def write() -> Any:
        async with LogWriter(config.kafka.bootstrap) as writer:
            log = entries(inputs, config.kafka.partitions)
            return await play(log, writer, prefix=config.kafka.prefix, speed=factor)

    report = asyncio.run(write())
    for fault in inputs.faults:
        ERR.print(f"refused: {fault}", style="yellow", markup=False, highlight=False)
    if as_json:
        say(report._asdict())
    else:
        OUT.print(
            f"{report.records} records, {report.chunks} chunks, {report.ticks} ticks, "
            f"{report.size_bytes} bytes in {report.seconds:.1f} s",
            highlight=False,
        )
    return EXIT_REFUSED if inputs.faults else 0


def sink(config_file: ConfigFile = None) -> None:
    """Write features, scores and alerts from Kafka into the database, until stopped."""
    from service.sink_host import run

    run(configured(config_file))

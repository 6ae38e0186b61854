"""`vigil events import` and `vigil events quarantine`: facts in, and what a person says of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.common import (
    EXIT_REFUSED,
    AsJson,
    ConfigFile,
    configured,
    login,
    note_access,
    open_store,
    progress,
    say,
    tell,
    warn,
)

if TYPE_CHECKING:
    from service.importers.contract import Job
    from service.importers.run import ImportReport
    from streams.io.store_quarantine import Selection

SHOWN_SKIPPED = 10
SHOWN_ERRORS = 1_000  # told one by one; the rest is counted

quarantine_app = typer.Typer(
    help="Facts whose code or unit means nothing yet: look, say what they are, release.",
    no_args_is_help=True,
)

Coding = Annotated[str, typer.Option("--coding", help='Only this coding, "system|code".')]
Written = Annotated[
    str | None, typer.Option("--written", help='Only this written unit; "" for none.')
]
Who = Annotated[str, typer.Option("--who", help="Who decides; the login by default.")]


def add_to(events_app: typer.Typer) -> None:
    """Register the commands."""
    events_app.command("import")(import_events)
    events_app.command("export")(export_events)
    events_app.add_typer(quarantine_app, name="quarantine")


def import_events(  # noqa: PLR0913 - one parameter per option
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files or folders; see docs/importers.md."),
    ],
    form: Annotated[str, typer.Option("--format", help="Format, if not to be found out.")] = "",
    zone: Annotated[str, typer.Option("--zone", help="Zone of times written without one.")] = "",
    delay_s: Annotated[
        float | None,
        typer.Option("--delay-s", min=0, help="How long after it happened a fact became known."),
    ] = None,
    patient: Annotated[str, typer.Option("--patient", help="Whose, if the source says not.")] = "",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="File that notes how far it is.")
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Import clinical events; importing them again changes nothing.

    A bad row is told with its line and its reason, the others go in. What
    only lacks a meaning waits: `vigil events quarantine list`. A fact is
    never taken without a zone or the time it became known: say --zone and
    --delay-s where the source does not. Exit code 1: rows were refused.

    Example: vigil events import labs.csv bundle.json mimic-iii/ --zone UTC
    """
    from service.importers import registry
    from service.importers.contract import Job
    from service.importers.run import import_source
    from service.importers.times import zone as zone_named
    from service.quarantine import terms_of
    from streams.errors import ConfigError

    if checkpoint is not None and len(files) > 1:
        raise ConfigError("--checkpoint is of one source: import one at a time")
    local = zone_named(zone) if zone else None
    jobs = [Job(path, local, delay_s, patient, checkpoint=checkpoint) for path in files]
    importers = [registry.named(form) if form else registry.detect(path) for path in files]
    reports = []
    with open_store(configured(config_file)) as store, progress() as watcher:
        if not store.ready():
            store.migrate()
        for importer, job in zip(importers, jobs, strict=True):
            terms = terms_of(store)
            reports.append(import_source(store, importer, job, _Told(), terms, watcher))
    for job, report in zip(jobs, reports, strict=True):
        _tell(job, report, as_json=as_json)
    if as_json:
        said = [report._asdict() for report in reports]
        say(said[0] if len(said) == 1 else said)
    return EXIT_REFUSED if any(r.refused or r.changed for r in reports) else 0


class _Told:
    """Tells errors one by one, and says so when it stops."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, error: Any) -> None:
        self._count += 1
        if self._count <= SHOWN_ERRORS:
            warn(f"refused: {error.file}: line {error.line}: {error.column or 'row'}: {error.rule}")
        elif self._count == SHOWN_ERRORS + 1:
            warn("refused: and more, which are only counted")


def _tell(job: Job, report: ImportReport, *, as_json: bool) -> None:
    """One line of what happened, and what was left out."""
    if report.changed:
        shown = ", ".join(report.changed_ids[:3])
        warn(
            f"refused: {job.path}: {report.changed} rows differ from what is stored under the same "
            f"id and version ({shown}); a correction needs a higher version"
        )
    if report.waiting:
        warn(f"{report.waiting} facts wait for a meaning: vigil events quarantine list")
    if as_json:
        return
    refused = sum(report.refused.values())
    tell(
        f"{report.rows} rows: {report.inserted} new, {report.present} known already, "
        f"{report.changed} changed and not written, {refused} refused"
    )
    left = sum(report.skipped.values())
    for kind, rows in list(report.skipped.items())[:SHOWN_SKIPPED]:
        tell(f"  left out: {rows} {kind}")
    if len(report.skipped) > SHOWN_SKIPPED:
        tell(f"  left out in all: {left} of {len(report.skipped)} kinds; --json shows them")


def export_events(
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="File to write.")],
    patient: Annotated[
        list[str] | None, typer.Option("--patient", help="Only these patients.")
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write stored events as MEDS Parquet; importing it gives the same events.

    Example: vigil events export ward.parquet
    """
    from operator import attrgetter

    from service.meds_export import export
    from streams.codec import MAX_TIME_US

    with open_store(configured(config_file)) as store:
        note_access(store, "events.export", "clinical_events", patient or (), {"out": str(out)})
        found = list(store.events(patient, 0, MAX_TIME_US))
        found.sort(key=attrgetter("patient_id", "event_time_us", "event_id", "version"))
        count = export(found, out)
    if as_json:
        say({"written": count})
    else:
        tell(f"{count} events written to {out}")


@quarantine_app.command("list")
def list_waiting(
    rows: Annotated[bool, typer.Option("--rows", help="Single rows instead of groups.")] = False,
    coding: Coding = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many rows.")] = 100,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits: reason, coding, unit, how many facts of how many patients.

    Example: vigil events quarantine list
    """
    with open_store(configured(config_file)) as store:
        if rows:
            asked = {"coding": coding, "limit": limit}
            note_access(store, "quarantine.list", "event_quarantine", (), asked)
            which = _which(coding)
            found = store.quarantine.rows("waiting", which, limit=limit)
            shown = [
                {k: v for k, v in row._asdict().items() if k not in ("original", "key")}
                for row in found
            ]
        else:
            shown = [g._asdict() for g in store.quarantine.groups() if coding in ("", g.coding)]
    if as_json:
        say(shown)
        return
    for entry in shown:
        tell(
            "  ".join(f"{name}={value}" for name, value in entry.items() if value not in ("", None))
        )
    if not shown:
        warn("nothing waits")


@quarantine_app.command("map")
def map_waiting(  # noqa: PLR0913 - one parameter per option
    coding: Annotated[str, typer.Argument(help='Coding as listed, "system|code".')],
    concept: Annotated[
        str, typer.Option("--concept", help="Concept it is; docs/concepts.md.")
    ] = "",
    unit: Annotated[str, typer.Option("--unit", help="Unit its values are in.")] = "",
    written: Written = None,
    who: Who = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what a coding or a unit means; it holds for what comes later, too.

    The facts wait on until they are released.

    Example: vigil events quarantine map "lab|KAL" --concept k --unit mmol/L
    """
    from service import quarantine

    with open_store(configured(config_file)) as store:
        which = _which(coding, written)
        count = quarantine.say(store, which, concept, unit, who or login())
    if as_json:
        say({"mapped": count})
    else:
        tell(f"{count} facts have a meaning now; `vigil events quarantine release` stores them")


@quarantine_app.command("release")
def release_waiting(
    coding: Coding = "",
    written: Written = None,
    who: Who = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Store the waiting facts that have a meaning by now; the others wait on.

    Exit code 1: some wait on.

    Example: vigil events quarantine release
    """
    from service import quarantine

    with open_store(configured(config_file)) as store:
        which = _which(coding, written)
        done = quarantine.release(store, which, who or login(), _Told())
    if as_json:
        say(done._asdict())
    else:
        tell(
            f"{done.released} of {done.looked_at} facts released, {done.inserted} new events, "
            f"{sum(done.still.values())} wait on"
        )
    return EXIT_REFUSED if done.still else 0


def _which(coding: str, written: str | None = None) -> Selection:
    from streams.io.store_quarantine import Selection

    return Selection(coding=coding, unit=written)

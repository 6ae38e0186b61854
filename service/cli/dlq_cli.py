"""`vigil dlq list|show|replay`: what was refused, and bringing it back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from service.cli.common import EXIT_REFUSED, AsJson, ConfigFile, configured, say, tell, warn

dlq_app = typer.Typer(
    name="dlq",
    help="Records that were refused: why, where, and bringing them back.",
    no_args_is_help=True,
)
Patient = Annotated[str, typer.Option("--patient", help="Only what names this patient.")]
Reason = Annotated[str, typer.Option("--reason", help="Only this reason, e.g. engine_fault.")]


def add_to(app: typer.Typer) -> None:
    """Register the group."""
    for command, name in ((list_letters, "list"), (show, "show"), (replay, "replay")):
        dlq_app.command(name)(command)
    app.add_typer(dlq_app)


def list_letters(
    patient: Patient = "",
    reason: Reason = "",
    as_json: AsJson = False,
    config_file: ConfigFile = None,
) -> int:
    """Count what was refused, by reason, with the newest place of each.

    Example: vigil dlq list --reason engine_fault
    """
    from service.dead_letters import letters, summary

    found = asyncio.run(letters(configured(config_file), patient, reason))
    tallies = summary(found)
    if as_json:
        say([tally._asdict() for tally in tallies])
    else:
        for tally in tallies:
            tell(f"{tally.n:8d}  {tally.reason:18s} newest {tally.newest}")
    return 0


def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET")],
    as_json: AsJson = False,
    config_file: ConfigFile = None,
) -> int:
    """Show the refusals of one record; its bytes are decoded as far as they can be.

    Example: vigil dlq show 12:4711
    """
    from service.dead_letters import letters

    found = [r for r in asyncio.run(letters(configured(config_file))) if r.place == place]
    if as_json:
        say([letter.shown() for letter in found])
    else:
        for letter in found:
            tell(letter.words())
    return 0 if found else EXIT_REFUSED


def replay(
    patient: Annotated[str, typer.Argument(help="Whose records, and whose quarantine ends.")],
    reason: Reason = "engine_fault",
    by: Annotated[str, typer.Option("--by", help="Who asks.")] = "operator",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    config_file: ConfigFile = None,
) -> int:
    """Watch a patient again after the fault is mended, and put the refused records back.

    The records are appended anew, in their order: what is later than the lateness is computed as
    backfill and wakes nobody.

    Example: vigil dlq replay bed-7
    """
    from service.dead_letters import letters, send_again

    config = configured(config_file)
    found = asyncio.run(letters(config, patient, reason))
    lost = 0 if dry_run else asyncio.run(send_again(config, patient, by, found))
    tell(f"{len(found)} records of {patient} {'would be' if dry_run else 'are'} on the log again")
    if lost:
        warn(
            f"{lost} of them may be notes whose words the log no longer has: "
            f"vigil events feed --again {patient}"
        )
    return 0

"""`vigil audit`: what was done and delivered, and proof that nobody changed it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import EXIT_DATA, AsJson, ConfigFile, configured, say, tell
from streams.errors import ConfigError

audit_app = typer.Typer(help="Hash-chained logs of actions and deliveries.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(audit_app, name="audit", rich_help_panel="Setup")


@audit_app.command("follow")
def follow(config_file: ConfigFile = None) -> None:
    """Write what people and services do to alerts, until SIGTERM or Ctrl-C.

    Carried out and refused actions alike, each once, into audit_dir.

    Example: vigil audit follow --config vigil.toml
    """
    from service.action_log import run

    run(configured(config_file), tell)


@audit_app.command("verify")
def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Logs (default: all in audit_dir)."),
    ] = None,
    head: Annotated[str, typer.Option("--head", help="N:HASH kept elsewhere; of one FILE.")] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> int:
    """Check the chains: any changed, removed, added or moved line is found.

    Prints each log's head. Lines cut off the end show only against a head:
    the one beside the file, or one you kept elsewhere and give with --head.
    Exit code 3: a fault was found.

    Example: vigil audit verify .vigil/audit/actions.jsonl
    """
    from service.audit import parse_head
    from service.audit import verify as check

    kept = parse_head(head) if head else None
    found = files or sorted(Path(configured(config_file).audit_dir).glob("*.jsonl"))
    if not found:
        raise ConfigError("no audit logs there yet; name a FILE")
    if kept is not None and len(found) != 1:
        raise ConfigError("--head belongs to one FILE")
    verdicts = {str(path): check(path, kept) for path in found}
    if as_json:
        say({path: verdict._asdict() for path, verdict in verdicts.items()})
    else:
        for path, verdict in verdicts.items():
            state = "whole" if not verdict.faults else "BROKEN"
            tell(f"{path}: {state}, {verdict.rows} rows, head {verdict.head.n}:{verdict.head.hash}")
            for fault in verdict.faults:
                tell(f"  {fault}")
    return EXIT_DATA if any(verdict.faults for verdict in verdicts.values()) else 0

"""`vigil deliver|watch`: alerts to other systems, and proof that they arrive."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.common import ConfigFile, configured, warn


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("deliver", rich_help_panel="Live")(deliver)
    app.command("watch", rich_help_panel="Live")(watch)


def deliver(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The target of the table deliver.NAME.")
    ],
    config_file: ConfigFile = None,
) -> None:
    """Hand alerts to one target until SIGTERM or Ctrl-C.

    A webhook, Alertmanager, PagerDuty, FHIR or HL7 v2. At least once, in
    order per alert. While the target is away its events wait. Every
    attempt is written to audit_dir before it is made.

    Example: vigil deliver pager --config vigil.toml
    """
    from service.deliver_host import run

    config = configured(config_file)
    if name in config.deliver:
        warn(f"delivering to {name}; Ctrl-C ends it and loses nothing")
    run(config, name)


def watch(config_file: ConfigFile = None) -> None:
    """Watch that alerts are confirmed and workers beat; until SIGTERM or Ctrl-C.

    What is missing raises a technical alert and shows in /metrics.

    Example: vigil watch --config vigil.toml
    """
    from service.watch import run

    run(configured(config_file))

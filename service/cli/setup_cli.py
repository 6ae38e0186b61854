"""`vigil init|doctor|config|policy`: prepare, check, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import EXIT_OPERATION, OUT, AsJson, ConfigFile, configured, say

config_app = typer.Typer(help="The effective configuration.", no_args_is_help=True)
policy_app = typer.Typer(help="Alert policies.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("init", rich_help_panel="Setup")(init)
    app.command("doctor", rich_help_panel="Setup")(doctor)
    app.add_typer(config_app, name="config", rich_help_panel="Setup")
    app.add_typer(policy_app, name="policy", rich_help_panel="Setup")


def init(
    recorded_time: Annotated[
        bool, typer.Option("--recorded-time", help="Topics for recorded history: no age limit.")
    ] = False,
    database: Annotated[
        bool, typer.Option("--database/--no-database", help="Also set up the database.")
    ] = True,
    config_file: ConfigFile = None,
) -> None:
    """Create the topics and the database schema; running it again changes nothing."""
    from streams.io.kafka_admin import create_topics

    config = configured(config_file)
    kafka = config.kafka
    created = create_topics(
        kafka.bootstrap,
        kafka.prefix,
        kafka.partitions,
        kafka.replication,
        recorded_time=recorded_time,
    )
    OUT.print(f"topics: {len(created)} created, the others were there", highlight=False)
    if database:
        from streams.io.store import Store

        with Store.connect(config.database_dsn()) as store:
            edition = store.migrate()
        OUT.print(f"database: schema ready on {edition}", highlight=False)


def doctor(config_file: ConfigFile = None, as_json: AsJson = False) -> int:
    """Check broker, topics, database, disk and clock; say what is wrong and what to do."""
    from service.doctor import examine

    findings = examine(configured(config_file))
    if as_json:
        say([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[red]bad[/]"
            OUT.print(mark, end=" ")
            OUT.print(f"{finding.name}: {finding.detail}", markup=False, highlight=False)
            if finding.remedy:
                OUT.print(f"    do: {finding.remedy}", markup=False, highlight=False)
    return 0 if all(finding.ok for finding in findings) else EXIT_OPERATION


@config_app.command("show")
def show(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print the effective configuration as TOML, secrets replaced by ***."""
    from service.config import to_toml

    config = configured(config_file).redacted()
    if as_json:
        say(config)
    else:
        OUT.print(to_toml(config), markup=False, highlight=False)


@config_app.command("check")
def check(config_file: ConfigFile = None) -> None:
    """Check the configuration and the policy it names."""
    from service.build import load_policy

    config = configured(config_file)
    policy = load_policy(config.policy)
    OUT.print(
        f"configuration is valid; policy {policy.ref.id} {policy.ref.version}", highlight=False
    )


@policy_app.command("check")
def check_policy(
    file: Annotated[Path, typer.Argument(help="Policy file.")], as_json: AsJson = False
) -> None:
    """Check a policy file: unknown keys, impossible levels, missing tables."""
    from service.build import load_policy

    policy = load_policy(str(file))
    if as_json:
        say({"id": policy.ref.id, "version": policy.ref.version, "digest": policy.digest})
    else:
        OUT.print(f"{file}: valid, {policy.ref.id} {policy.ref.version}", highlight=False)

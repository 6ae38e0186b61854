"""`vigil init|doctor|config|policy`: prepare, check, explain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import (
    EXIT_OPERATION,
    AsJson,
    ConfigFile,
    configured,
    open_store,
    say,
    tell,
)

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
    as_json: AsJson = False,
) -> None:
    """Create the topics and the database schema; again changes nothing.

    The partition count is fixed when the topics are created: it decides
    where a patient's log is.

    Example: VIGIL_KAFKA=broker:9092 vigil init --no-database
    """
    from streams.io.kafka_admin import create_topics

    config = configured(config_file)
    kafka = config.kafka
    created = create_topics(
        kafka.broker,
        kafka.prefix,
        kafka.partitions,
        kafka.replication,
        recorded_time=recorded_time,
    )
    edition = None
    if not as_json:
        tell(f"topics: {len(created)} created under {kafka.prefix}.*, the others were there")
    if database:
        with open_store(config) as store:
            edition = store.migrate(keep=config.retention.keep)
        if not as_json:
            tell(f"database: schema ready on {edition}")
    if as_json:
        say({"topics_created": created, "database": edition})


def doctor(config_file: ConfigFile = None, as_json: AsJson = False) -> int:
    """Check policy, broker, topics, database, clock and disk.

    Every check stands alone and says what to do when it fails. Exit code 4:
    at least one failed.

    Example: vigil doctor --json
    """
    from service.doctor import examine

    findings = examine(configured(config_file))
    if as_json:
        say([finding._asdict() for finding in findings])
        return 0 if all(finding.ok for finding in findings) else EXIT_OPERATION
    for finding in findings:
        tell(f"{'ok ' if finding.ok else 'BAD'} {finding.name}: {finding.detail}")
        if finding.remedy:
            typer.echo(f"    do: {finding.remedy}")
    return 0 if all(finding.ok for finding in findings) else EXIT_OPERATION


@config_app.command("show")
def show(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print the effective configuration as TOML, secrets replaced by ***.

    Example: vigil config show > vigil.toml
    """
    from service.config import to_toml

    config = configured(config_file).redacted()
    if as_json:
        say(config)
    else:
        typer.echo(to_toml(config))


@config_app.command("check")
def check(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check the configuration and the policy it names; connects to nothing.

    Example: vigil config check --config vigil.toml
    """
    from service.build import load_policy, model_names, scorers
    from service.keys import load_ring

    config = configured(config_file)
    config.database_dsn()
    load_ring(config)
    policy = load_policy(config.policy)
    scorers(policy, models=model_names(config))
    if as_json:
        say({"valid": True, "policy": {"id": policy.ref.id, "version": policy.ref.version}})
    else:
        tell(f"configuration is valid; policy {policy.ref.id} {policy.ref.version}")


@policy_app.command("check")
def check_policy(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Policy file.")],
    as_json: AsJson = False,
) -> None:
    """Check a policy file, and say in words what it does.

    Unknown keys are named with the nearest valid one; impossible levels,
    alerts that would silence themselves, and sources that nothing scores are
    refused.

    Example: vigil policy check ward.toml
    """
    from alerts.explain import explain
    from service.build import load_policy, model_names, scorers

    policy = load_policy(str(file))
    scorers(policy, models=model_names(configured(None)))
    lines = explain(policy)
    if as_json:
        ref = {"id": policy.ref.id, "version": policy.ref.version, "digest": policy.digest}
        say({**ref, "explained": list(lines)})
        return
    tell(f"{file}: valid, {policy.ref.id} {policy.ref.version}")
    for line in lines:
        typer.echo(line)


@policy_app.command("show")
def show_policy() -> None:
    """Print the policy Vigil ships with, to copy and change.

    Example: vigil policy show > ward.toml
    """
    from alerts.policy import default_policy_text

    typer.echo(default_policy_text(), nl=False)

"""The `vigil` command. Commands import what they need when they run: `--help` stays fast."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from service import logs
from service.cli import (
    alert_cli,
    alert_options,
    audit_cli,
    backtest_cli,
    data_cli,
    deliver_cli,
    dlq_cli,
    evaluate_cli,
    grant_cli,
    keys_cli,
    live_cli,
    load_cli,
    models_cli,
    quiet_cli,
    replay_cli,
    setup_cli,
    subscribe_cli,
    train_cli,
)
from service.cli.common import (
    EXIT_BUG,
    EXIT_DATA,
    EXIT_INTERRUPTED,
    EXIT_OPERATION,
    EXIT_USAGE,
    warn,
)
from streams.errors import (
    CheckpointMismatch,
    ConfigError,
    OperationalError,
    SourceError,
    VigilError,
)

EPILOG = (
    "Exit codes: 0 done, 1 finished but something was refused, 2 wrong usage or configuration, "
    "3 input cannot be read, 4 broker or database trouble, 70 bug, 130 interrupted. "
    "Research and engineering software; not a medical device."
)

app = typer.Typer(
    name="vigil",
    help="Watch people who wear sensors: signals and clinical events in, explained alerts out.\n\n"
    "Start with `vigil demo`. On Kafka: `vigil init`, `vigil run`, `vigil subscribe`; "
    "`vigil doctor` says what is missing. On recordings: `vigil replay FOLDER`.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
live_cli.add_to(app)
alert_cli.add_to(app)
quiet_cli.add_to(alert_options.alert_app)
subscribe_cli.add_to(app)
deliver_cli.add_to(app)
replay_cli.add_to(app)
evaluate_cli.add_to(app)
data_cli.add_to(app)
setup_cli.add_to(app)
keys_cli.add_to(app)
grant_cli.add_to(app)
train_cli.add_to(app)
load_cli.add_to(app)
dlq_cli.add_to(app)
backtest_cli.add_to(setup_cli.policy_app)
audit_cli.add_to(app)
models_cli.add_to(app)

_CODES: tuple[tuple[type[VigilError], int], ...] = (
    (ConfigError, EXIT_USAGE),
    (SourceError, EXIT_DATA),
    (CheckpointMismatch, EXIT_DATA),
    (OperationalError, EXIT_OPERATION),
    (VigilError, EXIT_BUG),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; errors are one line that says what to do."""
    logs.configure()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    command = typer.main.get_command(app)
    given = None if arguments is None else list(arguments)
    try:
        code = command.main(args=given, prog_name="vigil", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except typer.TyperException as error:
        return _misused(error)
    except VigilError as error:
        warn(f"error: {error}")
        return next(code for kind, code in _CODES if isinstance(error, kind))
    except Exception as error:  # noqa: BLE001 - the outer edge: a bug is told, not dumped
        return _bug(error)
    return code if isinstance(code, int) else 0


def _misused(error: typer.TyperException) -> int:
    """Wrong options or arguments, in one line. Without any, the help was printed already."""
    said = str(getattr(error, "message", "") or "")
    formatted = getattr(error, "format_message", None)
    if formatted is not None:
        said = formatted()
    if said:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "vigil"
        warn(f"error: {said} (see: {path} --help)")
    return EXIT_USAGE


def _bug(error: Exception) -> int:
    """Tell a bug by its place: its text may hold a patient's data."""
    if os.environ.get("VIGIL_DEBUG"):
        traceback.print_exception(error)
    warn(f"error: a bug in vigil: {logs.place_of(error)} (VIGIL_DEBUG=1 shows its text)")
    return EXIT_BUG


if __name__ == "__main__":
    main()

"""The `vigil` command. Commands import what they need when they run: `--help` stays fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
import typer

from service.cli import data_cli, live_cli, replay_cli, setup_cli
from service.cli.common import (
    ERR,
    EXIT_BUG,
    EXIT_DATA,
    EXIT_INTERRUPTED,
    EXIT_OPERATION,
    EXIT_USAGE,
)
from streams.errors import ConfigError, OperationalError, SourceError, VigilError

EPILOG = (
    "Exit codes: 0 done, 1 finished but something was refused, 2 wrong usage or configuration, "
    "3 input cannot be read, 4 broker or database trouble, 70 bug, 130 interrupted. "
    "Research and engineering software; not a medical device."
)

app = typer.Typer(
    name="vigil",
    help="Watch people who wear sensors: signals and clinical events in, explained alerts out.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
live_cli.add_to(app)
replay_cli.add_to(app)
data_cli.add_to(app)
setup_cli.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; errors are one line that says what to do."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    command = typer.main.get_command(app)
    try:
        code = command.main(
            args=None if arguments is None else list(arguments), standalone_mode=False
        )
    except click.exceptions.Abort:
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return EXIT_USAGE
    except ConfigError as error:
        return _fail(error, EXIT_USAGE)
    except SourceError as error:
        return _fail(error, EXIT_DATA)
    except OperationalError as error:
        return _fail(error, EXIT_OPERATION)
    except VigilError as error:
        return _fail(error, EXIT_BUG)
    return code if isinstance(code, int) else 0


def _fail(error: VigilError, code: int) -> int:
    ERR.print(f"[bold red]error:[/] {_plain(error)}", highlight=False)
    return code


def _plain(error: VigilError) -> str:
    """Text of an error without rich markup in it."""
    return str(error).replace("[", r"\[")


if __name__ == "__main__":
    main()

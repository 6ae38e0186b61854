"""`vigil keys`: make and list the keys that commands and ticks are signed with."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.common import AsJson, ConfigFile, configured, say, tell

keys_app = typer.Typer(help="Keys that commands and ticks are signed with.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(keys_app, name="keys", rich_help_panel="Setup")


@keys_app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Like desk-1 or worker-a.")],
    may: Annotated[
        list[str], typer.Option("--may", help="What it may sign: command, tick; again for both.")
    ],
) -> None:
    """Print a fresh key, to append to the file that `keys.file` names.

    Give each process its own, so that one can be retired alone: add
    `until = 2027-01-31T12:00:00Z` to it, and leave it in the file, or a
    replay would refuse what was accepted then.

    Example: vigil keys new worker-a --may tick --may command >> keys.toml
    """
    from service.keys import new_key

    typer.echo(new_key(name, tuple(may)))


@keys_app.command("list")
def list_keys(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show which keys there are and what they may sign; secrets are never shown.

    Example: vigil keys list
    """
    from service.keys import load_ring

    config = configured(config_file)
    keys = load_ring(config).keys
    own = config.keys.sign_as
    if as_json:
        shown = [
            {"key": name, "may": sorted(key.may), "until_us": key.until_us, "own": name == own}
            for name, key in sorted(keys.items())
        ]
        say(shown)
        return
    if not keys:
        tell("no keys: whoever may write the log may command; see vigil keys new --help")
    for name, key in sorted(keys.items()):
        state = "retired" if key.until_us else "in use"
        whose = ", this process's" if name == own else ""
        tell(f"{name}: {state}, may sign {' and '.join(sorted(key.may))}{whose}")

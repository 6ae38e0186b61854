"""`vigil grant`: least privilege for each process on a broker that authorises."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.common import AsJson, ConfigFile, configured, say, tell


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("grant", rich_help_panel="Setup")(grant)


def grant(
    role: Annotated[
        str, typer.Argument(metavar="ROLE", help="What the process does; `list` shows all.")
    ],
    user: Annotated[
        str, typer.Argument(metavar="[USER]", help="As the broker knows it, without User:.")
    ] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a broker's user do what one kind of process must, and no more.

    The login of the configuration must be allowed to alter the cluster; give
    the processes themselves lesser ones. Again changes nothing.

    Example: vigil grant worker vigil-worker
    """
    from streams.errors import ConfigError
    from streams.io.grants import ROLES, Where
    from streams.io.grants import grant as give

    if role == "list":
        if as_json:
            say({name: own._asdict() for name, own in ROLES.items()})
            return
        for name, own in ROLES.items():
            tell(f"{name}: {own.words}; reads {_names(own.reads)}; writes {_names(own.writes)}")
        return
    if role not in ROLES:
        raise ConfigError(f"no role {role!r}: one of {', '.join(ROLES)}")
    if not user or len(user) > 128 or not user.isprintable():
        raise ConfigError("name the user: vigil grant ROLE USER")
    config = configured(config_file)
    kafka = config.kafka
    count = give(Where(kafka.broker, kafka.prefix, kafka.group), role, user)
    if as_json:
        say({"role": role, "user": user, "rights": count})
    else:
        tell(f"{user} may do what {role} does on {kafka.prefix}.*: {count} rights")


def _names(topics: tuple[str, ...]) -> str:
    return ", ".join(topics) or "nothing"

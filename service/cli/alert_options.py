"""Who asks, for how long, and what commands of `vigil alert` share. Not here: the commands."""

from __future__ import annotations

import os
import re
import time
from typing import Annotated

import typer

from streams.errors import ConfigError

alert_app = typer.Typer(help="See open alerts and answer them.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="ID", help="Alert id, or its first characters.")]
By = Annotated[
    str,
    typer.Option(
        "--by", envvar="VIGIL_ACTOR", help="Who asks, or who/role; your login unless given."
    ),
]
Why = Annotated[str, typer.Option("--reason", "-m", help="Why, in words.")]
For = Annotated[str, typer.Option("--for", help="How long, like 30m or 4h.")]
Wait = Annotated[float, typer.Option("--wait", help="Wait this long for the answer, s.")]

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def who(by: str) -> tuple[str, str]:
    """Who asks and as what: as told, else the login."""
    if not by:
        by = f"user:{os.environ.get('USER') or os.environ.get('LOGNAME') or 'unknown'}"
    actor, _, role = by.partition("/")
    return actor, role


def until_us(lasting: str) -> int:
    """End of a duration from now; 0 for none.

    Raises
    ------
    ConfigError
        If it is no duration.
    """
    if not lasting:
        return 0
    found = re.fullmatch(r"(\d{1,6})([smhd])", lasting)
    if found is None:
        raise ConfigError(f"--for {lasting!r}: write it like 90s, 30m, 4h or 1d")
    return now_us() + int(found[1]) * _UNITS[found[2]] * 1_000_000


def now_us() -> int:
    """The wall clock, µs UTC."""
    return time.time_ns() // 1000

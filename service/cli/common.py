"""What every command shares: consoles, exit codes, configuration, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.config import Config, ModelConfig, load
from service.progress import SILENT, Watcher
from streams.errors import ConfigError

if TYPE_CHECKING:
    from streams.io.store import Store

EXIT_REFUSED = 1  # done, but part of the input was refused
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_OPERATION = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

OUT = Console()
ERR = Console(stderr=True)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; vigil.toml here if there is one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")]


def configured(path: Path | None, policy: Path | None = None) -> Config:
    """The effective configuration; `policy` overrides the configured policy file."""
    config = load(path)
    return msgspec.structs.replace(config, policy=str(policy)) if policy else config


def with_models(config: Config, given: Sequence[str]) -> Config:
    """The configuration with these models, `[NAME=]ARTIFACT` each, instead of its own, if any.

    Raises
    ------
    SourceError
        If there is no such artifact.
    """
    from service.artifacts import folder_of

    if not given:
        return config
    models = []
    for one in given:
        name, equals, artifact = one.rpartition("=")
        if one != "none":
            place = folder_of(artifact if equals else one).resolve()
            models.append(ModelConfig(name or "default", str(place)))
    return msgspec.structs.replace(config, models=tuple(models))


def say(document: Mapping[str, Any] | list[Any]) -> None:
    """Print a JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, default=str))


def tell(text: str) -> None:
    """Print one line of results on stdout, whatever the terminal's width."""
    typer.echo(plain(text))


def warn(text: str) -> None:
    """Print one line on stderr; an error stands out on a terminal."""
    colour = typer.colors.RED if text.startswith("error:") else typer.colors.YELLOW
    typer.echo(typer.style(plain(text), fg=colour) if ERR.is_terminal else plain(text), err=True)


def plain(text: str) -> str:
    r"""One line that cannot steer a terminal: control characters are shown, not obeyed.

    Examples
    --------
    >>> print(plain("bed 7\x1b[2J\nnext"))
    bed 7\x1b[2J next
    """
    kept = " ".join(text.split())
    encoding = sys.stderr.encoding or "utf-8"
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def open_store(config: Config) -> Store:
    """The database, or an error within about 10 s.

    Raises
    ------
    ConfigError
        If the address cannot be read.
    StoreError
        If the database does not answer or refuses the login.
    """
    from streams.io.store import Store
    from streams.io.timescale import RetrySpec

    dsn = config.database_dsn()
    Store.connect(dsn, RetrySpec(attempts=2, first_s=0.5)).close()
    return Store(dsn)


def login() -> str:
    """Who runs this command, by the operating system."""
    import getpass
    import os

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def note_access(
    store: Store,
    action: str,
    table: str,
    patients: Sequence[str] = (),
    asked: Mapping[str, object] | None = None,
) -> None:
    """Write down that whoever runs this command is about to read; none at all: everybody's data.

    Raises
    ------
    StoreError
        If the login may not: it is not to read either.
    """
    import socket

    from streams.io.store_access import Access

    who = Access(login(), action, table, f"vigil on {socket.gethostname()}")
    store.access.note(who, patients, asked or {})


def writable(folder: Path) -> None:
    """Create an output folder and prove that it can be written, before any work is done.

    Raises
    ------
    ConfigError
        If it cannot.
    """
    probe = folder / ".vigil-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from error


@contextmanager
def progress() -> Iterator[Watcher]:
    """Progress bars on stderr when a person is looking; silent otherwise."""
    if not ERR.is_terminal:
        yield SILENT
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=ERR, transient=True) as bars:
        current: list[Any] = []

        def stage(name: str, total: int | None) -> None:
            current[:] = [bars.add_task(name, total=total)]

        def step(count: int) -> None:
            bars.advance(current[0], count)

        yield Watcher(stage, step)

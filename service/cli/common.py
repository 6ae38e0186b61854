"""What every command shares: consoles, exit codes, configuration, progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.config import Config, load
from service.progress import SILENT, Watcher

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
    typer.Option("--config", "-c", help="Configuration file [default: vigil.toml if present]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")]


def configured(path: Path | None, policy: Path | None = None) -> Config:
    """The effective configuration; `policy` overrides the configured policy file."""
    config = load(path)
    return msgspec.structs.replace(config, policy=str(policy)) if policy else config


def say(document: dict[str, Any] | list[Any]) -> None:
    """Print a JSON document on stdout."""
    typer.echo(json.dumps(document, indent=2, default=str))


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

"""Where long work tells how far it is. Drawing it is the command line's."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Watcher(NamedTuple):
    """A stage's name and its total (None: unknown), then steps within it."""

    stage: Callable[[str, int | None], None]
    step: Callable[[int], None]


SILENT = Watcher(lambda name, total: None, lambda count: None)

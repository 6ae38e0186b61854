"""What an importer is given and what it owes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from service.importers.fact import EventError, Fact
from streams.io.store_people import Encounter, Patient
from streams.records import ClinicalEvent

Item = Fact | ClinicalEvent | EventError | Encounter | Patient
MAX_SKIPPED_KINDS: Final = 5_000  # kinds counted by name; the rest under one


@dataclass(slots=True)
class Job:
    """One import: where from, what the source does not say, and what was left out.

    `zone` is that of times written without one; None refuses them. `delay_s` is how long after
    its event time a fact became known, for sources that do not say; None refuses them where the
    format has no rule of its own. An importer adds to `rows` as it reads and to `skipped` for
    every row that is no fact Vigil has a concept for.
    """

    path: Path
    zone: ZoneInfo | None = None
    delay_s: float | None = None
    patient_id: str = ""  # whose it is, for sources that name nobody
    base_us: int | Mapping[str, int] | None = None
    checkpoint: Path | None = None  # where to note how far the import is, and to go on from
    rows: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def skip(self, kind: str, rows: int = 1) -> None:
        """Count rows left out on purpose, by kind: a table and an item, a resource type."""
        if kind not in self.skipped and len(self.skipped) >= MAX_SKIPPED_KINDS:
            kind = "other"
        self.skipped[kind] += rows


class Importer(NamedTuple):
    """One format.

    `claims` looks at a path and perhaps the first bytes of it; `read` yields in an order that
    depends on nothing but the source, so that a position in it can be returned to.
    """

    name: str
    label: str
    claims: Callable[[Path, bytes], bool]
    read: Callable[[Job], Iterator[Item]]

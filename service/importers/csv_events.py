"""Vigil's own CSV of clinical events (`docs/events-csv.md`) as an importer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from service.event_csv import COLUMNS, parse_events
from service.importers.contract import Importer, Item, Job


def claims(path: Path, head: bytes) -> bool:
    """Whether a file begins with the header of such a CSV."""
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    names = {name.strip().strip(b'"') for name in first.strip().split(b",")}
    return path.is_file() and {name.encode() for name in COLUMNS} <= names


def read(job: Job) -> Iterator[Item]:
    """Events of a file; see `service.event_csv.parse_facts`."""
    for item in parse_events(job.path, job.base_us):
        job.rows += 1
        yield item


IMPORTER = Importer("csv", "CSV of events", claims, read)

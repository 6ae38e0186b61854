"""Events of a source without a store: what a replay takes beside its recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from service.importers import csv_events, files
from service.importers.contract import Importer, Job
from service.importers.fact import EventError, Fact, Terms
from service.importers.registry import IMPORTERS
from streams.io.store_people import Encounter, Patient
from streams.io.store_rows import SourcedEvent
from streams.records import ClinicalEvent


def read_events(path: Path, starts_us: Mapping[str, int]) -> Iterator[ClinicalEvent | EventError]:
    """Events of a file or folder in any format, as `vigil events import` would store them.

    Parameters
    ----------
    path : Path
        Our CSV, whole, or any other format: of that only the events of recorded patients, because
        a data set usually has more people than the replay.
    starts_us : mapping of patient_id to int
        Where each recording begins, µs UTC: what ``+SECONDS`` in a CSV counts from.

    Raises
    ------
    SourceError
        If it cannot be read, or is a CSV without the columns of events.
    """
    importer, terms = _importer(path), Terms()
    for item in importer.read(Job(path, base_us=starts_us)):
        if isinstance(item, Encounter | Patient):
            continue
        made = terms.event(item) if isinstance(item, Fact) else item
        if isinstance(made, EventError):
            yield made
            continue
        event = made.event if isinstance(made, SourcedEvent) else made
        if importer is csv_events.IMPORTER or event.patient_id in starts_us:
            yield event


def _importer(path: Path) -> Importer:
    """Importer that claims a source, else our CSV, which then says what is wrong with it."""
    head = files.head(path)
    return next((one for one in IMPORTERS if one.claims(path, head)), csv_events.IMPORTER)

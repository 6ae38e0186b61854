"""Reading sources with an importer, without a database."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from service.importers import registry
from service.importers.contract import Job
from service.importers.fact import EventError, Fact, Terms
from streams.io.store_people import Encounter, Patient
from streams.io.store_rows import SourcedEvent
from streams.records import ClinicalEvent

UTC = ZoneInfo("UTC")
PEOPLE: dict[Path, list[Encounter | Patient]] = {}  # of the last reading of each source


def read(path: Path, **said: object) -> tuple[list[ClinicalEvent], list[EventError], Job]:
    """Events, errors and the job after reading a source as `vigil events import` would."""
    job = Job(path, **said)  # type: ignore[arg-type]
    events: list[ClinicalEvent] = []
    errors: list[EventError] = []
    people = PEOPLE.setdefault(path, [])
    people.clear()
    terms = Terms()
    for item in registry.detect(path).read(job):
        if isinstance(item, (Encounter, Patient)):
            people.append(item)
            continue
        made = terms.event(item) if isinstance(item, Fact) else item
        if isinstance(made, EventError):
            errors.append(made)
        else:
            events.append(made.event if isinstance(made, SourcedEvent) else made)
    return events, errors, job

"""THE list of importers, and which of them reads a source.

A further format is one module with an `IMPORTER`, and one row here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from service.importers import (
    csv_events,
    fhir,
    files,
    hl7v2,
    meds,
    mimic3,
    omop,
    openmhealth,
    t1d_uom,
)
from service.importers.contract import Importer
from streams.errors import ConfigError, SourceError

IMPORTERS: Final[tuple[Importer, ...]] = (
    csv_events.IMPORTER,
    fhir.IMPORTER,
    hl7v2.IMPORTER,
    mimic3.IMPORTER,
    t1d_uom.IMPORTER,
    meds.IMPORTER,
    omop.IMPORTER,
    openmhealth.IMPORTER,
)


def names() -> str:
    """Formats known, as words for messages."""
    return ", ".join(f"{one.name} ({one.label})" for one in IMPORTERS)


def named(name: str) -> Importer:
    """Importer of a format's name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    for one in IMPORTERS:
        if one.name == name:
            return one
    raise ConfigError(f"--format {name}: no such format; known are {names()}")


def detect(path: Path) -> Importer:
    """Importer that claims a file or folder.

    Raises
    ------
    SourceError
        If the source is absent, an archive or XML, or nothing claims it.
    """
    if not path.exists():
        raise SourceError(f"{path}: no such file or folder")
    head = files.head(path)
    for one in IMPORTERS:
        if one.claims(path, head):
            return one
    raise SourceError(f"{path}: of no known format; known are {names()}")

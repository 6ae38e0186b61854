"""FHIR R4B: a Bundle in one JSON document, or resources one per line (bulk export).

Known time: Observation `issued`, Condition `recordedDate`, MedicationRequest `authoredOn`,
DocumentReference `date`; everything else, and these where they are absent, `meta.lastUpdated`;
then a declared delay; then the row is refused. Each resource is decoded alone, so that a hostile
one costs its neighbours nothing. What each resource type becomes: `service.importers.fhir_types`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from service.importers import files
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.fhir_types import TYPES, NotAFact
from streams.errors import SourceError
from streams.records import Reason

_DECODE_ERRORS: Final = (msgspec.MsgspecError, RecursionError, ValueError)


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw()


class _Bundle(msgspec.Struct):
    resource_type: str = msgspec.field(name="resourceType", default="")
    entry: list[_Entry] = []


def claims(path: Path, head: bytes) -> bool:
    """Whether a file begins as FHIR JSON does."""
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return first.startswith(b"{") and b'"resourceType"' in head


def read(job: Job) -> Iterator[Item]:
    """Facts of all resources, in the order of the file; `line` counts resources of a Bundle.

    Yields
    ------
    Fact or EventError
        Patients are the id at the end of the subject's reference.

    Raises
    ------
    SourceError
        If the file is not JSON, or is another document than a Bundle or resources.
    """
    for line, raw in _resources(job.path):
        job.rows += 1
        if raw is None:
            yield _error(job, line, f"over {files.MAX_LINE_BYTES} bytes", Reason.BAD_LENGTH)
            continue
        if not raw:
            job.skip("entry without a resource")
            continue
        try:
            resource = msgspec.json.decode(raw)
        except _DECODE_ERRORS as fault:
            yield _error(
                job, line, f"is not JSON that can be read: {fault}"[:200], Reason.UNDECODABLE
            )
            continue
        yield from _facts(job, line, resource)


def _resources(path: Path) -> Iterator[tuple[int, bytes | msgspec.Raw | None]]:
    """Every resource as bytes, undecoded."""
    with files.binary(path) as handle:
        numbered = files.lines(handle)
        first = next(numbered, None)
        if first is None:
            raise SourceError(f"{path}: is empty")
        if first[1] is not None and _is_line(first[1]):
            yield first
            yield from numbered
            return
    try:
        bundle = msgspec.json.decode(files.document(path), type=_Bundle)
    except _DECODE_ERRORS as fault:
        raise SourceError(f"{path}: is not a FHIR document: {fault}") from None
    if bundle.resource_type != "Bundle":
        raise SourceError(f"{path}: is a {bundle.resource_type[:40] or 'document'}, not a Bundle")
    for number, entry in enumerate(bundle.entry, start=1):
        yield number, entry.resource


def _is_line(line: bytes) -> bool:
    """Whether a first line is a resource of its own that is no Bundle."""
    try:
        found = msgspec.json.decode(line.removeprefix(b"\xef\xbb\xbf"), type=_Bundle)
    except _DECODE_ERRORS:
        return False
    return found.resource_type not in ("", "Bundle")


def _facts(job: Job, line: int, resource: Any) -> Iterator[Item]:
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or kind not in TYPES:
        job.skip(f"resource {str(kind)[:40]}")
        return
    try:
        parts = list(TYPES[kind](resource, job))
    except NotAFact as fault:
        if fault.reason is None:
            job.skip(f"{kind}: {fault.rule}")
        else:
            yield _error(job, line, fault.rule, fault.reason, fault.column)
        return
    except (AttributeError, KeyError, TypeError, IndexError, ValueError, RecursionError):
        rule = f"a field of {kind} is not of the type FHIR gives it"
        yield _error(job, line, rule, Reason.BAD_FIELD)
        return
    for part in parts:
        if isinstance(part, Fact):
            yield msgspec.structs.replace(part, file=str(job.path), line=line)
        elif isinstance(part, EventError):
            yield part._replace(file=str(job.path), line=line)
        else:
            yield part


def _error(job: Job, line: int, rule: str, reason: Reason, column: str = "") -> EventError:
    return EventError(str(job.path), line, column, rule, reason)


IMPORTER: Final = Importer("fhir", "FHIR R4B JSON", claims, read)

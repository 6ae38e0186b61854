"""Open mHealth and IEEE 1752.1 data points: one per line, or an array.

Known time is when the point was created (`creation_date_time`, in IEEE 1752.1
`source_creation_date_time`); without it the point is refused unless a delay is declared. Event time
is the moment, or the end of the interval, of `effective_time_frame`. A point names its person in
`header.user_id`, or the import says whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from service.importers import files
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.times import SECOND_US, iso_us
from streams.errors import SourceError
from streams.records import Reason

_DECODE_ERRORS: Final = (msgspec.MsgspecError, RecursionError, ValueError)
_DURATIONS_S: Final = {"sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}

# Schema name -> body key -> concept. Statistics other than a mean stand for no single moment.
SCHEMAS: Final[dict[str, dict[str, str]]] = {
    "heart-rate": {"heart_rate": "hr"},
    "respiratory-rate": {"respiratory_rate": "resp_rate"},
    "oxygen-saturation": {"oxygen_saturation": "spo2"},
    "body-temperature": {"body_temperature": "temp"},
    "blood-pressure": {"systolic_blood_pressure": "sbp", "diastolic_blood_pressure": "dbp"},
    "blood-glucose": {"blood_glucose": "glucose"},
    "body-weight": {"body_weight": "weight"},
    "body-height": {"body_height": "height"},
    "body-mass-index": {"body_mass_index": "bmi"},
    "step-count": {"step_count": "steps"},
    "sleep-duration": {"sleep_duration": "sleep_duration"},
    "total-sleep-time": {"total_sleep_time": "sleep_duration"},
    "calories-burned": {"kcal_burned": "active_energy"},
}


def claims(path: Path, head: bytes) -> bool:
    """Whether a file begins as such data points do."""
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return first.startswith((b"{", b"[")) and b'"schema_id"' in head and b'"header"' in head


def read(job: Job) -> Iterator[Item]:
    """Facts of all points in order; `line` counts the points of an array.

    Raises
    ------
    SourceError
        If the file is neither an array nor points by line.
    """
    for line, raw in _points(job.path):
        job.rows += 1
        if raw is None:
            rule = f"over {files.MAX_LINE_BYTES} bytes"
            yield EventError(str(job.path), line, "", rule, Reason.BAD_LENGTH)
            continue
        try:
            point = msgspec.json.decode(raw)
            facts = list(_facts(job, line, point))
        except (AttributeError, KeyError, TypeError, *_DECODE_ERRORS) as fault:
            rule = f"is no data point: {type(fault).__name__}"
            yield EventError(str(job.path), line, "", rule, Reason.UNDECODABLE)
            continue
        yield from facts


def _points(path: Path) -> Iterator[tuple[int, bytes | msgspec.Raw | None]]:
    with files.binary(path) as handle:
        numbered = files.lines(handle)
        first = next(numbered, None)
        if first is None:
            raise SourceError(f"{path}: is empty")
        if first[1] is not None and _whole(first[1]):
            yield first
            yield from numbered
            return
    try:
        document = files.document(path)
        if document.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{"):
            points = [msgspec.json.decode(document, type=msgspec.Raw)]
        else:
            points = msgspec.json.decode(document, type=list[msgspec.Raw])
    except _DECODE_ERRORS as fault:
        raise SourceError(f"{path}: is not an array of data points: {fault}") from None
    yield from enumerate(points, start=1)


def _whole(line: bytes) -> bool:
    """Whether a line is a JSON object of its own."""
    text = line.removeprefix(b"\xef\xbb\xbf").lstrip()
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except _DECODE_ERRORS:
        return False
    return text.startswith(b"{")


def _facts(job: Job, line: int, point: dict[str, Any]) -> Iterator[Item]:
    header, body = point["header"], point["body"]
    name = header["schema_id"]["name"]
    concepts = SCHEMAS.get(name)
    if concepts is None:
        job.skip(f"schema {str(name)[:40]}")
        return
    statistic = body.get("descriptive_statistic", "average")
    if statistic not in ("average", "mean"):
        job.skip(f"{name}: {str(statistic)[:20]}")
        return
    event_us = _when(body["effective_time_frame"], job)
    created = header.get("source_creation_date_time") or header.get("creation_date_time")
    known_us = iso_us(str(created), job.zone) if created else None
    if known_us is None and event_us is not None and job.delay_s is not None:
        known_us = event_us + round(job.delay_s * SECOND_US)
    own_id = str(header.get("uuid") or header.get("id") or "")
    whose = str(header.get("user_id") or job.patient_id)
    for good, column, rule, reason in (
        (event_us, "effective_time_frame", "has no time, or one without a zone", Reason.BAD_TIME),
        (known_us, "creation_date_time", "says nowhere when it was known", Reason.NO_KNOWN_TIME),
        (own_id, "header.id", "has no id", Reason.BAD_FIELD),
        (whose, "header.user_id", "names nobody: say --patient", Reason.BAD_FIELD),
    ):
        if not good:
            yield EventError(str(job.path), line, column, rule, reason)
            return
    for key, concept in concepts.items():
        if key in body:
            value, unit = _quantity(body[key])
            yield Fact(
                file=str(job.path),
                line=line,
                event_id=f"omh:{own_id}:{key}",
                patient_id=whose,
                codings=(f"omh|{name}.{key}", f"vigil|{_specimen(concept, body)}"),
                event_time_us=event_us or 0,
                known_time_us=known_us or 0,
                value=value,
                unit=unit,
                source=f"omh:{name}",
            )


def _specimen(concept: str, body: dict[str, Any]) -> str:
    """Glucose of interstitial fluid is a concept of its own."""
    interstitial = body.get("specimen_source") == "interstitial fluid"
    return "cgm_glucose" if concept == "glucose" and interstitial else concept


def _quantity(found: Any) -> tuple[float, str]:
    """Value and unit; a bare number is a count."""
    if isinstance(found, dict):
        return float(found["value"]), str(found.get("unit", ""))
    return float(found), ""


def _when(frame: dict[str, Any], job: Job) -> int | None:
    """Moment, or end of the interval, in µs UTC."""
    if "date_time" in frame:
        return iso_us(str(frame["date_time"]), job.zone)
    interval = frame["time_interval"]
    if "end_date_time" in interval:
        return iso_us(str(interval["end_date_time"]), job.zone)
    begins_us = iso_us(str(interval.get("start_date_time", "")), job.zone)
    duration = interval.get("duration", {})
    scale = _DURATIONS_S.get(str(duration.get("unit", "")))
    if begins_us is None or scale is None:
        return None
    return begins_us + round(float(duration["value"]) * scale * SECOND_US)


IMPORTER: Final = Importer("omh", "Open mHealth data points", claims, read)

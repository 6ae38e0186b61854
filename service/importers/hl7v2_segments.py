"""What HL7 v2 segments become. Pure: a message as text in, facts out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from service.importers.contract import Job
from service.importers.fact import EventError, Fact, name_of
from service.importers.times import DAY_US, hl7_us, version_at
from streams.codec import MAX_ID_BYTES
from streams.io.store_people import Encounter, Patient
from streams.records import Reason

# Table 0396: coding systems; table 0085: status of a result.
_SYSTEMS: Final = {"LN": "loinc", "SCT": "snomed", "SNM": "snomed"}
_STATUS: Final = {"F": "final", "P": "final", "R": "final", "U": "final", "C": "corrected",
                  "D": "cancelled", "W": "cancelled", "": "final"}  # fmt: skip
_NUMBER = re.compile(r"[+-]?(\d{1,30}(\.\d{0,30})?|\.\d{1,30})([eE][+-]?\d{1,3})?", re.ASCII)
# Table 0003: event, (what it does, whose record it is).
_MOVES: Final = {
    "A01": ("admitted", "admit"), "A04": ("admitted", "admit"), "A02": ("on", "transfer"),
    "A03": ("discharged", "discharge"), "A11": ("", "admit"), "A13": ("", "discharge"),

}  # fmt: skip


class Refused(Exception):  # noqa: N818 - an outcome, not a fault of the program
    """A message that gives no fact; without a reason it is left out on purpose."""

    def __init__(self, rule: str, reason: Reason | None = None, column: str = "") -> None:
        super().__init__(rule)
        self.rule, self.reason, self.column = rule, reason, column


class Message(NamedTuple):
    """One message: its separators and segments."""

    field: str
    component: str
    repeat: str
    escape: str
    segments: tuple[tuple[str, ...], ...]

    @classmethod
    def parse(cls, segments: Sequence[str]) -> Message:
        """Message of its segments.

        Raises
        ------
        Refused
            If it does not begin with a header.
        """
        head = segments[0]
        if not head.startswith("MSH") or len(head) < 8:
            raise Refused("does not begin with MSH", Reason.UNDECODABLE, "MSH")
        field, component, repeat, escape = head[3], head[4], head[5], head[6]
        rows = [("MSH", field, *head[4:].split(field))]
        rows += [tuple(segment.split(field)) for segment in segments[1:]]
        return cls(field, component, repeat, escape, tuple(tuple(row) for row in rows))

    def of(self, name: str) -> tuple[str, ...]:
        """First segment of a name, () if there is none."""
        return next((row for row in self.segments if row[0] == name), ())

    def get(self, row: Sequence[str], field: int, component: int = 1) -> str:
        """Component of the first repetition of a field, unescaped; "" where there is none."""
        if field >= len(row):
            return ""
        parts = row[field].split(self.repeat, 1)[0].split(self.component)
        return self.plain(parts[component - 1]) if component <= len(parts) else ""

    def plain(self, text: str) -> str:
        """Text with its escapes resolved."""
        if self.escape not in text:
            return text.strip()
        marks = {"F": self.field, "S": self.component, "T": "&", "R": self.repeat,
                 "E": self.escape, ".br": "\n"}  # fmt: skip
        pieces = text.split(self.escape)
        pieces[1::2] = [marks.get(piece, "") for piece in pieces[1::2]]
        return "".join(pieces).strip()


Part = Fact | EventError | Encounter | Patient


def facts(message: Message, job: Job) -> Iterator[Part]:
    """Facts of a message.

    Raises
    ------
    Refused
        If it is of a kind that is not read, or says not when, of whom or when it was known.
    """
    head = message.of("MSH")
    kind = message.get(head, 9)
    sent_us = hl7_us(message.get(head, 7), job.zone)
    patient = message.get(message.of("PID"), 3) or job.patient_id
    if kind not in ("ORU", "ADT"):
        raise Refused(f"type {kind[:10]}")
    if not patient:
        raise Refused("names no patient", Reason.BAD_FIELD, "PID-3")
    origin = f"hl7:{message.get(head, 3)}"
    if kind == "ORU":
        yield from _results(message, job, (patient, origin, sent_us))
    else:
        yield from _movement(message, job, (patient, origin, sent_us))


def _results(
    message: Message, job: Job, base: tuple[str, str, int | None]
) -> Iterator[Fact | EventError]:
    """Every OBX, under the OBR before it."""
    patient, origin, sent_us = base
    order: tuple[str, ...] = ()
    for row in message.segments:
        if row[0] == "OBR":
            order = row
        if row[0] != "OBX":
            continue
        known_us = hl7_us(message.get(order, 22), job.zone) or sent_us
        event_us = hl7_us(message.get(row, 14) or message.get(order, 7), job.zone)
        if event_us is None:
            yield _error("OBX-14", "has no time, or one without an offset", Reason.BAD_TIME)
            continue
        if known_us is None:
            yield _error("OBR-22", "says nowhere when it was known", Reason.NO_KNOWN_TIME)
            continue
        status = message.get(row, 11).upper()
        if status not in _STATUS:
            job.skip(f"OBX-11 {status[:4]}: no result")
            continue
        yield _result(message, row, Fact(
            file="", line=0,
            event_id=name_of(
                origin, patient, message.get(order, 3), message.get(row, 3),
                message.get(row, 4), str(event_us),
            ),
            version=version_at(known_us),
            status=_STATUS[status],
            patient_id=patient,
            codings=_codings(message, row),
            event_time_us=event_us,
            known_time_us=known_us,
            unit=message.get(row, 6),
            source=origin,
        ))  # fmt: skip


def _result(message: Message, row: Sequence[str], fact: Fact) -> Fact | EventError:
    """The fact with the value of its OBX."""
    kind = message.get(row, 2)
    if fact.status == "cancelled":
        return fact
    if kind == "SN":  # comparator ^ number: only "=" and nothing are a value
        if message.get(row, 5, 1) not in ("", "=") or message.get(row, 5, 3):
            return _error("OBX-5", "is a bound or a ratio, not a number", Reason.BAD_FIELD)
        written = message.get(row, 5, 2)
    elif kind in ("CE", "CWE", "CNE"):
        words = message.get(row, 5, 2) or message.get(row, 5, 1)
        return msgspec.structs.replace(fact, text=words)
    elif kind in ("NM", "ST", "TX", "FT"):
        written = message.plain(row[5].replace(message.repeat, "\n")) if len(row) > 5 else ""
    else:
        return _error("OBX-2", f"type {kind[:4]} is not read", Reason.BAD_FIELD)
    if _NUMBER.fullmatch(written):
        return msgspec.structs.replace(fact, value=float(written))
    if kind in ("NM", "SN"):
        return _error("OBX-5", "must be a number", Reason.BAD_FIELD)
    return msgspec.structs.replace(fact, text=written)


def _codings(message: Message, row: Sequence[str]) -> tuple[str, ...]:
    """Codings of OBX-3, both triplets, terminologies first."""
    found = []
    for first in (1, 4):
        code, system = message.get(row, 3, first), message.get(row, 3, first + 2)
        if code:
            found.append(f"{_SYSTEMS.get(system, system)}|{code}")
    return tuple(sorted(found, key=lambda c: not c.startswith(("loinc|", "snomed|"))))


def _movement(message: Message, job: Job, base: tuple[str, str, int | None]) -> Iterator[Part]:
    """An admission, transfer or discharge, or its cancellation; sex and age with an admission."""
    patient, origin, sent_us = base
    head, event, visit = message.of("MSH"), message.of("EVN"), message.of("PV1")
    trigger = message.get(head, 9, 2) or message.get(event, 1)
    if trigger not in _MOVES:
        raise Refused(f"type ADT^{trigger[:4]}")
    word, record = _MOVES[trigger]
    recorded_us = hl7_us(message.get(event, 2), job.zone) or sent_us
    happened_us = hl7_us(message.get(event, 6), job.zone) or recorded_us
    if recorded_us is None or happened_us is None:
        raise Refused("says nowhere when it was known", Reason.NO_KNOWN_TIME, "EVN-2")
    stay = message.get(visit, 19) or message.get(visit, 50) or "unnumbered"
    place = " ".join(filter(None, (message.get(visit, 3, part) for part in (1, 2, 3))))
    turn = f":{recorded_us}" if record == "transfer" else ""
    base_fact = Fact(
        file="", line=0,
        event_id=name_of(origin, patient, stay, f"{record}{turn}"),
        version=version_at(recorded_us),
        status="final" if word else "cancelled",
        patient_id=patient,
        codings=("vigil|encounter",),
        event_time_us=happened_us,
        known_time_us=max(recorded_us, happened_us) if word else recorded_us,
        text=f"{word} {place}".strip(),
        source=origin,
    )  # fmt: skip
    yield base_fact
    yield from _stay(message, job, base_fact, word)
    if word == "admitted":
        yield from _person(message, base_fact)


def _stay(message: Message, job: Job, fact: Fact, word: str) -> Iterator[Encounter]:
    """The stay of a movement: since PV1-44, else since the admission itself; until a discharge."""
    visit = message.of("PV1")
    number = message.get(visit, 19) or message.get(visit, 50)
    begins_us = hl7_us(message.get(visit, 44), job.zone)
    if begins_us is None and word == "admitted":
        begins_us = fact.event_time_us
    ends_us = fact.event_time_us if word == "discharged" else None
    name = f"{fact.source}:{number}"
    ids = max(len(name.encode()), len(fact.patient_id.encode()))
    if not (word and number) or begins_us is None or ids > MAX_ID_BYTES:
        return
    if ends_us is None or ends_us > begins_us:
        kind, ward = message.get(visit, 2), message.get(visit, 3)
        yield Encounter(
            name, fact.patient_id, begins_us, ends_us, kind[:100], ward[:100], fact.source
        )


def _person(message: Message, base: Fact) -> Iterator[Part]:
    """Who was admitted: sex and age as facts, and the person."""
    person = message.of("PID")
    sex = message.get(person, 8).upper()
    if sex in ("M", "F"):
        yield msgspec.structs.replace(
            base, event_id=name_of(base.event_id, "sex"), codings=("vigil|sex",), text=sex
        )
    birth = message.get(person, 7)[:8]
    born_us = hl7_us(birth + "+0000")
    if len(base.patient_id.encode()) <= MAX_ID_BYTES:
        day = f"{birth[:4]}-{birth[4:6]}-{birth[6:]}" if born_us is not None else ""
        known = {"M": "male", "F": "female", "O": "other", "U": "unknown"}.get(sex, "")
        yield Patient(base.patient_id, day, known, None, base.source)
    if born_us is not None:
        years = round((base.event_time_us - born_us) / (365.25 * DAY_US), 2)
        yield msgspec.structs.replace(
            base,
            event_id=name_of(base.event_id, "age"),
            codings=("vigil|age_years",),
            value=years,
            unit="a",
            text="",
        )


def _error(column: str, rule: str, reason: Reason) -> EventError:
    return EventError("", 0, column, rule, reason)

"""People of MIMIC-III: how far their times are moved, who they are, where they were.

Sources: MIMIC-III documentation, "patients" (ages over 89 are set to about 300 years, so they are
written as 90 here with the text ">89"), "admissions", "transfers", "diagnoses_icd".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from service.importers.contract import Item, Job
from service.importers.fact import Fact
from service.importers.mimic3_items import rows_of
from service.importers.times import DAY_US, iso_us
from streams.io.store_people import Encounter

_UTC: Final = ZoneInfo("UTC")
_WEEK_US: Final = 7 * DAY_US
# De-identified years lie between 2100 and 2209 and mean nothing between patients. Every patient is
# moved by whole weeks, which keeps the day of the week, so that the first stay begins in the week
# of this Monday: inside the years a log may have, and in few partitions of the store.
BASE_US: Final = 1_578_268_800 * 1_000_000  # 2020-01-06
_YEAR_US: Final = 365.25 * DAY_US
_OLDEST: Final = 89.0


def people(job: Job) -> tuple[dict[str, int], list[Item]]:
    """Shift of every patient, µs, and facts about them: sex, age, stays, diagnoses."""
    stays = list(rows_of(job.path, "admissions"))
    first: dict[str, int] = {}
    for stay in stays:
        begins_us = iso_us(stay["admittime"], _UTC)
        if begins_us is not None:
            first[stay["subject_id"]] = min(first.get(stay["subject_id"], begins_us), begins_us)
    shift_us = {subject: _whole_weeks(at_us - BASE_US) for subject, at_us in first.items()}
    persons = {row["subject_id"]: row for row in rows_of(job.path, "patients")}
    job.rows += len(stays) + len(persons)
    facts: list[Item] = []
    for line, stay in enumerate(stays, start=2):
        facts += _of_stay(stay, persons.get(stay["subject_id"], {}), shift_us, line)
    facts += _moves(job, shift_us)
    facts += _diagnoses(job, stays, shift_us)
    return shift_us, facts


def _whole_weeks(span_us: int) -> int:
    """Longest whole number of weeks in a span."""
    return span_us // _WEEK_US * _WEEK_US


def _of_stay(
    stay: dict[str, str], person: dict[str, str], shift_us: dict[str, int], line: int
) -> Iterator[Fact | Encounter]:
    subject = stay["subject_id"]
    admitted = iso_us(stay["admittime"], _UTC)
    if admitted is None:
        return
    at_us = admitted - shift_us[subject]
    key = f"mimic3:admissions:{stay['row_id']}"
    born = iso_us(person.get("dob", ""), _UTC)
    if born is not None:
        years = (admitted - born) / _YEAR_US
        oldest = years > _OLDEST
        age = 90.0 if oldest else round(years, 2)
        text = ">89" if oldest else ""
        yield _fact(f"{key}:age", subject, "age_years", at_us, line, value=age, unit="a", text=text)
    if person.get("gender", ""):
        yield _fact(f"{key}:sex", subject, "sex", at_us, line, text=person["gender"])
    ends = iso_us(stay.get("dischtime", ""), _UTC)
    if ends is None or ends > admitted:
        yield Encounter(
            f"mimic3:{stay['hadm_id']}",
            f"mimic3_{subject}",
            at_us,
            None if ends is None else ends - shift_us[subject],
            stay["admission_type"],
            "",
            "mimic3",
        )
    yield _fact(
        f"{key}:in", subject, "encounter", at_us, line, text=f"admitted {stay['admission_type']}"
    )
    if stay.get("diagnosis", "").strip():
        yield _fact(f"{key}:diagnosis", subject, "diagnosis", at_us, line, text=stay["diagnosis"])
    left = iso_us(stay.get("dischtime", ""), _UTC)
    if left is not None:
        at_us = left - shift_us[subject]
        text = f"discharged {stay.get('discharge_location', '')}".strip()
        yield _fact(f"{key}:out", subject, "encounter", at_us, line, text=text)


def _moves(job: Job, shift_us: dict[str, int]) -> Iterator[Fact]:
    """Arrivals on wards."""
    for line, move in enumerate(rows_of(job.path, "transfers"), start=2):
        job.rows += 1
        subject, unit = move["subject_id"], move.get("curr_careunit", "")
        at = iso_us(move.get("intime", ""), _UTC)
        if at is None or subject not in shift_us or not unit:
            job.skip("transfers: no intensive care unit")
            continue
        key = f"mimic3:transfers:{move['row_id']}"
        yield _fact(key, subject, "encounter", at - shift_us[subject], line, text=f"on {unit}")


def _diagnoses(job: Job, stays: list[dict[str, str]], shift_us: dict[str, int]) -> Iterator[Fact]:
    """Coded diagnoses: written for billing after the stay, so known from its end."""
    ends = {stay["hadm_id"]: iso_us(stay["dischtime"], _UTC) for stay in stays}
    titles = {row["icd9_code"]: row["long_title"] for row in rows_of(job.path, "d_icd_diagnoses")}
    for line, row in enumerate(rows_of(job.path, "diagnoses_icd"), start=2):
        job.rows += 1
        at, code, subject = ends.get(row["hadm_id"]), row["icd9_code"], row["subject_id"]
        if at is None or not code or subject not in shift_us:
            job.skip("diagnoses_icd: no code or no stay")
            continue
        key = f"mimic3:diagnoses_icd:{row['row_id']}"
        text = f"{code} {titles.get(code, '')}".strip()
        yield _fact(key, subject, "diagnosis", at - shift_us[subject], line, text=text)


def _fact(key: str, subject: str, concept: str, at_us: int, line: int, **what: Any) -> Fact:
    """Fact true and known at the same moment; `what` is its value, unit, text."""
    table = key.split(":")[1]
    return Fact(
        file=f"{table}.csv",
        line=line,
        event_id=key,
        patient_id=f"mimic3_{subject}",
        codings=(f"vigil|{concept}",),
        event_time_us=at_us,
        known_time_us=at_us,
        source=f"mimic3:{table}",
        **what,
    )

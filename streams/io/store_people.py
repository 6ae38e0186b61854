"""Patients, their encounters, devices, and which device is on whom.

Not here: who may see them, and names: `patient_id` is a pseudonym.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from streams.io.timescale import Connection, Line, Micros


class Patient(NamedTuple):
    """Who is monitored; `birth_date` is ISO 8601, empty when unknown."""

    patient_id: str
    birth_date: str = ""
    sex: str = ""  # "", female, male, other, unknown
    deceased_us: int | None = None
    source: str = ""


class Encounter(NamedTuple):
    """A stay or visit, open while `ended_us` is None."""

    encounter_id: str
    patient_id: str
    started_us: int
    ended_us: int | None = None
    kind: str = ""  # inpatient, emergency, home ...: the source's word
    ward: str = ""
    source: str = ""


class Device(NamedTuple):
    """A wearable or monitor."""

    device_id: str
    model: str = ""
    serial: str = ""


class DeviceLink(NamedTuple):
    """A device on a patient from `from_us`, until `to_us`: half-open; None = still on."""

    device_id: str
    patient_id: str
    from_us: int
    to_us: int | None = None
    encounter_id: str | None = None
    source: str = ""


_PATIENT = """
    INSERT INTO patients AS old (patient_id, birth_date, sex, deceased_at, source)
    VALUES (%s, nullif(%s, '')::date, %s, %s, %s)
    ON CONFLICT (patient_id) DO UPDATE SET birth_date = coalesce(excluded.birth_date,
        old.birth_date), sex = coalesce(nullif(excluded.sex, ''), old.sex),
        deceased_at = coalesce(excluded.deceased_at, old.deceased_at), source = excluded.source,
        updated_at = clock_timestamp()
    WHERE (old.birth_date, old.sex, old.deceased_at, old.source)
        IS DISTINCT FROM (coalesce(excluded.birth_date, old.birth_date),
            coalesce(nullif(excluded.sex, ''), old.sex),
            coalesce(excluded.deceased_at, old.deceased_at), excluded.source)
"""
_SOME_PATIENT = "INSERT INTO patients (patient_id) VALUES (%s) ON CONFLICT DO NOTHING"
_ENCOUNTER = """
    INSERT INTO encounters AS old (encounter_id, patient_id, started_at, ended_at, class, ward,
        source)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (encounter_id) DO UPDATE SET patient_id = excluded.patient_id,
        started_at = excluded.started_at, ended_at = excluded.ended_at, class = excluded.class,
        ward = excluded.ward, source = excluded.source, updated_at = clock_timestamp()
    WHERE (old.patient_id, old.started_at, old.ended_at, old.class, old.ward, old.source)
        IS DISTINCT FROM (excluded.patient_id, excluded.started_at, excluded.ended_at,
            excluded.class, excluded.ward, excluded.source)
"""
_DEVICE = """
    INSERT INTO devices AS old (device_id, model, serial) VALUES (%s, %s, %s)
    ON CONFLICT (device_id) DO UPDATE SET model = coalesce(nullif(excluded.model, ''), old.model),
        serial = coalesce(nullif(excluded.serial, ''), old.serial), updated_at = clock_timestamp()
"""
_SOME_DEVICE = "INSERT INTO devices (device_id) VALUES (%s) ON CONFLICT DO NOTHING"
_LINK = """
    INSERT INTO device_links (device_id, patient_id, encounter_id, valid_from, valid_to, source)
    SELECT %(device)s, %(patient)s, %(encounter)s, %(from)s, %(to)s, %(source)s
    WHERE NOT EXISTS (SELECT FROM device_links WHERE device_id = %(device)s
        AND patient_id = %(patient)s AND valid_from = %(from)s
        AND encounter_id IS NOT DISTINCT FROM %(encounter)s
        AND valid_to IS NOT DISTINCT FROM %(to)s)
"""
_UNLINK = """
    UPDATE device_links SET valid_to = %(at)s
    WHERE device_id = %(device)s AND valid_from < %(at)s
        AND (valid_to IS NULL OR valid_to > %(at)s)
    RETURNING link_id
"""
_LINKS = """
    SELECT device_id, patient_id, valid_from, valid_to, encounter_id, source FROM device_links
    WHERE (%(device)s = '' OR device_id = %(device)s)
        AND (%(patient)s = '' OR patient_id = %(patient)s)
        AND (%(at)s::timestamptz IS NULL
            OR (valid_from <= %(at)s AND (valid_to IS NULL OR valid_to > %(at)s)))
    ORDER BY valid_from, device_id
"""


class People:
    """The tables `patients`, `encounters`, `devices` and `device_links`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def write_patients(self, patients: Sequence[Patient]) -> None:
        """Add patients, or complete what is known of them; empty fields erase nothing."""
        rows = [
            (p.patient_id, p.birth_date, p.sex, _time(p.deceased_us), p.source) for p in patients
        ]
        self._many("write patients", [(_PATIENT, rows)])

    def write_encounters(self, encounters: Sequence[Encounter]) -> None:
        """Add encounters, or bring them up to date; their patients are added where missing.

        An encounter that starts admits its patient: the event feed is woken.
        """
        rows = [
            (
                e.encounter_id,
                e.patient_id,
                Micros(e.started_us),
                _time(e.ended_us),
                e.kind,
                e.ward,
                e.source,
            )
            for e in encounters
        ]
        people = [(e.patient_id,) for e in encounters]
        self._many("write encounters", [(_SOME_PATIENT, people), (_ENCOUNTER, rows)])

    def write_devices(self, devices: Sequence[Device]) -> None:
        """Add devices, or complete what is known of them."""
        self._many("write devices", [(_DEVICE, devices)])

    def link(self, links: Sequence[DeviceLink]) -> None:
        """Put devices on patients, all or none; the same link again changes nothing.

        Raises
        ------
        RefusedRows
            A device would be on two patients at once, an interval is empty, or the encounter is
            another patient's.
        """
        rows = [
            {
                "device": link.device_id,
                "patient": link.patient_id,
                "encounter": link.encounter_id,
                "from": Micros(link.from_us),
                "to": _time(link.to_us),
                "source": link.source,
            }
            for link in links
        ]
        self._many(
            "link devices",
            [
                (_SOME_PATIENT, [(link.patient_id,) for link in links]),
                (_SOME_DEVICE, [(link.device_id,) for link in links]),
                (_LINK, rows),
            ],
        )

    def unlink(self, device_id: str, at_us: int) -> bool:
        """Take a device off whoever has it on at that time; False if nobody has."""
        asked = {"device": device_id, "at": Micros(at_us)}
        return bool(self._line.rows("unlink a device", _UNLINK, asked))

    def links(
        self, device_id: str = "", patient_id: str = "", at_us: int | None = None
    ) -> list[DeviceLink]:
        """Links of a device, of a patient, or all; `at_us`: only those valid then."""
        asked = {"device": device_id, "patient": patient_id, "at": _time(at_us)}
        return [DeviceLink(*row) for row in self._line.rows("read device links", _LINKS, asked)]

    def encounters(self, patient_id: str) -> list[Encounter]:
        """Encounters of a patient by start."""
        query = """
            SELECT encounter_id, patient_id, started_at, ended_at, class, ward, source
            FROM encounters WHERE patient_id = %s ORDER BY started_at, encounter_id
        """
        found = self._line.rows("read encounters", query, (patient_id,))
        return [Encounter(*row) for row in found]

    def admitted(self) -> set[str]:
        """Whom the event feed serves when it serves only those admitted."""
        query = "SELECT * FROM vigil_admitted()"
        return {str(row[0]) for row in self._line.rows("read who is admitted", query)}

    def _many(self, doing: str, writes: Sequence[tuple[str, Sequence[Any]]]) -> None:
        """Run statements for their rows in one transaction."""

        def work(connection: Connection) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                for query, rows in writes:
                    cursor.executemany(query, rows)

        self._line.run(doing, work)


def _time(time_us: int | None) -> Micros | None:
    return None if time_us is None else Micros(time_us)

"""Patients, encounters, devices: upserts, and links that cannot overlap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from streams.io.store import Store
from streams.io.store_people import Device, DeviceLink, Encounter, Patient
from streams.io.timescale import RefusedRows
from tests.fixtures_database import BASE_US, DAY_US, QUICK, feature

pytestmark = pytest.mark.database

T = BASE_US


def test_a_link_again_changes_nothing_and_an_overlap_is_refused(any_store: Store) -> None:
    first = DeviceLink("d1", "p1", T, T + DAY_US)
    any_store.people.link([first, first])
    any_store.people.link([first])
    assert any_store.people.links() == [first]
    for clash in (
        DeviceLink("d1", "p2", T + DAY_US - 1, T + 2 * DAY_US),  # one µs
        DeviceLink("d1", "p2", T - DAY_US),  # open, from before
        DeviceLink("d1", "p2", T + 5, T + 6),  # inside
        DeviceLink("d1", "p1", T + 5),  # the same patient
    ):
        with pytest.raises(RefusedRows):
            any_store.people.link([clash])
    assert any_store.people.links() == [first]


def test_intervals_that_touch_and_other_devices_are_no_overlap(any_store: Store) -> None:
    any_store.people.link(
        [
            DeviceLink("d1", "p1", T, T + DAY_US),
            DeviceLink("d1", "p2", T + DAY_US),
            DeviceLink("d2", "p1", T),
            DeviceLink("D1", "p3", T),  # ids are compared by byte
            DeviceLink("d1 ", "p3", T),
        ]
    )
    assert len(any_store.people.links()) == 5
    assert [link.patient_id for link in any_store.people.links("d1", at_us=T + DAY_US - 1)] == [
        "p1"
    ]
    assert [link.patient_id for link in any_store.people.links("d1", at_us=T + DAY_US)] == ["p2"]
    assert [link.device_id for link in any_store.people.links(patient_id="p1")] == ["d1", "d2"]


@pytest.mark.parametrize("to_us", [T, T - 1])
def test_an_empty_or_backward_interval_is_refused(store: Store, to_us: int) -> None:
    with pytest.raises(RefusedRows):
        store.people.link([DeviceLink("d1", "p1", T, to_us)])
    assert store.people.links() == []


def test_a_batch_with_one_overlap_links_nothing(store: Store) -> None:
    with pytest.raises(RefusedRows):
        store.people.link([DeviceLink("d1", "p1", T), DeviceLink("d1", "p2", T + 1)])
    assert store.people.links() == []


def test_a_device_is_taken_off_and_can_go_to_another_patient(store: Store) -> None:
    store.people.link([DeviceLink("d1", "p1", T)])
    assert store.people.unlink("d1", T + DAY_US)
    assert not store.people.unlink("d1", T + DAY_US)
    store.people.link([DeviceLink("d1", "p2", T + DAY_US)])
    assert [link.to_us for link in store.people.links()] == [T + DAY_US, None]


def test_of_two_writers_that_link_one_device_at_once_one_wins(
    store: Store, database_dsn: str
) -> None:
    def link(number: int) -> bool:
        with Store.connect(database_dsn, QUICK) as own:
            try:
                own.people.link([DeviceLink("d1", f"p{number}", T + number)])
            except RefusedRows:
                return False
            return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(link, range(4))) == 1
    assert len(store.people.links()) == 1


def test_an_encounter_of_another_patient_is_refused(store: Store) -> None:
    store.people.write_encounters([Encounter("v1", "p1", T)])
    store.people.link([DeviceLink("d1", "p1", T, encounter_id="v1")])
    with pytest.raises(RefusedRows):
        store.people.link([DeviceLink("d2", "p2", T, encounter_id="v1")])


def test_an_encounter_is_written_and_brought_up_to_date(any_store: Store) -> None:
    people = any_store.people
    visit = Encounter("v1", "p1", T, kind="inpatient", ward="4b", source="adt")
    people.write_encounters([visit, visit])
    assert people.encounters("p1") == [visit]
    moved = visit._replace(ward="icu", ended_us=T + DAY_US)
    people.write_encounters([moved])
    assert people.encounters("p1") == [moved]
    with pytest.raises(RefusedRows):
        people.write_encounters([moved._replace(ended_us=T)])


def test_what_is_not_known_of_a_patient_or_device_erases_nothing(
    store: Store, database_dsn: str
) -> None:
    people = store.people
    people.write_patients([Patient("p1", "1950-02-28", "female", source="adt"), Patient("p2")])
    people.write_patients([Patient("p1", deceased_us=T, source="adt2")])
    people.write_devices([Device("d1", "E4", "s1"), Device("d1")])
    with psycopg.connect(database_dsn) as connection:
        found = connection.execute(
            "SELECT patient_id, birth_date::text, sex, deceased_at IS NULL, source FROM patients "
            "ORDER BY 1"
        ).fetchall()
        devices = connection.execute("SELECT device_id, model, serial FROM devices").fetchall()
    assert found == [("p1", "1950-02-28", "female", False, "adt2"), ("p2", None, "", True, "")]
    assert devices == [("d1", "E4", "s1")]
    for bad in (Patient("p3", "1950-02-30"), Patient("p3", sex="x"), Patient(""), Patient("p\x00")):
        with pytest.raises(RefusedRows):
            people.write_patients([bad])


def test_admitted_are_those_with_an_open_encounter_or_a_device_on(any_store: Store) -> None:
    now_us = any_store.now_us()
    any_store.people.write_encounters(
        [
            Encounter("v1", "open", now_us - DAY_US),
            Encounter("v2", "ended", now_us - DAY_US, now_us - 1),
            Encounter("v3", "later", now_us + DAY_US),
            Encounter("v4", "ends later", now_us - DAY_US, now_us + DAY_US),
        ]
    )
    any_store.people.link(
        [DeviceLink("d1", "worn", now_us - DAY_US), DeviceLink("d2", "off", T, T + DAY_US)]
    )
    assert any_store.people.admitted() == {"open", "ends later", "worn"}


def test_the_first_signal_admits_a_patient_and_wakes_the_feed_once(any_store: Store) -> None:
    now_us = any_store.now_us()
    new = feature(1)._replace(patient_id="seen", end_us=now_us)
    any_store.feed.heard(0.0)
    any_store.write_features([feature(1)._replace(patient_id="long ago"), new])
    assert any_store.feed.heard(5.0)
    assert any_store.people.admitted() == {"seen"}
    any_store.write_features([new._replace(end_us=now_us + 10_000_000)])
    any_store.write_features([new._replace(end_us=now_us + 700_000_000)])
    assert not any_store.feed.heard(0.2)
    any_store.write_features([new._replace(patient_id="late", end_us=now_us - 7_200_000_000)])
    assert any_store.people.admitted() == {"seen"}, "its signals ended two hours ago"

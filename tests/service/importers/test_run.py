"""Imports into a real database: once, twice, broken off, with what has to wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from service import quarantine
from service.importers import registry
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.run import ImportReport, import_source
from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_quarantine import Selection

pytestmark = pytest.mark.database

T_US = 1_709_287_200_000_000
EVER_US = 2**62


def facts(path: Path, count: int, **changes: object) -> Path:
    """A source of facts, one per line, for the importer below."""
    rows = [{"n": n, "code": "lab|KAL", "unit": "mmol/L", **changes} for n in range(count)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def read(job: Job) -> Iterator[Item]:
    for line, text in enumerate(job.path.read_text("utf-8").splitlines(), start=1):
        job.rows += 1
        row = json.loads(text)
        if row.get("fails"):
            raise RuntimeError("the process is gone")
        yield Fact(
            file=str(job.path),
            line=line,
            event_id=f"t{row['n']}",
            patient_id=f"p{row['n'] % 7}",
            codings=(row["code"],),
            value=4.0,
            unit=row["unit"],
            event_time_us=T_US + row["n"],
            known_time_us=T_US + row["n"],
        )


LINES = Importer("lines", "test lines", lambda path, head: True, read)


def run(store: Store, path: Path, checkpoint: Path | None = None) -> ImportReport:
    terms = quarantine.terms_of(store)
    return import_source(store, LINES, Job(path, checkpoint=checkpoint), lambda error: None, terms)


def stored(store: Store) -> list[object]:
    return list(store.events(None, 0, EVER_US))


def test_what_lacks_a_meaning_waits_once_and_is_released_when_somebody_says_it(
    store: Store, tmp_path: Path
) -> None:
    path = facts(tmp_path / "a", 12)
    first = run(store, path)
    assert (first.rows, first.facts, first.inserted, first.waiting) == (12, 12, 0, 12)
    assert first.refused == {"unknown_concept": 12}
    assert run(store, path).waiting == 0
    (group,) = store.quarantine.groups()
    assert (group.reason, group.coding, group.unit, group.rows) == (
        "unknown_concept",
        "lab|KAL",
        "mmol/L",
        12,
    )
    nothing = quarantine.release(store, Selection(), "ward", lambda error: None)
    assert nothing == (12, 0, 0, {"unknown_concept": 12})
    assert quarantine.say(store, Selection(coding="lab|KAL"), "potassium", "", "ward") == 12
    done = quarantine.release(store, Selection(), "ward", lambda error: None)
    assert done == (12, 12, 12, {})
    assert {(e.code, e.value, e.unit) for e in store.events(None, 0, EVER_US)} == {
        ("k", 4.0, "mmol/L")
    }
    again = quarantine.release(store, Selection(), "ward", lambda error: None)
    assert again == (0, 0, 0, {})


def test_what_somebody_said_holds_for_later_imports(store: Store, tmp_path: Path) -> None:
    run(store, facts(tmp_path / "a", 3))
    quarantine.say(store, Selection(coding="lab|KAL"), "k", "", "ward")
    later = run(store, facts(tmp_path / "b", 20))
    assert (later.inserted, later.waiting, later.refused) == (20, 0, {})


def test_a_unit_can_be_said_alone(store: Store, tmp_path: Path) -> None:
    run(store, facts(tmp_path / "a", 3, code="loinc|2823-3", unit="mM"))
    which = Selection(coding="loinc|2823-3", unit="mM")
    assert quarantine.say(store, which, "", "mmol/L", "ward") == 3
    assert quarantine.release(store, Selection(), "ward", lambda error: None).released == 3


@pytest.mark.parametrize(
    ("concept", "unit", "rule"),
    [
        ("", "", "a concept, a unit, or both"),
        ("kalium?", "", "no concept"),
        ("k", "mg/dL", "does not convert"),
    ],
)
def test_a_meaning_that_cannot_be_is_refused(
    store: Store, concept: str, unit: str, rule: str
) -> None:
    with pytest.raises(ConfigError, match=rule):
        quarantine.say(store, Selection(), concept, unit, "ward")


def test_an_import_that_broke_off_goes_on_from_its_checkpoint_and_ends_the_same(
    store: Store, tmp_path: Path
) -> None:
    whole = facts(tmp_path / "whole", 12_000, code="loinc|2823-3")
    lines = whole.read_text("utf-8").splitlines()
    lines.insert(7_000, json.dumps({"fails": True}))
    path, checkpoint = tmp_path / "source", tmp_path / "at"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(RuntimeError):
        run(store, path, checkpoint)
    assert len(stored(store)) == 5_000
    assert checkpoint.exists()
    with pytest.raises(ConfigError, match="another source"):
        run(store, whole, checkpoint)
    checkpoint.write_text(
        checkpoint.read_text("utf-8").replace(
            json.loads(checkpoint.read_text("utf-8"))["source"], _fingerprint(whole)
        ),
        encoding="utf-8",
    )
    done = run(store, whole, checkpoint)
    assert (done.rows, done.facts, done.inserted, done.present) == (12_000, 12_000, 12_000, 0)
    assert len(stored(store)) == 12_000
    assert not checkpoint.exists()
    assert run(store, whole)[:4] == (12_000, 12_000, 0, 12_000)


def _fingerprint(path: Path) -> str:
    from service.importers.run import fingerprint

    return fingerprint(path)


def test_a_file_that_is_no_checkpoint_is_refused(store: Store, tmp_path: Path) -> None:
    path, checkpoint = facts(tmp_path / "a", 1), tmp_path / "at"
    checkpoint.write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="no checkpoint"):
        run(store, path, checkpoint)


def test_connections_cut_during_an_import_cost_and_double_nothing(
    store: Store, database_dsn: str, tmp_path: Path
) -> None:
    path = facts(tmp_path / "a", 20_000, code="loinc|2823-3")
    cuts = iter((3_000, 9_000, 16_000))
    due = [next(cuts)]

    def cutting(job: Job) -> Iterator[Item]:
        for number, item in enumerate(read(job)):
            if due and number == due[0]:
                due[0] = next(cuts, -1)
                _cut(database_dsn)
            yield item

    importer = LINES._replace(read=cutting)
    report = import_source(store, importer, Job(path), lambda error: None)
    assert report.facts == 20_000
    assert report.inserted + report.present == 20_000
    assert len(stored(store)) == 20_000


def _cut(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )


def test_sql_in_strings_is_text(store: Store, tmp_path: Path) -> None:
    evil = "'); DROP TABLE clinical_events; --"
    run(store, facts(tmp_path / "a", 2, code=f"lab|{evil}", unit=evil))
    (group,) = store.quarantine.groups()
    assert (group.coding, group.unit) == (f"lab|{evil}", evil)
    which = Selection(coding=f"lab|{evil}")
    assert quarantine.say(store, which, "k", "mmol/L", evil) == 2
    assert quarantine.release(store, which, evil, lambda error: None).released == 2
    assert len(stored(store)) == 2


def test_a_row_that_was_not_kept_as_a_fact_waits_on(store: Store) -> None:
    from streams.io.store_quarantine import QuarantineRecord

    store.quarantine.add([QuarantineRecord("k", "unknown_concept", b'{"other": 1}')])
    told: list[EventError] = []
    done = quarantine.release(store, Selection(), "ward", told.append)
    assert (done.released, done.still) == (0, {"undecodable": 1})
    assert len(told) == 1


def test_stays_and_persons_are_written_before_the_facts_and_again_change_nothing(
    store: Store, database_dsn: str, tmp_path: Path
) -> None:
    head = "MSH|^~\\&|ADT|H|E|H|20240501140000+0000||ADT^{0}|1|P|2.5\rEVN|{0}|{1}+0000\r"
    rest = "PID|1||p1||||19500501|F\rPV1|1|I|W4^12||||||||||||||||V1|||||||||||||||||||||||||{2}\r"
    file = tmp_path / "adt.hl7"
    text = (head + rest).format("A01", "20240501120000", "")
    text += (head + rest).format("A03", "20240502120000", "20240501120000+0000")
    file.write_text(text, encoding="utf-8", newline="")
    importer = registry.detect(file)

    def stamps() -> list[tuple[object, ...]]:
        query = (
            "SELECT updated_at, patient_id FROM patients UNION ALL "
            "SELECT updated_at, encounter_id FROM encounters"
        )
        with psycopg.connect(database_dsn, autocommit=True) as other:
            return other.execute(query).fetchall()

    first = import_source(store, importer, Job(file), lambda error: None)
    assert (first.facts, first.inserted, first.people) == (4, 4, 3)
    (stay,) = store.people.encounters("p1")
    assert (stay.encounter_id, stay.ward, stay.kind) == ("hl7:ADT:V1", "W4", "I")
    assert stay.ended_us == stay.started_us + 24 * 3600 * 1_000_000
    before = stamps()
    second = import_source(store, importer, Job(file), lambda error: None)
    assert (second.inserted, second.present) == (0, 4)
    assert stamps() == before


def test_the_csv_importer_is_the_one_behind_the_old_command() -> None:
    assert registry.named("csv").label == "CSV of events"

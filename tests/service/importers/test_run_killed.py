"""An import whose database is killed goes on from its checkpoint and ends with the same rows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from service.importers.contract import Importer, Item, Job
from service.importers.fact import Fact
from service.importers.run import import_source
from streams.errors import StoreError
from streams.io.store import Store
from streams.io.timescale import RetrySpec
from tests.fixtures_services import OwnService

pytestmark = [pytest.mark.database, pytest.mark.slow]

ROWS = 40_000
T_US = 1_709_287_200_000_000
SHORT = RetrySpec(attempts=2, first_s=0.05, most_s=0.1)
CHECKSUM = (
    "SELECT count(*), md5(string_agg(concat_ws('|', event_id, version, concept, value, "
    "event_time, known_time), ',' ORDER BY event_id, version)) FROM clinical_events"
)


def read(job: Job) -> Iterator[Item]:
    """Facts of a made-up source; every ninth lacks a meaning."""
    for number in range(ROWS):
        job.rows += 1
        yield Fact(
            file="made up",
            line=number,
            event_id=f"k{number:05d}",
            patient_id=f"p{number % 97}",
            codings=("lab|X" if number % 9 == 0 else "loinc|2823-3",),
            value=3.0 + number % 20 / 10,
            unit="mmol/L",
            event_time_us=T_US + number * 1_000_000,
            known_time_us=T_US + number * 1_000_000,
        )


LINES = Importer("made-up", "made up", lambda path, head: True, read)


def checksum(dsn: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as other:
        return other.execute(CHECKSUM).fetchone()


def test_rows_and_checksum_are_those_of_an_import_that_was_left_alone(
    private_database: OwnService, database_dsn: str, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_text("made up", encoding="utf-8")
    with Store(database_dsn) as calm:
        alone = import_source(calm, LINES, Job(source), lambda error: None)
    strikes = iter((9_000, 21_000, 33_000))
    due = [next(strikes)]

    def struck(job: Job) -> Iterator[Item]:
        for number, item in enumerate(read(job)):
            if number == due[0]:
                due[0] = next(strikes, -1)
                record = Path(private_database.environment["VIGIL_SERVICES_STATE"])
                pid = json.loads((record / "timescale.json").read_text("utf-8"))["pid"]
                os.kill(pid, signal.SIGKILL)
            yield item

    importer, starts = LINES._replace(read=struck), 0
    while True:
        starts += 1
        job = Job(source, checkpoint=tmp_path / "at")
        try:
            with Store(private_database.address, SHORT) as store:
                store.migrate()
                report = import_source(store, importer, job, lambda error: None)
            break
        except StoreError:
            private_database.act("up")
    assert starts == 4
    assert report[:3] == alone[:3] == (ROWS, ROWS, alone.inserted)
    assert (report.refused, report.waiting) == (alone.refused, alone.waiting)
    assert checksum(private_database.address) == checksum(database_dsn)

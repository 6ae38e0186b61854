"""Fixtures for a real database: every test gets a database of its own, dropped afterwards.

`VIGIL_DATABASE` names a server (deploy/services starts one) and a role that may create databases.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import conninfo

from streams.io.store import Store
from streams.io.store_rows import AlertRecord, FeatureRecord
from streams.io.timescale import RetrySpec
from streams.records import ClinicalEvent

BASE_US = 1_700_000_000_000_001  # odd, so that a float on the way would show
DAY_US = 86_400_000_000
EVER_US = 2**62

# Tests that break the line on purpose should not wait long for it.
QUICK = RetrySpec(attempts=5, first_s=0.05, most_s=0.2)


@pytest.fixture(scope="session")
def database_server() -> str:
    """Address of the server named by VIGIL_DATABASE, or skip saying so."""
    dsn = os.environ.get("VIGIL_DATABASE", "")
    if not dsn:
        pytest.skip("no database: set VIGIL_DATABASE (deploy/services up prints it)")
    return dsn


@pytest.fixture
def empty_database_dsn(database_server: str) -> Iterator[str]:
    """Address of a new database without tables or extensions."""
    name = f"vigil_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(database_server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield conninfo.make_conninfo(database_server, dbname=name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_dsn(empty_database_dsn: str) -> str:
    """Address of a new database with the schema, on TimescaleDB where the server has it."""
    with Store.connect(empty_database_dsn) as store:
        store.migrate()
    return empty_database_dsn


@pytest.fixture(params=["timescaledb", "postgresql"])
def any_edition_dsn(request: pytest.FixtureRequest, empty_database_dsn: str) -> str:
    """Like `database_dsn`, once with the extension and once on plain PostgreSQL."""
    with Store.connect(empty_database_dsn) as store:
        edition = store.migrate(extension=request.param == "timescaledb")
    if request.param == "timescaledb" and edition == "postgresql":
        pytest.skip("this server has no TimescaleDB: the plain half of the test runs")
    return empty_database_dsn


@pytest.fixture
def store(database_dsn: str) -> Iterator[Store]:
    """An open store on `database_dsn`."""
    with Store.connect(database_dsn, QUICK) as opened:
        yield opened


@pytest.fixture
def any_store(any_edition_dsn: str) -> Iterator[Store]:
    """An open store on `any_edition_dsn`."""
    with Store.connect(any_edition_dsn, QUICK) as opened:
        yield opened


def event(number: int, patient_id: str = "p1", **changes: object) -> ClinicalEvent:
    """One heart rate of the ward; `number` gives its id and its time."""
    fields: dict[str, object] = {
        "event_id": f"e{number:06d}",
        "version": 1,
        "status": "final",
        "patient_id": patient_id,
        "code": "hr",
        "value": 61.25,
        "unit": "/min",
        "text": "",
        "event_time_us": BASE_US + number * 1_000_003,
        "known_time_us": BASE_US + number * 1_000_003 + 60_000_001,
        "source": "ehr",
    }
    return ClinicalEvent(**{**fields, **changes})


def feature(number: int, record: bytes = b'{"values": {"ecg_hr_bpm": null}}') -> FeatureRecord:
    """One feature row; `number` is its day."""
    end_us = BASE_US + number * DAY_US
    return FeatureRecord("p1", "60s", end_us - 60_000_000, end_us, end_us + 1, 0, record)


def alert(number: int) -> AlertRecord:
    """One lifecycle event of one alert; `number` is its seq."""
    return AlertRecord("o1", number, "raised", "p1", "high", BASE_US, b'{"seq": 1}')

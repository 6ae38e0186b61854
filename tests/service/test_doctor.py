"""`vigil doctor`: every check on its own, and a remedy for each that fails."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psycopg
import pytest

from service import doctor
from service.config import Config, DatabaseConfig, KafkaConfig, WorkerConfig
from streams.io.store import Store
from tests.fixtures_database import event
from tests.fixtures_services import Vigil

NOWHERE = Config(
    kafka=KafkaConfig(bootstrap="127.0.0.1:1"),
    database=DatabaseConfig(dsn="postgresql://u:canary-password@127.0.0.1:1/x"),
)


def by_name(config: Config) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(config)}


def test_with_nothing_running_each_check_says_what_to_do() -> None:
    began_s = time.monotonic()
    found = by_name(NOWHERE)
    assert time.monotonic() - began_s < 15
    assert {name for name, one in found.items() if not one.ok} == {
        "broker",
        "topics",
        "database",
        "schema",
    }
    assert all(bool(one.remedy) != one.ok for one in found.values())
    assert all("\n" not in one.detail for one in found.values())
    assert "canary-password" not in repr(found)


def test_a_port_where_something_else_answers_is_not_a_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.io.kafka_admin.TIMEOUT_MS", 500)
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = Config(kafka=KafkaConfig(bootstrap=f"127.0.0.1:{server.getsockname()[1]}"))
        finding = doctor._run("broker", doctor._broker, "remedy", config)
    assert not finding.ok
    assert "does not answer" in finding.detail


def test_a_bad_policy_is_found(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[polcy]\n")
    found = doctor._run("policy", doctor._policy, "remedy", Config(policy=str(path)))
    assert (found.ok, found.remedy) == (False, "remedy")
    assert str(path) in found.detail


def test_the_disk_of_a_folder_that_does_not_exist_yet_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(worker=WorkerConfig(data_dir=str(tmp_path / "a" / "b")))
    assert doctor._run("disk", doctor._disk, "", config).ok
    monkeypatch.setattr(doctor, "FREE_BYTES", 1 << 80)
    found = doctor._run("disk", doctor._disk, "free some", config)
    assert (found.ok, found.remedy) == (False, "free some")


@pytest.mark.database
def test_a_clock_that_is_off_is_told(database_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(database=DatabaseConfig(dsn=database_dsn))
    assert doctor._run("clock", doctor._clock, "", config).ok
    ahead = time.time
    monkeypatch.setattr("time.time", lambda: ahead() + 60)
    found = doctor._run("clock", doctor._clock, "NTP", config)
    assert (found.ok, found.remedy) == (False, "NTP")
    assert "+60" in found.detail


@pytest.mark.broker
@pytest.mark.database
def test_init_cures_what_the_doctor_finds(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, empty_database_dsn: str
) -> None:
    vigil.configure(
        kafka={"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 8},
        database={"dsn": empty_database_dsn},
    )
    before = {row["name"]: row for row in vigil.json("doctor", code=4)}
    assert [name for name, row in before.items() if not row["ok"]] == ["schema"]
    assert "vigil init" in before["schema"]["remedy"]
    for _ in range(2):
        done = vigil.json("init", "--recorded-time")
        assert done["topics_created"] == []
        assert done["database"]
    assert all(row["ok"] for row in vigil.json("doctor"))


@pytest.mark.database
def test_events_that_wait_although_a_feed_leads_are_found(store: Store, database_dsn: str) -> None:
    config = Config(database=DatabaseConfig(dsn=database_dsn))
    assert doctor._run("feed", doctor._feed, "", config).detail == "no event waits for the log"
    store.insert_events([event(1)])
    with psycopg.connect(database_dsn, autocommit=True) as admin:
        admin.execute("UPDATE event_feed SET arrived_at = now() - interval '5 minutes'")
    idle = doctor._run("feed", doctor._feed, "", config)
    assert idle.ok, "nobody said that a feed should run"
    assert idle.detail.startswith("1 events wait for the log, the oldest for 30")
    assert store.feed.lead() is not None
    assert store.feed.backlog().held
    assert not doctor._run("feed", doctor._feed, "", config).ok
    assert doctor._run("roles", doctor._roles, "", config).detail.endswith("are in force")

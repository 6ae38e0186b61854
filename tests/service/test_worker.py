"""The always-on worker as a process: on a real log, seen from outside."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.config import Config
from service.replay import load, replay_embedded
from service.replay_kafka import collect
from streams.io.kafka_admin import delete_topics
from streams.io.kafka_read import lag, read_topic
from streams.topics import topic_name
from tests.fixtures_services import (
    CANARY_PASSWORD,
    CANARY_PATIENT,
    LiveWard,
    OwnService,
    Vigil,
    fetch,
    wait_until,
)
from tests.service import live_kit

NOBODY = "127.0.0.1:1"
live = [pytest.mark.broker, pytest.mark.database, pytest.mark.slow]


def topic(config: Config, short: str) -> list[bytes]:
    name = topic_name(short, config.kafka.prefix)
    return [row.value for row in asyncio.run(read_topic(config.kafka.bootstrap, name))]


def figures(page: str) -> dict[tuple[str, ...], float]:
    """Every sample of `/metrics` by its name and the values of its labels."""
    return {
        (row.name, *sorted(row.labels.values())): row.value
        for family in text_string_to_metric_families(page)
        for row in family.samples
    }


class TestLive:
    pytestmark = live

    def test_an_alert_carries_the_blood_pressure_from_the_database(
        self, live_ward: LiveWard
    ) -> None:
        alerts = [json.loads(value) for value in topic(live_ward.config, "alerts")]
        first = next(a for a in alerts if a["condition"]["code"] == "deterioration")
        found = {row["code"]: row for row in first["evidence"]}
        assert (first["phase"], first["subject"]) == ("raised", CANARY_PATIENT)
        assert (found["sbp"]["value"], found["sbp"]["unit"]) == (84.0, "mm[Hg]")
        assert 200 <= found["sbp"]["age_s"] <= 400  # 300 s old when sent, at the window it is in

    def test_undecodable_bytes_become_a_dead_letter_with_the_original(
        self, live_ward: LiveWard
    ) -> None:
        (letter,) = (json.loads(value) for value in topic(live_ward.config, "dlq"))
        assert (letter["reason"], letter["partition"]) == ("undecodable", 0)

    def test_metrics_parse_and_hold_what_an_operator_needs(self, live_ward: LiveWard) -> None:
        status, page = live_ward.page("/metrics")
        types = {family.name: family.type for family in text_string_to_metric_families(page)}
        assert status == 200
        assert types["vigil_records"] == "counter"
        assert types["vigil_window_features_seconds"] == "histogram"
        values = figures(page)
        assert values["vigil_records_total", "accepted", "event"] == 3
        assert values["vigil_rejects_total", "undecodable"] == 1
        assert values["vigil_alerts_total", "raised"] >= 1
        assert values["vigil_score_seconds_count", "news2"] > 0
        assert all(values["vigil_lag_records", number] >= 0 for number in "0123")

        def ages() -> list[float]:
            now = figures(live_ward.page("/metrics")[1])
            return [now["vigil_frontier_age_seconds", number] for number in "0123"]

        # Ticks come every 5 s. On a busy machine one may be late; a stuck partition only ages.
        wait_until(lambda: all(0 <= age < 20 for age in ages()), 60, "young frontiers")

    def test_it_is_alive_and_ready(self, live_ward: LiveWard) -> None:
        assert live_ward.page("/healthz") == (200, "alive\n")
        assert live_ward.page("/readyz")[0] == 200

    def test_nothing_it_says_names_the_patient_or_the_password(self, live_ward: LiveWard) -> None:
        said = live_ward.worker.said() + live_ward.sink.said() + live_ward.page("/metrics")[1]
        said += "".join(done.stdout + done.stderr for done in live_ward.spoken)
        assert "refused:" in said  # the bad row was told ...
        assert CANARY_PATIENT not in said  # ... and not by the name of whose it is
        assert CANARY_PASSWORD not in said
        assert "Traceback" not in said


def test_a_broker_that_is_away_is_one_line_and_exit_4(vigil: Vigil) -> None:
    vigil.configure(kafka={"bootstrap": NOBODY}, worker={"http_port": -1})
    done = vigil.run("run", timeout_s=20)
    assert done.returncode == 4
    assert re.fullmatch(rf"error: Kafka at {NOBODY} does not answer .*\n", done.stderr)


def test_a_folder_that_cannot_be_made_is_named(vigil: Vigil) -> None:
    (vigil.folder / "file").touch()
    vigil.configure(kafka={"bootstrap": NOBODY}, worker={"data_dir": "file/worker"})
    done = vigil.run("run")
    assert done.returncode == 2
    assert "worker.data_dir" in done.stderr
    assert "VIGIL_DATA_DIR" in done.stderr


@pytest.mark.broker
def test_topics_that_do_not_exist_are_one_line_that_says_init(
    vigil: Vigil, kafka_bootstrap: str
) -> None:
    vigil.configure(kafka={"bootstrap": kafka_bootstrap, "prefix": "absent"})
    done = vigil.run("run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "vigil init" in done.stderr


@pytest.mark.broker
def test_another_partition_count_than_the_topics_have_is_refused(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    vigil.configure(kafka={"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 9})
    for command in (["run"], ["events", "feed", "--once"], ["sink"]):
        done = vigil.run(*command)
        assert done.returncode == 2
        assert "has 8 partitions, not 9" in done.stderr


@pytest.mark.broker
def test_recorded_history_is_refused_by_topics_that_would_delete_it(
    vigil: Vigil, kafka_bootstrap: str, tmp_path: Path
) -> None:
    config = vigil.configure(
        kafka={
            "bootstrap": kafka_bootstrap,
            "prefix": f"age-{uuid.uuid4().hex[:8]}",
            "partitions": 4,
        }
    )
    try:
        assert vigil.run("init", "--no-database").returncode == 0
        done = vigil.run("ingest", str(live_kit.recording(tmp_path, "p1")), "--speed", "max")
    finally:
        delete_topics(kafka_bootstrap, config.kafka.prefix)
    assert done.returncode == 2
    assert "deletes by age" in done.stderr


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.parametrize("speed", ["max", "60"])
def test_ingested_history_leaves_the_bytes_of_a_replay(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path, speed: str
) -> None:
    config = vigil.configure(
        kafka={
            "bootstrap": kafka_bootstrap,
            "prefix": kafka_prefix,
            "group": kafka_prefix,
            "partitions": 8,
        },
        worker={"ticks": "recorded", "http_port": 0, "checkpoint_s": 0.5},
    )
    source = live_kit.recording(tmp_path, "p1")
    events = live_kit.recorded_events(tmp_path, "p1")
    worker = vigil.start("run")
    report = vigil.json("ingest", str(source), "--events", str(events), "--speed", speed)
    assert report["records"] > report["ticks"] > 40
    name = topic_name("in", kafka_prefix)
    wait_until(
        lambda: asyncio.run(lag(kafka_bootstrap, kafka_prefix, name)) == 0, 60, "history processed"
    )
    code, took_s = worker.stop(signal.SIGINT)
    assert code == 0
    assert took_s < 5
    embedded = replay_embedded(load([source], events), config)
    through = asyncio.run(collect(kafka_bootstrap, kafka_prefix)).results()
    assert embedded.results.alerts
    assert through.digests == embedded.results.digests


@pytest.mark.broker
@pytest.mark.slow
def test_ingest_is_interrupted_cleanly(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str, tmp_path: Path
) -> None:
    vigil.configure(kafka={"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 8})
    playing = vigil.start("ingest", str(live_kit.recording(tmp_path, "p1")), "--speed", "1")
    sent = topic_name("in", kafka_prefix)
    wait_until(lambda: asyncio.run(read_topic(kafka_bootstrap, sent)), 60, "it sends")
    code, took_s = playing.stop(signal.SIGINT)
    assert code == 130
    assert took_s < 5
    assert playing.said() == ""


@pytest.mark.broker
@pytest.mark.slow
def test_a_worker_survives_a_broker_restart_and_loses_nothing(
    vigil: Vigil, private_broker: OwnService
) -> None:
    bootstrap = private_broker.address
    config = vigil.configure(
        policy=str(live_kit.impatient_policy(vigil.folder)),
        kafka={"bootstrap": bootstrap, "prefix": "away", "partitions": 4},
        worker={"http_port": 0, "checkpoint_s": 1.0},
        timing=live_kit.TIMING,
    )
    assert vigil.run("init", "--no-database").returncode == 0
    worker = vigil.start("run")
    wait_until(lambda: "http://" in worker.said(), 20, "the worker's address")
    found = re.search(r"http://[\d.:]+", worker.said())
    assert found is not None
    wait_until(lambda: fetch(found[0] + "/readyz")[0] == 200, 60, "ready")
    live_kit.send_signals(config, "p1", history_s=90, live_s=0)
    wait_until(lambda: topic(config, "features"), 30, "features before")
    before = len(set(topic(config, "features")))

    private_broker.act("down")
    assert fetch(found[0] + "/healthz") == (200, "alive\n")
    time.sleep(5)
    assert worker.process.poll() is None
    private_broker.act("up")

    live_kit.send_signals(config, "p2", history_s=90, live_s=2)

    def told_of_p2() -> bool:
        return any(b'"p2"' in value for value in topic(config, "features"))

    wait_until(told_of_p2, 90, "features of a patient who came after the restart")
    assert worker.process.poll() is None
    after = topic(config, "features")
    assert len(set(after)) > before
    ids = [msgspec.json.decode(value) for value in after]
    keys = {(row["patient_id"], row["window"], row["end_us"], row["revision"]) for row in ids}
    assert len(keys) == len(set(after))  # written twice perhaps, but never with other content
    lines = worker.err.read_text("utf-8").splitlines()
    assert len(lines) < 60, "a broker that is away must not flood the log"
    code, took_s = worker.stop()
    assert code == 0
    assert took_s < 6

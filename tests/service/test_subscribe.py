"""`vigil subscribe`: CloudEvents for programs, lines for people, and nothing that stops it."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from service.subscribe import line_of
from streams.io.kafka_log import LogWriter, Message
from streams.topics import topic_name
from tests.fixtures_services import CANARY_PATIENT, LiveWard, Vigil, wait_until

SCORE = (
    b'{"patient_id":"p1","end_us":1577836860000000,"scorer":"news2","value":8.0,"lower":8.0,'
    b'"upper":14.0,"later_field":1}'
)
FEATURE = (
    b'{"patient_id":"p1","end_us":1577836860000000,"window":"60s",'
    b'"values":{"ecg_hr_bpm":71.23456789,"ecg_sdnn_ms":null}}'
)


def test_a_score_is_one_line_with_its_bounds() -> None:
    assert line_of("scores", SCORE, False) == "2020-01-01T00:01:00Z p1 news2 8.0 [8.0, 14.0]"


def test_a_feature_row_shows_what_it_has() -> None:
    line = line_of("features", FEATURE, False)
    assert line == "2020-01-01T00:01:00Z p1 60s ecg_hr_bpm=71.2346"


def test_records_for_programs_are_passed_on_unchanged() -> None:
    assert line_of("scores", SCORE, True) == SCORE.decode()


def test_a_hostile_name_cannot_steer_the_terminal() -> None:
    hostile = SCORE.replace(b"p1", b"bed\\u001b[2J\\n9\\u202e")
    line = line_of("scores", hostile, False)
    assert line.isprintable()
    assert r"bed\x1b[2J 9\u202e" in line


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[1]", b"[" * 100_000, b'{"end_us":"x"}'])
@pytest.mark.parametrize("topic", ["alerts", "scores", "features"])
def test_what_is_no_record_is_a_value_error(topic: str, value: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        line_of(topic, value, True)


def test_a_time_beyond_any_calendar_is_shown_as_its_number() -> None:
    far = SCORE.replace(b"1577836860000000", b"9223372036854775807")
    assert line_of("scores", far, False).startswith("9223372036854775807us p1")


@pytest.mark.broker
@pytest.mark.database
@pytest.mark.slow
def test_alerts_are_cloud_events_one_document_a_line(live_ward: LiveWard) -> None:
    done = live_ward.vigil.run("subscribe", "alerts", "--from", "earliest", "--once", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert done.stderr == ""
    first = events[0]
    assert first["specversion"] == "1.0"
    assert first["type"] == "io.vigil.alert.raised.v1"
    assert first["subject"] == CANARY_PATIENT
    assert len({event["id"] for event in events}) == len(events)
    lines = live_ward.vigil.run("subscribe", "--once").stdout.splitlines()
    assert len(lines) >= len(events)
    assert any("Systolic blood pressure 84 mmHg" in line for line in lines)
    assert live_ward.vigil.run("subscribe", "--once", "--from", "latest").stdout == ""


@pytest.mark.broker
@pytest.mark.slow
def test_a_subscriber_follows_passes_by_what_is_no_record_and_ends_on_ctrl_c(
    vigil: Vigil, kafka_bootstrap: str, kafka_prefix: str
) -> None:
    vigil.configure(kafka={"bootstrap": kafka_bootstrap, "prefix": kafka_prefix, "partitions": 8})
    topic = topic_name("scores", kafka_prefix)
    follower = vigil.start("subscribe", "scores", "--from", "earliest")

    async def send() -> None:
        async with LogWriter(kafka_bootstrap) as writer:
            values = (b"\xffsecret", SCORE)
            await writer.send_all([Message(topic, 0, 1, b"p1", value) for value in values])

    asyncio.run(send())
    wait_until(lambda: "news2" in follower.out.read_text("utf-8"), 60, "the score is shown")
    code, took_s = follower.stop(signal.SIGINT)
    assert code == 130
    assert took_s < 5
    warned = follower.err.read_text("utf-8")
    assert f"{topic} partition 0 offset 0: not a record" in warned
    assert "secret" not in warned


@pytest.mark.broker
def test_a_topic_that_does_not_exist_says_init(vigil: Vigil, kafka_bootstrap: str) -> None:
    vigil.configure(kafka={"bootstrap": kafka_bootstrap, "prefix": "absent"})
    for options in ([], ["--once"]):
        done = vigil.run("subscribe", *options, timeout_s=20)
        assert done.returncode == 4
        assert done.stderr == "error: topic absent.alerts.v1 does not exist (run vigil init)\n"

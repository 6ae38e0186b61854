"""What the command line makes of alerts and answers, without a broker."""

from __future__ import annotations

import base64

import msgspec
import pytest

from alerts.alert import AlertEvent
from alerts.envelope import alert_value
from alerts.machine import AlertMachine
from service.__main__ import run
from service.alert_desk import Answer, answer_in, command_of, pick
from service.alert_wish import Wish
from service.cli.alert_options import until_us, who
from service.cli.common import EXIT_USAGE
from service.outputs import DeadLetter
from streams.codec import encode
from streams.errors import ConfigError
from streams.io.kafka_log import Stored
from streams.records import AlertCommand
from tests.alerts.alert_kit import conditions, risk

RISK = 'source = "fusion.value"\nlevels = [{ priority = "high", hi = 0.5, lo = 0.4 }]\nfor_s = 0\n'
NOW_US = 1_750_000_000_000_000
WISH = Wish("acknowledge", "p1", "occ", "user:kim", "rn", "words", 3, NOW_US + 9)


def raised() -> AlertEvent:
    (event,) = AlertMachine(conditions(RISK), "p1").on_scores((risk(0, 0.6),))
    return event


def stored(topic: str, value: bytes) -> Stored:
    return Stored(f"vigil.{topic}.v1", 0, 0, NOW_US, b"k", value, ())


def letter(command: AlertCommand, detail: str) -> bytes:
    original = base64.b64encode(encode(command)).decode()
    return msgspec.json.encode(DeadLetter("bad_command", detail, 0, 1, 0, original))


def test_a_wish_becomes_a_command_with_an_id_of_its_own() -> None:
    first, second = command_of(WISH, NOW_US), command_of(WISH, NOW_US)
    assert first.command_id != second.command_id
    assert (first.action, first.patient_id, first.occurrence_id) == ("acknowledge", "p1", "occ")
    assert (first.actor, first.role, first.reason) == ("user:kim", "rn", "words")
    assert (first.expected_seq, first.until_us, first.event_time_us) == (3, NOW_US + 9, NOW_US)


def test_an_event_that_names_the_command_is_its_answer() -> None:
    machine = AlertMachine(conditions(RISK), "p1")
    (event,) = machine.on_scores((risk(0, 0.6),))
    wish = WISH._replace(target=event.occurrence_id, expected_seq=-1, until_us=0)
    command = command_of(wish, NOW_US)
    said = machine.on_command(command, NOW_US)
    assert isinstance(said, tuple)
    assert answer_in(stored("alerts", alert_value(said[0])), command) == Answer(event=said[0])
    other = command_of(wish, NOW_US)
    assert answer_in(stored("alerts", alert_value(said[0])), other) is None


def test_a_dead_letter_with_the_command_is_its_refusal() -> None:
    command, other = command_of(WISH, NOW_US), command_of(WISH, NOW_US)
    assert answer_in(stored("dlq", letter(command, "no")), command) == Answer(refused="no")
    assert answer_in(stored("dlq", letter(command, "")), command) == Answer(refused="bad_command")
    assert answer_in(stored("dlq", letter(other, "no")), command) is None


@pytest.mark.parametrize("topic", ["alerts", "dlq"])
def test_what_is_no_record_of_ours_is_no_answer(topic: str) -> None:
    assert answer_in(stored(topic, b"\xff"), command_of(WISH, NOW_US)) is None
    assert answer_in(stored(topic, b"{}"), command_of(WISH, NOW_US)) is None


def test_an_alert_is_picked_by_its_id_or_an_unambiguous_beginning() -> None:
    record = raised().record()
    twin = msgspec.structs.replace(record, occurrence_id=record.occurrence_id[:10] + "x")
    assert pick([record], record.occurrence_id[:8]) is record
    assert pick([record, twin], record.occurrence_id) is record
    with pytest.raises(ConfigError, match="2 alerts begin with"):
        pick([record, twin], record.occurrence_id[:8])
    for name in ("", record.occurrence_id[:3], "zzzzzzzz"):
        with pytest.raises(ConfigError, match="no alert"):
            pick([record], name)


def test_a_duration_is_a_number_with_a_unit() -> None:
    near = until_us("90s") - until_us("30s")
    assert abs(near - 60_000_000) < 5_000_000
    assert abs(until_us("1d") - until_us("23h") - 3_600_000_000) < 5_000_000
    assert until_us("") == 0
    for bad in ("90", "1.5h", "-1h", "h", "1w"):
        with pytest.raises(ConfigError, match="--for"):
            until_us(bad)


def test_who_asks_is_a_name_a_name_and_a_role_or_the_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USER", "kim")
    assert who("") == ("user:kim", "")
    assert who("user:lee/rn") == ("user:lee", "rn")
    assert who("user:lee") == ("user:lee", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["silence", "wrd=W4", "-m", "x"], "unknown field 'wrd'; nearest: ward"),
        (["silence", "ward=W4"], "say why with --reason"),
        (["maintenance", "kind=technical", "--for", "soon", "-m", "x"], "write it like 90s"),
        (["silence", "wrd=W4", "--preview"], "nearest: ward"),
        (["silence", "ward=" + "W" * 200, "-m", "x"], "silence: an id is empty, unprintable"),
        (["discharge", ""], "discharge: an id is empty, unprintable"),
    ],
)
def test_a_silence_that_cannot_be_made_is_refused_before_anything_is_sent(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alert", *arguments]) == EXIT_USAGE
    assert words in capsys.readouterr().err

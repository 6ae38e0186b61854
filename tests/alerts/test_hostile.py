"""Hostile input: refused or made harmless, with words, and nothing changes."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import envelope
from alerts.alert import AlertEvent
from alerts.commands import ASKS, MAX_WORDS, Refused
from alerts.machine import AlertMachine
from alerts.policy import default_policy_text, parse_policy
from alerts.words import clean
from streams.codec import admit
from streams.errors import ConfigError
from streams.records import AlertCommand, Reason
from tests.alerts.alert_kit import BASE, ask, conditions, risk, us

RISK = 'source = "fusion.value"\nlevels = [{ priority = "high", hi = 0.5, lo = 0.4 }]\nfor_s = 0\n'
POLICY = conditions(RISK)
MARKUP = '<script>alert(1)</script> [red]x[/red] {{7*7}} "quoted" \\back'


@pytest.fixture
def machine() -> AlertMachine:
    return AlertMachine(POLICY, "p1")


def raised(machine: AlertMachine) -> AlertEvent:
    (event,) = machine.on_scores((risk(0, 0.6),))
    return event


def test_markup_in_a_comment_stays_inert_text(machine: AlertMachine) -> None:
    event = raised(machine)
    (told,) = ask(machine, "comment", event.occurrence_id, 5, reason=MARKUP)
    assert told.text.why[0] == f"Comment by user:kim: {MARKUP}"
    line = envelope.cloud_event_json(told)
    assert msgspec.json.decode(line, type=envelope.CloudEvent).data == told
    assert b"\n" not in line


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("abc\u202edef", "abc\\u202edef"),  # right-to-left override
        ("a\u200bb", "a\\u200bb"),  # zero width
        ("nul\x00", "nul\\x00"),
        ("\u2028line", "line"),
        ("Grüße, 患者", "Grüße, 患者"),
    ],
)
def test_what_steers_a_terminal_or_hides_letters_is_shown_as_an_escape(
    machine: AlertMachine, words: str, shown: str
) -> None:
    event = raised(machine)
    (told,) = ask(machine, "comment", event.occurrence_id, 5, reason=words, actor="kim\x07")
    assert told.text.why[0] == f"Comment by kim\\x07: {shown}"
    assert told.actions[0].reason == shown


def test_a_comment_of_a_megabyte_is_refused_by_the_codec_and_by_the_machine(
    machine: AlertMachine,
) -> None:
    event = raised(machine)
    huge = msgspec.structs.replace(
        BASE, action="comment", occurrence_id=event.occurrence_id, reason="x" * 1_000_000,
        event_time_us=us(5),
    )  # fmt: skip
    assert admit(huge, 0, 0, us(5)).rejected[0].reason is Reason.BAD_FIELD
    said = machine.on_command(huge, us(5))
    assert isinstance(said, Refused)
    assert said.detail == f"reason has 1000000 characters, more than {MAX_WORDS}"
    assert len(said.detail) < 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"patient_id": "p2"}, "the command is for another patient"),
        ({"actor": ""}, "command_id and actor must be given"),
        ({"command_id": ""}, "command_id and actor must be given"),
        ({"action": "resolve'; DROP"}, "unknown action"),
        ({"action": "lost", "occurrence_id": "device_fleet_outage", "reason": "x"}, "lost is for"),
        ({"occurrence_id": "00000000-0000-0000-0000-000000000000"}, "no such occurrence"),
        ({"occurrence_id": "\x1b[31m" + "x" * 5000}, "no such occurrence: '\\\\x1b[31m"),
        ({"expected_seq": 2**40}, "is outdated"),
        ({"expected_seq": -2}, "is outdated"),
        ({"until_us": 1}, "until_us is not after now"),
    ],
)
def test_a_forged_command_changes_nothing(
    machine: AlertMachine, fields: dict[str, Any], words: str
) -> None:
    event = raised(machine)
    before = machine.records()
    command = msgspec.structs.replace(BASE, **{"occurrence_id": event.occurrence_id, **fields})
    said = machine.on_command(command, us(5))
    assert isinstance(said, Refused)
    assert words in said.detail
    assert len(said.detail) < 1000
    assert machine.records() == before


@given(
    st.builds(
        AlertCommand,
        st.text(max_size=20), st.sampled_from(["p1", "p2", "*", ""]), st.text(max_size=200),
        st.sampled_from([*ASKS, "", "x"]), st.text(max_size=300), st.text(max_size=300),
        st.text(max_size=2100), st.integers(-5, 5), st.integers(-(2**62), 2**62),
        st.integers(-(2**62), 2**62),
    )
)  # fmt: skip
def test_no_command_whatsoever_raises_an_exception(command: AlertCommand) -> None:
    machine = AlertMachine(POLICY, "p1")
    (event,) = machine.on_scores((risk(0, 0.6),))
    about = msgspec.structs.replace(command, occurrence_id=event.occurrence_id)
    for number, asked in enumerate((command, about)):
        asked = msgspec.structs.replace(asked, command_id=asked.command_id + str(number))
        said = machine.on_command(asked, us(5))
        for line in said if not isinstance(said, Refused) else ():
            envelope.cloud_event_json(line)
    assert AlertMachine.restore(POLICY, "p1", machine.snapshot()).state() == machine.state()


@given(st.text(max_size=300))
def test_cleaned_words_are_one_printable_line(words: str) -> None:
    assert clean(words).isprintable()
    assert clean(clean(words)) == clean(words)


@given(st.text(max_size=400))
def test_no_text_makes_the_policy_reader_raise_anything_else(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_policy(text, default_policy_text())


def test_a_policy_key_full_of_markup_is_named_and_nothing_else_happens() -> None:
    with pytest.raises(ConfigError, match="unknown key <b>"):
        parse_policy('"<b>" = 1', default_policy_text())

"""The ring of keys: its file, who may sign with it, and the engine that checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.build import build_engine
from service.config import Config, KafkaConfig, KeysConfig
from service.keys import OPEN, load_ring, new_key, parse_ring
from streams.codec import decode, encode
from streams.errors import ConfigError
from streams.partition import partition_of
from streams.records import ANYONE, AlertCommand, LogRecord, Tick
from streams.signing import signed

NOW_US = 1_700_000_000_000_000
PARTITIONS = 4
TEXT = new_key("desk", ("command",)) + new_key("worker", ("tick",))


@pytest.fixture
def ring_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o640)
    return path


def config(path: Path | str, sign_as: str = "") -> Config:
    kafka = KafkaConfig(partitions=PARTITIONS)
    return Config(keys=KeysConfig(str(path), sign_as), kafka=kafka)


def test_fresh_keys_are_read_back_and_differ() -> None:
    keys = parse_ring(TEXT, "keys.toml")
    assert (keys["desk"].may, keys["worker"].may) == ({"command"}, {"tick"})
    assert keys["desk"].secret != keys["worker"].secret
    assert len(keys["desk"].secret) == 32


def test_without_a_file_nothing_is_signed() -> None:
    assert load_ring(Config(), "tick") is OPEN
    assert OPEN.sign(Tick(NOW_US)) == Tick(NOW_US)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "holds 0 keys"),
        ("not toml", "not valid TOML"),
        ('[a]\nsecret = "zz"\nmay = ["tick"]', "hexadecimal"),
        ('[a]\nsecret = "00ff"\nmay = ["tick"]', "32 bytes or more"),
        (f'[a]\nsecret = "{"0" * 64}"\nmay = []', "one or more of command, tick"),
        (f'[a]\nsecret = "{"0" * 64}"\nmay = ["all"]', "one or more of command, tick"),
        (f'[a]\nsecret = "{"0" * 64}"\nmay = ["tick"]\nuntil = 2027-01-01', "with an offset"),
        (f'[a]\nsecret = "{"0" * 64}"\nmay = ["tick"]\nrole = "x"', "and nothing else"),
    ],
)
def test_a_bad_ring_is_refused_with_its_rule(text: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        parse_ring(text, "keys.toml")


def test_no_refusal_shows_a_secret() -> None:
    secret = "ab" * 31
    with pytest.raises(ConfigError) as caught:
        parse_ring(f'[a]\nsecret = "{secret}"\nmay = ["tick"]', "keys.toml")
    assert secret not in str(caught.value)


def test_a_ring_that_everybody_may_read_is_refused(ring_file: Path) -> None:
    ring_file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod o-r"):
        load_ring(config(ring_file))


def test_a_process_needs_a_key_that_may_and_is_in_use(ring_file: Path) -> None:
    with pytest.raises(ConfigError, match="no such key"):
        load_ring(config(ring_file), "tick")
    with pytest.raises(ConfigError, match="may not sign a tick"):
        load_ring(config(ring_file, "desk"), "tick")
    retired = TEXT.replace('may = ["tick"]', 'may = ["tick"]\nuntil = 2020-01-01T00:00:00Z')
    ring_file.write_text(retired, encoding="utf-8")
    with pytest.raises(ConfigError, match="retired"):
        load_ring(config(ring_file, "worker"), "tick")


def test_a_key_to_sign_with_needs_a_file() -> None:
    with pytest.raises(ConfigError, match=r"keys\.file is not"):
        load_ring(config("", "desk"))


def test_the_engine_refuses_what_no_key_signed_and_hears_what_one_did(ring_file: Path) -> None:
    desk = load_ring(config(ring_file, "desk"), "command")
    engine = build_engine(config(ring_file), keyring=desk.keys)
    where = partition_of("p1", PARTITIONS)
    asked = AlertCommand("c1", "p1", "occ", "acknowledge", "user:kim", "rn", "", -1, 0, NOW_US)
    everyone = AlertCommand("c2", ANYONE, "quiet", "silence", "user:eve", "rn", "", -1, 0, NOW_US)
    log: list[AlertCommand | Tick] = [asked, everyone, Tick(NOW_US), desk.sign(asked)]
    log.append(signed(Tick(NOW_US), "worker", desk.keys["worker"]))
    records: list[LogRecord] = [
        decode(encode(record), where, offset, NOW_US) for offset, record in enumerate(log)
    ]
    said = engine.feed(records).messages
    letters = [output for output in said if output.topic == "dlq"]
    refused = [output for output in letters if b'"unauthorised"' in output.value]
    assert [output.key for output in refused] == [f"{where}:{at}" for at in range(3)]
    # Signed, it is heard: refused by the patient's alerts, who know no such alert.
    assert [output.key for output in letters if output not in refused] == [f"{where}:3"]


def test_a_forged_future_tick_moves_nobodys_clock(ring_file: Path) -> None:
    ring = load_ring(config(ring_file, "worker"), "tick")
    engine = build_engine(config(ring_file), keyring=ring.keys)
    forged = decode(encode(Tick(NOW_US + 30_000_000)), 0, 0, NOW_US)
    assert [output.topic for output in engine.feed([forged]).messages] == ["dlq"]
    assert engine.counters["rejected.unauthorised"] == 1

"""The topic table: names, prefixes, retention."""

from __future__ import annotations

import pytest

from streams.errors import ConfigError
from streams.topics import TOPICS, topic_config, topic_name


def test_the_names_are_the_published_ones() -> None:
    assert [topic_name(short) for short in TOPICS] == [
        "vigil.in.v1",
        "vigil.features.v1",
        "vigil.scores.v1",
        "vigil.alerts.v1",
        "vigil.alert-state.v1",
        "vigil.state.v1",
        "vigil.dlq.v1",
        "vigil.receipts.v1",
        "vigil.heartbeat.v1",
    ]


def test_an_unknown_topic_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'alert': no such topic; choose from in, features"):
        topic_name("alert")


@pytest.mark.parametrize("prefix", ["", "a b", "ä", ".x", "x" * 300, "a/b"])
def test_a_prefix_kafka_would_refuse_is_refused_here(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        topic_name("in", prefix)


def test_state_is_compacted_but_a_zombie_s_write_can_be_told_apart_for_an_hour() -> None:
    config = topic_config(TOPICS["state"])
    assert config["cleanup.policy"] == "compact"
    assert config["min.compaction.lag.ms"] == "3600000"


def test_a_refused_record_fits_its_dead_letter_in_base64() -> None:
    largest = int(topic_config(TOPICS["in"])["max.message.bytes"])
    assert largest * 4 / 3 + 4096 < int(topic_config(TOPICS["dlq"])["max.message.bytes"])


def test_the_input_is_kept_a_day_when_live_and_for_ever_when_recorded() -> None:
    assert topic_config(TOPICS["in"])["retention.ms"] == "86400000"
    assert topic_config(TOPICS["in"], recorded_time=True)["retention.ms"] == "-1"


@pytest.mark.parametrize("short", list(TOPICS))
def test_recorded_append_times_are_never_refused_as_future(short: str) -> None:
    config = topic_config(TOPICS[short], recorded_time=True)
    assert int(config["message.timestamp.after.max.ms"]) > 2**62

"""Addresses of logs: what they name, and what is refused."""

from __future__ import annotations

import pytest

from service.replay_log import LogSource, log_source
from streams.codec import MAX_TIME_US
from streams.errors import ConfigError


def test_an_address_names_a_topic_and_a_stretch_of_time() -> None:
    found = log_source("kafka://vigil.in.v1?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z")
    assert found == LogSource("vigil.in.v1", 1_767_225_600_000_000, 1_767_229_200_000_000)


def test_without_times_it_is_the_whole_log_and_slashes_may_be_folded() -> None:
    assert log_source("kafka:/vigil.in.v1") == LogSource("vigil.in.v1", 0, MAX_TIME_US)


def test_what_is_no_kafka_address_is_a_file() -> None:
    assert log_source("recordings/kafka.csv") is None


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("kafka://", "write kafka://TOPIC"),
        ("kafka://a b", "write kafka://TOPIC"),
        ("kafka://t?from=yesterday", "no time like"),
        ("kafka://t?from=2026-01-01T00:00:00", "needs an offset"),
        ("kafka://t?offset=3", "unknown offset"),
    ],
)
def test_an_address_that_cannot_be_read_is_refused_with_the_rule(address: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        log_source(address)

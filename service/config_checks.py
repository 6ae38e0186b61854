"""What the values of a configuration may be, beside their types; every rule names its key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from service.emitters.spec import check as check_emitter
from service.receipts import check_consumer
from streams.errors import ConfigError
from streams.io.broker import MECHANISMS, PROTOCOLS

if TYPE_CHECKING:
    from service.config import Config

GROUP: Final = re.compile(r"[A-Za-z0-9._-]{1,200}")
_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,200}")
_SERVER: Final = re.compile(r"\s*[^\s:,]+:\d{1,5}\s*|\s*\[[0-9A-Fa-f:.]+\]:\d{1,5}\s*")
RUNNERS: Final = ("faust", "direct")
_DEVICES: Final = ("cpu", "auto", "cuda", "torch")
RULES: Final = ("mews", "qsofa", "sirs", "shock_index")  # rule scores that may be asked for
_TAKEN: Final = ("news2", "limits", "columns", *RULES)

Rule = tuple[bool, str]


def check(config: Config, place: str) -> None:
    """Refuse a configuration that breaks a rule.

    Raises
    ------
    ConfigError
        Naming `place`, the key and the rule.
    """
    for rules in (_kafka, _worker, _watch, _models):
        for ok, rule in rules(config):
            if not ok:
                raise ConfigError(f"{place}: {rule}")
    config.timing_spec  # noqa: B018 - raises ConfigError itself
    config.retention.keep  # noqa: B018 - as well
    for name, spec in config.deliver.items():
        check_emitter(check_consumer(name), spec)
    for consumer in config.watch.consumers:
        check_consumer(consumer)


def _kafka(config: Config) -> Iterator[Rule]:
    yield (1 <= config.kafka.partitions <= 4096, "kafka.partitions must be 1 to 4096")
    yield (1 <= config.kafka.replication <= 16, "kafka.replication must be 1 to 16")
    yield (
        config.kafka.security in PROTOCOLS,
        f"kafka.security must be one of {', '.join(PROTOCOLS)}",
    )
    yield (
        config.kafka.mechanism in MECHANISMS,
        f"kafka.mechanism must be one of {', '.join(MECHANISMS)}",
    )
    yield (
        bool(config.kafka.user) == config.kafka.security.startswith("sasl"),
        "kafka.user belongs to security sasl_ssl or sasl_plaintext, and they need it",
    )
    yield (
        _NAME.fullmatch(config.kafka.prefix) is not None,
        "kafka.prefix must be 1 to 200 letters, digits, dots and dashes",
    )
    yield (
        GROUP.fullmatch(config.kafka.group) is not None,
        "kafka.group must be 1 to 200 letters, digits, dots, dashes and underscores",
    )
    yield (
        all(_SERVER.fullmatch(server) for server in config.kafka.bootstrap.split(",")),
        "kafka.bootstrap must be host:port[,host:port...]",
    )


def _worker(config: Config) -> Iterator[Rule]:
    yield (config.feed.patients in ("all", "admitted"), "feed.patients must be all or admitted")
    yield (config.worker.runner in RUNNERS, f"worker.runner must be {' or '.join(RUNNERS)}")
    yield (config.worker.ticks in ("wall", "recorded"), "worker.ticks must be wall or recorded")
    yield (0.1 <= config.worker.checkpoint_s <= 300, "worker.checkpoint_s must be 0.1 to 300")
    yield (0.1 <= config.worker.snapshot_s <= 3600, "worker.snapshot_s must be 0.1 to 3600")
    yield (1 <= config.worker.batch <= 10_000, "worker.batch must be 1 to 10000")
    yield (0.01 <= config.worker.within_s <= 10, "worker.within_s must be 0.01 to 10")
    yield (-1 <= config.worker.http_port <= 65_535, "worker.http_port must be -1 to 65535")


def _watch(config: Config) -> Iterator[Rule]:
    yield (1 <= config.watch.receipt_s <= 86_400, "watch.receipt_s must be 1 to 86400")
    yield (1 <= config.watch.heartbeat_s <= 3600, "watch.heartbeat_s must be 1 to 3600")
    yield (0 <= config.watch.fleet_patients <= 100_000, "watch.fleet_patients must be 0 to 100000")
    yield (0 <= config.watch.fleet_share <= 1, "watch.fleet_share must be 0 to 1")
    for key in ("shed_s", "hop_s", "calm_s"):
        value = getattr(config.watch, key)
        yield (0 <= value <= 3600, f"watch.{key} must be 0 to 3600")
    yield (1 <= config.watch.fleet_within_s <= 3600, "watch.fleet_within_s must be 1 to 3600")
    yield (
        config.watch.canary_s == 0 or 10 <= config.watch.canary_s <= 3600,
        "watch.canary_s must be 10 to 3600, or 0 for none",
    )
    yield (-1 <= config.watch.http_port <= 65_535, "watch.http_port must be -1 to 65535")


def _models(config: Config) -> Iterator[Rule]:
    for rule in config.rules:
        yield rule in RULES, f"rules: {rule!r} is none of {', '.join(RULES)}"
    for model in config.models:
        yield (
            _NAME.fullmatch(model.name) is not None and model.name not in _TAKEN,
            "models.name must be letters, digits, dots and dashes, "
            f"and none of {', '.join(_TAKEN)}",
        )
        yield (
            model.device in _DEVICES,
            f"models.device must be one of {', '.join(_DEVICES)}",
        )

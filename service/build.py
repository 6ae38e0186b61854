"""Wiring: from the configuration to an engine. The one place that picks scorers and policy."""

from __future__ import annotations

from pathlib import Path

from alerts.policy import Policy, default_policy_text, parse_policy
from models.limits import LimitsScorer
from models.news2 import News2Scorer
from models.score import Scorer
from service.config import Config
from service.engine import Engine
from service.settle import Timed, untimed
from streams.errors import ConfigError


def load_policy(path: str) -> Policy:
    """The policy in a file, or the one Vigil ships with when `path` is empty.

    Raises
    ------
    ConfigError
        If the file cannot be read or breaks a rule; it names both.
    """
    if not path:
        return parse_policy(default_policy_text())
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"policy {path}: cannot be read ({error.strerror})") from error
    try:
        return parse_policy(text)
    except ConfigError as error:
        raise ConfigError(f"policy {path}: {error}") from error


def scorers() -> tuple[Scorer, ...]:
    """Who scores every window, in this order."""
    return News2Scorer(), LimitsScorer()


def build_engine(config: Config, timed: Timed = untimed) -> Engine:
    """An engine with the rule scorers, the configured policy and waiting rules.

    `timed` lets a host measure its steps, see `service.metrics.Metrics.timed`.
    """
    policy = load_policy(config.policy)
    return Engine(policy, scorers(), config.timing_spec, config.kafka.partitions, timed)

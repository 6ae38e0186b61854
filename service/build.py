"""Wiring: from the configuration to an engine. The one place that picks scorers and policy."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from alerts.policy import Policy, default_policy_text, parse_policy
from alerts.words import nearest
from models.columns import ColumnScorer
from models.late.live import LivePanel
from models.limits import LimitsScorer
from models.news2 import News2Scorer
from models.rule_scorer import RuleScorer
from models.rule_tables import TABLES
from models.score import Scorer
from service.artifacts import open_seats, read_panels
from service.config import Config
from service.engine import Engine
from service.judging import Judges, Timed, untimed
from streams.errors import ConfigError
from streams.signing import Keyring


def load_policy(path: str) -> Policy:
    """The policy in a file, or the one Vigil ships with when `path` is empty.

    Raises
    ------
    ConfigError
        If the file cannot be read or breaks a rule; it names both. What it leaves out of
        `technical`, `priority`, `inhibit` and `roles` is as shipped.
    """
    shipped = default_policy_text()
    if not path:
        return parse_policy(shipped)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"policy {path}: cannot be read ({error.strerror})") from error
    try:
        return parse_policy(text, shipped)
    except ConfigError as error:
        raise ConfigError(f"policy {path}: {error}") from error


def scorers(
    *policies: Policy, models: Collection[str] = (), rules: Collection[str] = ()
) -> tuple[Scorer, ...]:
    """Who scores every window, in this order, so that these policies can be applied.

    Features that a policy names are shown to it (`source = "columns.input"`); `models` are names
    that a policy may read beside, whether or not the model is there; `rules` are scored even if no
    policy reads them.

    Raises
    ------
    ConfigError
        If a policy reads a scorer that there is not, or a feature that is never scored: its
        condition could never be raised.
    """
    always: tuple[Scorer, ...] = (News2Scorer(), LimitsScorer())
    names = [*(scorer.name for scorer in always), *TABLES, ColumnScorer.name, *models]
    shown: dict[str, None] = {}
    tables = dict.fromkeys(rules)
    for spec in (spec for policy in policies for spec in policy.conditions.values()):
        if spec.scorer not in names:
            near = nearest(spec.scorer, names)
            raise ConfigError(f"policy: source {spec.source!r}: no such scorer; {near}")
        if spec.scorer in TABLES:
            tables[spec.scorer] = None
        if spec.scorer == ColumnScorer.name:
            if not spec.input:
                raise ConfigError(f"policy: source {spec.source!r}: write columns.input")
            shown[spec.input] = None
    asked: list[Scorer] = [RuleScorer(name) for name in TABLES if name in tables]
    return (*always, *asked, ColumnScorer(tuple(shown))) if shown else (*always, *asked)


def model_names(config: Config) -> tuple[str, ...]:
    """Names of configured models and panels, that policies may read.

    Raises
    ------
    ConfigError
        If a panel cannot be read.
    """
    panels = (panel.name for panel in read_panels(config))
    return tuple(dict.fromkeys((*(model.name for model in config.models), *panels)))


def judges_of(config: Config, *policies: Policy, timed: Timed = untimed) -> Judges:
    """Rules and models, so that these policies can be applied.

    Raises
    ------
    ConfigError
        As `scorers`; if a panel cannot be read or has a member that there is not. A model that
        cannot be opened raises nothing: its seat stays empty, and panels go on without it.
    CheckpointMismatch
        If a panel was fitted on another build of a member than is here.
    """
    panels = read_panels(config)
    members = {seat.name for panel in panels for seat in panel.seats}
    rules = (*config.rules, *(name for name in TABLES if name in members))
    own = scorers(*policies, models=model_names(config), rules=rules)
    seats = open_seats(config)
    here: dict[str, tuple[str, ...]] = {scorer.name: (scorer.model,) for scorer in own}
    here |= {seat.name: seat.models for seat in seats}
    return Judges(own, seats, timed, tuple(LivePanel(panel, here) for panel in panels))


def build_engine(config: Config, timed: Timed = untimed, keyring: Keyring | None = None) -> Engine:
    """An engine with the rule scorers, the configured policy and waiting rules.

    `timed` lets a host measure its steps, see `service.metrics.Metrics.timed`. `keyring` is the
    live worker's: what is replayed from files was put together by who asks for the replay.
    """
    policy = load_policy(config.policy)
    judges = judges_of(config, policy, timed=timed)
    return Engine(policy, judges, config.timing_spec, config.kafka.partitions, keyring)

"""When to speak, as data: TOML text becomes a frozen `Policy`, or a `ConfigError` that says why.

Not here: applying it (`alerts.conditions`, `alerts.machine`). Nothing is read at import.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.resources
import math
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from alerts.alert import PRIORITY_RANK, PolicyRef, Priority
from streams.errors import ConfigError

US_PER_S = 1_000_000
FIELDS = ("lower", "value", "upper")
TECHNICAL = ("no_data", "lead_off", "monitoring_lost")


class LevelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of a condition: pending at `hi`, kept at `lo`."""

    priority: Priority
    hi: float
    lo: float


class ConditionSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition of the patient; `default_policy.toml` explains every key."""

    source: str
    levels: tuple[LevelSpec, ...]
    display: str
    label: str
    for_s: float = 120.0
    keep_s: float = 600.0
    rejoin_s: float = 900.0
    refractory_s: float = 0.0
    max_gap_s: float = 120.0
    stale_after_s: float = 300.0
    min_completeness: float = 0.4
    update_delta: float = 1.0
    update_s: float = 60.0
    severe: float | None = None
    severe_quality: float = 0.8
    severe_age_s: float = 60.0
    severe_completeness: float = 0.4
    same_input: tuple[tuple[str, ...], ...] = ()

    @property
    def scorer(self) -> str:
        """Name of the scorer read."""
        return self.source.partition(".")[0]

    @property
    def field(self) -> str:
        """Field of the score read: lower, value or upper."""
        return self.source.partition(".")[2]


class TechnicalSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition of the equipment."""

    display: str
    priority: Priority
    rejoin_s: float = 900.0


class PrioritySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a priority asks of people."""

    latching: bool
    review_s: float
    ack_s: float
    ack_reminder_s: float
    escalate_after_s: float
    max_tier: int
    snooze_max_s: float


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[policy]` table."""

    id: str
    version: str
    tenant: str = "default"
    continued_s: float = 600.0


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as written; tables left out are taken from the default policy."""

    policy: Header
    condition: dict[str, ConditionSpec]
    technical: dict[str, TechnicalSpec]
    priority: dict[Priority, PrioritySpec]


class Policy:
    """A checked policy. Its `digest` names its whole content, comments and order aside."""

    __slots__ = (
        "by_scorer",
        "conditions",
        "continued_us",
        "digest",
        "priorities",
        "ref",
        "technical",
        "tenant",
    )

    def __init__(self, file: PolicyFile) -> None:
        content = msgspec.json.encode(file, order="sorted")
        self.digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.ref = PolicyRef(file.policy.id, file.policy.version, self.digest)
        self.tenant = file.policy.tenant
        self.continued_us = to_us(file.policy.continued_s)
        self.conditions: Mapping[str, ConditionSpec] = dict(file.condition)
        self.by_scorer: dict[str, tuple[tuple[str, ConditionSpec], ...]] = {}
        for code, spec in file.condition.items():
            read = self.by_scorer.get(spec.scorer, ())
            self.by_scorer[spec.scorer] = (*read, (code, spec))
        self.technical: Mapping[str, TechnicalSpec] = dict(file.technical)
        self.priorities: Mapping[Priority, PrioritySpec] = dict(file.priority)


def default_policy_text() -> str:
    """Text of the packaged default policy.

    The one read of this package, for `service` to call at start; the engine takes the text.
    """
    return (importlib.resources.files("alerts") / "default_policy.toml").read_text("utf-8")


def parse_policy(text: str, default: str | None = None) -> Policy:
    r"""Read a policy from TOML text.

    Parameters
    ----------
    text : str
        The policy.
    default : str, optional
        Text of a complete policy whose `technical` and `priority` tables serve where `text` has
        none. Without it `text` must be complete.

    Returns
    -------
    Policy
        Frozen and checked.

    Raises
    ------
    ConfigError
        TOML that does not parse, an unknown key (with the nearest valid one), a value of the
        wrong type, or values that cannot work together; the message names the key.

    Examples
    --------
    >>> parse_policy("[policy]\nid = 'a'\nversion = '1'\ncontinud_s = 5")
    Traceback (most recent call last):
        ...
    streams.errors.ConfigError: policy: unknown key policy.continud_s; nearest: continued_s
    """
    tree = _toml(text)
    base = _toml(default) if default is not None else {}
    for table in ("technical", "priority"):
        own = tree.get(table, {})
        if table in base and isinstance(own, dict):
            tree[table] = {**base[table], **own}
    _check_keys(tree)
    try:
        file = msgspec.convert(tree, PolicyFile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"policy: {error}") from error
    _check_values(file)
    return Policy(file)


def to_us(seconds: float) -> int:
    """Return seconds as whole microseconds."""
    return round(seconds * US_PER_S)


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the valid name nearest to `name`, or all of them when none is near."""
    names = [str(item) for item in valid]
    close = difflib.get_close_matches(name, names, n=1)
    return f"nearest: {close[0]}" if close else f"valid: {', '.join(names)}"


def _toml(text: str) -> dict[str, Any]:
    """Parse TOML, with the place of a mistake in the message."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"policy: not TOML: {error}") from error


def _known(path: str, table: object, valid: Iterable[str]) -> None:
    """Refuse keys of `table` that are not in `valid`; types are checked later."""
    names = tuple(valid)
    for key in table if isinstance(table, dict) else ():
        if key not in names:
            raise ConfigError(f"policy: unknown key {path}{key}; {nearest(key, names)}")


def _check_keys(tree: dict[str, Any]) -> None:
    """Refuse every unknown key of the file, naming its full path."""
    _known("", tree, PolicyFile.__struct_fields__)
    _known("policy.", tree.get("policy"), Header.__struct_fields__)
    _known("technical.", tree.get("technical"), TECHNICAL)
    _known("priority.", tree.get("priority"), tuple(Priority))
    for table, spec in (
        ("condition", ConditionSpec),
        ("technical", TechnicalSpec),
        ("priority", PrioritySpec),
    ):
        children = tree.get(table)
        for name, child in children.items() if isinstance(children, dict) else ():
            _known(f"{table}.{name}.", child, spec.__struct_fields__)
            levels = child.get("levels") if isinstance(child, dict) else None
            for index, level in enumerate(levels if isinstance(levels, list) else ()):
                path = f"{table}.{name}.levels[{index}]."
                _known(path, level, LevelSpec.__struct_fields__)


def _check_values(file: PolicyFile) -> None:
    """Refuse values that cannot work."""
    for word in ("id", "version", "tenant"):
        _require(bool(getattr(file.policy, word)), f"policy.{word} must not be empty")
    _durations("policy", file.policy)
    _require(file.policy.continued_s > 0, "policy.continued_s must be greater than 0")
    _require(bool(file.condition), "at least one [condition.NAME] is needed")
    for name in TECHNICAL:
        _require(name in file.technical, f"[technical.{name}] is missing")
        _durations(f"technical.{name}", file.technical[name])
    for priority in Priority:
        _require(priority in file.priority, f"[priority.{priority}] is missing")
        _durations(f"priority.{priority}", file.priority[priority])
        _require(file.priority[priority].max_tier >= 1, f"priority.{priority}.max_tier: at least 1")
    for name, spec in file.condition.items():
        _check_condition(f"condition.{name}", name, spec)


def _check_condition(path: str, name: str, spec: ConditionSpec) -> None:
    """Refuse a condition that could not be raised, kept or told apart."""
    _require(name not in TECHNICAL and ":" not in name, f"{path}: the name is reserved")
    _require(bool(spec.scorer), f"{path}.source must be '<scorer>.<field>', got {spec.source!r}")
    if spec.field not in FIELDS:
        raise ConfigError(f"policy: {path}.source {spec.source!r}: {nearest(spec.field, FIELDS)}")
    _durations(path, spec)
    for key in ("min_completeness", "severe_quality", "severe_completeness"):
        _require(0 <= getattr(spec, key) <= 1, f"{path}.{key} must be in 0 to 1")
    _require(spec.update_delta > 0, f"{path}.update_delta must be greater than 0")
    _require(bool(spec.levels), f"{path}.levels must hold at least one level")
    for index, level in enumerate(spec.levels):
        at = f"{path}.levels[{index}]"
        _require(math.isfinite(level.hi) and math.isfinite(level.lo), f"{at}: hi, lo not finite")
        _require(level.lo <= level.hi, f"{at}: lo must not exceed hi")
    for low, high in zip(spec.levels, spec.levels[1:], strict=False):
        rising = low.hi < high.hi and low.lo <= high.lo
        rising = rising and PRIORITY_RANK[low.priority] < PRIORITY_RANK[high.priority]
        _require(rising, f"{path}.levels: hi, lo and priority must rise from level to level")
    _require(all(spec.same_input), f"{path}.same_input must not hold an empty list")
    if spec.severe is not None:
        top = spec.levels[-1].hi
        _require(spec.severe >= top, f"{path}.severe must be at least the highest hi ({top:g})")


def _durations(path: str, spec: msgspec.Struct) -> None:
    """Refuse a duration that is negative, not finite or longer than a year."""
    for name in spec.__struct_fields__:
        value = getattr(spec, name)
        if name.endswith("_s"):
            good = 0 <= value <= 366 * 86400
            _require(good, f"{path}.{name} must be in 0 to 31622400 seconds, got {value:g}")


def _require(holds: bool, message: str) -> None:
    """Raise `ConfigError` with `message` unless `holds`."""
    if not holds:
        raise ConfigError(f"policy: {message}")

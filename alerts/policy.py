"""When to speak, as data: TOML text becomes a frozen `Policy`, or a `ConfigError` that says why.

Not here: the keys (`alerts.policy_spec`), what they may hold (`alerts.policy_checks`), applying
them (`alerts.conditions`, `alerts.machine`). Nothing is read at import.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from alerts import inhibition, policy_checks
from alerts.alert import PolicyRef, Priority
from alerts.policy_spec import (
    TECHNICAL,
    ConditionSpec,
    Header,
    InhibitSpec,
    LevelSpec,
    PersonalSpec,
    PolicyFile,
    PrioritySpec,
    TechnicalSpec,
    WhenSpec,
)
from alerts.rules import Variants, to_us
from alerts.words import nearest
from streams.errors import ConfigError

_DEFAULTED = ("technical", "priority", "inhibit", "roles")


class Policy:
    """A checked policy. Its `digest` names its whole content, comments and order aside."""

    __slots__ = (
        "by_scorer",
        "conditions",
        "continued_us",
        "digest",
        "group_by",
        "inhibits",
        "priorities",
        "ranks",
        "ref",
        "revise_us",
        "roles",
        "silence_max_us",
        "technical",
        "tenant",
        "variants",
    )

    def __init__(self, file: PolicyFile) -> None:
        content = msgspec.json.encode(file, order="sorted")
        self.digest = "sha256:" + hashlib.sha256(content).hexdigest()
        self.ref = PolicyRef(file.policy.id, file.policy.version, self.digest)
        self.tenant = file.policy.tenant
        self.continued_us = to_us(file.policy.continued_s)
        self.revise_us = to_us(file.policy.revise_s)
        self.silence_max_us = to_us(file.policy.silence_max_s)
        self.group_by = file.policy.group_by
        self.conditions: Mapping[str, ConditionSpec] = dict(file.condition)
        self.variants: Mapping[str, Variants] = {
            code: Variants(code, spec, file.policy.utc_offset_min)
            for code, spec in file.condition.items()
        }
        self.by_scorer: dict[str, tuple[Variants, ...]] = {}
        for code, spec in file.condition.items():
            read = self.by_scorer.get(spec.scorer, ())
            self.by_scorer[spec.scorer] = (*read, self.variants[code])
        self.technical: Mapping[str, TechnicalSpec] = dict(file.technical)
        self.priorities: Mapping[Priority, PrioritySpec] = dict(file.priority)
        self.roles: Mapping[str, tuple[str, ...]] = dict(file.roles)
        self.inhibits: tuple[InhibitSpec, ...] = file.inhibit
        self.ranks: Mapping[str, int] = inhibition.order(file.inhibit, file.condition)

    def rejoin_us(self, code: str) -> int:
        """How long after clearing an occurrence of `code` may still be joined again, µs."""
        spec = self.conditions.get(code) or self.technical[code.partition(":")[0]]
        return to_us(spec.rejoin_s)

    def latches(self, code: str, priority: Priority) -> bool:
        """Whether an alert of this condition and priority stays until somebody has seen it."""
        spec = self.conditions.get(code)
        own = None if spec is None else spec.latching
        return self.priorities[priority].latching if own is None else own


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
        Text of a complete policy whose `technical`, `priority`, `inhibit` and `roles` serve
        where `text` has none. Without it `text` must be complete.

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
    for table in _DEFAULTED:
        own = tree.get(table)
        if table in base and own is None:
            tree[table] = base[table]
        elif table in base and isinstance(own, dict):
            tree[table] = {**base[table], **own}
    _check_keys(tree)
    try:
        file = msgspec.convert(tree, PolicyFile)
    except msgspec.ValidationError as error:
        raise ConfigError(f"policy: {error}") from error
    try:
        policy_checks.check(file)
        return Policy(file)
    except ValueError as error:
        raise ConfigError(f"policy: {error}") from error


def _toml(text: str) -> dict[str, Any]:
    """Parse TOML, with the place of a mistake in the message."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
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
    for path, item in _items("inhibit", tree):
        _known(f"{path}.", item, InhibitSpec.__struct_fields__)
    for table, spec in (
        ("condition", ConditionSpec),
        ("technical", TechnicalSpec),
        ("priority", PrioritySpec),
    ):
        children = tree.get(table)
        for name, child in children.items() if isinstance(children, dict) else ():
            _known(f"{table}.{name}.", child, spec.__struct_fields__)
            if table == "condition" and isinstance(child, dict):
                _check_condition_keys(f"{table}.{name}", child)


def _check_condition_keys(path: str, child: dict[str, Any]) -> None:
    """Refuse unknown keys below a condition."""
    _known(f"{path}.personal.", child.get("personal"), PersonalSpec.__struct_fields__)
    places = [(path, child)]
    for at, when in _items("when", child):
        _known(f"{path}.{at}.", when, WhenSpec.__struct_encode_fields__)
        places += [(f"{path}.{at}", when)] if isinstance(when, dict) else []
    for at, place in places:
        for index, level in _items("levels", place):
            _known(f"{at}.{index}.", level, LevelSpec.__struct_fields__)


def _items(name: str, table: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the members of a list in a table with their path; none if it is no list."""
    found = table.get(name)
    return [
        (f"{name}[{i}]", item) for i, item in enumerate(found if isinstance(found, list) else ())
    ]

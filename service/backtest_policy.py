"""A policy with one condition's thresholds moved: the points of a frontier. Pure."""

from __future__ import annotations

import json
import tomllib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from alerts.policy import Policy, default_policy_text, parse_policy

POINTS: Final = 16


def parsed(text: str) -> Policy:
    """A policy; tables it leaves out are the shipped ones."""
    return parse_policy(text, default_policy_text())


def shifted(text: str, code: str, first_hi: float) -> str:
    """The policy with the levels of `code` moved so that the lowest is reached at `first_hi`.

    Parameters
    ----------
    text : str
        A complete or partial policy.
    code : str
        One of its conditions. Its other levels, `lo` and `severe` keep their distance; every
        other condition of the patient is left out, so that the curve is this condition's.
    first_hi : float
        Where the lowest level is reached.
    """
    tree = tomllib.loads(text)
    own: dict[str, Any] = tree["condition"][code]
    by = first_hi - own["levels"][0]["hi"]
    for level in own["levels"]:
        level["hi"], level["lo"] = _moved(level["hi"], by), _moved(level["lo"], by)
    if own.get("severe") is not None:
        own["severe"] = _moved(own["severe"], by)
    tree["condition"] = {code: own}
    tree.pop("inhibit", None)
    return toml({**tree, "inhibit": []}) if "inhibit" in _tables() else toml(tree)


def thresholds(values: NDArray[np.float64], at: float) -> list[float]:
    """Where to look: every value of a score that has few, quantiles of one that has many.

    Parameters
    ----------
    values : array of float64
        Values of the score; NaN is left out.
    at : float
        The policy's own threshold, which is always among them.

    Examples
    --------
    >>> thresholds(np.array([0.0, 1.0, 2.0, np.nan]), 2.0)
    [1.0, 2.0]
    """
    known = values[~np.isnan(values)]
    found = np.unique(known)[1:]
    if len(found) > 2 * POINTS:
        shares = 1 - np.geomspace(0.0005, 0.5, POINTS)
        found = np.unique(np.round(np.quantile(known, shares), 4))
    return sorted({*found.tolist(), at})


def toml(tree: dict[str, Any]) -> str:
    """A tree as TOML: tables two deep, everything deeper inline.

    Examples
    --------
    >>> print(toml({"policy": {"id": "a"}, "condition": {"c": {"levels": [{"hi": 1.0}]}}}))
    [policy]
    id = "a"
    [condition.c]
    levels = [{ hi = 1.0 }]
    """
    plain = [f"{key} = {_value(v)}" for key, v in tree.items() if not isinstance(v, dict)]
    lines = [*plain]
    for section, body in tree.items():
        if isinstance(body, dict):
            lines += _table(section, body)
    return "\n".join(lines)


def _table(path: str, body: dict[str, Any]) -> list[str]:
    nested = all(isinstance(v, dict) for v in body.values()) and bool(body)
    if nested:
        return [line for name, value in body.items() for line in _table(f"{path}.{name}", value)]
    return [f"[{path}]", *(f"{key} = {_value(value)}" for key, value in body.items())]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(v)}" for key, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value)


def _moved(value: float, by: float) -> float:
    return round(value + by, 4)


def _tables() -> frozenset[str]:
    """Top-level tables this build's policies may have."""
    from alerts.policy_spec import PolicyFile

    return frozenset(PolicyFile.__struct_fields__)

"""What `vigil train` takes where the settings name no rule, or no members, of a family.

A late model's members learn first, each by itself; then its rule is fitted on patients none of them
learned from. Not here: the rules and their fits (`models.late`), the loop (`models.training`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation.ranking import auroc
from models.late.confidence import DempsterShafer
from models.late.fused import LOGIT_CAP
from models.late.mean import MeanLogit, Vote
from models.late.out_of_fold import StackedRows
from models.late.rules import LateRule
from models.late.stack import fit_stack
from models.late.vcdn import fit_vcdn
from models.late.weighted import fit_weights
from service.training.operating import balanced_threshold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LATE: Final = "late."
_UNFITTED: Final = ("mean", "confidence")  # rules without numbers of their own
_SEEDS: Final = 3  # of the usual ensemble
_MOST_RELIABLE: Final = 0.95  # no member commits all of its mass


def usual_config(model: str, config: dict[str, Any]) -> dict[str, Any]:
    """A family's configuration, completed where it cannot do without.

    Parameters
    ----------
    model : str
        Family.
    config : dict
        As the settings have it.

    Returns
    -------
    dict
        A late family without a rule trains under its own if that has no numbers, else under the
        mean until `fitted_rule`; an ensemble without members is three seeds of `fusion.gated`.

    Examples
    --------
    >>> usual_config("late.stack", {"width": 8})
    {'width': 8, 'rule': {'type': 'mean'}}
    """
    if model.startswith(LATE) and "rule" not in config:
        kind = model.removeprefix(LATE)
        return {**config, "rule": {"type": kind if kind in _UNFITTED else "mean"}}
    if model == "ensemble" and "members" not in config:
        return {**config, "members": [{"family": "fusion.gated"} for _ in range(_SEEDS)]}
    return config


def to_fit(model: str, config: dict[str, Any]) -> bool:
    """Whether the settings leave a rule with numbers to be fitted."""
    kind = model.removeprefix(LATE)
    return model.startswith(LATE) and kind not in _UNFITTED and "rule" not in config


def fitted_rule(model: str, logit: Floats, label: Bools, patient: Ints) -> LateRule:
    """The rule of a late family for members that learned from none of these patients.

    Parameters
    ----------
    model : str
        `late.vote`, `late.weighted`, `late.dempster_shafer`, `late.stack` or `late.vcdn`.
    logit : (N, M) float64
        What the members say; NaN where one is absent.
    label : (N,) bool
        What happened.
    patient : (N,) int64
        Whose row it is.

    Returns
    -------
    LateRule
        The plain mean where nothing, or nothing else, happened: there is nothing to learn from.

    Notes
    -----
    Votes: most of the members, each above the threshold at which it is as sensitive as precise.
    Reliabilities: 2 AUROC - 1 of each member, 0 to 0.95.
    """
    target = label.astype(np.float64)
    if label.all() or not label.any():
        return MeanLogit()
    kind = model.removeprefix(LATE)
    if kind == "weighted":
        return fit_weights(logit, target)
    if kind == "vote":
        return Vote(logit.shape[1] // 2 + 1, tuple(_each(logit, label, _threshold)))
    if kind == "dempster_shafer":
        return DempsterShafer(tuple(_each(logit, label, _reliability)))
    rows = StackedRows(logit, np.zeros(len(logit), np.int64), patient)
    return fit_stack(rows, target) if kind == "stack" else fit_vcdn(rows, target)


def as_config(rule: LateRule) -> dict[str, Any]:
    """A rule as a configuration holds it."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(rule))
    return found


def _each(logit: Floats, label: Bools, figure: Callable[[Bools, Floats], float]) -> list[float]:
    """A figure of every member on the rows where it is present; 0 where it never is."""
    found = []
    for column in logit.T:
        there = np.isfinite(column)
        told = label[there]
        known = there.any() and told.any() and not told.all()
        found.append(figure(told, column[there]) if known else 0.0)
    return found


def _threshold(label: Bools, score: Floats) -> float:
    return float(np.clip(balanced_threshold(score, label), -LOGIT_CAP, LOGIT_CAP))


def _reliability(label: Bools, score: Floats) -> float:
    return float(np.clip(2.0 * auroc(label, score) - 1.0, 0.0, _MOST_RELIABLE))

"""Every late rule, as one type that JSON can hold. Torch-free."""

from __future__ import annotations

from models.late.confidence import ConfidenceWeighted, DempsterShafer
from models.late.mean import MeanLogit, Vote
from models.late.shapley import MAX_MODALITIES
from models.late.stack import LogisticStack
from models.late.vcdn import OPINIONS, Vcdn
from models.late.weighted import WeightedLogit

LateRule = (
    MeanLogit | Vote | WeightedLogit | ConfidenceWeighted | DempsterShafer | LogisticStack | Vcdn
)


def check_rule(rule: LateRule, members: int) -> None:
    """Raise unless a rule is made for that many members.

    Raises
    ------
    ValueError
        Naming the rule's numbers that do not fit.

    Examples
    --------
    >>> check_rule(WeightedLogit((0.5, 0.5)), 2)
    >>> check_rule(Vote(1, (0.0,)), 2)
    Traceback (most recent call last):
    ...
    ValueError: rule.threshold: 2 numbers, got 1
    """
    if isinstance(rule, Vcdn):
        if members > MAX_MODALITIES:
            raise ValueError(f"rule.hidden: at most {MAX_MODALITIES} members, got {members}")
        _same("hidden_bias", len(rule.hidden), len(rule.hidden_bias))
        _same("out", len(rule.hidden), len(rule.out))
        for row in rule.hidden:
            _same("hidden", OPINIONS**members, len(row))
    if isinstance(rule, Vote):
        _same("threshold", members, len(rule.threshold))
    if isinstance(rule, WeightedLogit):
        _same("weight", members, len(rule.weight))
    if isinstance(rule, DempsterShafer):
        _same("reliability", members, len(rule.reliability))
    if isinstance(rule, LogisticStack):
        _same("coefficient", members, len(rule.coefficient))
        _same("missing", members, len(rule.missing))


def _same(name: str, wanted: int, got: int) -> None:
    if wanted != got:
        raise ValueError(f"rule.{name}: {wanted} numbers, got {got}")

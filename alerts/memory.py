"""What a condition remembers beyond its levels: its score's last day, and when it rang.

The past is kept in `SLOTS` slots of equal length, laid on the clock; its mean is that of the slots'
means, so an hour with many scores counts as much as one with few. Of a score that comes once a slot
it is the plain mean of the last `SLOTS`, this one among them, which is how `models.evaluation.past`
judges it. Pure; event time only. Not here: what follows (`alerts.conditions`).
"""

from __future__ import annotations

import math
from typing import Final

from alerts.rules import SLOTS, PastRule, Rule

Slot = tuple[int, float, int]  # its number since 1970, sum of the scores in it, how many
Past = tuple[Slot, ...]  # rising, none empty, at most SLOTS
LEAST: Final = 5e-5  # half a step of a score: what the log-odds of 0 and of 1 are taken of


def remembered(own: PastRule, past: Past, value: float, end_us: int) -> Past:
    """Return the past with one more score.

    Parameters
    ----------
    own : PastRule
        How it is kept.
    past : Past
        Before.
    value : float
        The score.
    end_us : int
        When; scores come in order.
    """
    number, said = end_us // own.slot_us, _scaled(own, value)
    kept = tuple(slot for slot in past if slot[0] > number - SLOTS)
    if not kept or kept[-1][0] != number:
        return (*kept, (number, said, 1))
    _, total, count = kept[-1]
    return (*kept[:-1], (number, total + said, count + 1))


def mixed(own: PastRule, past: Past, value: float) -> float:
    """Return the score of which a share is the mean of the past, in the score's own scale.

    Examples
    --------
    >>> mixed(PastRule(0.5, 1, False), ((1, 4.0, 1), (2, 6.0, 2)), 9.0)
    6.25
    """
    mean = sum(total / count for _, total, count in past) / len(past)
    said = (1.0 - own.share) * _scaled(own, value) + own.share * mean
    return 1.0 / (1.0 + math.exp(-said)) if own.logit else said


def may_ring(rule: Rule, rang_us: int | None, end_us: int, value: float) -> bool:
    """Say whether a condition that rang may ring anew.

    Parameters
    ----------
    rule : Rule
        Its `again`; without one nothing is held back.
    rang_us : int or None
        When it last did; None: it never did.
    end_us : int
        When the score was true.
    value : float
        The score, in the rule's direction.
    """
    again = rule.again
    if again is None or rang_us is None:
        return True
    since_us = end_us - rang_us
    loud = since_us >= again.louder_after_us and value >= again.louder
    return since_us >= again.after_us or loud


def _scaled(own: PastRule, value: float) -> float:
    if not own.logit:
        return value
    kept = min(max(value, LEAST), 1.0 - LEAST)
    return math.log(kept / (1.0 - kept))

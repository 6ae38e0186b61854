"""Which condition mutes which: rules of the policy in an order that cannot bite its own tail.

Not here: whether a source is active now (`alerts.suppress`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alerts.policy_spec import TECHNICAL, InhibitSpec
from alerts.rules import fits


def order(specs: Sequence[InhibitSpec], conditions: Iterable[str]) -> dict[str, int]:
    """Rank conditions so that every source stands before its targets.

    Parameters
    ----------
    specs : sequence of InhibitSpec
        The policy's rules. Priorities are not looked at: a rule that could bite at some priority
        is taken to bite at all.
    conditions : iterable of str
        Codes of the policy's conditions; the technical kinds are added.

    Returns
    -------
    dict of str to int
        Condition or technical kind to rank, 0 first.

    Raises
    ------
    ValueError
        If a condition could, over any number of rules, mute itself; names the way round.
    """
    names = (*conditions, *TECHNICAL)
    muted_by: dict[str, list[str]] = {name: [] for name in names}
    for spec in specs:
        for target in _meant(spec.target, names):
            muted_by[target] += _meant(spec.source, names)
    ranks: dict[str, int] = {}
    for name in names:
        _rank(name, muted_by, ranks, ())
    return ranks


def _meant(pattern: str, names: Sequence[str]) -> list[str]:
    """Return the conditions a pattern may meet; a technical code has its signal after a colon."""
    base = pattern.partition(":")[0]
    return [
        name
        for name in names
        if fits(pattern, name) or (name in TECHNICAL and ":" in pattern and base == name)
    ]


def _rank(
    name: str, muted_by: dict[str, list[str]], ranks: dict[str, int], path: tuple[str, ...]
) -> int:
    """Return one more than the highest rank of what mutes `name`; `path` is how we got here."""
    if name in path:
        way = (*path[path.index(name) :], name)
        raise ValueError(" is muted by ".join(way))
    if name not in ranks:
        before = [_rank(source, muted_by, ranks, (*path, name)) for source in muted_by[name]]
        ranks[name] = max(before, default=-1) + 1
    return ranks[name]

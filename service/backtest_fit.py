"""Whether a policy can judge stored scores at all: they are there, and often enough. Pure."""

from __future__ import annotations

import numpy as np

from alerts.policy import Policy
from service.backtest_scores import ScoreTable


def misfits(table: ScoreTable, policy: Policy) -> tuple[str, ...]:
    """What keeps a policy from being judged on these scores, in words; empty if nothing does.

    Parameters
    ----------
    table : ScoreTable
        At least one score.
    policy : Policy
        Its `max_gap_s` says how far two scores may be apart to prove anything about between.
    """
    apart_s = _apart_s(table)
    found = []
    for code, spec in policy.conditions.items():
        if spec.scorer not in apart_s:
            there = ", ".join(table.scorers)
            found.append(
                f"{code}: no scores of {spec.scorer} here, so it is never raised ({there})"
            )
        elif apart_s[spec.scorer] > spec.max_gap_s:
            found.append(
                f"{code}: scores of {spec.scorer} are {apart_s[spec.scorer] / 60:g} min apart and "
                f"max_gap_s is {spec.max_gap_s:g} s: two of them prove nothing about the time "
                "between, so for_s and keep_s never run out. Give it a max_gap_s, for_s, keep_s "
                "and stale_after_s that suit (benchmarks/hourly_news2.toml is one)"
            )
    return tuple(found)


def _apart_s(table: ScoreTable) -> dict[str, float]:
    """The median time between two scores of a patient, per scorer; 0 where nobody has two."""
    found: dict[str, float] = {}
    for number, name in enumerate(table.scorers):
        rows = np.flatnonzero(table.scorer == number)
        same = np.diff(table.patient[rows]) == 0
        apart_us = np.diff(table.end_us[rows])[same]
        if len(rows):
            found[name] = float(np.median(apart_us)) / 1e6 if len(apart_us) else 0.0
    return found

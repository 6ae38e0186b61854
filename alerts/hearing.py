"""Which scores are heard: new ones are judged, corrections replayed, repeats and backfill ignored.

Not here: judging (`alerts.clinical`), corrections (`alerts.late`).
"""

from __future__ import annotations

from collections.abc import Sequence

from alerts.clinical import Clinical
from alerts.late import correct, correctable
from alerts.ledger import Events
from alerts.rules import Variants
from models.score import Score


def hear(clinical: Clinical, scores: Sequence[Score]) -> Events:
    """Judge scores in their order; see `AlertMachine.on_scores`."""
    events: Events = ()
    by_scorer, seen_us = clinical.ledger.policy.by_scorer, clinical.seen_us
    for score in scores:
        rules = by_scorer.get(score.scorer)
        if rules is None:
            continue
        last_us = seen_us.get(score.scorer, -1)
        if score.end_us <= last_us:
            if score.revision > 0:
                events += _again(clinical, score, rules, score.end_us == last_us)
            continue  # otherwise a repeat or a backfill: it pages nobody and clears nothing
        seen_us[score.scorer] = score.end_us
        for variants in rules:
            if not clinical.quiet(score, variants):
                events += clinical.judge(score, variants)
    return events


def _again(clinical: Clinical, score: Score, rules: Sequence[Variants], newest: bool) -> Events:
    """Hear a corrected score; where nothing is kept to correct, only of the newest window."""
    events: Events = ()
    for variants in rules:
        if correctable(clinical, score, variants):
            events += correct(clinical, score, variants)
        elif newest and not clinical.quiet(score, variants):
            events += clinical.judge(score, variants)
    return events

"""Catalogue columns as inputs for single-parameter alerts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from alerts.policy import default_policy_text, parse_policy
from features.align import AlignedBatch
from features.catalog import CATALOG, INDEX
from models.columns import BASELINES, ColumnScorer, baseline_column
from streams.errors import ConfigError

Aligned = Callable[..., AlignedBatch]


def test_a_feature_is_shown_with_value_unit_and_quality(aligned: Aligned) -> None:
    batch = aligned(({"ecg_hr_bpm": (132.0, 0.8)}, {}), ({}, {}))
    first, second = ColumnScorer(["ecg_hr_bpm", "spo2_mean_pct"]).score(batch)
    (item,) = first.evidence
    assert (item.code, item.value, item.unit, item.quality) == ("ecg_hr_bpm", 132.0, "1/min", 0.8)
    assert (item.points, item.baseline, item.age_s) == (0.0, None, 0.0)
    assert (first.completeness, first.present) == (0.5, {"wearable": True})
    assert first.value is None
    assert second.evidence == ()
    assert second.present == {"wearable": False}


def test_rows_do_not_influence_each_other(aligned: Aligned) -> None:
    scorer = ColumnScorer(["ecg_hr_bpm"])
    rows = [({"ecg_hr_bpm": 60.0 + n}, {}) for n in range(7)]
    together = scorer.score(aligned(*rows))
    alone = [scorer.score(aligned(row))[0] for row in rows]
    assert [s.evidence for s in together] == [s.evidence for s in alone]


def test_an_unknown_feature_is_refused_at_construction() -> None:
    with pytest.raises(ConfigError, match="no such feature: ecg_hrr"):
        ColumnScorer(["ecg_hrr"])


@pytest.mark.parametrize("feature", sorted(BASELINES))
def test_every_tracked_feature_has_its_baseline_in_the_catalogue(feature: str) -> None:
    column = baseline_column(feature)
    assert column is not None
    assert CATALOG[column].unit == CATALOG[INDEX[feature]].unit


def test_what_is_over_longer_windows_is_refused_because_it_is_never_scored() -> None:
    with pytest.raises(ConfigError, match="not over 60s, and only that is scored: ecg_pnn50_pct"):
        ColumnScorer(["ecg_hr_bpm", "ecg_pnn50_pct"])


def test_a_baseline_column_is_shown_beside_its_feature(aligned: Aligned) -> None:
    batch = aligned(
        ({"ecg_hr_bpm": 112.0, "ecg_hr_baseline_bpm": 64.0}, {}), ({"ecg_hr_bpm": 112.0}, {})
    )
    with_one, without = ColumnScorer(["ecg_hr_bpm"]).score(batch)
    assert with_one.evidence[0].baseline == 64.0
    assert without.evidence[0].baseline is None


def test_a_policy_may_read_any_feature_by_name() -> None:
    body = '[condition.tachycardia]\ndisplay = "T"\nlabel = "HR"\nsource = "columns.input"\n'
    body += 'input = "ecg_hr_bpm"\nlevels = [{ priority = "low", hi = 130, lo = 120 }]\n'
    policy = parse_policy(default_policy_text() + body)
    assert [v.spec.input for v in policy.by_scorer["columns"]] == ["ecg_hr_bpm"]

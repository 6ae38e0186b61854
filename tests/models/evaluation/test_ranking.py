"""Areas agree with scikit-learn and the official script, ties and weights included."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.ranking import Ranking, auprc, auroc

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.data
def test_every_golden_case_of_the_official_script_agrees(archive: Callable[[str], Path]) -> None:
    path = archive("cinc2019_setA") / "cinc2019_sepsis" / "golden_utility.json"
    cases = json.loads(path.read_text())["auc"]
    assert len(cases) == 50
    for case in cases:
        label, score = np.array(case["labels"], bool), np.array(case["scores"])
        assert auroc(label, score) == pytest.approx(case["auroc"], abs=1e-12)
        assert auprc(label, score) == pytest.approx(case["auprc"], abs=1e-12)


@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=2),
)
def test_areas_equal_scikit_learns_with_ties_and_weights(
    rows: list[tuple[bool, int, int]],
) -> None:
    label = np.array([r[0] for r in rows])
    score = np.array([r[1] for r in rows], float)
    weight = np.array([r[2] for r in rows], float)
    both = weight[label].sum() > 0 and weight[~label].sum() > 0
    if not both:
        assert np.isnan(auroc(label, score, weight))
        assert np.isnan(auprc(label, score, weight))
        return
    assert auroc(label, score, weight) == pytest.approx(
        metrics.roc_auc_score(label, score, sample_weight=weight)
    )
    assert auprc(label, score, weight) == pytest.approx(
        metrics.average_precision_score(label, score, sample_weight=weight)
    )


def test_drawing_clusters_is_repeating_their_rows() -> None:
    random = np.random.default_rng(3)
    cluster = np.sort(random.integers(0, 30, 500))
    label = random.random(500) < 0.1
    score = np.round(random.normal(size=500) + label, 1)
    ranking = Ranking(label, score, cluster, 30)
    weight = random.integers(0, 4, (5, 30)).astype(float)
    areas = ranking.areas(weight)
    for row in range(5):
        again = np.repeat(np.arange(500), weight[row][cluster].astype(int))
        assert areas.auroc[row] == pytest.approx(metrics.roc_auc_score(label[again], score[again]))
        assert areas.auprc[row] == pytest.approx(
            metrics.average_precision_score(label[again], score[again])
        )
        assert areas.prevalence[row] == pytest.approx(label[again].mean())


def test_rows_without_a_score_are_left_out() -> None:
    label = np.array([True, False, True, False])
    score = np.array([0.8, 0.1, np.nan, np.nan])
    assert auroc(label, score) == 1


@pytest.mark.parametrize("label", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_one_class_alone_has_no_area(label: np.ndarray) -> None:
    score = np.arange(len(label), dtype=float)
    assert np.isnan(auroc(label, score))
    assert np.isnan(auprc(label, score))

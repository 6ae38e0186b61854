"""Abstaining helps when doubt is where the errors are."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.ranking import auroc
from models.evaluation.selective import selective


def test_leaving_the_doubtful_rows_out_helps_when_doubt_is_honest() -> None:
    random = np.random.default_rng(6)
    doubt = random.random(4000)
    truth = random.random(4000) < 0.3
    noise = random.normal(size=4000) * (0.2 + 3 * doubt)
    prob = 1 / (1 + np.exp(-(2 * truth - 1 + noise)))
    got = selective(truth, prob, doubt)
    assert (np.diff(got.auroc) > 0).all()
    assert got.auroc[0] == pytest.approx(auroc(truth, prob))
    assert got.area < selective(truth, prob, -doubt).area


def test_events_among_the_answered_are_counted() -> None:
    label = np.array([True, True, False, False])
    got = selective(label, np.full(4, 0.5), np.array([4.0, 1.0, 2.0, 3.0]), np.array([1.0, 0.5]))
    assert got.events.tolist() == [1.0, 0.5]


def test_unknown_doubt_is_left_out_first() -> None:
    label = np.array([True, False, False])
    prob = np.array([0.0, 0.0, 0.0])
    got = selective(label, prob, np.array([np.nan, 1.0, 2.0]), np.array([2 / 3]))
    assert got.brier[0] == 0


def test_nothing_gives_nothing() -> None:
    assert np.isnan(selective(np.zeros(0, bool), np.zeros(0), np.zeros(0)).area)

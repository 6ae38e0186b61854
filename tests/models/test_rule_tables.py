"""MEWS, qSOFA, SIRS and shock index: every edge of their tables, and bounds that hold the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.align import AlignedBatch
from models import rule_scores
from models.rule_scorer import RuleScorer
from models.rule_tables import TABLES
from models.schema import RULES

Aligned = Callable[..., AlignedBatch]
NAN = float("nan")


def one(table: str, *values: float) -> tuple[float, float]:
    """Points of the inputs at hand, and the upper bound, of one row."""
    judged = TABLES[table].judge(np.array([values]))
    return float(judged.points.sum()), float(judged.upper[0])


def column(table: str, place: int, rows: Iterable[tuple[float, int]]) -> list[tuple[float, float]]:
    """(value, points) of one input with all others missing."""
    found = []
    for value, _ in rows:
        values = [NAN] * len(TABLES[table].inputs)
        values[place] = value
        found.append((value, one(table, *values)[0]))
    return found


MEWS = {
    0: [(30, 3), (70, 3), (71, 2), (80, 2), (81, 1), (100, 1), (101, 0), (199, 0), (200, 2)],
    1: [(30, 2), (40, 2), (41, 1), (50, 1), (51, 0), (100, 0), (101, 1), (110, 1), (111, 2),
        (129, 2), (130, 3)],
    2: [(8, 2), (9, 0), (14, 0), (15, 1), (20, 1), (21, 2), (29, 2), (30, 3)],
    3: [(34.9, 2), (35.0, 0), (38.4, 0), (38.5, 2), (41, 2)],
    4: [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3)],
}  # fmt: skip


@pytest.mark.parametrize(("place", "rows"), MEWS.items())
def test_mews_at_every_edge(place: int, rows: list[tuple[float, int]]) -> None:
    assert column("mews", place, rows) == rows


def test_mews_rounds_to_the_chart_first() -> None:
    assert one("mews", 70.4, NAN, NAN, NAN, NAN)[0] == 3
    assert one("mews", 70.5, NAN, NAN, NAN, NAN)[0] == 2
    assert one("mews", NAN, NAN, NAN, 38.45, NAN)[0] == 2
    assert one("mews", NAN, NAN, NAN, 38.44, NAN)[0] == 0


def test_mews_of_nothing_is_open_to_its_maximum() -> None:
    assert one("mews", *[NAN] * 5) == (0, 14)


@pytest.mark.parametrize(
    ("values", "points", "upper"),
    [
        ((22, 100, 15, NAN), 2, 2),
        ((21, 101, 14, NAN), 1, 1),
        ((21, 101, 15, NAN), 0, 0),
        ((21, 101, NAN, 0), 0, 0),
        ((21, 101, NAN, 1), 1, 1),
        ((21, 101, 15, 2), 1, 1),  # either measure of mentation
        ((21, 101, 14, 2), 1, 1),  # counted once
        ((NAN, NAN, NAN, NAN), 0, 3),
        ((22, NAN, NAN, NAN), 1, 3),
    ],
)
def test_qsofa(values: tuple[float, ...], points: int, upper: int) -> None:
    assert one("qsofa", *values) == (points, upper)


@pytest.mark.parametrize(
    ("values", "points", "upper"),
    [
        ((36.0, 90, 20, 32, 4, 10), 0, 0),
        ((38.0, 90, 20, 32, 12, 10), 0, 0),
        ((35.9, 91, 21, 40, 3.9, 0), 4, 4),
        ((38.1, 91, 12, 31.9, 12.1, 0), 4, 4),
        ((37, 70, 12, 40, 8, 10.5), 1, 1),  # bands alone
        ((37, 70, 12, NAN, 8, NAN), 0, 2),  # what could still meet them is open
        ((37, 70, 21, NAN, 13, NAN), 2, 2),  # what is met is met
        ((NAN,) * 6, 0, 4),
    ],
)
def test_sirs(values: tuple[float, ...], points: int, upper: int) -> None:
    assert one("sirs", *values) == (points, upper)


def test_the_shock_index_needs_both() -> None:
    assert one("shock_index", 120, 80) == (1.5, 1.5)
    assert np.isnan(one("shock_index", 120, NAN)[1])
    assert np.isnan(one("shock_index", 120, 0)[1])


FULL = {
    "mews": st.tuples(st.floats(40, 250), st.floats(20, 200), st.floats(4, 50),
                      st.floats(30, 42), st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])),
    "qsofa": st.tuples(st.floats(4, 50), st.floats(40, 250), st.integers(3, 15).map(float),
                       st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0])),
    "sirs": st.tuples(st.floats(30, 42), st.floats(20, 200), st.floats(4, 50), st.floats(10, 90),
                      st.floats(0.1, 60), st.floats(0, 60)),
}  # fmt: skip


@pytest.mark.parametrize("name", FULL)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_bounds_hold_the_score_that_missing_inputs_would_have_shown(
    name: str, data: st.DataObject
) -> None:
    values = data.draw(FULL[name])
    if name == "qsofa":  # two measures of one thing that agree
        values = (*values[:2], 15.0 if values[3] == 0 else 13.0, values[3])
    kept = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    truth, same = one(name, *values)
    assert truth == same
    some = [v if keep else NAN for v, keep in zip(values, kept, strict=True)]
    lower, upper = one(name, *some)
    assert lower <= truth <= upper


SICK = (
    {"resp_rate_per_min": (26.2, 0.9), "spo2_mean_pct": 92.6, "ecg_hr_bpm": 118.4},
    {"sbp": (98.0, 1800.0), "consciousness": 0.0, "temp": 38.6, "wbc": 14.0, "resp_rate": 12.0},
)


@pytest.mark.parametrize(
    ("name", "value", "upper"),
    [("mews", 7.0, 7.0), ("qsofa", 2.0, 2.0), ("sirs", 4.0, 4.0), ("shock_index", 1.2082, 1.2082)],
)
def test_what_is_worn_comes_before_what_was_charted(
    aligned: Aligned, name: str, value: float, upper: float
) -> None:
    score = RuleScorer(name).score(aligned(SICK))[0]
    assert (score.value, score.upper) == (value, upper)
    assert (score.scorer, score.model) == (name, f"{name}/1")
    assert sum(score.share.values()) == pytest.approx(value, abs=1e-3)
    assert "resp_rate" not in {item.code for item in score.evidence}


@pytest.mark.parametrize("name", TABLES)
def test_nothing_at_all_is_no_value(aligned: Aligned, name: str) -> None:
    score = RuleScorer(name).score(aligned(({}, {})))[0]
    assert (score.value, score.evidence, score.share) == (None, (), {})


@pytest.mark.parametrize("name", RULES)
def test_totals_are_what_the_scorers_say(aligned: Aligned, name: str) -> None:
    batch = aligned(SICK, ({}, {}), ({"ecg_hr_bpm": 80.0}, {"sbp": 120.0}))
    totals = rule_scores.total(name, batch)
    assert np.isnan(totals[1])
    assert np.isfinite(totals[[0, 2]]).all()
    if name in TABLES:
        values = [s.value for s in RuleScorer(name).score(batch)]
        assert totals[0] == pytest.approx(values[0], abs=1e-4)
        assert values[1] is None

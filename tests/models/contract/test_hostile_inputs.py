"""What no sensor should send must not break a score: every model, every field."""

from __future__ import annotations

import math

import pytest
import torch

from models.tensors import SequenceBatch
from tests.models.contract import model_kit as kit

every = pytest.mark.parametrize("name", kit.FAMILIES)
NONSENSE = {
    "value": (math.inf, -math.inf, 3e38, -3e38, 1e-38),
    "age_s": (-1e9, -1.0, math.nan, math.inf, 3e38),
    "quality": (math.nan, math.inf, -5.0, 3e38),
}


def spoilt(seq: SequenceBatch, field: str, junk: float) -> SequenceBatch:
    """A history in which one field is nonsense at every second hour."""
    for x in getattr(seq, field).values():
        x[:, ::2] = junk
    return seq


@every
@pytest.mark.parametrize("field", NONSENSE)
def test_nonsense_leaves_every_score_a_probability(name: str, field: str) -> None:
    model = kit.build(name)
    for junk in NONSENSE[field]:
        seq = spoilt(kit.history(model.spec, patients=3, steps=5), field, junk)
        for score in kit.stream(model, seq)[0]:
            assert torch.isfinite(score.prob).all(), (field, junk)
            assert torch.isfinite(score.share).all(), (field, junk)


@every
def test_after_nonsense_the_next_hours_are_scored_as_ever(name: str) -> None:
    """State forgets nonsense at the latest when whatever rests on it has faded: stays finite."""
    model = kit.build(name)
    seq = kit.history(model.spec, patients=3, steps=8)
    for x in seq.value.values():
        x[:, 2] = 3e38
    scores, state = kit.stream(model, seq)
    assert all(torch.isfinite(score.prob).all() for score in scores)
    assert all(torch.isfinite(x).all() for x in state.values())


@every
def test_rows_out_of_order_and_years_apart_stay_finite(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec, patients=3, steps=4)
    seq.time_us[:, 1] += 40 * 365 * 86_400 * 1_000_000  # a clock that jumped 40 years
    for score in kit.stream(model, seq)[0]:
        assert torch.isfinite(score.prob).all()

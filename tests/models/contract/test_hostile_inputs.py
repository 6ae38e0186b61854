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
    "age_s": (-math.inf, -1e9, -1.0, math.nan, math.inf, 3e38),
    "quality": (math.nan, math.inf, -math.inf, -5.0, 3e38),
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
@pytest.mark.parametrize("age_s", [-math.inf, -1e9])
def test_what_comes_from_the_future_is_new_and_not_kept_for_ever(name: str, age_s: float) -> None:
    """A clock ahead of ours makes a value 0 s old: said as such, and forgotten when that is."""
    model = kit.build(name)
    ahead, new = (kit.history(model.spec, patients=3, steps=5) for _ in range(2))
    for field in ahead.age_s:
        ahead.age_s[field][:], new.age_s[field][:] = age_s, 0.0
    one, two = kit.stream(model, ahead), kit.stream(model, new)
    assert kit.same(one[0], two[0])
    assert all(torch.equal(x, two[1][key]) for key, x in one[1].items())
    assert all(torch.isfinite(x).all() for x in one[1].values())


@every
def test_rows_out_of_order_and_years_apart_stay_finite(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec, patients=3, steps=4)
    seq.time_us[:, 1] += 40 * 365 * 86_400 * 1_000_000  # a clock that jumped 40 years
    for score in kit.stream(model, seq)[0]:
        assert torch.isfinite(score.prob).all()

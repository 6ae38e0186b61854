"""A deep logit on a rule: the rule's part is exact, and alone it is a recalibrated rule."""

from __future__ import annotations

import torch

from models.families.residual import ResidualModel
from tests.models.contract import model_kit as kit


def residual() -> ResidualModel:
    model = kit.build("residual")
    assert isinstance(model, ResidualModel)
    return model


def test_with_nothing_to_add_it_is_the_rule_recalibrated() -> None:
    model = residual()
    with torch.no_grad():
        for weight in model.inner.head.parameters():
            weight.zero_()
        model.offset.fill_(-3.0)
        seq = kit.history(model.spec)
        said = model.forward(seq, explain=True)
    points = torch.nan_to_num(seq.value["rule"][..., 0])
    slope = torch.nn.functional.softplus(model.slope)
    torch.testing.assert_close(said.logit[..., 0], -3.0 + slope * points)
    torch.testing.assert_close(said.share[..., -1], slope * points)


def test_the_rest_never_sees_the_rule() -> None:
    model = residual()
    assert "rule" not in model.inner.names
    seq, other = kit.history(model.spec), kit.history(model.spec)
    other.value["rule"][:] = 20.0
    other.age_s["rule"][:] = 0.0
    with torch.no_grad():
        one, two = model.forward(seq, explain=True), model.forward(other, explain=True)
    assert torch.equal(one.share[..., :-1], two.share[..., :-1])
    assert not torch.equal(one.logit, two.logit)


def test_a_point_more_adds_the_same_to_every_patient() -> None:
    model = residual()
    seq, other = kit.history(model.spec), kit.history(model.spec)
    for one, points in ((seq, 6.0), (other, 7.0)):
        one.value["rule"][:] = points
        one.age_s["rule"][:] = 0.0
    with torch.no_grad():
        gap = model.forward(other).logit - model.forward(seq).logit
    torch.testing.assert_close(gap, torch.full_like(gap, float(gap[0, 0, 0])))
    assert gap[0, 0, 0] > 0


def test_a_rule_too_old_adds_nothing() -> None:
    model = residual()
    seq = kit.history(model.spec, patients=2, steps=2)
    seq.value["rule"][:], seq.age_s["rule"][:] = 9.0, 0.0
    _, state = kit.stream(model, seq)
    now_us = seq.time_us[:, -1]
    late_us = now_us + round(model.rule.max_age_s * 1e6) + 60_000_000
    slots = torch.arange(2)
    with torch.no_grad():
        fresh, late = model.score(state, slots, now_us), model.score(state, slots, late_us)
    assert fresh.present[:, -1].all()
    assert not late.present[:, -1].any()
    assert (late.share[:, -1] == 0).all()

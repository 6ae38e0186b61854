"""The committee: who is heard depends on who is there, and shares say by how much."""

from __future__ import annotations

import msgspec
import pytest
import torch

from models.families import boosted
from models.families.boosted import BoostedModel
from tests.models.contract.model_kit import copied, history


@pytest.fixture
def model() -> BoostedModel:
    torch.manual_seed(0)
    built = boosted.build(boosted.example())
    return built.eval()


def test_where_a_modality_is_absent_the_others_forest_speaks_alone(model: BoostedModel) -> None:
    seq = copied(history(model.spec))
    seq.value["labs"][:] = torch.nan
    with torch.no_grad():
        vectors, present = model.encode(seq)
        there = {n: present[..., i].float() for i, n in enumerate(model.names)}
        _, each, _ = model.committee.opinions(model.fuser(vectors, there))
        said = model.forward(seq).logit[..., 0]
    alone = torch.where(present[..., 0], each[0], model.committee.nothing)
    assert torch.equal(said, alone)


def test_a_forest_alone_does_not_know_what_stands_in_the_absent_modality(
    model: BoostedModel,
) -> None:
    seq, other = copied(history(model.spec)), copied(history(model.spec))
    seq.value["labs"][:] = torch.nan
    other.value["labs"][:] = torch.nan
    other.age_s["labs"][:] = 7e5
    with torch.no_grad():
        assert torch.equal(model.forward(seq).logit, model.forward(other).logit)


def test_with_static_facts_alone_it_says_the_base_rate(model: BoostedModel) -> None:
    seq = copied(history(model.spec))
    for name in ("vitals", "labs"):
        seq.value[name][:] = torch.nan
    with torch.no_grad():
        model.committee.nothing.fill_(-3.0)
        assert (model.forward(seq).logit == -3.0).all()


def test_static_facts_have_no_share_and_the_rest_sums_to_the_logit(model: BoostedModel) -> None:
    with torch.no_grad():
        said = model.forward(history(model.spec), explain=True)
        bias = model.bias()
    assert (said.share[..., 2] == 0).all()
    torch.testing.assert_close(said.share.sum(dim=-1), said.logit[..., 0] - bias[0])


def test_a_pair_of_unknown_features_is_refused() -> None:
    spec = boosted.example()
    config = {**spec.config, "pairs": {"vitals": [["hr", "nothing"]]}}
    with pytest.raises(ValueError, match="nothing"):
        boosted.build(msgspec.structs.replace(spec, config=config))


def test_static_facts_alone_make_no_committee() -> None:
    spec = boosted.example()
    static = tuple(m for m in spec.modalities if m.kind == "static")
    with pytest.raises(ValueError, match="not static"):
        boosted.build(msgspec.structs.replace(spec, modalities=static))


def test_a_clock_takes_the_same_from_whoever_was_followed_as_long() -> None:
    torch.manual_seed(0)
    spec = boosted.example()
    timed = boosted.build(spec).eval()
    config = msgspec.to_builtins(spec.config) | {"clock": 0}
    plain = boosted.build(msgspec.structs.replace(spec, config=config)).eval()
    own = {name: x for name, x in timed.state_dict().items() if ".clock." in name}
    plain.load_state_dict({k: x for k, x in timed.state_dict().items() if k not in own})
    seq = history(spec)
    with torch.no_grad():
        assert own
        before, after = (
            model.committee.opinions(
                model.fuser(
                    (encoded := model.encode(seq))[0],
                    {n: encoded[1][..., i].float() for i, n in enumerate(model.names)},
                )
            )[0]
            for model in (plain, timed)
        )
    taken = before - after
    hours = torch.arange(1, taken.shape[1] + 1, dtype=torch.float32).clamp(0, 2)  # knots 0, 1, 2
    known = taken != 0
    assert known.any()
    expected = hours.expand(taken.shape)[known]
    torch.testing.assert_close(taken[known], expected, atol=1e-5, rtol=0)

"""What every registered model must hold by itself; how it is served is in `test_serving_laws`.

The numbers in the names' order are those of the table in docs/models.md.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from models.registry import family
from models.spec import ModelSpec
from models.tensors import SequenceBatch
from tests.models.contract import model_kit as kit

TOLERANCE = 1e-5  # sums in another order
FINITE = torch.isfinite

every = pytest.mark.parametrize("name", kit.FAMILIES)


@every
def test_1_a_stream_says_what_the_whole_history_says(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    with torch.no_grad():
        whole = model.forward(seq, explain=True)
    for t, step in enumerate(kit.stream(model, seq)[0]):
        torch.testing.assert_close(step.logit, whole.logit[:, t], atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(step.share, whole.share[:, t], atol=TOLERANCE, rtol=0)
        assert torch.equal(step.present, whole.present[:, t])


@every
def test_3_the_future_changes_nothing(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    steps = seq.time_us.shape[1]
    for t in range(1, steps):
        other = kit.copied(seq)
        draw = torch.Generator().manual_seed(t)
        for field in (other.value, other.age_s, other.fresh, other.quality):
            for x in field.values():
                x[:, t:] = 1e3 * torch.rand(x[:, t:].shape, generator=draw)
        with torch.no_grad():
            before, after = model.forward(seq), model.forward(other)
        assert torch.equal(before.logit[:, :t], after.logit[:, :t])


@every
def test_5_an_absent_modality_is_absent_whatever_stands_in_its_place(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    for modality in model.spec.modalities:
        clean, poisoned = kit.copied(seq), kit.copied(seq)
        for one, junk in ((clean, 0.0), (poisoned, torch.nan)):
            one.value[modality.name][:] = torch.nan
            for field in (one.age_s, one.fresh, one.quality):
                field[modality.name][:] = junk
        a, b = kit.stream(model, clean)[0], kit.stream(model, poisoned)[0]
        assert all(FINITE(score.logit).all() for score in b)
        assert all(kit.same(x, y) for x, y in zip(a, b, strict=True))
        assert not any(s.present[:, kit.index_of(model.spec, modality.name)].any() for s in b)


@every
def test_5_every_subset_of_modalities_gets_a_score(name: str) -> None:
    model = kit.build(name)
    modalities = model.spec.modalities
    for subset in range(1 << len(modalities)):
        seq = kit.history(model.spec, patients=2, steps=4)
        for i, modality in enumerate(modalities):
            if not subset >> i & 1:
                seq.value[modality.name][:] = torch.nan
        for score in kit.stream(model, seq)[0]:
            assert FINITE(score.prob).all()
            assert ((score.prob >= 0) & (score.prob <= 1)).all()
            assert FINITE(score.share).all()


@every
def test_6_what_is_declared_monotone_never_lowers_the_logit(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    for declared in model.spec.monotone:
        modality, _, feature = declared.partition(".")
        column = [f.name for f in model.spec.modality(modality).features].index(feature)
        last = None
        for points in range(21):
            other = kit.copied(seq)
            other.value[modality][..., column] = float(points)
            other.age_s[modality][..., column] = 0.0
            with torch.no_grad():
                logit = model.forward(other).logit
            assert last is None or (logit >= last).all()
            last = logit


@every
def test_7_a_state_stored_and_loaded_goes_on_bit_by_bit(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    whole, end = kit.stream(model, seq)
    for t in range(1, seq.time_us.shape[1]):
        _, state = kit.stream(model, kit.until(seq, t))
        stored = {key: x.numpy().tobytes() for key, x in state.items()}
        loaded = {
            key: torch.from_numpy(np.frombuffer(stored[key], np.float32).copy()).view(x.shape)
            for key, x in state.items()
        }
        rest, other_end = kit.stream(model, seq, loaded, since=t)
        assert all(kit.same(a, b) for a, b in zip(whole[t:], rest, strict=True))
        assert kit.same(end, other_end)


@every
def test_9_shares_sum_to_the_logit_above_its_bias(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    bias = model.bias().detach()
    for score in kit.stream(model, seq)[0]:
        total = score.share.sum(dim=-1)
        torch.testing.assert_close(total, score.logit[:, 0] - bias[0], atol=TOLERANCE, rtol=0)
        assert (score.share[~score.present].abs() <= TOLERANCE).all()  # absent: it added nothing


@every
def test_10_the_same_seed_gives_the_same_weights_and_scores(name: str) -> None:
    one, other = kit.build(name), kit.build(name)
    seq = kit.history(one.spec)
    assert kit.same(kit.stream(one, seq), kit.stream(other, seq))


@every
def test_10_a_gradient_reaches_every_parameter(name: str) -> None:
    model = kit.build(name)
    assert isinstance(model, nn.Module)
    model.train()
    seq = kit.history(model.spec, patients=16, steps=10)
    torch.manual_seed(0)
    model.loss(seq, kit.target(model.spec, seq))["total"].backward()  # type: ignore[no-untyped-call]
    unreached = [
        key
        for key, weight in model.named_parameters()
        if weight.requires_grad and (weight.grad is None or not weight.grad.abs().sum() > 0)
    ]
    assert unreached == []


@every
def test_11_a_patient_takes_the_bytes_the_spec_says(name: str) -> None:
    model = kit.build(name)
    state = model.init_state(3)
    assert {key: tuple(x.shape[1:]) for key, x in state.items()} == model.spec.state
    assert sum(x[0].nbytes for x in state.values()) == model.spec.state_bytes
    assert all(x.dtype == torch.float32 and not x.any() for x in state.values())


@every
def test_12_another_unit_and_a_new_fit_change_nothing(name: str) -> None:
    model, other = kit.build(name), kit.build(name)
    seq = kit.history(model.spec)
    scaled = kit.copied(seq)
    for x in scaled.value.values():
        x *= 1000.0
    for one, its in ((model, seq), (other, scaled)):
        one.fit_inputs({k: x.flatten(0, 1).double().numpy() for k, x in its.value.items()})
    with torch.no_grad():
        one, two = model.forward(seq), other.forward(scaled)
    torch.testing.assert_close(one.logit, two.logit, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(one.prob, two.prob, atol=1e-6, rtol=0)


@every
def test_13_an_hour_of_error_in_an_events_time_moves_little(name: str) -> None:
    model = kit.build(name)
    seq = kit.history(model.spec)
    with torch.no_grad():
        before = model.forward(seq).prob
        for modality in model.spec.modalities:
            if modality.kind != "event":
                continue
            for hour_s in (3600.0, -3600.0):
                other = kit.copied(seq)
                moved = other.age_s[modality.name] + hour_s
                other.age_s[modality.name] = moved.clamp(0.0, modality.max_age_s)
                assert (model.forward(other).prob - before).abs().max() <= model.spec.jitter


@every
def test_padding_behind_the_end_of_a_history_changes_no_loss(name: str) -> None:
    model = kit.build(name)
    seq = kit.until(kit.history(model.spec), 8)
    target = kit.target(model.spec, seq)
    target.weight[:, 5:] = 0.0
    other = SequenceBatch(*kit.copied(seq))
    for x in other.value.values():
        x[:, 5:] = 999.0
    with torch.no_grad():
        one, two = model.loss(seq, target), model.loss(other, target)
    assert torch.equal(one["total"], two["total"])


@every
def test_a_spec_survives_json(name: str) -> None:
    spec = kit.build(name).spec
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ModelSpec) == spec
    assert family(name).example().family == name

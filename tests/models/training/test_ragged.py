"""Histories without padding are the histories a model is served."""

from __future__ import annotations

import numpy as np
import torch

from models.families import boosted
from models.fusion_model import ComposedModel
from models.tensors import step_of
from models.training.ragged import Hourly, carried, padded, vectors


def _histories(model: ComposedModel, seed: int = 0) -> Hourly:
    random = np.random.default_rng(seed)
    lengths = np.array([5, 30, 1, 12])
    value = {}
    for modality in model.spec.modalities:
        x = 50 * random.random((int(lengths.sum()), len(modality.features))).astype(np.float32)
        x[random.random(x.shape) < 0.5] = np.nan
        value[modality.name] = x
    return carried(value, lengths)


def _model() -> ComposedModel:
    torch.manual_seed(0)
    model = boosted.build(boosted.example())
    model.eval()
    return model


def test_vectors_are_bit_by_bit_what_the_padded_batch_encodes() -> None:
    model = _model()
    hourly = _histories(model)
    found = vectors(model, hourly)
    with torch.no_grad():
        laid, present = model.encode(padded(hourly, np.arange(4)))
    for i, name in enumerate(model.names):
        whole = torch.where(present[..., i, None], laid[name], torch.nan).numpy()
        rows = np.concatenate([whole[p, :n] for p, n in enumerate(hourly.lengths)])
        np.testing.assert_array_equal(found[name], rows)


def test_vectors_are_bit_by_bit_what_the_state_of_a_served_patient_reads() -> None:
    model = _model()
    hourly = _histories(model)
    seq = padded(hourly, np.array([1]))
    state = model.init_state(1)
    with torch.no_grad():
        for hour in range(30):
            batch = step_of(seq, hour)
            state = model.update(state, batch)
            score = model.score(state, batch.slot, batch.time_us)
            whole = model.forward(padded(hourly, np.array([1])))
            assert torch.equal(score.logit, whole.logit[:, hour])


def test_a_measurement_is_carried_within_its_history_only_and_ages() -> None:
    x = np.array([[np.nan], [2.0], [np.nan], [np.nan], [7.0]], np.float32)
    found = carried({"a": x}, np.array([3, 2]))
    np.testing.assert_array_equal(found.value["a"][:, 0], [np.nan, 2, 2, np.nan, 7])
    np.testing.assert_array_equal(found.age_s["a"][:, 0], [0, 0, 3600, 0, 0])
    np.testing.assert_array_equal(found.fresh["a"][:, 0], [0, 1, 0, 0, 1])

"""Flat rows as batches: the same hours, padded only where a history has ended."""

from __future__ import annotations

import numpy as np
import torch

from models.training.flat import FlatHistories
from models.training.ragged import carried

LENGTHS = np.array([3, 1, 4])
X = np.arange(16, dtype=np.float32).reshape(8, 2)
X[1, 0] = np.nan
LABEL = np.arange(8, dtype=np.float32)[:, None]
FLAT = FlatHistories(carried({"a": X}, LENGTHS), LABEL, np.ones_like(LABEL), np.array([2, 0, 1]))


def test_lengths_are_those_of_the_histories_that_belong() -> None:
    assert FLAT.lengths().tolist() == [4, 3, 1]


def test_a_batch_holds_the_hours_of_its_histories_in_order() -> None:
    seq, target = FLAT.batch(np.array([1, 2]))  # histories 0 and 1
    assert seq.length.tolist() == [3, 1]
    assert seq.value["a"].shape == (2, 3, 2)
    assert seq.value["a"][0, :, 1].tolist() == [1.0, 3.0, 5.0]
    assert seq.value["a"][0, :, 0].tolist() == [0.0, 0.0, 4.0]  # carried over the gap
    assert seq.age_s["a"][0, 1].tolist() == [3600.0, 0.0]
    assert seq.fresh["a"][0, 1].tolist() == [0.0, 1.0]
    assert target.label[1, 0].tolist() == [3.0]


def test_padding_is_missing_and_weighs_nothing() -> None:
    seq, target = FLAT.batch(np.array([1, 2]))
    assert torch.isnan(seq.value["a"][1, 1:]).all()
    assert not seq.quality["a"][1, 1:].any()
    assert target.weight[1].flatten().tolist() == [1.0, 0.0, 0.0]


def test_hours_are_an_hour_apart() -> None:
    seq, _ = FLAT.batch(np.array([0]))
    assert seq.time_us.diff(dim=1).unique().tolist() == [3_600_000_000]

"""Alignment: each row gets the facts in force at its own window's end and decision time."""

from __future__ import annotations

import numpy as np
import pytest

from features.align import FeatureBatch, align, attach
from features.asof import AsOf, facts_at
from features.catalog import CATALOG
from features.concepts import CONCEPTS, INDEX
from streams.records import ClinicalEvent
from streams.windows import Window

S = 1_000_000
T0 = 1_700_000_000 * S
SBP = INDEX["sbp"]


def batch(*windows: Window) -> FeatureBatch:
    shape = (len(windows), len(CATALOG))
    return FeatureBatch(
        windows,
        np.full(shape, np.nan),
        np.zeros(shape, dtype=np.float32),
        np.zeros(shape, dtype=np.float32),
        np.zeros(shape, dtype=np.int32),
        np.zeros(shape, dtype=np.uint8),
    )


def store(value: float) -> AsOf:
    asof = AsOf()
    event = ClinicalEvent("e", 1, "final", "p", "sbp", value, "mmHg", "", T0, T0 + 5 * S, "ehr")
    assert asof.insert(event, T0) is None
    return asof


def test_each_row_is_asked_at_its_own_end_and_decision_time() -> None:
    one, other = store(100.0), store(120.0)
    rows = batch(
        Window("a", "60s", T0 - 60 * S, T0, T0 + 5 * S),
        Window("a", "60s", T0 - 60 * S, T0, T0 + 5 * S - 1),  # not yet known
        Window("a", "60s", T0 - 61 * S, T0 - 1, T0 + 9 * S),  # not yet true
        Window("b", "60s", T0 - 60 * S, T0, T0 + 5 * S),
    )
    aligned = align(rows, [one, one, one, other])
    np.testing.assert_array_equal(
        aligned.concept_value[:, SBP], np.array([100.0, np.nan, np.nan, 120.0])
    )
    np.testing.assert_array_equal(aligned.concept_time_us[:, SBP], [T0, 0, 0, T0])
    assert aligned.features is rows


def test_attaching_facts_asked_for_earlier_gives_the_same() -> None:
    asof = store(100.0)
    window = Window("a", "60s", T0 - 60 * S, T0, T0 + 5 * S)
    facts = facts_at([asof], np.array([window.end_us]), np.array([window.known_us]))
    direct = align(batch(window), [asof])
    attached = attach(batch(window), facts)
    np.testing.assert_array_equal(direct.concept_value, attached.concept_value)
    np.testing.assert_array_equal(direct.concept_time_us, attached.concept_time_us)


def test_one_store_per_row_is_required() -> None:
    window = Window("a", "60s", T0 - 60 * S, T0, T0)
    with pytest.raises(ValueError, match="per store"):
        align(batch(window, window), [store(100.0)])
    with pytest.raises(ValueError, match="one per row"):
        attach(batch(window), facts_at([], np.array([], np.int64), np.array([], np.int64)))


def test_an_empty_batch_aligns_to_nothing() -> None:
    assert align(batch(), []).concept_value.shape == (0, len(INDEX))


def test_a_fact_weighs_half_at_its_half_life_and_nothing_when_missing() -> None:
    half_us = round(CONCEPTS[SBP].half_life_s * 1e6)
    ends = (T0, T0 + half_us, T0 + 2 * half_us)
    rows = batch(*(Window("a", "60s", end - 60 * S, end, end + 5 * S) for end in ends))
    aligned = align(rows, [store(100.0)] * 3)
    np.testing.assert_allclose(aligned.concept_weight[:, SBP], [1.0, 0.5, 0.25])
    np.testing.assert_allclose(aligned.concept_age_s[:, SBP], [0, half_us / 1e6, 2 * half_us / 1e6])
    others = np.arange(len(CONCEPTS)) != SBP
    assert (aligned.concept_weight[:, others] == 0).all()
    assert np.isnan(aligned.concept_age_s[:, others]).all()

"""A note's numbers: the same everywhere, near for near words, bounded, and of no outside origin."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.text import BUCKETS, DIMENSIONS, MOST_LETTERS, basis, counts, embedding, grams

GOLDEN = "Pt. febrile 38.9, started on vancomycin for pneumonia; no chest pain."


def likeness(one: str, other: str) -> float:
    return float((embedding(one) * embedding(other)).sum())


def test_the_numbers_of_a_note_are_the_golden_ones() -> None:
    """Changes only with the basis or a formula, and then `ENCODER` changes too."""
    digest = hashlib.sha256(embedding(GOLDEN).astype("<f4").tobytes()).hexdigest()
    assert digest == "9cc611f144a2fa5e492ad0eacd6874d9b9c67c213156601250fa649d67276012"


def test_a_vector_has_length_one() -> None:
    assert np.linalg.norm(embedding(GOLDEN)) == pytest.approx(1.0, abs=1e-6)
    assert embedding(GOLDEN).shape == (DIMENSIONS,)


@pytest.mark.parametrize("text", ["", "   ", "---", "\x00", "日本語"])
def test_a_text_without_a_letter_it_reads_has_no_numbers(text: str) -> None:
    assert np.isnan(embedding(text)).all()


def test_near_words_are_nearer_than_far_ones() -> None:
    for near, far in (
        (
            ("acute bacterial pneumonia", "pneumonia"),
            ("acute bacterial pneumonia", "femur fracture"),
        ),
        (("fracture of tibia", "fracture of femur"), ("fracture of tibia", "diabetes mellitus")),
        (
            ("malignant neoplasm of colon", "cancer of colon"),
            ("malignant neoplasm of colon", "burn"),
        ),
    ):
        assert likeness(*near) > likeness(*far)


def test_letter_case_and_amounts_do_not_matter() -> None:
    assert embedding("TEMP 38.9").tobytes() == embedding("temp 37.1").tobytes()


@given(st.text(max_size=300))
def test_any_text_gives_one_finite_direction_or_none(text: str) -> None:
    vector = embedding(text)
    assert np.isfinite(vector).all() or np.isnan(vector).all()
    assert embedding(text).tobytes() == vector.tobytes()
    buckets, weights = counts(text)
    assert (np.diff(buckets) > 0).all()
    assert ((buckets >= 0) & (buckets < BUCKETS)).all()
    assert (weights > 0).all()


def test_a_long_note_costs_no_more_than_its_first_letters() -> None:
    long = "fever and chills " * 20_000
    assert embedding(long).tobytes() == embedding(long[:MOST_LETTERS]).tobytes()
    begin = time.process_time()
    embedding(long)
    assert time.process_time() - begin < 2.0


def test_a_word_gives_itself_its_runs_and_its_pair() -> None:
    assert list(grams("ab cdef")) == ["ab", " ab ", "cdef", " cde", "cdef", "def ", "ab cdef"]


def test_the_basis_is_small_and_finite() -> None:
    assert basis().shape == (BUCKETS, DIMENSIONS)
    assert np.isfinite(basis()).all()

"""The partition function: stable for ever, even, total."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.partition import PARTITIONS, partition_of


@pytest.mark.parametrize(
    ("patient_id", "partition"),
    [("bidmc01", 3), ("bidmc02", 57), ("", 0), ("é", 62), ("p" * 10_000, 29)],
)
def test_the_partition_of_a_patient_never_changes(patient_id: str, partition: int) -> None:
    assert partition_of(patient_id) == partition


def test_ids_that_count_up_spread_evenly() -> None:
    sizes = Counter(partition_of(f"p{number:05d}") for number in range(10_000))
    assert len(sizes) == PARTITIONS
    assert max(sizes.values()) < 1.2 * 10_000 / PARTITIONS


@given(st.text(st.characters()), st.integers(1, 1000))
def test_every_text_has_a_partition(patient_id: str, partitions: int) -> None:
    assert 0 <= partition_of(patient_id, partitions) < partitions

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from features.personal import Personal, gathered, scattered


class Count(NamedTuple):
    total: NDArray[np.float64]  # (B, 2)
    last_us: NDArray[np.int64]  # (B,)


def fresh(n_rows: int) -> Count:
    return Count(np.zeros((n_rows, 2)), np.full(n_rows, -1, np.int64))


def test_one_never_seen_is_fresh() -> None:
    state = gathered([Personal(), Personal()], "count", fresh)
    assert state.total.tolist() == [[0, 0], [0, 0]]
    assert state.last_us.tolist() == [-1, -1]


def test_everyone_gets_their_own_row_back() -> None:
    people = [Personal(), Personal(), Personal()]
    scattered(people, "count", Count(np.arange(6.0).reshape(3, 2), np.array([7, 8, 9])))
    again = gathered(people[::-1], "count", fresh)
    assert again.total.tolist() == [[4, 5], [2, 3], [0, 1]]
    assert again.last_us.tolist() == [9, 8, 7]


def test_state_survives_a_snapshot_exactly() -> None:
    person = Personal()
    scattered(
        [person], "count", Count(np.array([[1 / 3, np.nan]]), np.array([1_700_000_000_000_001]))
    )
    back = Personal.from_state(person.to_state())
    assert back.to_state() == person.to_state()
    assert gathered([back], "count", fresh).last_us.tolist() == [1_700_000_000_000_001]


def test_state_of_another_size_is_refused() -> None:
    person = Personal.from_state({"count": bytes(16)})
    with pytest.raises(ValueError, match="shape"):
        gathered([person], "count", fresh)

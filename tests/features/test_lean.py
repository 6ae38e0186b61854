"""Shorter forms give what NumPy's conveniences give, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from features.lean import number_or, take_along, unknown

ODD = np.array([1.5, -0.0, 0.0, np.nan, np.inf, -np.inf, 5e-324, -1e308])


@pytest.mark.parametrize("otherwise", [0.0, 1.0, -3.5])
def test_numbers_stay_and_all_else_becomes_what_numpy_makes_of_it(otherwise: float) -> None:
    for x in (ODD, ODD.reshape(2, 4), ODD.reshape(2, 4)[:, ::2], np.empty(0)):
        expected = np.nan_to_num(x, nan=otherwise)
        assert number_or(x, otherwise).tobytes() == expected.tobytes()


def test_what_was_given_is_not_changed() -> None:
    given = ODD.copy()
    number_or(given)
    assert given.tobytes() == ODD.tobytes()


def test_places_are_taken_along_rows() -> None:
    x = np.arange(12.0).reshape(3, 4)
    at = np.array([[0, 3], [2, 2], [1, 0]])
    assert np.array_equal(take_along(x, at), np.take_along_axis(x, at, axis=1))


def test_nothing_is_known_of_what_is_unknown() -> None:
    assert unknown(3).tobytes() == np.full(3, np.nan).tobytes()
    assert unknown((2, 0)).shape == (2, 0)

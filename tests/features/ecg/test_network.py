"""A network's answer is its weights' and nothing else's."""

from __future__ import annotations

import numpy as np
import pytest

from features.ecg import kernels
from features.ecg.decision import looks, strongest
from features.ecg.network import from_text, logits


def test_a_network_is_read_and_answers_as_written() -> None:
    network = from_text("3 2 2 1  1 -1 2 0.5  0.1 0.2  3 -4  0.5")
    # hidden: relu(x0 + 2 x1 + 0.1), relu(-x0 + 0.5 x1 + 0.2)
    answer = logits(network, np.array([[1.0], [2.0]]))
    assert answer[0] == pytest.approx(3 * 5.1 - 4 * 0.2 + 0.5)


@pytest.mark.parametrize("size", [1, 7, 255])
def test_an_answer_does_not_depend_on_how_many_are_asked(size: int) -> None:
    network = looks()[0]
    columns = np.random.default_rng(0).normal(size=(len(network.weights[0]), 300))
    whole = logits(network, columns)
    np.testing.assert_array_equal(logits(network, columns[:, :size]), whole[:size])


def test_the_compiled_layer_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    network = looks()[1]
    columns = np.random.default_rng(1).normal(size=(len(network.weights[0]), 1000))
    compiled = logits(network, columns)
    monkeypatch.setattr(kernels, "worth_it", lambda n_rows: False)
    np.testing.assert_array_equal(logits(network, columns), compiled)


def test_of_two_too_close_beats_the_stronger_stays_and_of_equals_the_earlier() -> None:
    row = np.array([0, 0, 0, 1, 1])
    position = np.array([10, 15, 40, 10, 12])
    strength = np.array([1.0, 2.0, 1.0, 3.0, 3.0])
    kept = strongest(row, position, strength, 10)
    assert kept.tolist() == [False, True, True, True, False]

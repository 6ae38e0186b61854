"""Products of fixed order: right, and the same bits however many rows there are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("numba", reason="numba is an extra")

from models.kernels.lanes import BLOCK, TALL, packed, padded, product

Floats = NDArray[np.float32]


def multiplied(x: Floats, weight: Floats, bias: Floats) -> Floats:
    rows, inner = x.shape
    wide = padded(len(weight))
    start = np.zeros(wide, np.float32)
    start[: len(bias)] = bias
    out = np.full(rows * wide, np.nan, np.float32)
    arrays = (x.ravel(), packed(weight), start, out)
    product(arrays, (0, inner, 0, 0, 0, 0, wide), (rows, inner, wide // BLOCK))
    return out.reshape(rows, wide)


def made(rows: int, inner: int, outputs: int) -> tuple[Floats, Floats, Floats]:
    draw = np.random.default_rng(rows + inner + outputs)
    shapes = ((rows, inner), (outputs, inner), (outputs,))
    x, weight, bias = (draw.standard_normal(shape).astype(np.float32) for shape in shapes)
    return x, weight, bias


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 9, 31, 32])
@pytest.mark.parametrize(("inner", "outputs"), [(1, 1), (3, 31), (40, 32), (161, 96), (7, 65)])
def test_it_is_the_product(rows: int, inner: int, outputs: int) -> None:
    x, weight, bias = made(rows, inner, outputs)
    found = multiplied(x, weight, bias)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    size = np.abs(x).astype(np.float64) @ np.abs(weight.T) + np.abs(bias)
    assert (np.abs(found[:, :outputs] - exact) <= 2.0**-24 * (inner + 1) * size).all()
    assert not found[:, outputs:].any()  # nothing stands beyond the last output


def test_a_row_has_the_same_bits_in_any_company() -> None:
    x, weight, bias = made(3 * TALL + 5, 50, 70)
    whole = multiplied(x, weight, bias)
    for start in range(len(x)):
        for size in (1, 2, TALL, TALL + 1):
            part = multiplied(x[start : start + size].copy(), weight, bias)
            assert part.tobytes() == whole[start : start + size].tobytes()


def test_an_element_is_one_chain_in_the_order_of_its_inputs() -> None:
    x, weight, bias = made(TALL, 60, 33)
    begun = multiplied(x[:, :25].copy(), weight[:, :25].copy(), bias)
    out = begun.ravel().copy()
    arrays = (x[:, 25:].ravel(), packed(weight[:, 25:]), out, out)
    wide = begun.shape[1]
    product(arrays, (0, 35, 0, 0, wide, 0, wide), (TALL, 35, wide // BLOCK))
    assert out.tobytes() == multiplied(x, weight, bias).tobytes()


def test_where_small_terms_are_lost_the_order_shows() -> None:
    weight = np.float32([[1.0, 2.0**-25, 2.0**-25, -1.0]])
    found = multiplied(np.ones((1, 4), np.float32), weight, np.zeros(1, np.float32))
    assert found[0, 0] == 0.0  # a sum in pairs would keep them

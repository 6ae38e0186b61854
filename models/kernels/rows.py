"""What is done to all rows of a chunk between layers: products, what is below 0, sigmoids.

Arrays are [rows, columns] of which the first few of both are meant: with indices that begin at 0 a
compiler sees that none is negative, and takes whole vectors. Compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from models.kernels.functions import sigmoid
from models.kernels.lanes import product

_ZERO = np.float32(0.0)


@compiled
def dense(network: Any, layer: int, x: Any, place: Any, out: Any, n: int) -> None:
    """`out` = bias + rows of `x` times a weight; `place`: where x and its next row begin."""
    weight_at, bias_at, inner, blocks = network.layers[layer]
    where = (place[0], place[1], weight_at, bias_at, 0, 0, out.shape[1])
    product((x, network.w, network.w, out), where, (n, inner, blocks))


@compiled
def denser(network: Any, layer: int, x: Any, place: Any, out: Any, n: int) -> None:
    """Add rows of `x` times a weight to `out`: its sums go on where they were."""
    weight_at, _, inner, blocks = network.layers[layer]
    wide = out.shape[1]
    where = (place[0], place[1], weight_at, 0, wide, 0, wide)
    product((x, network.w, out, out), where, (n, inner, blocks))


@compiled
def above_zero(x: Any, n: int, width: int) -> None:
    """In place: 0 for what is below; NaN stays."""
    for r in range(n):
        for j in range(width):
            x[r, j] = _ZERO if x[r, j] < _ZERO else x[r, j]


@compiled
def sigmoids(x: Any, n: int, width: int) -> None:
    """In place."""
    for r in range(n):
        for j in range(width):
            x[r, j] = sigmoid(x[r, j])

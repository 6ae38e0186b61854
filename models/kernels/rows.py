"""What is done to whole rows between layers: copies, sums, sigmoids, products. Compiled.

Of slices a compiler sees that no index is negative, and takes whole vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from features.compiler import compiled
from models.kernels.functions import sigmoid
from models.kernels.lanes import BLOCK, product

_ZERO = np.float32(0.0)


@compiled
def put(numbers: Any, to: Any) -> None:
    """Copy; of slices a compiler sees that no index is negative, and takes whole vectors."""
    for j in range(numbers.size):
        to[j] = numbers[j]


@compiled
def put_above_zero(numbers: Any, to: Any) -> None:
    """Copy, what is below 0 as 0; NaN stays."""
    for j in range(numbers.size):
        to[j] = _ZERO if numbers[j] < _ZERO else numbers[j]


@compiled
def add(numbers: Any, to: Any) -> None:
    """Add to what is there."""
    for j in range(numbers.size):
        to[j] += numbers[j]


@compiled
def sigmoids(x: Any) -> None:
    """In place."""
    for j in range(x.size):
        x[j] = sigmoid(x[j])


@compiled
def dense(network: Any, layer: int, x: Any, place: Any, out: Any, n: int) -> None:
    """`out` = bias + rows of `x` times a weight; `place`: where x and its next row begin."""
    weight_at, bias_at, inner, blocks = network.layers[layer]
    where = (place[0], place[1], weight_at, bias_at, 0, 0, blocks * BLOCK)
    product((x, network.w, network.w, out), where, (n, inner, blocks))


@compiled
def denser(network: Any, layer: int, x: Any, place: Any, out: Any, n: int) -> None:
    """Add rows of `x` times a weight to `out`: its sums go on where they were."""
    weight_at, _, inner, blocks = network.layers[layer]
    wide = blocks * BLOCK
    where = (place[0], place[1], weight_at, 0, wide, 0, wide)
    product((x, network.w, out, out), where, (n, inner, blocks))

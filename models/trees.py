"""Boosted trees as arrays: scored by torch in a fixed number of steps, no library, no code inside.

A node asks whether one number of the vector is at most a threshold; what is not known (NaN) goes
the way the node says. A leaf points at itself, so that all trees take the same number of steps.
Not here: growing trees (`service.training.boost`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Trees(nn.Module):
    """Sum of trees over a vector.

    Before `take` the trees are complete, random, and of no use but for tests.

    Parameters
    ----------
    trees, nodes, depth : int
        How many, nodes with leaves of the largest, most questions on the way to a leaf.
    width : int
        Numbers in the vector.

    Raises
    ------
    ValueError
        If a size is below 1.
    """

    column: Tensor  # [trees, nodes] int64: which number is asked about
    threshold: Tensor
    unknown_left: Tensor  # int64, 1 = NaN goes left
    left: Tensor  # int64: the node next
    right: Tensor
    value: Tensor  # of a leaf

    def __init__(self, trees: int, nodes: int, depth: int, width: int) -> None:
        super().__init__()
        if min(trees, nodes, depth, width) < 1:
            raise ValueError("trees, nodes, depth and width must be at least 1")
        self.shape = (trees, nodes)
        self.depth = depth
        self.width = width
        at = torch.arange(nodes).expand(trees, nodes)
        inner = 2 * at + 2 < nodes
        self.register_buffer("column", torch.randint(0, width, (trees, nodes)))
        self.register_buffer("threshold", torch.randn(trees, nodes))
        self.register_buffer("unknown_left", torch.randint(0, 2, (trees, nodes)))
        self.register_buffer("left", torch.where(inner, 2 * at + 1, at))
        self.register_buffer("right", torch.where(inner, 2 * at + 2, at))
        self.register_buffer("value", 0.1 * torch.randn(trees, nodes))

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of a forest, each [trees, nodes], named as the buffers."""
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))

    def forward(self, vector: Tensor) -> Tensor:
        """Sum of the leaves [...] for vectors [..., W]; a row's bits do not depend on others."""
        rows = vector.reshape(-1, self.width)
        trees, nodes = self.shape
        first = torch.arange(trees, device=rows.device) * nodes  # each tree's place in the table
        column = self.column.clamp(0, self.width - 1).reshape(-1)
        threshold, unknown = self.threshold.reshape(-1), self.unknown_left.reshape(-1) > 0
        left, right = (
            (first[:, None] + way.clamp(0, nodes - 1)).reshape(-1)
            for way in (self.left, self.right)
        )
        at = first.expand(rows.shape[0], trees)
        for _ in range(self.depth):
            asked = torch.gather(rows, 1, column[at])
            goes = (asked <= threshold[at]) | (torch.isnan(asked) & unknown[at])
            at = torch.where(goes, left[at], right[at])
        return halves_sum(self.value.reshape(-1)[at]).reshape(vector.shape[:-1])


def halves_sum(value: Tensor) -> Tensor:
    """Sum over the last axis, halves onto each other: the same order for any number of rows."""
    while value.shape[-1] > 1:
        half = value.shape[-1] // 2
        rest = value[..., 2 * half :]
        value = torch.cat([value[..., :half] + value[..., half : 2 * half], rest], dim=-1)
    return value[..., 0]

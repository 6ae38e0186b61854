"""Boosted trees as arrays: scored by torch in a fixed number of steps, no library, no code inside.

A node asks whether one number of the vector is above a threshold: no leads to one node, yes to the
one behind it. What is not known (NaN) is far below or far above everything, as the node prefers. A
leaf leads to itself, so that all trees take the same number of steps. Not here: growing trees
(`service.training.boost`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FAR: Final = 3.0e38  # beyond every number; a threshold here asks whether one is known
_UNKNOWN: Final = 3.2e38
LEAF: Final = 3.4e38  # nothing is above


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

    column: Tensor  # [trees, nodes] int64: number asked about; + width where unknown is above
    threshold: Tensor  # [trees, nodes] float32
    after: Tensor  # [trees, nodes] int64: node if not above
    value: Tensor  # [trees, nodes] float32, of a leaf

    def __init__(self, trees: int, nodes: int, depth: int, width: int) -> None:
        super().__init__()
        if min(trees, nodes, depth, width) < 1:
            raise ValueError("trees, nodes, depth and width must be at least 1")
        self.shape = (trees, nodes)
        self.depth = depth
        self.width = width
        at = torch.arange(nodes).expand(trees, nodes)
        inner = 2 * at + 2 < nodes
        threshold = torch.where(inner, torch.randn(trees, nodes), LEAF)
        self.register_buffer("column", torch.randint(0, 2 * width, (trees, nodes)))
        self.register_buffer("threshold", threshold)
        self.register_buffer("after", torch.where(inner, 2 * at + 1, at))
        self.register_buffer("value", 0.1 * torch.randn(trees, nodes))

    def take(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the arrays of a forest, each [trees, nodes], named as the buffers."""
        for name, buffer in self.named_buffers():
            buffer.copy_(torch.from_numpy(np.ascontiguousarray(arrays[name])))

    def forward(self, vector: Tensor) -> Tensor:
        """Sum of the leaves [...] for vectors [..., W]; a row's bits do not depend on others."""
        rows = vector.reshape(-1, self.width)
        unknown = torch.isnan(rows)
        below = torch.where(unknown, -_UNKNOWN, rows)
        rows = torch.cat([below, torch.where(unknown, _UNKNOWN, rows)], dim=1)
        if torch.onnx.is_in_onnx_export():  # a runtime has an operator for whole forests
            said: Tensor = _Forest.apply(rows, self)
            return said.reshape(vector.shape[:-1])
        trees, nodes = self.shape
        first = torch.arange(trees, device=rows.device) * nodes  # each tree's place in the table
        column = self.column.clamp(0, 2 * self.width - 1).reshape(-1)
        after = (first[:, None] + self.after.clamp(0, nodes - 1)).reshape(-1)
        threshold = self.threshold.reshape(-1)
        at = first.expand(rows.shape[0], trees)
        for _ in range(self.depth):
            above = torch.gather(rows, 1, column[at]) > threshold[at]
            at = after[at] + above.to(torch.int64)
        return halves_sum(self.value.reshape(-1)[at]).reshape(vector.shape[:-1])


class _Forest(torch.autograd.Function):
    """A forest as one operator of an exported graph; its sum is in the order of the trees."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, trees: Trees) -> Tensor:
        """Give the shape: nothing runs this but the tracer."""
        return rows[:, :1] * 0.0

    @staticmethod
    def symbolic(graph: Any, rows: Any, trees: Trees) -> Any:
        """Return the operator with every node and leaf that can be reached."""
        found = graph.op("ai.onnx.ml::TreeEnsembleRegressor", rows, **attributes(trees))
        found.setType(rows.type().with_sizes([None, 1]))
        return found


def attributes(trees: Trees) -> dict[str, Any]:
    """Attributes of ONNX's TreeEnsembleRegressor over what is unknown both below and above.

    Its own way with NaN asks at every node whether there is one, which costs a fifth.
    """
    nodes: dict[str, list[Any]] = {name: [] for name in _NODE}
    leaves: dict[str, list[Any]] = {name: [] for name in _LEAF}
    parts = (trees.column, trees.threshold, trees.after, trees.value)
    for tree, (column, threshold, after, value) in enumerate(
        zip(*(part.tolist() for part in parts), strict=True)
    ):
        waiting = [0]
        while waiting:
            at = waiting.pop()
            leaf = after[at] == at
            yes, no = (0, 0) if leaf else (after[at] + 1, after[at])
            mode, bound = ("LEAF", 0.0) if leaf else ("BRANCH_GT", threshold[at])
            for name, x in zip(_NODE, (tree, at, column[at], mode, bound, yes, no), strict=True):
                nodes[name].append(x)
            if leaf:
                for name, x in zip(_LEAF, (tree, at, 0, value[at]), strict=True):
                    leaves[name].append(x)
            else:
                waiting += [no, yes]
    return {**nodes, **leaves, "n_targets_i": 1, "aggregate_function_s": "SUM"}


_NODE: Final = (
    "nodes_treeids_i",
    "nodes_nodeids_i",
    "nodes_featureids_i",
    "nodes_modes_s",
    "nodes_values_f",
    "nodes_truenodeids_i",
    "nodes_falsenodeids_i",
)
_LEAF: Final = ("target_treeids_i", "target_nodeids_i", "target_ids_i", "target_weights_f")


def halves_sum(value: Tensor) -> Tensor:
    """Sum over the last axis, halves onto each other: the same order for any number of rows."""
    while value.shape[-1] > 1:
        half = value.shape[-1] // 2
        rest = value[..., 2 * half :]
        value = torch.cat([value[..., :half] + value[..., half : 2 * half], rest], dim=-1)
    return value[..., 0]

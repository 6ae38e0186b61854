"""Trees as arrays: the right leaf, whatever is not known, and rows that do not know each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.trees import FAR, LEAF, Trees, halves_sum

# Is x0 above 1?  no: is x1 above -2?  no: 10, yes: 20   yes: 30
#        0 -> 1 (no), 2 (yes); 1 -> 3 (no), 4 (yes); 2, 3, 4 are leaves
_NODES = {
    "threshold": [[1.0, -2.0, LEAF, LEAF, LEAF]],
    "after": [[1, 3, 2, 3, 4]],
    "value": [[0.0, 0.0, 30.0, 10.0, 20.0]],
}


def _tree(column: tuple[int, int], threshold: float = 1.0) -> Trees:
    trees = Trees(1, 5, 2, 2)
    arrays = {name: np.array(x) for name, x in _NODES.items()}
    arrays["threshold"][0, 0] = threshold
    arrays["column"] = np.array([[*column, 0, 0, 0]])
    trees.take(arrays)
    return trees


@pytest.mark.parametrize(
    ("x0", "x1", "leaf"), [(0.0, -3.0, 10), (1.0, -2.0, 10), (0.5, 0.0, 20), (1.5, -9.0, 30)]
)
def test_a_vector_falls_to_its_leaf_and_equal_is_not_above(
    x0: float, x1: float, leaf: float
) -> None:
    assert float(_tree((0, 1))(torch.tensor([[x0, x1]]))) == leaf


def test_what_is_not_known_goes_where_the_node_says() -> None:
    unknown = torch.tensor([[torch.nan, torch.nan]])
    assert float(_tree((0, 1))(unknown)) == 10  # below both
    assert float(_tree((0, 1 + 2))(unknown)) == 20  # below, then above
    assert float(_tree((0 + 2, 1))(unknown)) == 30  # above at once


def test_a_threshold_beyond_all_numbers_asks_whether_one_is_known() -> None:
    tree = _tree((0 + 2, 1), threshold=FAR)
    assert float(tree(torch.tensor([[1e30, 0.0]]))) == 20
    assert float(tree(torch.tensor([[torch.nan, 0.0]]))) == 30


def test_a_rows_bits_do_not_depend_on_its_company() -> None:
    torch.manual_seed(0)
    trees = Trees(37, 31, 5, 9)
    rows = torch.randn(256, 9)
    rows[torch.rand(256, 9) < 0.3] = torch.nan
    whole = trees(rows)
    for size in (1, 7):
        for start in (0, 100, 249):
            assert torch.equal(trees(rows[start : start + size]), whole[start : start + size])


def test_a_sum_by_halves_is_the_sum() -> None:
    for n in (1, 2, 3, 7, 160, 481):
        x = torch.arange(2.0 * n).reshape(2, n)
        assert torch.equal(halves_sum(x), x.sum(dim=-1))


def test_a_forest_without_trees_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Trees(0, 5, 2, 2)

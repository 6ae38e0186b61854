"""Growing boosted trees with LightGBM, and taking them as arrays: training only.

The recipe is the light one that the published winner's idea leads to (Morrill et al. 2020, Crit
Care Med 48:e976): the target is whether an alarm is worth more than silence, the weight by how
much; stays without sepsis are thinned.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.trees import FAR, LEAF

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]
LEAST_WEIGHT: Final = 1e-3


class Recipe(NamedTuple):
    """Settings of LightGBM that were tried, by its names."""

    rounds: int = 160
    learning_rate: float = 0.1
    num_leaves: int = 32
    max_depth: int = -1
    min_data_in_leaf: int = 200
    feature_fraction: float = 0.3
    lambda_l2: float = 10.0
    max_bin: int = 63
    keep: float = 0.4  # share of the rows of stays without sepsis


PEER: Final = Recipe()


def chosen(septic_row: Bools, keep: float, random: np.random.Generator) -> tuple[Ints, Floats]:
    """Rows to learn from, all of the septic stays and a share of the others, and their weights."""
    rows = np.flatnonzero(septic_row | (random.random(len(septic_row)) < keep))
    return rows, np.where(septic_row[rows], 1.0, 1.0 / keep)


def of_worth(gain: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Target and weight of rows by what an alarm is worth more than silence.

    Parameters
    ----------
    gain : (n,) float64
        Worth of an alarm less that of silence.
    weight : (n,) float64
        How many rows each stands for.
    """
    return (gain > 0).astype(np.float64), (np.abs(gain) + LEAST_WEIGHT) * weight


def grow(vector: Floats32, target: Floats, weight: Floats, recipe: Recipe, seed: int) -> Any:
    """A booster that says the log-odds of a target.

    Parameters
    ----------
    vector : (n, W) float32
        NaN = not known.
    target : (n,) float64
        0 or 1.
    weight : (n,) float64
        Of every row.
    recipe : Recipe
        Settings.
    seed : int
        Columns tried per tree depend on it.

    Raises
    ------
    ImportError
        Without the extra `boost`.
    """
    import lightgbm

    settings = {
        "objective": "binary",
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
        "seed": seed,
        **{k: v for k, v in recipe._asdict().items() if k not in ("rounds", "keep")},
    }
    data = lightgbm.Dataset(vector, target, weight=weight, params=settings)
    return lightgbm.train(settings, data, recipe.rounds)


def text(booster: Any) -> bytes:
    """A booster in LightGBM's own text."""
    found: str = booster.model_to_string()
    return found.encode()


def load(text: bytes) -> Any:
    """A booster from its text."""
    import lightgbm

    return lightgbm.Booster(model_str=text.decode())


def raw(booster: Any, vector: Floats32) -> Floats:
    """Raw logits [n]."""
    found: Floats = booster.predict(vector, raw_score=True, num_threads=1)
    return found


def arrays(booster: Any, columns: Ints, width: int, most: int = 0) -> tuple[Arrays, int]:
    """A booster as the buffers of `models.trees.Trees`, and its depth.

    Parameters
    ----------
    booster : lightgbm.Booster
        Grown on float32 vectors.
    columns : (w,) int64
        Place of each of its columns in the whole vector.
    width : int
        Numbers in the whole vector.
    most : int
        Room for so many nodes a tree; 0: for the largest.
    """
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    nodes = most or max(_count(root) for root in trees)
    shape = (len(trees), nodes)
    out: Arrays = {
        "column": np.zeros(shape, np.int64),
        "threshold": np.full(shape, LEAF, np.float32),
        "after": np.broadcast_to(np.arange(nodes), shape).copy(),
        "value": np.zeros(shape, np.float32),
    }
    of = (columns, width)
    depth = max(_lay(root, {k: x[i] for k, x in out.items()}, of) for i, root in enumerate(trees))
    return out, max(depth, 1)


def averaged(forests: list[Arrays]) -> Arrays:
    """Forests whose logits are averaged, as one forest; all with as many nodes a tree."""
    together = {k: np.concatenate([f[k] for f in forests]) for k in forests[0]}
    together["value"] = (together["value"] / len(forests)).astype(np.float32)
    return together


def _count(node: dict[str, Any]) -> int:
    """Nodes below and with this one."""
    if "leaf_value" in node:
        return 1
    return 1 + _count(node["left_child"]) + _count(node["right_child"])


def _lay(root: dict[str, Any], row: Arrays, of: tuple[Ints, int]) -> int:
    """Write one tree into its row, breadth first; returns its depth."""
    columns, width = of
    waiting, used, deepest = [(root, 0, 0)], 1, 0
    while waiting:
        node, at, depth = waiting.pop(0)
        deepest = max(deepest, depth)
        if "leaf_value" in node:
            row["value"][at] = node["leaf_value"]
            continue
        unknown_left = node["default_left"]
        if node["missing_type"] == "None":  # never missing in training: LightGBM reads 0
            unknown_left = node["threshold"] >= 0
        row["column"][at] = columns[node["split_feature"]] + (0 if unknown_left else width)
        row["threshold"][at] = _at_most(float(node["threshold"]))
        row["after"][at] = used
        waiting += [
            (node["left_child"], used, depth + 1),
            (node["right_child"], used + 1, depth + 1),
        ]
        used += 2
    return deepest


def _at_most(threshold: float) -> np.float32:
    """Largest float32 that is not above a threshold: the same answers for float32 numbers."""
    near = np.float32(np.clip(threshold, -FAR, FAR))  # "known or not" is asked beyond
    return np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near

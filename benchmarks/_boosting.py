"""A small gradient-boosted classifier in NumPy: shallow symmetric trees that can be read.

Every tree asks the same one to three questions of all rows ("is this feature above that value?"),
so a model is a short list of rules with points. A missing value answers "no".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class BoostSpec(NamedTuple):
    """How a model is trained."""

    n_trees: int
    depth: int
    rate: float  # share of a tree's answer that is taken
    ridge: float  # rows of doubt added to every leaf
    least_rows: float  # hessian weight a side of a split must hold, in rows
    share: float = 1.0  # of the features each level may ask about
    n_bins: int = 32
    seed: int = 0


class Tree(NamedTuple):
    """`depth` questions and the points of the 2**depth answers."""

    feature: Ints
    threshold: Floats
    points: Floats


class Boosted(NamedTuple):
    """A trained model."""

    base: float
    trees: tuple[Tree, ...]


def fit(x: Floats, y: Floats, spec: BoostSpec, weight: Floats | None = None) -> Boosted:
    """Train on `x` (n, F), NaN = missing, and labels `y` (n,) 0 or 1."""
    rng = np.random.default_rng(spec.seed)
    w = np.ones(len(y)) if weight is None else weight / weight.mean()
    edges = _edges(x, spec.n_bins)
    bins = np.stack([np.searchsorted(e, c, "left") for e, c in zip(edges, x.T, strict=True)], 1)
    bins[np.isnan(x)] = 0
    prior = float(np.average(y, weights=w).clip(1e-3, 1 - 1e-3))
    base = float(np.log(prior / (1 - prior)))
    margin = np.full(len(y), base)
    trees = []
    for _ in range(spec.n_trees):
        p = 1 / (1 + np.exp(-margin))
        tree, leaf = _grow(bins, edges, (p - y) * w, np.maximum(p * (1 - p), 1e-6) * w, spec, rng)
        margin += tree.points[leaf]
        trees.append(tree)
    return Boosted(base, tuple(trees))


def probability(model: Boosted, x: Floats) -> Floats:
    """Probability of label 1 for each row of `x` (n, F)."""
    margin = np.full(len(x), model.base)
    for tree in model.trees:
        margin += tree.points[_leaf(tree, x)]
    return np.asarray(1 / (1 + np.exp(-margin)), np.float64)


def importance(model: Boosted, n_features: int) -> Floats:
    """Share of the points each feature decides about."""
    out = np.zeros(n_features)
    for tree in model.trees:
        out[tree.feature] += np.ptp(tree.points)
    return np.asarray(out / max(out.sum(), 1e-12), np.float64)


def _edges(x: Floats, n_bins: int) -> list[Floats]:
    """Borders between the bins of each feature."""
    out = []
    for column in x.T:
        known = column[~np.isnan(column)]
        inner = np.linspace(0, 1, n_bins)[1:-1]
        out.append(np.unique(np.quantile(known, inner)) if known.size else np.zeros(1))
    return out


def _grow(
    bins: Ints,
    edges: list[Floats],
    slope: Floats,
    curve: Floats,
    spec: BoostSpec,
    rng: np.random.Generator,
) -> tuple[Tree, Ints]:
    """One symmetric tree and the leaf of every row."""
    leaf = np.zeros(len(bins), np.intp)
    feature, threshold = [], []
    for _ in range(spec.depth):
        n_asked = max(1, round(spec.share * bins.shape[1]))
        asked = np.sort(rng.choice(bins.shape[1], n_asked, replace=False))
        j, b = _best_split(bins[:, asked], leaf, slope, curve, spec)
        chosen = int(asked[j])
        b = min(b, len(edges[chosen]) - 1)
        feature.append(chosen)
        threshold.append(edges[chosen][b])
        leaf = 2 * leaf + (bins[:, chosen] > b)
    n_leaves = 2**spec.depth
    g = np.bincount(leaf, slope, n_leaves)
    h = np.bincount(leaf, curve, n_leaves)
    points = -spec.rate * g / (h + spec.ridge / 4)
    return Tree(np.array(feature, np.intp), np.array(threshold), points), leaf


def _best_split(
    bins: Ints, leaf: Ints, slope: Floats, curve: Floats, spec: BoostSpec
) -> tuple[int, int]:
    """Feature and bin whose question gains most over all leaves."""
    n_features = bins.shape[1]
    n_leaves = int(leaf.max()) + 1
    place = (leaf[:, None] * n_features + np.arange(n_features)) * spec.n_bins + bins
    shape = (n_leaves, n_features, spec.n_bins)
    size = n_leaves * n_features * spec.n_bins
    g = np.bincount(place.ravel(), np.repeat(slope, n_features), size).reshape(shape).cumsum(2)
    h = np.bincount(place.ravel(), np.repeat(curve, n_features), size).reshape(shape).cumsum(2)
    total_g, total_h = g[:, :, -1:], h[:, :, -1:]
    doubt = spec.ridge / 4
    gain = g**2 / (h + doubt) + (total_g - g) ** 2 / (total_h - h + doubt)
    gain -= total_g**2 / (total_h + doubt)
    least = spec.least_rows / 4
    allowed = (h.sum(0) >= least) & ((total_h - h).sum(0) >= least)
    score = np.where(allowed, gain.sum(0), -np.inf)[:, :-1]
    j, b = divmod(int(score.argmax()), spec.n_bins - 1)
    return j, b


def _leaf(tree: Tree, x: Floats) -> Ints:
    """The leaf each row falls into."""
    leaf = np.zeros(len(x), np.intp)
    for j, threshold in zip(tree.feature, tree.threshold, strict=True):
        leaf = 2 * leaf + (x[:, j] > threshold)
    return leaf

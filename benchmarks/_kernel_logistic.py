"""Logistic regression in the space of a Gaussian kernel, for wide tables with few outcomes.

Inputs become normal scores of the training rows (0 where not known, with a column that says so) and
are stretched by how well each alone ranks the outcome, so that the distance between two rows is
mostly about what matters. The kernel matrix of the training rows is cut to its leading directions
(randomised range finder, Halko et al. 2011, algorithm 4.4), which leaves a ridge-penalised logistic
regression with a few hundred coefficients, found by Newton's method.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Bools = NDArray[np.bool_]
FEWEST: Final = 60  # known values of a column that is used
EDGE: Final = 0.005  # ranks nearer to an end than this count as this
SOMETIMES: Final = (0.03, 0.97)  # share of rows not known for which a column says so
LEAST_SPREAD: Final = 0.3
OVERSAMPLED: Final = 50
NEWTON_STEPS: Final = 7


class KernelSpec(NamedTuple):
    """How a model is fitted; chosen by ranking of held-out stays of CinC 2012."""

    strength: float = 0.7  # power of a column's own |AUROC - 1/2| by which it is stretched
    narrowness: float = 1.0  # exponent at the median squared distance
    ridge: float = 0.15
    directions: int = 400


class Scores(NamedTuple):
    """Normal scores by the ranks of training rows."""

    known: tuple[Floats, ...]  # sorted training values of every column, empty if too few
    missing: Floats  # [F] share of training rows
    scale: Floats32  # [Z]

    def of(self, x: Floats) -> Floats32:
        """Scores of rows, [n, Z]."""
        return _scores(self, x) * self.scale


class KernelModel(NamedTuple):
    """A fitted model."""

    scores: Scores
    rows: Floats32  # [T, Z] training rows
    middle: float  # median squared distance
    narrowness: float
    weights: Floats  # [T]
    bias: float

    def logit(self, x: Floats) -> Floats:
        """Log-odds of rows `x` (n, F), NaN = not known."""
        near = _near(self.scores.of(x), self.rows, self.narrowness / self.middle)
        return np.asarray(near @ self.weights + self.bias, np.float64)


def fit(
    tables: tuple[Floats, ...],
    y: Bools,
    shares: tuple[float, ...],
    spec: KernelSpec | None = None,
) -> KernelModel:
    """Fit on several views of the same rows.

    Parameters
    ----------
    tables : tuple of (n, F) float64
        Views of the training rows, NaN = not known; ranks and kernel come from the first.
    y : (n,) bool
        The outcome.
    shares : tuple of float
        What each view weighs; sums to 1.
    spec : KernelSpec or None
        `KernelSpec()` if none.
    """
    spec = spec or KernelSpec()
    scores = _fitted_scores(tables[0], y, spec.strength)
    rows = scores.of(tables[0])
    distance = _distance(rows, rows)
    middle = float(np.median(distance[:300]))
    kernel = np.exp(distance * np.float32(-spec.narrowness / middle))
    basis = _leading(kernel, spec.directions)
    views = [kernel, *(_near(scores.of(t), rows, spec.narrowness / middle) for t in tables[1:])]
    inputs = np.concatenate([(view @ basis).astype(np.float64) for view in views])
    weight = np.repeat(np.asarray(shares), len(y))
    found = _ridge_logistic(inputs, np.tile(y, len(views)).astype(np.float64), weight, spec.ridge)
    weights = basis.astype(np.float64) @ found[:-1]
    return KernelModel(scores, rows, middle, spec.narrowness, weights, float(found[-1]))


def _fitted_scores(x: Floats, y: Bools, power: float) -> Scores:
    known = [np.sort(column[~np.isnan(column)]) for column in x.T]
    known = [column if len(column) >= FEWEST else column[:0] for column in known]
    missing = np.isnan(x).mean(axis=0)
    plain = Scores(tuple(known), missing, np.ones(1, np.float32))
    z = plain.of(x)
    z_scaled = np.maximum(z.std(axis=0), LEAST_SPREAD)
    strength = np.abs(_auroc(z, y) - 0.5) ** power
    strength /= np.sqrt(np.mean(strength * strength))
    return plain._replace(scale=(strength / z_scaled).astype(np.float32))


def _scores(scores: Scores, x: Floats) -> Floats32:
    found = []
    for column, known, missing in zip(x.T, scores.known, scores.missing, strict=True):
        if not len(known):
            continue
        there = ~np.isnan(column)
        if known[0] < known[-1]:
            below = np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")
            score = ndtri(np.clip(below / (2 * len(known)), EDGE, 1 - EDGE))
            found.append(np.where(there, score, 0.0).astype(np.float32))
        if SOMETIMES[0] < missing < SOMETIMES[1]:
            spread = np.sqrt(missing * (1 - missing))
            found.append(((~there - missing) / spread).astype(np.float32))
    return np.stack(found, axis=1)


def _auroc(z: Floats32, y: Bools) -> Floats:
    """How each column alone ranks the outcome (equal values in the order of rows)."""
    rank = np.argsort(np.argsort(z, axis=0, kind="stable"), axis=0, kind="stable")
    positive, negative = int(y.sum()), int((~y).sum())
    least = positive * (positive - 1) / 2
    found: Floats = (rank[y].sum(axis=0) - least) / (positive * negative)
    return found


def _distance(a: Floats32, b: Floats32) -> Floats32:
    """Squared distances, [len(a), len(b)]."""
    across = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * (a @ b.T)
    return np.asarray(np.maximum(across, np.float32(0)), np.float32)


def _near(a: Floats32, b: Floats32, rate: float) -> Floats32:
    near: Floats32 = np.exp(_distance(a, b) * np.float32(-rate))
    return near


def _leading(kernel: Floats32, directions: int) -> Floats32:
    """Directions of most weight, scaled so that products with the kernel are coordinates."""
    random = np.random.default_rng(0)
    width = min(directions + OVERSAMPLED, len(kernel))
    q = random.standard_normal((len(kernel), width)).astype(np.float32)
    for _ in range(2):
        q, _ = np.linalg.qr(kernel @ q)
    size, vector = np.linalg.eigh(q.T @ (kernel @ q))
    size, vector = size[::-1][:directions], (q @ vector)[:, ::-1][:, :directions]
    kept = size > 1e-4 * size[0]
    scaled: Floats32 = vector[:, kept] / np.sqrt(size[kept])
    return scaled


def _ridge_logistic(x: Floats, y: Floats, weight: Floats, ridge: float) -> Floats:
    """Coefficients and, last and not penalised, the bias."""
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    penalty = np.append(np.full(x.shape[1] - 1, ridge), 0.0)
    found = np.zeros(x.shape[1])
    share = np.average(y, weights=weight)
    found[-1] = np.log(share / (1 - share))
    for _ in range(NEWTON_STEPS):
        p = expit(x @ found)
        curve = np.maximum(p * (1 - p), 1e-4) * weight
        hessian = (x * curve[:, None]).T @ x + np.diag(penalty)
        found += np.linalg.solve(hessian, x.T @ (weight * (y - p)) - penalty * found)
    return found

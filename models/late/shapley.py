"""Exact Shapley values over a few modalities: parts of a logit that always add up.

Costs 2^M evaluations of whatever makes the logit, so M is small; the same lines serve NumPy
arrays and tensors. Not here: gradients (`models.calibration.attribution`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import Protocol, Self, TypeVar

MAX_MODALITIES = 6  # 64 evaluations


class Column(Protocol):
    """Anything that adds and scales: an array, a tensor."""

    def __add__(self, other: Self, /) -> Self: ...
    def __sub__(self, other: Self, /) -> Self: ...
    def __mul__(self, other: float, /) -> Self: ...


def subsets(n_modalities: int) -> list[tuple[bool, ...]]:
    """Every subset of M modalities, in the order `shapley` reads them: bit m of the index is m.

    Raises
    ------
    ValueError
        If there are more than `MAX_MODALITIES`.

    Examples
    --------
    >>> subsets(2)
    [(False, False), (True, False), (False, True), (True, True)]
    """
    if not 1 <= n_modalities <= MAX_MODALITIES:
        raise ValueError(f"1 to {MAX_MODALITIES} modalities have exact shares, got {n_modalities}")
    return [
        tuple(bool(index >> m & 1) for m in range(n_modalities)) for index in range(2**n_modalities)
    ]


C = TypeVar("C", bound=Column)


def shapley(value: Sequence[C], n_modalities: int) -> list[C]:
    """Each modality's mean contribution over all orders in which modalities could arrive.

    Parameters
    ----------
    value : sequence of 2^M arrays of one shape
        The logit with only that subset present, in the order of `subsets`. Making an absent
        modality "present" must change nothing; its share is then exactly 0.
    n_modalities : int

    Returns
    -------
    list of M arrays
        They sum to value[all] - value[none], to rounding.

    Notes
    -----
    Source: Shapley (1953), A value for n-person games.
    Checked against: ``tests/models/late/test_shapley.py``.

    Examples
    --------
    >>> import numpy as np
    >>> xor = [np.array([v]) for v in (0.0, 0.0, 0.0, 1.0)]
    >>> [part.tolist() for part in shapley(xor, 2)]
    [[0.5], [0.5]]
    """
    shares = []
    for m in range(n_modalities):
        part: C | None = None
        for index in range(2**n_modalities):
            if index >> m & 1:
                continue
            size = index.bit_count()
            weight = factorial(size) * factorial(n_modalities - size - 1) / factorial(n_modalities)
            gain = (value[index | 1 << m] - value[index]) * weight
            part = gain if part is None else part + gain
        assert part is not None
        shares.append(part)
    return shares

"""Explicit state of many patients, and of one: named arrays to and from plain vectors.

A snapshot keeps one vector of float64 per patient; a step takes many patients at once.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np

from features.intervals import Floats

State = TypeVar("State", bound=tuple[Any, ...])


def packed(state: tuple[Any, ...]) -> Floats:
    """`(B, K)` float64 of a tuple of arrays `(B, ...)`; times in µs keep every digit.

    Examples
    --------
    >>> packed((np.array([[1.0, 2.0]]), np.array([7]), np.array([True]))).tolist()
    [[1.0, 2.0, 7.0, 1.0]]
    """
    n_rows = len(state[0])
    parts = [np.asarray(part, np.float64).reshape(n_rows, -1) for part in state]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def unpacked(vectors: Floats, like: State) -> State:
    """State of the kind, shapes and types of `like` from `(B, K)` vectors.

    Raises
    ------
    ValueError
        If K is not the length of such a state: it was written by another version.
    """
    sizes = [math.prod(part.shape[1:]) for part in like]
    width = sum(sizes)
    if vectors.ndim != 2 or vectors.shape[1] != width:
        raise ValueError(f"state must have shape (B, {width}), not {vectors.shape}")
    parts, at = [], 0
    for part, size in zip(like, sizes, strict=True):
        own = vectors[:, at : at + size].reshape((len(vectors), *part.shape[1:]))
        parts.append(np.ascontiguousarray(own.astype(part.dtype)))
        at += size
    made: State = type(like)(*parts)
    return made

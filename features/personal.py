"""States that follow one patient from window to window, kept per patient, worked on in batches.

Not here: what the states mean (the modules that make them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from features.intervals import Floats
from features.planes import planes, unplaned
from features.state_rows import packed, unpacked

_TIMES_FROM: Final = 2.0**40  # 12 days in µs; no other state is as large

State = TypeVar("State", bound=tuple[Any, ...])


class Personal:
    """Named states of one patient, each a vector; one that was never written is fresh."""

    __slots__ = ("_vectors",)

    def __init__(self) -> None:
        self._vectors: dict[str, Floats] = {}

    def vector(self, name: str) -> Floats | None:
        """A state; None before it was first written."""
        return self._vectors.get(name)

    def put(self, name: str, vector: Floats) -> None:
        """Keep a state, with the digits of float32 but for what is a time in µs."""
        self._vectors[name] = _kept(vector)

    def to_state(self) -> dict[str, bytes]:
        """Everything, as values MessagePack can hold."""
        return {name: planes(v.astype("<f8")) for name, v in sorted(self._vectors.items())}

    @classmethod
    def from_state(cls, state: dict[str, bytes]) -> Personal:
        """What gave the state; ValueError if it is no vectors."""
        personal = cls()
        personal._vectors = {name: unplaned(v, "<f8") for name, v in state.items()}
        return personal


def gathered(people: Sequence[Personal], name: str, fresh: Callable[[int], State]) -> State:
    """One state of several patients, as a batch.

    Parameters
    ----------
    people : sequence of Personal, length B
    name : str
    fresh : callable
        Makes the state of n patients nothing is known of.

    Returns
    -------
    State
        `[B, ...]` arrays.

    Raises
    ------
    ValueError
        If a state is not of this size: it was written by another version.
    """
    new = fresh(1)
    nothing = packed(new)[0]
    found = [person.vector(name) for person in people]
    vectors = [nothing if v is None else v for v in found]
    odd = {vector.size for vector in vectors} - {nothing.size}
    if odd:
        raise ValueError(f"state {name} must have shape ({nothing.size},), not ({min(odd)},)")
    return unpacked(np.concatenate(vectors).reshape(len(vectors), -1), new)


def scattered(people: Sequence[Personal], name: str, state: tuple[Any, ...]) -> None:
    """Give every patient its part of a batch back."""
    for person, vector in zip(people, _kept(packed(state)), strict=True):
        person._vectors[name] = vector.copy()


def _kept(vectors: Floats) -> Floats:
    """With the digits that are kept."""
    single = vectors.astype(np.float32).astype(np.float64)
    return np.where(np.abs(vectors) < _TIMES_FROM, single, vectors)

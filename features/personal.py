"""States that follow one patient from window to window, kept per patient, worked on in batches.

A state is a NamedTuple of arrays `[B, ...]`, or one such array; a patient's own is one row of it.
Not here: what the states mean (the modules that make them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

State = TypeVar("State", bound=tuple[NDArray[np.float64], ...])
_FLOAT: Final = "<f8"


class Personal:
    """Named states of one patient; one that was never written is fresh."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: dict[str, tuple[NDArray[np.float64], ...]] = {}

    def row(self, name: str) -> tuple[NDArray[np.float64], ...] | None:
        """The patient's row of a state, one array per field; None before the first."""
        return self._rows.get(name)

    def put(self, name: str, row: tuple[NDArray[np.float64], ...]) -> None:
        """Keep a row."""
        self._rows[name] = row

    def to_state(self) -> dict[str, list[bytes]]:
        """Everything, as values MessagePack can hold."""
        return {
            name: [np.ascontiguousarray(part, _FLOAT).tobytes() for part in row]
            for name, row in sorted(self._rows.items())
        }

    @classmethod
    def from_state(cls, state: Any, fresh: dict[str, tuple[NDArray[np.float64], ...]]) -> Personal:
        """What gave the state; `fresh` says which states there are and how large.

        Raises
        ------
        ValueError, KeyError
            If a state is unknown or of another size.
        """
        personal = cls()
        for name, parts in state.items():
            like = fresh[name]
            personal._rows[name] = tuple(
                np.frombuffer(part, _FLOAT).reshape(one.shape)
                for part, one in zip(parts, like, strict=True)
            )
        return personal


def gathered(people: Sequence[Personal], name: str, fresh: Callable[[int], State]) -> State:
    """The state of several patients, as one batch.

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
    """
    new = fresh(1)
    rows = [person.row(name) or tuple(part[0] for part in new) for person in people]
    return type(new)(*(np.stack(part) for part in zip(*rows, strict=True)))


def scattered(people: Sequence[Personal], name: str, state: State) -> None:
    """Give every patient its row of a batch back."""
    for i, person in enumerate(people):
        person.put(name, tuple(part[i].copy() for part in state))

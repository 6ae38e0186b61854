"""Other hospitals' habits of measuring, made up: what a stay would look like charted elsewhere.

What is measured, and how often, is a habit of the house; a model that leans on it does not travel.
Copies of the training stays lose whole columns at random and are measured more rarely in others.
The rates are no hospital's: they only say that habits differ.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]


class Habit(NamedTuple):
    """How often a column of a modality is never charted in a stay, or more rarely."""

    never: float = 0.0  # share of stays
    rarer: float = 0.5  # share of stays in which it is measured more rarely
    least: float = 0.2  # how rarely at most, of the usual


HABITS: Final = {
    "vitals": Habit(never=0.08),
    "labs": Habit(never=0.25),
    "static": Habit(never=0.05, rarer=0.0),
}
OWN: Final = {  # by concept: cuffs and lines are not worn, admission times not always known
    "sbp": Habit(never=0.25),
    "dbp": Habit(never=0.25),
    "map": Habit(never=0.25),
    "admitted_before_h": Habit(never=0.3, rarer=0.0),
}


def elsewhere(
    value: dict[str, Floats32], names: dict[str, tuple[str, ...]], lengths: Ints, seed: int
) -> dict[str, Floats32]:
    """The same stays as another house might have charted them.

    Parameters
    ----------
    value : dict of (N, d) float32
        NaN = not measured in that hour.
    names : dict of tuple of str
        Concepts of the columns.
    lengths : (P,) int64
        Hours of every stay.
    seed : int
        The same seed gives the same house.
    """
    random = np.random.default_rng(seed)
    out = {}
    for modality, x in value.items():
        x = x.copy()
        for column, name in enumerate(names[modality]):
            habit = OWN.get(name, HABITS[modality])
            stays = len(lengths)
            rate = np.where(
                random.random(stays) < habit.rarer, random.uniform(habit.least, 1, stays), 1.0
            )
            rate[random.random(stays) < habit.never] = 0.0
            lost = random.random(len(x)) >= np.repeat(rate, lengths)
            x[lost, column] = np.nan
        out[modality] = x
    return out

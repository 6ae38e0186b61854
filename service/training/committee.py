"""The committee of `models.families.boosted` in NumPy, for rows that were scored fold by fold.

A test holds it to the network's numbers.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.calibration.knots import Line, fit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SHARES: Final = {"joint": 0.8, "vitals": 0.1, "labs": 0.1}


class Raw(NamedTuple):
    """Raw logits of every member, and which modalities were there, per row."""

    joint: Floats  # [N]
    single: dict[str, Floats]
    there: dict[str, Bools]

    def rows(self, which: Bools) -> Raw:
        """Some of the rows."""
        single = {k: x[which] for k, x in self.single.items()}
        return Raw(self.joint[which], single, {k: x[which] for k, x in self.there.items()})

    def without(self, modality: str) -> Raw:
        """The same rows had a modality never been there."""
        none = np.zeros(len(self.joint), bool)
        return self._replace(there={**self.there, modality: none})


class Lines(NamedTuple):
    """Calibration of the whole committee and of each member alone."""

    whole: Line
    alone: dict[str, Line]
    nothing: float


def mixed(raw: Raw, shares: dict[str, float] = SHARES) -> Floats:
    """Raw logits where every modality is there."""
    total: Floats = shares["joint"] * raw.joint
    for name, logit in raw.single.items():
        total = total + shares[name] * logit
    return total


def calibrate(label: Bools, raw: Raw, knots: int, shares: dict[str, float] = SHARES) -> Lines:
    """Lines fitted on rows of patients that trained nothing.

    Parameters
    ----------
    label : (N,) bool
        What happened.
    raw : Raw
        Logits of these rows.
    knots : int
        Of each line.
    shares : dict of float
        Weights of the members.
    """
    every = np.logical_and.reduce(list(raw.there.values()))
    whole = fit(label[every], mixed(raw, shares)[every], knots)
    alone = {k: fit(label[raw.there[k]], x[raw.there[k]], knots) for k, x in raw.single.items()}
    rate = float(label.mean())
    return Lines(whole, alone, float(np.log(rate / (1 - rate))))


def logits(raw: Raw, lines: Lines, shares: dict[str, float] = SHARES) -> Floats:
    """Calibrated logits of the committee, [N]."""
    there = np.stack(list(raw.there.values()), axis=1)
    known = there.sum(axis=1)
    some = np.where(there, alone(raw, lines), 0.0).sum(axis=1) / np.maximum(known, 1)
    every = lines.whole.at(mixed(raw, shares))
    found: Floats = np.where(known == there.shape[1], every, np.where(known, some, lines.nothing))
    return found


def alone(raw: Raw, lines: Lines) -> Floats:
    """Calibrated logits of every member alone, [N, members]; NaN where it was not there."""
    own = [np.where(raw.there[k], lines.alone[k].at(x), np.nan) for k, x in raw.single.items()]
    return np.stack(own, axis=1)


def sigmoid(logit: Floats) -> Floats:
    """Probabilities."""
    found: Floats = 1 / (1 + np.exp(-logit))
    return found

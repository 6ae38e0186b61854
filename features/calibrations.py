"""What each of a patient's accelerometers measures at rest, learnt while it is worn.

Learnt from every still epoch, applied from the next multiple of five minutes on: so the result of
an epoch does not depend on which epochs happened to be analysed with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.intervals import Floats
from features.motion.calibration import N_STATE, Calibration, calibration, fresh, learned
from features.motion.windows import MEAN, Number

ANEW_US: Final = 300_000_000  # what was learnt is applied from the next multiple of this on
MOST_DEVICES: Final = 4  # per patient; of more, the one learnt about longest ago goes
_PLAIN: Final = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
_NOTHING: Final = np.empty(0)  # so that nobody at all is a batch as well


class Calibrations:
    """Gain and offset in force and what was learnt since, by device."""

    __slots__ = ("_applied", "_learnt")

    def __init__(self) -> None:
        self._applied: dict[str, Floats] = {}  # gain and offset of x, y, z
        self._learnt: dict[str, Floats] = {}

    def applied(self, device_id: str) -> Floats:
        """(6,) gains and offsets in g of the three axes; 1 and 0 for a device never seen."""
        return self._applied.get(device_id, _PLAIN)

    def learnt(self, device_id: str) -> Floats:
        """(28,) state of `features.motion.calibration`."""
        found = self._learnt.get(device_id)
        return fresh(1)[0] if found is None else found

    def put(self, device_id: str, learnt: Floats) -> None:
        """Keep what was learnt about a device."""
        self._learnt.pop(device_id, None)
        self._learnt[device_id] = learnt
        while len(self._learnt) > MOST_DEVICES:
            gone = next(iter(self._learnt))
            del self._learnt[gone]
            self._applied.pop(gone, None)

    def take_up(self) -> None:
        """Apply from now on what was learnt until now."""
        if self._learnt:
            found = calibration(np.stack(list(self._learnt.values())))
            both = np.concatenate([found.gain, found.offset_g], axis=1)
            self._applied = dict(zip(self._learnt, both, strict=True))

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [
            [device_id, self.applied(device_id).tobytes(), learnt.tobytes()]
            for device_id, learnt in self._learnt.items()
        ]

    @classmethod
    def from_state(cls, state: Any) -> Calibrations:
        """What gave the state; ValueError if it is no calibrations."""
        made = cls()
        for device_id, applied, learnt in state:
            made._applied[device_id] = np.frombuffer(applied, "<f8").reshape(_PLAIN.size)
            made._learnt[device_id] = np.frombuffer(learnt, "<f8").reshape(N_STATE)
        return made


def in_force(owners: Sequence[tuple[Calibrations, str]]) -> Calibration:
    """The calibration of each of B epochs, by owner and device."""
    applied = [own.applied(device_id) for own, device_id in owners]
    both = np.concatenate([_NOTHING, *applied]).reshape(-1, _PLAIN.size)
    return Calibration(both[:, :3], both[:, 3:], np.zeros(len(both)))


def learn(
    owners: Sequence[tuple[Calibrations, str]], epochs: Sequence[NDArray[np.floating]]
) -> None:
    """Learn from B analysed epochs, in their order.

    Parameters
    ----------
    owners : sequence of (Calibrations, device), length B
    epochs : sequence of (21,) float
        As `features.motion.windows.Number`, of corrected axes.
    """
    rounds: list[list[int]] = []  # a device learns from one epoch at a time
    seen: dict[tuple[int, str], int] = {}
    for i, (own, device_id) in enumerate(owners):
        place = seen.get((id(own), device_id), 0)
        seen[id(own), device_id] = place + 1
        if place == len(rounds):
            rounds.append([])
        rounds[place].append(i)
    for own_round in rounds:
        force = in_force([owners[i] for i in own_round])
        told = np.concatenate([epochs[i] for i in own_round]).reshape(len(own_round), -1)
        numbers = told[:, : len(Number)].astype(np.float64)
        measured = (numbers[:, MEAN] - force.offset_g) / force.gain
        known = [owners[i][0].learnt(owners[i][1]) for i in own_round]
        states = np.concatenate(known).reshape(len(known), -1)
        states = learned(states, measured, numbers[:, Number.STILL])
        for i, state in zip(own_round, states, strict=True):
            owners[i][0].put(owners[i][1], state.copy())

"""What a model keeps of its patients: one matrix, a row per patient. Torch-free.

Gathering rows of one matrix costs a third of stacking one array per patient. A row is bytes in the
patient's snapshot, under the digest of the model whose state it is. Beside the state stand the last
few rows taken in, with the state before each, so that a corrected row can be taken in again.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_FIRST_SLOTS = 64


class Kept(msgspec.Struct, array_like=True):
    """One patient's memory as it is stored."""

    digest: str
    since_us: int  # first row taken in; 0 = none yet
    at_us: int  # last row taken in
    state: bytes
    past_us: list[int]  # newest first
    past_state: list[bytes]  # before that row
    past_row: list[bytes]


class Slab:
    """State of every patient of one model.

    Parameters
    ----------
    digest : str
        Of the model; memory of another one is never taken over.
    state_width, row_width : int
        Numbers in a state, and in a packed row.
    depth : int
        How many rows can be corrected.
    """

    def __init__(self, digest: str, state_width: int, row_width: int, depth: int) -> None:
        self._digest, self._depth = digest, depth
        self._row_width = row_width
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self.state: Floats = np.zeros((_FIRST_SLOTS, state_width), np.float32)
        self.since_us = np.zeros(_FIRST_SLOTS, np.int64)
        self.at_us = np.zeros(_FIRST_SLOTS, np.int64)
        self.past_us = np.zeros((_FIRST_SLOTS, depth), np.int64)
        self.past_state: Floats = np.zeros((_FIRST_SLOTS, depth, state_width), np.float32)
        self.past_row: Floats = np.zeros((_FIRST_SLOTS, depth, row_width), np.float32)

    def slots(self, patients: list[str]) -> NDArray[np.intp]:
        """Slot of each patient; one never seen gets an empty one."""
        found = [self._slots.get(patient, -1) for patient in patients]
        if -1 in found:
            found = [self._slot(patient) for patient in patients]
        return np.array(found, dtype=np.intp)

    def held(self, slots: NDArray[np.intp]) -> Floats:
        """States at some slots, a copy; twice as fast as indexing."""
        return self.state.take(slots, axis=0)

    def take_in(
        self, slots: NDArray[np.intp], end_us: NDArray[np.int64], rows: Floats, after: Floats
    ) -> None:
        """Note rows [N, row_width] and the states they lead to, each at another slot."""
        if self._depth:
            for past in (self.past_us, self.past_state, self.past_row):
                past[slots, 1:] = past[slots, :-1]
            self.past_us[slots, 0] = end_us
            self.past_state[slots, 0] = self.state[slots]
            self.past_row[slots, 0] = rows
        self.state[slots] = after
        self.at_us[slots] = end_us
        self.since_us[slots] = np.where(self.since_us[slots] == 0, end_us, self.since_us[slots])

    def rewind(self, slot: int, end_us: int) -> list[tuple[int, Floats]] | None:
        """Go back to before the row of `end_us`; returns the rows after it, oldest first.

        None, and nothing done, when that row is not among those kept.
        """
        kept = self.past_us[slot].tolist()
        if end_us not in kept:
            return None
        at = kept.index(end_us)
        later = [(kept[i], self.past_row[slot, i].copy()) for i in range(at - 1, -1, -1)]
        self.state[slot] = self.past_state[slot, at]
        self.at_us[slot] = kept[at + 1] if at + 1 < len(kept) and kept[at + 1] else 0
        for past in (self.past_us, self.past_state, self.past_row):
            past[slot, : self._depth - at - 1] = past[slot, at + 1 :].copy()
            past[slot, self._depth - at - 1 :] = 0
        return later

    def before(self, slot: int, end_us: int, cadence_us: int) -> Floats | None:
        """State that was in force at a time between rows taken in; None if it is not kept."""
        kept = [us for us in self.past_us[slot].tolist() if us]
        after = [us for us in kept if us > end_us]
        if not after or (len(after) == len(kept) and after[-1] - end_us >= cadence_us):
            return None
        state: Floats = self.past_state[slot, len(after) - 1]
        return state

    def store(self, patient: str) -> bytes | None:
        """Memory of a patient for the snapshot; None if there is none."""
        slot = self._slots.get(patient)
        if slot is None:
            return None
        used = [i for i, us in enumerate(self.past_us[slot].tolist()) if us]
        return msgspec.msgpack.encode(
            Kept(
                self._digest,
                int(self.since_us[slot]),
                int(self.at_us[slot]),
                self.state[slot].tobytes(),
                self.past_us[slot, used].tolist(),
                [self.past_state[slot, i].tobytes() for i in used],
                [self.past_row[slot, i].tobytes() for i in used],
            )
        )

    def load(self, patient: str, stored: bytes) -> None:
        """Take over memory; that of another model, shape or form is left alone: an empty state.

        What is left alone is not guessed at: the patient starts cold.
        """
        try:
            kept = msgspec.msgpack.decode(stored, type=Kept)
        except (ValueError, RecursionError):
            return
        width = self.state.shape[1] * 4
        rows = zip(kept.past_us, kept.past_state, kept.past_row, strict=False)
        if kept.digest != self._digest or len(kept.state) != width:
            return
        slot = self._slot(patient)
        self.since_us[slot], self.at_us[slot] = kept.since_us, kept.at_us
        self.state[slot] = np.frombuffer(kept.state, np.float32)
        for i, (us, state, row) in enumerate(list(rows)[: self._depth]):
            if len(state) == width and len(row) == self._row_width * 4:
                self.past_us[slot, i] = us
                self.past_state[slot, i] = np.frombuffer(state, np.float32)
                self.past_row[slot, i] = np.frombuffer(row, np.float32)

    def forget(self, patient: str) -> None:
        """Let a patient go; the slot is emptied and used again."""
        slot = self._slots.pop(patient, None)
        if slot is None:
            return
        for array in self._arrays():
            array[slot] = 0
        self._free.append(slot)

    def __len__(self) -> int:
        return len(self._slots)

    def _slot(self, patient: str) -> int:
        slot = self._slots.get(patient)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
            if slot >= len(self.state):
                self._grow()
            self._slots[patient] = slot
        return slot

    def _grow(self) -> None:
        """Twice the slots."""
        for name in ("state", "since_us", "at_us", "past_us", "past_state", "past_row"):
            array = getattr(self, name)
            setattr(self, name, np.concatenate([array, np.zeros_like(array)]))

    def _arrays(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self.state,
            self.since_us,
            self.at_us,
            self.past_us,
            self.past_state,
            self.past_row,
        )

"""The text modality: which vector stands for a patient's notes at t, as known at k.

The rules are those of every fact (`features.asof`): the latest note at or before t among those
known by k, corrections and cancellations honoured, older than its maximum age = missing. Vectors of
an outside encoder are asked for by its name: those of another encoder, version or number of
dimensions never stand in for them. Not here: making vectors (`features.text`, `features.vectors`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.asof import AsOf
from features.facts import NOTE, NOTE_EMBEDDING
from features.vectors import LOCAL


class Embedded(NamedTuple):
    """The text modality of Q questions."""

    value: NDArray[np.float32]  # [Q, D] NaN = missing
    time_us: NDArray[np.int64]  # [Q] event time of the note; 0 = missing


def embedded_at(
    stores: Sequence[AsOf],
    t_us: NDArray[np.int64],
    known_us: NDArray[np.int64],
    encoder: str = LOCAL,
) -> Embedded:
    """Vectors in force for many patients at once.

    Parameters
    ----------
    stores : sequence of AsOf, length Q
        The store of each question's patient.
    t_us, known_us : (Q,) int64
        Event time and decision time of each question; equality counts at both.
    encoder : str
        "name/version/dimensions": that of the encoder here, or of one whose vectors arrive.

    Returns
    -------
    Embedded
        (Q, dimensions); NaN and 0 = missing.
    """
    track = NOTE if encoder == LOCAL else NOTE_EMBEDDING
    size = int(encoder.rpartition("/")[2])
    value = np.full((len(stores), size), np.nan, np.float32)
    time_us = np.zeros(len(stores), np.int64)
    asked = zip(stores, t_us.tolist(), known_us.tolist(), strict=True)
    for row, (store, t, k) in enumerate(asked):
        found = store.vector(track, t, k, encoder)
        if found is not None:
            time_us[row], vector = found
            value[row] = vector.numbers()
    return Embedded(value, time_us)

"""Windows of one patient that follow one another in a batch: what rests on the past takes turns.

What windows hold by themselves is made of all of them at once, which costs little more than one of
them; only states that move on from window to window need an order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.families.table import Row
from features.intervals import Ints


def turns_of(rows: Sequence[Row]) -> list[Ints]:
    """Places of rows, turn by turn: of each patient those of one end, in the order they came.

    Parameters
    ----------
    rows : sequence of (Memory, Window), length B
        Windows of one patient that end at the same time lie together, none earlier than before.

    Returns
    -------
    list of (n,) int
        All places, ascending in each turn. One turn where every patient has one end.
    """
    last: dict[int, tuple[int, int]] = {}  # of a memory: the end of its last row, and its turn
    turns: list[list[int]] = []
    for place, (memory, window) in enumerate(rows):
        end_us, turn = last.get(id(memory), (window.end_us, 0))
        turn += window.end_us != end_us
        last[id(memory)] = window.end_us, turn
        if turn == len(turns):
            turns.append([])
        turns[turn].append(place)
    return [np.array(turn, np.intp) for turn in turns]

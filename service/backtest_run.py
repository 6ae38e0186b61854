"""What a policy would have said: raises and their ends, however they were found. Pure records.

Times are those of the log (when the engine spoke), not of the windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.alert import PRIORITY_RANK, AlertEvent, Kind, Phase, Resolution, Suppression

Ints = NDArray[np.int64]
OPEN_END: Final = -1


class Episode(NamedTuple):
    """One raise of one condition, and when it was over (`OPEN_END`: not before the end)."""

    patient: int
    code: str
    technical: bool
    priority: int  # rank, highest reached
    at_us: int
    end_us: int
    rings: bool  # False: it was raised while something held it back
    first: bool  # a new occurrence, not one that came back


class Stay(NamedTuple):
    """Whose scores, from when to when."""

    patient: str
    start_us: int
    end_us: int


class Outcome(NamedTuple):
    """All episodes of a policy over a history."""

    stays: tuple[Stay, ...]
    episodes: tuple[Episode, ...]
    exact: bool  # by the live engine itself


def episodes_of(patient: int, events: Iterable[AlertEvent]) -> list[Episode]:
    """Episodes of one patient's events, in the order of their raises.

    Parameters
    ----------
    patient : int
        Number of the patient.
    events : iterable of AlertEvent
        In log order.
    """
    done: list[Episode] = []
    place: dict[str, int] = {}
    for event in events:
        code = event.condition.code
        if event.phase is Phase.RAISED:
            if code in place:  # it rings anew without having gone
                done[place[code]] = done[place[code]]._replace(end_us=event.recorded_us)
            place[code] = len(done)
            done.append(_begun(patient, event))
        elif code in place:
            at = place[code]
            rank = max(done[at].priority, PRIORITY_RANK[event.priority])
            done[at] = done[at]._replace(priority=rank)
            if event.phase is Phase.CLEARED or event.state.resolution is not Resolution.OPEN:
                done[at] = done[at]._replace(end_us=event.recorded_us)
                del place[code]
    return done


def _begun(patient: int, event: AlertEvent) -> Episode:
    return Episode(
        patient=patient,
        code=event.condition.code,
        technical=event.kind is Kind.TECHNICAL,
        priority=PRIORITY_RANK[event.priority],
        at_us=event.recorded_us,
        end_us=OPEN_END,
        rings=event.state.suppression is Suppression.NONE,
        first=event.seq == 1,
    )

"""Many devices silent at once: one cause, told once, instead of an alert per patient. Pure.

Patients never meet inside the engine, so this is found outside, from the `no_data` alerts of all,
and goes back onto every log as a command. Not here: Kafka (`service.watch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from alerts.alert import AlertRecord, Condition, Resolution
from alerts.technical import NO_DATA
from streams.records import ANYONE

OUTAGE: Final = "device_fleet_outage"


class FleetRules(NamedTuple):
    """When silent devices are one outage."""

    patients: int  # at least so many; 0: never
    share: float  # and this share of the patients watched
    within_us: int  # whose data ended within this time of one another


class Outage(NamedTuple):
    """An outage began, or is over."""

    since_us: int
    patients: int
    over: bool = False


class FleetWatch:
    """Who is silent, and since when.

    Invariant: an outage is told once, and its end once. It is over when fewer than half of those
    it began with are silent.
    """

    def __init__(self, rules: FleetRules) -> None:
        self._rules = rules
        self._silent: dict[str, dict[str, int]] = {}  # patient: occurrence: end of the data
        self._known: Outage | None = None

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Take over what is open at a start: silences, and an outage that was told."""
        for record in records:
            if record.condition.code == OUTAGE and record.subject == ANYONE and _there(record):
                self._known = Outage(record.onset_us, 0)
            self.heard(record)
        if self._known is not None:
            self._known = self._known._replace(patients=len(self._silent))

    def heard(self, record: AlertRecord) -> None:
        """Take a step of any alert."""
        if record.condition.code.partition(":")[0] != NO_DATA:
            return
        own = self._silent.setdefault(record.subject, {})
        if _there(record):
            own[record.occurrence_id] = record.onset_us
        else:
            own.pop(record.occurrence_id, None)
        if not own:
            del self._silent[record.subject]

    def judge(self, watched: int) -> Outage | None:
        """What is new.

        Parameters
        ----------
        watched : int
            How many patients had a score lately.
        """
        if self._known is not None:
            if 2 * len(self._silent) >= max(self._known.patients, 1):
                return None
            over, self._known = self._known, None
            return Outage(over.since_us, len(self._silent), over=True)
        since_us, together = self._together()
        rules = self._rules
        if not rules.patients or together < max(rules.patients, rules.share * watched):
            return None
        self._known = Outage(since_us, together)
        return self._known

    def silent(self) -> int:
        """How many patients are silent."""
        return len(self._silent)

    def _together(self) -> tuple[int, int]:
        """The most patients whose data ended within the time, and since when."""
        ends = sorted(min(own.values()) for own in self._silent.values())
        best, first = (0, 0), 0
        for last, end_us in enumerate(ends):
            while end_us - ends[first] > self._rules.within_us:
                first += 1
            best = max(best, (last - first + 1, -ends[first]))
        return -best[1], best[0]


def _there(record: AlertRecord) -> bool:
    state = record.state
    return state.condition is Condition.ACTIVE and state.resolution is Resolution.OPEN

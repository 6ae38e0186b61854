"""More comes than the workers can carry: what is left out first, told on the log. Pure.

A worker's heartbeat says how far its oldest partition is behind. What is left out is a command to
everybody (`streams.shedding`), so that every run of the log leaves out the same; it is an alert
too (`degraded`). Not here: Kafka (`service.watch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from alerts.alert import AlertRecord, Condition, Resolution
from streams.records import ANYONE
from streams.shedding import BACKFILL, HOP

HOLD_US: Final = 15_000_000  # three heartbeats: one slow pass is no overload
CALM_US: Final = 60_000_000  # caught up this long before anything is taken back
_WORDS: Final = {
    BACKFILL: "late windows that page nobody are not computed",
    HOP: "windows of a minute are computed every half minute",
}


class OverloadRules(NamedTuple):
    """Lags, in s; 0: never."""

    backfill_s: float  # from which backfill is left out
    hop_s: float  # from which windows come less often as well
    calm_s: float  # below which all is well


class Shed(NamedTuple):
    """Something is left out from now on, or no longer."""

    code: str
    since_us: int
    over: bool
    words: str


class OverloadWatch:
    """What is left out now; one step at a time, and the last one taken is the first taken back."""

    def __init__(self, rules: OverloadRules) -> None:
        steps = ((BACKFILL, rules.backfill_s), (HOP, rules.hop_s))
        self._steps = [(code, lag_s) for code, lag_s in steps if lag_s]
        self._calm_s = rules.calm_s
        self._known: dict[str, int] = {}  # what is left out, since when
        # What somebody may have said before this process began; its alert may be closed by hand.
        self._doubtful = [code for code, _ in steps]
        self._over_us = 0  # since when the lag asks for the next step; 0: it does not
        self._calm_us = 0  # since when it is calm; 0: it is not

    @property
    def level(self) -> int:
        """How many steps are taken."""
        return len(self._known)

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Take over what is open at a start."""
        for record in records:
            state, code = record.state, record.condition.code
            there = state.condition is Condition.ACTIVE and state.resolution is Resolution.OPEN
            if there and record.subject == ANYONE and code in (BACKFILL, HOP):
                self._known[code] = record.onset_us

    def judge(self, lag_s: float, now_us: int) -> Shed | None:
        """Take in the largest lag of any ready worker; what is new."""
        self._calm_us = (self._calm_us or now_us) if lag_s < self._calm_s else 0
        if self._calm_us and now_us - self._calm_us >= CALM_US:
            taken_back = self._taken_back(now_us)
            if taken_back is not None:
                self._calm_us = now_us  # the next step back has to wait as long
                return taken_back
        due = next((step for step in self._steps if step[0] not in self._known), None)
        if due is None or lag_s < due[1]:
            self._over_us = 0
            return None
        self._over_us = self._over_us or now_us
        if now_us - self._over_us < HOLD_US:
            return None
        self._over_us, self._known[due[0]] = 0, now_us
        if due[0] in self._doubtful:
            self._doubtful.remove(due[0])
        return Shed(due[0], now_us, over=False, words=f"{lag_s:.0f} s behind: {_WORDS[due[0]]}")

    def _taken_back(self, now_us: int) -> Shed | None:
        """The last step, if there is one; once what an earlier watch may have left."""
        words = "All is computed again"
        if self._known:
            code, since_us = self._known.popitem()
            return Shed(code, since_us, over=True, words=words)
        if self._doubtful:
            return Shed(self._doubtful.pop(), now_us, over=True, words=words)
        return None

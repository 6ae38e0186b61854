"""How high a patient's QRS complexes usually are in each lead; beats far below are not believed.

P waves go on where the ventricles stand still, and nothing in them alone need tell so: what tells
is that the same lead showed beats several times as high a moment ago. So the usual height is kept
per device and lead, learnt from segments that passed the gate, and a segment whose highest beats
are far below it counts as a gap with the reason `NO_QRS`.
Not here: P waves told by their shape (`features.ecg.standstill`).
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

from features.feature import FeatureReason
from features.kept import Heights, Kept, Shape, kept_of
from features.layout import EVENT_NUMBERS, QRS_ODDS, SEGMENT_NUMBERS
from features.primitives import Primitives
from features.signals import ECG, SignalKind, is_lead

MOST_LEADS: Final = 32  # per patient; of more, the one heard longest ago goes
ANEW_US: Final = 30_000_000  # without the lead: an electrode may have been moved
ADOPTED_US: Final = 300_000_000  # of beats that far below: then they are the usual ones
# Of the highest beats' height below the usual one, as a logarithm to the base 2: a factor of 2.3.
# Of 7,687 segments of MIT-BIH that pass, three lie lower; P waves have 0.05 to 0.3 of the height.
FAR_BELOW: Final = 1.2
SURE_ODDS: Final = 7.0  # beats of this shape are no P waves (of those 0.07 % reach it), however low
_FEWEST_BEATS: Final = 3  # fewer tell no height
_FEWEST_LEARNT: Final = 3  # segments
STILL_FROM: Final = 2  # segments refused one after the other, before a heart is said to stand still
# Of the distance to a segment's median beat, that the usual height moves: slow upwards, so that
# minutes of ventricular tachycardia do not make the beats after it seem small.
_DOWN: Final = 0.1
_UP: Final = 0.02
_FARTHEST: Final = 1.0
ECTOPIC: Final = EVENT_NUMBERS[SignalKind.ECG].index("ectopic")
# As numbers once: a member of an enumeration is slow to compare.
_OK, _NO_QRS = int(FeatureReason.OK), int(FeatureReason.NO_QRS)
_QRS_ODDS: Final = SEGMENT_NUMBERS[SignalKind.ECG].index(QRS_ODDS)


class Usual(NamedTuple):
    """What is known of one lead of one device."""

    signal: str
    device_id: str
    log2_height: float  # of its beats, in the signal's unit
    n_learnt: int  # segments, counted up to 1 / `_UP`
    heard_us: int  # end of the last segment in which anything was recorded
    low_us: int  # start of the first of the segments refused here of late; 0: none
    still_us: int  # of the first without QRS complexes since the last with beats; 0: none
    n_still: int  # how many these are, counted up to `STILL_FROM`
    beats_us: int  # end of the last segment with beats


class UsualBeats:
    """The usual height of beats in every lead of one patient.

    Invariant: what it says of a segment depends on the earlier segments of that lead and device
    only, in the order they were cut.
    """

    __slots__ = ("_leads",)

    def __init__(self) -> None:
        self._leads: tuple[Usual, ...] = ()  # by signal and device; a dict would cost more

    def judged(self, p: Primitives) -> Primitives:
        """`refuses` of a segment: itself, or with quality 0 and reason `NO_QRS`."""
        refused = self.refuses(kept_of(p, Shape(0, p.stats.size), ECTOPIC))
        return p._replace(quality=0.0, reason=FeatureReason.NO_QRS) if refused else p

    def refuses(self, p: Kept) -> bool:
        """Whether a segment's beats are far below the usual height; learns from others.

        Parameters
        ----------
        p : Kept
            Of any signal; only an ECG's are looked at. Those of one lead and device in the order
            of their time: one from before the last is judged, and nothing is learnt from it.

        Notes
        -----
        After 30 s without a recorded sample the lead is learnt anew. Beats that stay far below
        for five minutes and pass every other gate become the usual ones, those that have the
        steep rise and the T wave of a heart beat at once.
        Checked against: ``tests/features/test_usual_beats.py``, ``benchmarks/bench_standstill.py``.
        """
        if p.heights is None or (p.signal != ECG and not is_lead(p.signal)):
            return False
        place, usual = self._of(p)
        late = p.start_us < usual.heard_us
        size = usual.log2_height, usual.n_learnt, usual.low_us
        if p.start_us - usual.heard_us >= ANEW_US:
            size = _UNKNOWN
        low, size = _looked_at(p, p.heights, size)
        if p.coverage > 0 and not late:
            noted = _noted(p, _NO_QRS if low else p.reason, usual)
            self._put(
                place, Usual(p.signal, p.device_id, size[0], size[1], p.end_us, size[2], *noted)
            )
        return low

    def standing_still_us(self) -> int | None:
        """Since when no lead shows QRS complexes where one shows waves; 0: beats are there.

        None: nothing tells. A segment that failed otherwise, or did not come, tells nothing.
        """
        leads = self._leads
        since_us = max((u.still_us for u in leads if u.n_still >= STILL_FROM), default=0)
        beats_us = max((u.beats_us for u in leads), default=0)
        if since_us and beats_us <= since_us:
            return since_us
        return 0 if beats_us else None

    def _of(self, p: Kept) -> tuple[int | None, Usual]:
        """What is known of a segment's lead, and where that is kept."""
        for place, usual in enumerate(self._leads):
            if usual.signal == p.signal and usual.device_id == p.device_id:
                return place, usual
        return None, Usual(p.signal, p.device_id, 0.0, 0, 0, 0, 0, 0, 0)

    def _put(self, place: int | None, usual: Usual) -> None:
        if place is not None:
            self._leads = (*self._leads[:place], usual, *self._leads[place + 1 :])
            return
        rest = list(self._leads)
        if len(rest) >= MOST_LEADS:
            rest.remove(min(rest, key=lambda u: (u.heard_us, u)))
        self._leads = tuple(sorted([*rest, usual]))

    def to_state(self) -> list[Any]:
        """Everything, as values MessagePack can hold."""
        return [list(usual) for usual in self._leads]

    @classmethod
    def from_state(cls, state: Any) -> UsualBeats:
        """What gave the state; ValueError or TypeError if it is none."""
        made = cls()
        made._leads = tuple(
            Usual(str(signal), str(device_id), float(height), *map(int, rest))
            for signal, device_id, height, *rest in state
        )
        return made


_Size = tuple[float, int, int]  # usual height, segments learnt from, since when beats are low
_UNKNOWN: Final[_Size] = (0.0, 0, 0)


def _looked_at(p: Kept, heights: Heights, size: _Size) -> tuple[bool, _Size]:
    """Whether a segment's beats are far below the usual height, and what is usual after it."""
    if p.reason != _OK or heights.n < _FEWEST_BEATS:
        return False, size
    log2_height, n_learnt, low_us = size
    if n_learnt >= _FEWEST_LEARNT and math.log2(heights.high) < log2_height - FAR_BELOW:
        since_us = low_us or p.start_us
        stats = p.stats
        sure = stats.size > _QRS_ODDS and stats[_QRS_ODDS] > SURE_ODDS
        if p.start_us - since_us < ADOPTED_US and not sure:
            return True, (log2_height, n_learnt, since_us)
        log2_height, n_learnt = 0.0, 0
    return False, (*_learnt(heights, log2_height, n_learnt), 0)


def _noted(p: Kept, reason: int, usual: Usual) -> tuple[int, int, int]:
    """What is remembered of a segment that is kept with this reason: stillness and beats."""
    if reason == _OK:
        return 0, 0, p.end_us
    if reason == _NO_QRS:
        n = min(usual.n_still + 1, STILL_FROM)
        return usual.still_us or p.start_us, n, usual.beats_us
    return usual.still_us, usual.n_still, usual.beats_us


def _learnt(heights: Heights, log2_height: float, n_learnt: int) -> tuple[float, int]:
    """The usual height after a segment of beats most of which began above the ventricles."""
    if heights.n_sinus < _FEWEST_BEATS:
        return log2_height, n_learnt
    off = math.log2(heights.middle) - log2_height
    share = max(1.0 / (n_learnt + 1), _UP if off > 0 else _DOWN)
    step = off if n_learnt == 0 else share * max(-_FARTHEST, min(off, _FARTHEST))
    return log2_height + step, min(n_learnt + 1, round(1.0 / _UP))

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
        usual = self._of(p)
        late = p.start_us < usual.heard_us
        if p.start_us - usual.heard_us >= ANEW_US:
            usual = usual._replace(log2_height=0.0, n_learnt=0, low_us=0)
        low, usual = _looked_at(p, p.heights, usual)
        if p.coverage > 0 and not late:
            self._put(_noted(p, FeatureReason.NO_QRS if low else p.reason, usual))
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

    def _of(self, p: Kept) -> Usual:
        """What is known of a segment's lead."""
        for usual in self._leads:
            if (usual.signal, usual.device_id) == (p.signal, p.device_id):
                return usual
        return Usual(p.signal, p.device_id, 0.0, 0, 0, 0, 0, 0, 0)

    def _put(self, usual: Usual) -> None:
        rest = [u for u in self._leads if u[:2] != usual[:2]]
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


def _looked_at(p: Kept, heights: Heights, usual: Usual) -> tuple[bool, Usual]:
    """Whether a segment's beats are far below the usual height, and what is usual after it."""
    if p.reason != FeatureReason.OK or heights.n < _FEWEST_BEATS:
        return False, usual
    highest = math.log2(heights.high)
    if usual.n_learnt >= _FEWEST_LEARNT and highest < usual.log2_height - FAR_BELOW:
        since_us = usual.low_us or p.start_us
        sure = p.stats.size > _QRS_ODDS and p.stats[_QRS_ODDS] > SURE_ODDS
        if p.start_us - since_us < ADOPTED_US and not sure:
            return True, usual._replace(low_us=since_us)
        usual = usual._replace(log2_height=0.0, n_learnt=0)
    return False, _learnt(heights, usual._replace(low_us=0))


def _noted(p: Kept, reason: int, usual: Usual) -> Usual:
    """What is remembered of a segment that is kept with this reason."""
    if reason == FeatureReason.OK:
        usual = usual._replace(still_us=0, n_still=0, beats_us=p.end_us)
    elif reason == FeatureReason.NO_QRS:
        n = min(usual.n_still + 1, STILL_FROM)
        usual = usual._replace(still_us=usual.still_us or p.start_us, n_still=n)
    return usual._replace(heard_us=p.end_us)


def _learnt(heights: Heights, usual: Usual) -> Usual:
    """The usual height after a segment of beats most of which began above the ventricles."""
    if heights.n_sinus < _FEWEST_BEATS:
        return usual
    off = math.log2(heights.middle) - usual.log2_height
    n = usual.n_learnt
    share = max(1.0 / (n + 1), _UP if off > 0 else _DOWN)
    step = off if n == 0 else share * max(-_FARTHEST, min(off, _FARTHEST))
    return usual._replace(
        log2_height=usual.log2_height + step, n_learnt=min(n + 1, round(1.0 / _UP))
    )

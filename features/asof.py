"""Which clinical fact is in force for time t, as known at time k: a two-clock store.

For each track: the latest `event_time <= t` among rows known by k, the highest version per event,
cancelled events removed, older than its maximum age = missing. Ties of event time go to the row
later in the log. Not here: units and ranges (`features.concepts`), checks (`features.facts`), the
same over whole histories (`features.asof_join`).

Every store keeps, beside its rows, what holds now: the answer to any (t, k) past everything it
has seen. Windows trail the clock, so nearly every question is past it and costs a copy of flat
arrays, many patients at once (`facts_at`); the others look at the few rows of one track.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.facts import (
    MAX_AGE_US,
    N_CONCEPTS,
    NOTE,
    NOTE_EMBEDDING,
    TRACK,
    TRACKS,
    Fact,
    admit,
)
from features.track import NEVER, Track
from features.vectors import Vector
from streams.errors import SnapshotMismatch
from streams.records import ClinicalEvent, Reason

STATE_VERSION: Final = 4

_N: Final = len(TRACKS)
_MAX_AGE: Final = tuple(MAX_AGE_US.tolist())
_NO_VALUE: Final = array("d", [float("nan")] * _N)
_NO_TIME: Final = array("q", [0] * _N)
_PACK: Final = 1024  # tracks; an event's place is version * _PACK + track
assert _N < _PACK
_NO_ROWS: Final = Track()


class AsOf:
    """Current and recent clinical facts of one patient.

    At most `features.track.MOST_ROWS` rows per track are kept, so memory is bounded. Beyond that
    the oldest row goes, unless the last `LOOKBACK_US` need it: then the densest stretch is
    thinned, which can make an answer older, never newer.

    Examples
    --------
    >>> from features.concepts import INDEX
    >>> store = AsOf()
    >>> event = ClinicalEvent("e1", 1, "final", "p", "sbp", 98.0, "mmHg", "", 10, 20, "ehr")
    >>> store.insert(event, append_us=30)
    >>> values, times_us = store.at(t_us=60, known_us=30)
    >>> float(values[INDEX["sbp"]]), int(times_us[INDEX["sbp"]])
    (98.0, 10)
    >>> bool(np.isnan(store.at(t_us=60, known_us=29)[0]).all())
    True
    """

    __slots__ = ("_now_known", "_now_us", "_now_value", "_places", "_tracks", "_vectors")

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._places: dict[str, int | list[int]] = {}  # event_id -> where its rows are
        self._vectors: dict[tuple[str, int], Vector] = {}  # of notes, by event and version
        self._now_value = array("d", _NO_VALUE)  # per track: of the row that holds in the end
        self._now_us = array("q", _NO_TIME)
        self._now_known = array("q", _NO_TIME)  # from when everything about the track is known

    def insert(self, event: ClinicalEvent, append_us: int) -> Reason | None:
        """Take one event from the log.

        Parameters
        ----------
        event : ClinicalEvent
            A fact, its correction or its cancellation, in any order.
        append_us : int
            Append time of its log record, µs UTC.

        Returns
        -------
        Reason or None
            None when stored, or already there (same event id and version: the first copy won).
            Otherwise why it was refused; the store is unchanged.
        """
        fact = admit(event, append_us)
        if isinstance(fact, Reason):
            return fact
        self.add(fact)
        return None

    def add(self, fact: Fact) -> None:
        """Take one fact that is already admitted; a version that is there changes nothing."""
        number, time_us, known_us, value, event_id, version, also, vector = fact
        track = self._tracks.get(number)
        if (
            track is None
            or time_us < track.times[-1]
            or event_id in self._places
            or also
            or value != value
            or vector is not None
        ):
            self._add_any(fact)
            return
        self._places[event_id] = version * _PACK + number  # the common case: new, and the newest
        track.times.append(time_us)
        track.known.append(known_us)
        track.dead.append(NEVER)
        track.value.append(value)
        track.versions.append(version)
        track.ids.append(event_id)
        self._now_value[number] = value
        self._now_us[number] = time_us
        if known_us > self._now_known[number]:
            self._now_known[number] = known_us
        if len(track.ids) > track.limit:
            self._prune(number, track)

    def at(self, t_us: int, known_us: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Facts in force at `t_us` as anyone could know them at `known_us`.

        Parameters
        ----------
        t_us : int
            Event time asked for; a row at exactly this time counts.
        known_us : int
            Decision time; a row known at exactly this time counts.

        Returns
        -------
        values : (C,) float64
            Canonical units, columns as `features.concepts.CONCEPTS`; NaN = missing.
        times_us : (C,) int64
            When each was true; 0 = missing.

        Notes
        -----
        Ask before inserting events that come later in the log: then thinning cannot make the
        answer depend on how records were polled.
        Checked against: ``tests/features/test_asof.py``.
        """
        found = facts_at([self], np.array([t_us]), np.array([known_us]))
        return found.value[0, :N_CONCEPTS], found.time_us[0, :N_CONCEPTS]

    def track(self, number: int) -> Track | None:
        """Rows of one track, None when it has none; not to be changed."""
        return self._tracks.get(number)

    def vector(
        self, number: int, t_us: int, known_us: int, encoder: str
    ) -> tuple[int, Vector] | None:
        """Event time and vector of the note in force on a track, if that encoder made it."""
        track = self._tracks.get(number, _NO_ROWS)
        row = track.find(t_us, known_us)
        if row < 0 or t_us - track.times[row] > _MAX_AGE[number]:
            return None
        vector = self._vectors[track.ids[row], track.versions[row]]
        return (track.times[row], vector) if vector.encoder == encoder else None

    def noted(self, t_us: int, known_us: int) -> tuple[tuple[str, int] | None, ...]:
        """Event and version of the note in force, and of the vector of one."""
        found = []
        for number in (NOTE, NOTE_EMBEDDING):
            track = self._tracks.get(number)
            row = -1 if track is None else track.find(t_us, known_us)
            found.append(
                None if track is None or row < 0 else (track.ids[row], track.versions[row])
            )
        return tuple(found)

    def to_state(self) -> dict[str, Any]:
        """Everything, as msgspec can encode it; what holds now is worked out again."""
        tracks = {TRACKS[number]: track.to_state() for number, track in self._tracks.items()}
        vectors = [[*key, *vector] for key, vector in self._vectors.items()]
        return {"version": STATE_VERSION, "tracks": tracks, "vectors": vectors}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> AsOf:
        """Store as `to_state` left it.

        Raises
        ------
        SnapshotMismatch
            If the state has another version or names a concept this build does not have.
        """
        if state["version"] != STATE_VERSION:
            raise SnapshotMismatch(f"as-of state version {state['version']!r}, not {STATE_VERSION}")
        store = cls()
        for code, kept in state["tracks"].items():
            if code not in TRACK:
                raise SnapshotMismatch(f"as-of state names the unknown concept {code!r}")
            number, track = TRACK[code], Track.from_state(kept)
            store._tracks[number] = track
            for event_id, version in zip(track.ids, track.versions, strict=True):
                store._place(event_id, version, number)
            store._settle(number, track)
        for event_id, version, *vector in state["vectors"]:
            store._vectors[event_id, version] = Vector(*vector)
        return store

    def _add_any(self, fact: Fact) -> None:
        """Take a fact that may be a repeat, a version of another, late, or on several tracks."""
        places = _listed(self._places.get(fact.event_id, []))
        if any(place // _PACK == fact.version for place in places):
            return
        if fact.vector is not None:
            self._vectors[fact.event_id, fact.version] = fact.vector
        dead_us = self._superseded(fact, places)
        for number, value in ((fact.track, fact.value), *fact.also):
            track = self._tracks.setdefault(number, Track())
            row = (fact.time_us, fact.known_us, value, fact.event_id, fact.version)
            full = track.put(row, dead_us if value == value else 0)
            self._place(fact.event_id, fact.version, number)
            self._settle(number, track)
            if full:
                self._prune(number, track)

    def _superseded(self, fact: Fact, places: Sequence[int]) -> int:
        """End the rows of lower versions; returns when a higher one ends this fact."""
        dead_us = NEVER
        for place in places:
            version, number = divmod(place, _PACK)
            track = self._tracks[number]
            row = _row_of(track, fact.event_id, version)
            if version > fact.version:
                dead_us = min(dead_us, track.known[row])
            elif fact.known_us < track.dead[row]:
                track.dead[row] = fact.known_us
                self._now_known[number] = max(self._now_known[number], fact.known_us)
                self._settle(number, track)
        return dead_us

    def _settle(self, number: int, track: Track) -> None:
        """Work out again what holds on a track once everything is known."""
        row = track.find(NEVER, NEVER - 1)
        self._now_value[number] = track.value[row] if row >= 0 else _NO_VALUE[0]
        self._now_us[number] = track.times[row] if row >= 0 else 0
        ended = (dead_us for dead_us in track.dead if dead_us != NEVER)
        self._now_known[number] = max((*track.known, *ended), default=0)

    def _place(self, event_id: str, version: int, number: int) -> None:
        place, before = version * _PACK + number, self._places.get(event_id)
        self._places[event_id] = place if before is None else [*_listed(before), place]

    def _prune(self, number: int, track: Track) -> None:
        """Keep a track within its bound, and forget events that have no row left."""
        take = self._places.pop
        for event_id in track.prune():
            places = take(event_id, 0)
            if places.__class__ is list:
                self._keep(event_id, _listed(places), number, track)
        if number in (NOTE, NOTE_EMBEDDING):
            self._keep_vectors()
        if self._now_us[number] <= track.lost_us:
            self._settle(number, track)

    def _keep_vectors(self) -> None:
        """Forget vectors whose row is gone."""
        tracks = [self._tracks[n] for n in (NOTE, NOTE_EMBEDDING) if n in self._tracks]
        there = {key for t in tracks for key in zip(t.ids, t.versions, strict=True)}
        self._vectors = {key: v for key, v in self._vectors.items() if key in there}

    def _keep(self, event_id: str, places: list[int], number: int, track: Track) -> None:
        """Keep of an event's places those that still have a row."""
        kept = [place for place in places if place % _PACK != number]
        kept += [
            version * _PACK + number
            for version, other in zip(track.versions, track.ids, strict=True)
            if other == event_id
        ]
        if kept:
            self._places[event_id] = kept


def _listed(places: int | list[int]) -> list[int]:
    """Places of an event as a list."""
    return [places] if isinstance(places, int) else places


def _row_of(track: Track, event_id: str, version: int) -> int:
    """Row of a version that is there."""
    row = track.ids.index(event_id)
    while track.versions[row] != version or track.ids[row] != event_id:
        row += 1
    return row


class FactsAt(NamedTuple):
    """Answers to Q questions; columns as `features.facts.TRACKS`."""

    value: NDArray[np.float64]  # [Q, N] NaN = missing
    time_us: NDArray[np.int64]  # [Q, N] when it was true; 0 = missing


def facts_at(
    stores: Sequence[AsOf], t_us: NDArray[np.int64], known_us: NDArray[np.int64]
) -> FactsAt:
    """Facts in force for many patients at once.

    Parameters
    ----------
    stores : sequence of AsOf, length Q
        The store of each question's patient; the same store may occur many times.
    t_us, known_us : (Q,) int64
        Event time and decision time of each question; equality counts at both.

    Returns
    -------
    FactsAt
        (Q, N); NaN and 0 = missing.

    Raises
    ------
    ValueError
        If there is not one time of each kind per store.

    Notes
    -----
    Row by row equal to `features.asof_join.as_of_join` (``tests/features/test_asof_join.py``).
    """
    if not len(stores) == len(t_us) == len(known_us):
        raise ValueError("one event time and one decision time per store needed")
    shape = (len(stores), _N)
    value = np.frombuffer(_joined([s._now_value for s in stores]), np.float64).reshape(shape)
    time_us = np.frombuffer(_joined([s._now_us for s in stores]), np.int64).reshape(shape)
    settled_us = np.frombuffer(_joined([s._now_known for s in stores]), np.int64).reshape(shape)
    behind = (time_us > t_us[:, None]) | (settled_us > known_us[:, None])
    for question, number in zip(*(part.tolist() for part in behind.nonzero()), strict=True):
        track = stores[question].track(number)
        assert track is not None  # only a track with rows has a time or was ever unsettled
        row = track.find(int(t_us[question]), int(known_us[question]))
        value[question, number] = track.value[row] if row >= 0 else np.nan
        time_us[question, number] = track.times[row] if row >= 0 else 0
    stale = t_us[:, None] - time_us > MAX_AGE_US
    value[stale] = np.nan
    time_us[stale] = 0
    return FactsAt(value, time_us)


def _joined(parts: Sequence[array[Any]]) -> bytearray:
    """One writable run of bytes."""
    return bytearray().join(parts)

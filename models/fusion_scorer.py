"""A fusion model as a `Scorer`: state per patient, cadence, warm-up, corrections. Torch-free.

Choices that change a number:

* State takes a row in only when the row ends on the model's cadence grid; rows between are scored
  from a provisional update that is thrown away. A model trained on hours sees hours.
* A score is cold until `warmup_s` after the patient's first row taken in: marked, and not called
  calibrated.
* A row that state has gone past, a correction, is scored from the state before it; if state had
  taken it in, it and the rows after it are taken in again: scoring a row twice is scoring it once.
  Rows older than what is kept get no value.
* Probabilities are rounded to 1e-4 before anything looks at them.
* A patient of whom nothing at all is there gets no value: silence is not low risk.
* What an input added is found by leaving it out, only where the score is near alerting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from models.inputs import VALUE, Feed, Rows, taken
from models.runtime import Floats, Said, Step
from models.score import Word
from models.slab import Slab
from models.spec import ModelSpec
from models.words import UNLOOKED, Looked, Wording
from streams.windows import Window

LATENESS_S: Final = 60.0  # corrected rows come at most this much later, plus a cadence
_MOST_KEPT: Final = 8
_HOUR_US = 3_600_000_000
_NEAR = 1.0  # of the lowest operating threshold; 0.5 where there is none
_TOLD_INPUTS = 8  # that are told to have added something
_LEAST_POINTS = 0.05  # logit: less is noise
_ASKED_AT_ONCE = 1024  # rows


class Opened(NamedTuple):
    """What scoring needs of an artifact."""

    name: str  # of the scorer, as policies call it
    ref: str  # name/version/digest
    spec: ModelSpec
    step: Step
    tell: Callable[[str], None] = lambda words: None  # of faults, for a log


class FusionScorer:
    """One version of one model, for any number of patients.

    Parameters
    ----------
    opened : Opened
        The model.

    Raises
    ------
    CheckpointMismatch
        If live data cannot serve its inputs.
    """

    def __init__(self, opened: Opened) -> None:
        self.name, self.model = opened.name, opened.ref
        self.spec, self._trusted_step = opened.spec, opened.step
        self._tell, self._told = opened.tell, ""
        self.feed = Feed(opened.spec)
        cadence_s = opened.spec.cadence_s
        self._cadence_us = round(cadence_s * 1e6)
        depth = min(_MOST_KEPT, 1 + math.ceil(LATENESS_S / cadence_s))
        columns = sum(len(m.features) for m in opened.spec.modalities)
        width = sum(math.prod(shape) for shape in opened.spec.state.values())
        self.slab = Slab(opened.ref.rpartition("/")[2], width, 4 * columns, depth)
        points = [p.threshold for p in opened.spec.operating]
        self._near = _NEAR * min(points) if points else 0.5
        self._wording = Wording(self.name, self.model, self.spec, self.feed)

    def words(self, batch: AlignedBatch) -> list[Word]:
        """One `Word` per row, in order; a patient may occur many times."""
        rows = self.feed.rows(batch)
        windows = batch.features.windows
        words: dict[int, Word] = {}
        for wave in _waves(windows):
            for i in self._corrections(wave, windows):
                words[i] = self._correction(i, rows, windows)
            self._usual([i for i in wave if i not in words], rows, windows, words)
        return [words[i] for i in range(len(windows))]

    def changed(self, old: AlignedBatch, new: AlignedBatch) -> list[int]:
        """Rows of which an input differs."""
        before, after = self.feed.rows(old).packed, self.feed.rows(new).packed
        pairs = zip(before, after, strict=True)
        return [i for i, (was, now) in enumerate(pairs) if was.tobytes() != now.tobytes()]

    def advance(self, batch: AlignedBatch) -> None:
        """Take rows in without a word: a version that is not asked keeps warm."""
        windows = batch.features.windows
        if not any(self._on_grid(window) for window in windows):
            return
        rows = self.feed.rows(batch)
        for wave in _waves(windows):
            corrections = self._corrections(wave, windows)
            for i in corrections:
                self._corrected(i, rows, windows[i])
            due = [i for i in wave if self._on_grid(windows[i]) and i not in corrections]
            if due:
                self._said(due, rows, windows)

    def _usual(
        self, wave: list[int], rows: Rows, windows: Sequence[Window], words: dict[int, Word]
    ) -> None:
        """Words of rows that are all of different patients, none of them a correction."""
        if not wave:
            return
        said, before = self._said(wave, rows, windows)
        looked = self._looked(wave, said, before, rows, windows)
        words.update(zip(wave, self._worded(wave, said, rows, windows, looked), strict=True))

    def _said(self, wave: list[int], rows: Rows, windows: Sequence[Window]) -> tuple[Said, Floats]:
        """Run the model on rows of different patients, take in those on the grid.

        Returns what it said and the states it said it from.
        """
        own = [windows[i] for i in wave]
        slots = self.slab.slots([w.patient_id for w in own])
        end_us = np.array([w.end_us for w in own], np.int64)
        packed, before = rows.packed[wave], self.slab.held(slots)
        said = self._step(before, packed, clock(end_us))
        good = np.isfinite(said.after).all(axis=1) & np.isfinite(said.logit).all(axis=1)
        taken = good & (end_us % self._cadence_us == 0) & (end_us > self.slab.at_us[slots])
        if taken.any():
            flat = packed[taken].reshape(int(taken.sum()), -1)
            self.slab.take_in(slots[taken], end_us[taken], flat, said.after[taken])
        return said, before

    def _step(self, state: Floats, rows: Floats, times: Floats) -> Said:
        """Run the model; a row on which it raises gives NaN, and costs no other row anything."""
        try:
            return self._trusted_step(state, rows, times)
        except Exception as error:  # noqa: BLE001 - a model is not trusted: the rules must go on
            self.fault(error)
        if len(state) == 1:
            return _nothing(self.spec, state.shape[1])
        each = [
            self._step(state[i : i + 1], rows[i : i + 1], times[i : i + 1])
            for i in range(len(state))
        ]
        return Said(*(np.concatenate(parts) for parts in zip(*each, strict=True)))

    def fault(self, error: Exception) -> None:
        """Tell the host of an error, once as long as it is the same: its text is for logs only."""
        words = f"{self.model} failed: {type(error).__name__}: {error}"
        if words != self._told:
            self._told = words
            self._tell(words)

    def _on_grid(self, window: Window) -> bool:
        return window.end_us % self._cadence_us == 0

    def _corrections(self, wave: list[int], windows: Sequence[Window]) -> list[int]:
        """Rows that state has gone past."""
        slots = self.slab.slots([windows[i].patient_id for i in wave])
        end_us = np.array([windows[i].end_us for i in wave], np.int64)
        return [wave[k] for k in np.flatnonzero(end_us <= self.slab.at_us[slots])]

    def _correction(self, i: int, rows: Rows, windows: Sequence[Window]) -> Word:
        """Word on a row that state has gone past."""
        found = self._corrected(i, rows, windows[i])
        if found is None:
            return self._worded([i], _nothing(self.spec, 1), rows, windows, [UNLOOKED])[0]
        looked = self._looked([i], *found, rows, windows)
        return self._worded([i], found[0], rows, windows, looked)[0]

    def _corrected(self, i: int, rows: Rows, window: Window) -> tuple[Said, Floats] | None:
        """Score a row that state has gone past; take it and what came after it in again.

        Returns what is said and the state it is said from; None if that is no longer kept.
        """
        slot = int(self.slab.slots([window.patient_id])[0])
        own, time = rows.packed[i : i + 1], _clock(window.end_us)
        later = self.slab.rewind(slot, window.end_us)
        if later is None:
            kept = self.slab.before(slot, window.end_us, self._cadence_us)
            return None if kept is None else (self._step(kept[None], own, time), kept[None])
        before = self.slab.state[slot : slot + 1].copy()
        said = self._step(before, own, time)
        self._take(slot, window.end_us, own, said.after)
        for end_us, row in later:
            again = row.reshape(own.shape)
            state = self.slab.state[slot : slot + 1]
            self._take(slot, end_us, again, self._step(state, again, _clock(end_us)).after)
        return said, before

    def _take(self, slot: int, end_us: int, row: Floats, after: Floats) -> None:
        """Take one row in, unless what it leads to is not finite."""
        if np.isfinite(after).all():
            where = np.array([slot], np.intp)
            self.slab.take_in(where, np.array([end_us]), row.reshape(1, -1), after)

    def _looked(
        self, wave: list[int], said: Said, before: Floats, rows: Rows, windows: Sequence[Window]
    ) -> list[Looked]:
        """What is looked at closer, per row: what inputs added, and how modalities disagree.

        Modalities are compared where the score is near alerting, and once a cadence.
        """
        points = self._points(wave, said, before, rows, windows)
        bits = np.full(len(wave), np.nan)
        if self._wording.doubt.compares:
            close = said.prob[:, 0] >= self._near
            at = np.flatnonzero(close | [self._on_grid(windows[i]) for i in wave])
            own = [wave[place] for place in at]
            times = clock(np.array([windows[i].end_us for i in own], np.int64))
            part = Said(*(each[at] for each in said))
            bits[at] = self._wording.doubt.bits(
                before[at], rows.packed[own], times, part, self._step
            )
        return [Looked(points.get(place), float(bits[place])) for place in range(len(wave))]

    def _points(
        self, wave: list[int], said: Said, before: Floats, rows: Rows, windows: Sequence[Window]
    ) -> dict[int, Floats]:
        """What each input added to the logit [D], by place, for the rows near alerting.

        Every row is asked again without each of its inputs, many such questions at a time.
        """
        near = np.flatnonzero(said.prob[:, 0] >= self._near)
        member = rows.member[np.asarray(wave, np.intp)[near]]
        row, column = np.nonzero(member >= 0)  # what the state alone says has no input to name
        place = near[row]
        own = np.asarray(wave, np.intp)[place]
        end_us = np.array([windows[i].end_us for i in wave], np.int64)[place]
        logit = np.empty(len(own), np.float32)
        for first in range(0, len(own), _ASKED_AT_ONCE):
            some = slice(first, first + _ASKED_AT_ONCE)
            without = rows.packed[own[some]]
            without[np.arange(len(without)), VALUE, column[some]] = np.nan
            asked = self._step(before[place[some]], without, clock(end_us[some]))
            logit[some] = asked.logit[:, 0]
        added = np.nan_to_num(said.logit[place, 0] - logit)
        stops = np.searchsorted(row, np.arange(len(near) + 1))
        cuts = [slice(a, b) for a, b in pairwise(stops.tolist())]
        width = rows.packed.shape[2]
        return {
            where: _most(added[cut], column[cut], width)
            for where, cut in zip(near.tolist(), cuts, strict=True)
            if cut.stop > cut.start
        }

    def _worded(
        self,
        wave: list[int],
        said: Said,
        rows: Rows,
        windows: Sequence[Window],
        looked: Sequence[Looked],
    ) -> list[Word]:
        """What is published of some rows."""
        own = [windows[i] for i in wave]
        since_us = self.slab.since_us[self.slab.slots([w.patient_id for w in own])]
        return self._wording.of(said, taken(rows, wave), own, since_us, looked)


def _waves(windows: Sequence[Window]) -> list[list[int]]:
    """Rows in runs in which every patient occurs at most once, in order."""
    waves: list[list[int]] = []
    met: dict[str, int] = {}
    for i, window in enumerate(windows):
        wave = met.get(window.patient_id, 0)
        met[window.patient_id] = wave + 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(i)
    return waves


def clock(end_us: NDArray[np.int64]) -> Floats:
    """Hours and seconds [N, 2] as `models.tensors.clock` gives them."""
    hours = end_us // _HOUR_US
    seconds = (end_us - hours * _HOUR_US).astype(np.float32) / np.float32(1e6)
    return np.stack([hours.astype(np.float32), seconds], axis=1)


def _clock(end_us: int) -> Floats:
    return clock(np.array([end_us], np.int64))


def _most(added: Floats, there: NDArray[np.intp], width: int) -> Floats:
    """The largest additions, in columns of all inputs; the rest is 0."""
    found = np.zeros(width, np.float32)
    order = np.argsort(-np.abs(added), kind="stable")[:_TOLD_INPUTS]
    for place in order.tolist():
        if abs(added[place]) >= _LEAST_POINTS:
            found[there[place]] = added[place]
    return found


def _nothing(spec: ModelSpec, state_width: int) -> Said:
    """What is said where a model had no word: it failed, or the row is older than what is kept."""
    wide, narrow = len(spec.modalities), len(spec.horizons_s)
    after, logit, prob, std, share = (
        np.full((1, n), np.nan, np.float32) for n in (state_width, narrow, narrow, narrow, wide)
    )
    return Said(after, logit, prob, std, share, np.zeros((1, wide), np.float32))

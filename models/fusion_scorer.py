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
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from models.doubt import Doubt
from models.inputs import VALUE, Feed, Rows
from models.runtime import Floats, Said, Step
from models.score import Score, Word
from models.slab import Slab
from models.spec import ModelSpec
from streams.windows import Window

LATENESS_S: Final = 60.0  # corrected rows come at most this much later, plus a cadence
_MOST_KEPT: Final = 8
_DECIMALS = 4
_HOUR_US = 3_600_000_000
_NORMAL_95 = 1.96
_NEAR = 1.0  # of the lowest operating threshold; 0.5 where there is none
_TOLD_INPUTS = 8  # that are told to have added something
_LEAST_POINTS = 0.05  # logit: less is noise

NO_VALUE: Final = "failed, or gave a value that is not finite"


class Opened(NamedTuple):
    """What scoring needs of an artifact."""

    name: str  # of the scorer, as policies call it
    ref: str  # name/version/digest
    spec: ModelSpec
    step: Step
    tell: Callable[[str], None] = lambda words: None  # of faults, for a log


class _Looked(NamedTuple):
    """What was found by asking a model again about a row."""

    points: Floats | None  # [D] what each input added; None: not asked
    bits: float  # disagreement of the modalities; NaN: not asked


_UNLOOKED: Final = _Looked(None, math.nan)


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
        self._warmup_us = round(opened.spec.warmup_s * 1e6)
        depth = min(_MOST_KEPT, 1 + math.ceil(LATENESS_S / cadence_s))
        columns = sum(len(m.features) for m in opened.spec.modalities)
        width = sum(math.prod(shape) for shape in opened.spec.state.values())
        self.slab = Slab(opened.ref.rpartition("/")[2], width, 4 * columns, depth)
        points = [p.threshold for p in opened.spec.operating]
        self._near = _NEAR * min(points) if points else 0.5
        self._halfwidth = opened.spec.calibration.halfwidth_logit
        self._doubt = Doubt.of(opened.spec)

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
        for place, i in enumerate(wave):
            words[i] = self._word(i, _row(said, place), rows, windows[i], looked[place])

    def _said(self, wave: list[int], rows: Rows, windows: Sequence[Window]) -> tuple[Said, Floats]:
        """Run the model on rows of different patients, take in those on the grid.

        Returns what it said and the states it said it from.
        """
        own = [windows[i] for i in wave]
        slots = self.slab.slots([w.patient_id for w in own])
        end_us = np.array([w.end_us for w in own], np.int64)
        packed, before = rows.packed[wave], self.slab.state[slots]
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
            return self._word(i, None, rows, windows[i])
        looked = self._looked([i], *found, rows, windows)
        return self._word(i, found[0], rows, windows[i], looked[0])

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
    ) -> list[_Looked]:
        """What is looked at closer, per row: what inputs added, and how modalities disagree.

        Modalities are compared where the score is near alerting, and once a cadence.
        """
        points = self._points(wave, said, before, rows, windows)
        bits = np.full(len(wave), np.nan)
        if self._doubt.compares:
            close = said.prob[:, 0] >= self._near
            at = np.flatnonzero(close | [self._on_grid(windows[i]) for i in wave])
            own = [wave[place] for place in at]
            times = clock(np.array([windows[i].end_us for i in own], np.int64))
            part = Said(*(each[at] for each in said))
            bits[at] = self._doubt.bits(before[at], rows.packed[own], times, part, self._step)
        return [_Looked(points.get(place), float(bits[place])) for place in range(len(wave))]

    def _points(
        self, wave: list[int], said: Said, before: Floats, rows: Rows, windows: Sequence[Window]
    ) -> dict[int, Floats]:
        """What each input added to the logit [D], by place, for the rows near alerting."""
        found = {}
        near = np.flatnonzero(said.prob[:, 0] >= self._near) if len(wave) else ()
        for place in near:
            i = wave[place]
            there = np.flatnonzero(rows.member[i] >= 0)
            if not len(there):
                continue  # what the state alone says has no input to name
            without = np.repeat(rows.packed[i : i + 1], len(there), axis=0)
            without[np.arange(len(there)), VALUE, there] = np.nan
            state = np.repeat(before[place : place + 1], len(there), axis=0)
            times = clock(np.full(len(there), windows[i].end_us, np.int64))
            added = np.nan_to_num(
                said.logit[place, 0] - self._step(state, without, times).logit[:, 0]
            )
            found[int(place)] = _most(added, there, rows.packed.shape[2])
        return found

    def _word(
        self, i: int, one: Said | None, rows: Rows, window: Window, looked: _Looked = _UNLOOKED
    ) -> Word:
        """What is published of one row; `one` holds that row alone, None if it is too old."""
        if one is None:
            one = _nothing(self.spec, 1)
        names = [m.name for m in self.spec.modalities]
        there = one.present[0] > 0.5
        finite = bool(np.isfinite(one.logit).all() and np.isfinite(one.after).all())
        told = finite and bool(there.any())
        since_us = int(self.slab.since_us[self.slab.slots([window.patient_id])[0]])
        cold = since_us == 0 or window.end_us - since_us < self._warmup_us
        value = round(float(one.prob[0, 0]), _DECIMALS) if told else None
        lower, upper = self._bounds(one, value)
        share = np.round(one.share[0].astype(np.float64), _DECIMALS) + 0.0
        points = looked.points
        if points is None:
            points = np.zeros(rows.member.shape[1], np.float32)
        score = Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=window.start_us,
            end_us=window.end_us,
            known_us=window.known_us,
            revision=window.revision,
            value=value,
            lower=lower,
            upper=upper,
            std=_finite(float(one.std[0, 0])) if told else None,
            calibrated=self.spec.calibration.kind != "none" and not cold,
            horizon_s=self.spec.horizons_s[0],
            share=dict(zip(names, share.tolist(), strict=True)) if told else {},
            present=dict(zip(names, there.tolist(), strict=True)),
            completeness=round(float((rows.member[i] >= 0).mean()), _DECIMALS),
            news2=None,
            evidence=self.feed.evidence(rows, i, window.end_us, points),
            cold=cold,
            **self._doubts(value, looked.bits),
        )
        return Word(score, "" if finite or window.revision else NO_VALUE)

    def _doubts(self, value: float | None, bits: float) -> dict[str, Any]:
        """Outcomes not ruled out, and whether modalities contradict; nothing that is not known."""
        if value is None:
            return {}
        found: dict[str, Any] = {}
        outcomes = self._doubt.outcomes(value)
        if outcomes is not None:
            found |= {"outcomes": outcomes, "abstains": len(outcomes) != 1}
        if math.isfinite(bits):
            over = bits > self._doubt.disagree_above
            found |= {"disagreement": round(bits, _DECIMALS) + 0.0, "contradicts": over}
        return found

    def _bounds(self, one: Said, value: float | None) -> tuple[float | None, float | None]:
        """Interval of the probability: conformal, else from the spread, else none."""
        if value is None:
            return None, None
        logit, std = float(one.logit[0, 0]), float(one.std[0, 0])
        if self._halfwidth:
            ends = (_sigmoid(logit - self._halfwidth), _sigmoid(logit + self._halfwidth))
        elif math.isfinite(std):
            prob = float(one.prob[0, 0])
            ends = (max(prob - _NORMAL_95 * std, 0.0), min(prob + _NORMAL_95 * std, 1.0))
        else:
            return None, None
        low, high = (round(end, _DECIMALS) for end in ends)
        return min(low, value), max(high, value)


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


def _row(said: Said, place: int) -> Said:
    """One row of many."""
    return Said(*(part[place : place + 1] for part in said))


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def _finite(x: float) -> float | None:
    return round(x, _DECIMALS) if math.isfinite(x) else None

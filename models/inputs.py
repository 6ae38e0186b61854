"""Aligned rows as a model's packed rows: what is worn first, then what was charted.

An input is fresh when it became true within the model's last cadence: a pure function of the row,
so training tables that hold only values and ages can say the same. Torch-free. Not here: which
source serves which name (`models.schema`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from features.catalog import CATALOG, FeatureReason
from features.catalog import INDEX as FEATURE
from features.concepts import CONCEPTS, word_of
from features.effects import EFFECTS, at_work
from features.notes import Embedded, embedded_at
from models import rule_scores
from models.layout import Layout
from models.rule_inputs import READS, WEARABLE, core_temperature
from models.schema import Source, misfits, source_of
from models.score import Evidence
from models.spec import ModelSpec
from streams.errors import CheckpointMismatch

VALUE, AGE, FRESH, QUALITY = range(4)  # planes of a packed row
RULE: Final = "rule"  # source of evidence that is itself a score
_DECIMALS = 4
_TEMP = FEATURE["temp_mean_c"]
_OK = int(FeatureReason.OK)


class Rows(NamedTuple):
    """Inputs of N rows."""

    packed: NDArray[np.float32]  # [N, 4, D]: value (NaN = missing), age_s, fresh, quality
    value: NDArray[np.float64]  # [N, D] as shown to people
    age_s: NDArray[np.float64]  # [N, D]
    quality: NDArray[np.float64]  # [N, D]
    member: NDArray[np.int64]  # [N, D] which source served it; -1 = none


def taken(rows: Rows, at: Sequence[int]) -> Rows:
    """Some rows, in that order."""
    if len(at) == len(rows.packed) and list(at) == list(range(len(at))):
        return rows
    own = np.asarray(at, np.intp)
    return Rows(
        rows.packed[own], rows.value[own], rows.age_s[own], rows.quality[own], rows.member[own]
    )


class _Shared(NamedTuple):
    """What is worked out once for all inputs of N rows."""

    end_us: NDArray[np.int64]  # [N]
    scores: dict[str, NDArray[np.float64]]  # rule -> [N]
    notes: dict[str, Embedded]  # encoder -> vectors in force
    working: NDArray[np.bool_] | None  # [N, E] care that may move a sign


class Feed:
    """Fills a model's inputs from aligned rows.

    Parameters
    ----------
    spec : ModelSpec
        Its features are concept codes, catalogue features or rule scores.

    Raises
    ------
    CheckpointMismatch
        If nothing here measures one of them, or in another unit.
    """

    def __init__(self, spec: ModelSpec) -> None:
        wrong = misfits(spec.modalities)
        if wrong:
            raise CheckpointMismatch(f"inputs cannot be served: {'; '.join(wrong[:3])}")
        sources = [source_of(f.name) for f in Layout.of(spec).features]
        self._sources: list[Source] = [source for source in sources if source is not None]
        self._cadence_s = spec.cadence_s
        self._max_age_s = np.array(
            [m.max_age_s for m in spec.modalities for _ in m.features], dtype=np.float64
        )
        self._rules = sorted({s.rule for s in self._sources if s.rule})
        self._encoders = sorted({s.encoder for s in self._sources if s.encoder})
        self._described = [_described(source) for source in self._sources]
        # One number of a note tells nobody anything.
        self._shown = np.array([not source.encoder for source in self._sources], np.bool_)
        charted = [(j, s.concept) for j, s in enumerate(self._sources) if _only_charted(s)]
        self._charted = np.array(charted, np.intp).reshape(-1, 2).T
        own_columns = {column for column, _ in charted}
        self._worn = [j for j in range(len(self._sources)) if j not in own_columns]
        own = {CATALOG[i].name for source in self._sources for i in source.features}
        self.reads = tuple(sorted(own | set(READS if self._rules else ())))

    def rows(self, batch: AlignedBatch) -> Rows:
        """Inputs of every row; a row's do not depend on its neighbours."""
        n, d = len(batch.features.windows), len(self._sources)
        value, age_s, quality = np.full((n, d), np.nan), np.zeros((n, d)), np.zeros((n, d))
        member = np.full((n, d), -1, dtype=np.int64)
        shared = self._shared(batch)
        for column in self._worn:
            for place, (x, age, good) in enumerate(
                _candidates(self._sources[column], batch, shared)
            ):
                take = (member[:, column] < 0) & np.isfinite(x) & (age <= self._max_age_s[column])
                value[take, column], age_s[take, column] = x[take], age[take]
                quality[take, column], member[take, column] = good[take], place
        self._chart(batch, shared.end_us, value, age_s, quality, member)
        packed = np.empty((n, 4, d), dtype=np.float32)
        packed[:, VALUE], packed[:, AGE], packed[:, QUALITY] = value, age_s, quality
        packed[:, FRESH] = (member >= 0) & (age_s < self._cadence_s)
        return Rows(packed, value, age_s, quality, member)

    def _chart(
        self,
        batch: AlignedBatch,
        end_us: NDArray[np.int64],
        *filled: NDArray[Any],
    ) -> None:
        """Fill what only charted facts serve, all such columns at once."""
        if not self._charted.size:
            return
        columns, concepts = self._charted
        x = batch.concept_value[:, concepts]
        age = (end_us[:, None] - batch.concept_time_us[:, concepts]) / 1e6
        take = np.isfinite(x) & (age <= self._max_age_s[columns])
        value, age_s, quality, member = filled
        value[:, columns], age_s[:, columns] = np.where(take, x, np.nan), np.where(take, age, 0.0)
        quality[:, columns], member[:, columns] = take, np.where(take, 0, -1)

    def _shared(self, batch: AlignedBatch) -> _Shared:
        """What several inputs are read from."""
        windows = batch.features.windows
        end_us = np.array([w.end_us for w in windows], dtype=np.int64)
        known_us = np.array([w.known_us for w in windows], dtype=np.int64)
        scores = {rule: rule_scores.total(rule, batch) for rule in self._rules}
        stores = batch.stores
        notes = {e: embedded_at(stores, end_us, known_us, e) for e in self._encoders if stores}
        effects = batch.effect_value, batch.effect_time_us
        working = at_work(*effects, end_us) if effects[0].size else None
        return _Shared(end_us, scores, notes, working)

    def told(
        self,
        rows: Rows,
        end_us: Sequence[int],
        points: Sequence[NDArray[np.float32] | None],
    ) -> list[tuple[Evidence, ...]]:
        """Inputs of every row that were there, with what each added to the logit.

        Parameters
        ----------
        rows : Rows
            N rows.
        end_us : sequence of int
            N, the ends of their windows.
        points : sequence
            N: [D] what each input added, or None: nothing is said of it.
        """
        there = (rows.member >= 0) & self._shown
        at = np.nonzero(there)
        columns = at[1].tolist()
        age_s = rows.age_s[at]
        ago_us = np.rint(age_s * 1e6).astype(np.int64).tolist()
        parts = (rows.member[at], rows.value[at], age_s, rows.quality[at])
        flat = list(zip(columns, ago_us, *(x.tolist() for x in parts), strict=True))
        found, first = [], 0
        stops = np.cumsum(there.sum(axis=1)).tolist()
        for end, stop, added in zip(end_us, stops, points, strict=True):
            own, first = flat[first:stop], stop
            each = [0.0] * len(self._described) if added is None else added.tolist()
            found.append(
                tuple(
                    _evidence(self._described[j][member], x, age, good, end - ago, each[j])
                    for j, ago, member, x, age, good in own
                )
            )
        return found


_Described = tuple[str, str, str, str, int]  # label, code, unit, source, concept or -1


def _only_charted(source: Source) -> bool:
    """Whether facts alone serve an input."""
    others = source.features or source.rule or source.encoder or source.effect >= 0
    return source.concept >= 0 and not others


def _described(source: Source) -> list[_Described]:
    """What people are shown of each candidate, best first."""
    found: list[_Described] = [
        (CATALOG[i].label, CATALOG[i].name, CATALOG[i].unit, WEARABLE, -1) for i in source.features
    ]
    if source.concept >= 0:
        c = CONCEPTS[source.concept]
        found.append((c.label, c.code, c.unit, c.modality, source.concept if c.words else -1))
    if source.rule:
        found.append((source.rule, source.rule, source.unit, RULE, -1))
    if source.effect >= 0:
        found.append((EFFECTS[source.effect].label, source.name, source.unit, "med", -1))
    if source.encoder:
        found.append(("Note", source.name, source.unit, "note", -1))
    return found


def _candidates(
    source: Source, batch: AlignedBatch, shared: _Shared
) -> Sequence[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Value, age and quality [N] of each candidate of an input, best first."""
    features, end_us, n = batch.features, shared.end_us, len(shared.end_us)
    found = []
    for i in source.features:
        good = features.quality[:, i].astype(np.float64)
        x = np.where(features.reason[:, i] == _OK, features.value[:, i], np.nan)
        if i == _TEMP and source.concept >= 0:
            x = core_temperature(x, good)
        found.append((x, np.zeros(n), good))
    if source.concept >= 0:
        age_s = (end_us - batch.concept_time_us[:, source.concept]) / 1e6
        found.append((batch.concept_value[:, source.concept], age_s, np.ones(n)))
    if source.rule:
        found.append((shared.scores[source.rule], np.zeros(n), np.ones(n)))
    if source.effect >= 0 and shared.working is not None:
        age_s = (end_us - batch.effect_time_us[:, source.effect]) / 1e6
        x = np.where(shared.working[:, source.effect], 1.0, np.nan)
        found.append((x, age_s, np.ones(n)))
    if source.encoder in shared.notes:
        notes = shared.notes[source.encoder]
        x = notes.value[:, source.place].astype(np.float64)
        found.append((x, (end_us - notes.time_us) / 1e6, np.ones(n)))
    return found


def _evidence(
    described: _Described, value: float, age_s: float, quality: float, time_us: int, points: float
) -> Evidence:
    """One input as people see it."""
    label, code, unit, source, worded = described
    if worded >= 0:
        word = word_of(CONCEPTS[worded], value)
        label = f"{label}: {word}" if word else label
    return Evidence(
        label,
        code,
        round(value, _DECIMALS),
        unit,
        time_us,
        age_s,
        source,
        round(quality, _DECIMALS),
        round(points, _DECIMALS) + 0.0,
    )

"""The seat of one named model: its versions, which may fail, and what is said when none is there.

Invariant: a fault of a model costs that row's score, never an exception, never another row's.
Every version keeps warm, so that a swap does not begin cold. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.align import AlignedBatch, FeatureBatch
from models.fusion_scorer import FusionScorer
from models.score import Score, Word
from streams.windows import Window

RAISED = "failed"


class Seat:
    """A model by name; see `models.score.StatefulScorer`.

    Parameters
    ----------
    name : str
        As policies read it.
    scorers : sequence of FusionScorer
        Its versions, the first speaks by default. None at all: the model could not be loaded, and
        every row is told so.
    absent : str
        Why there is none, for alerts: nothing that differs between machines.
    detail : str
        Why in full, for people who run it.
    """

    def __init__(
        self, name: str, scorers: Sequence[FusionScorer], absent: str = "", detail: str = ""
    ) -> None:
        self.name = name
        self.absent = "" if scorers else absent or "not loaded"
        self.detail = detail
        self._scorers = {scorer.model.rpartition("/")[2]: scorer for scorer in scorers}
        self.versions = tuple(self._scorers)
        self.models = tuple(scorer.model for scorer in scorers)  # as scores name them
        self.reads = tuple(sorted({name for scorer in scorers for name in scorer.feed.reads}))

    def words(self, batch: AlignedBatch, chosen: Sequence[str]) -> list[Word]:
        """See `models.score.StatefulScorer`; an unknown version is the default one."""
        windows = batch.features.windows
        if not self._scorers:
            return [_no_word(self.name, "", window, self.absent) for window in windows]
        first = self.versions[0]
        chosen = [version if version in self._scorers else first for version in chosen]
        words: dict[int, Word] = {}
        for version, scorer in self._scorers.items():
            rows = [i for i, own in enumerate(chosen) if own == version]
            others = [i for i, own in enumerate(chosen) if own != version]
            if others:
                self._keep_warm(scorer, take(batch, others))
            if rows:
                words.update(zip(rows, self._asked(scorer, take(batch, rows)), strict=True))
        return [words[i] for i in range(len(windows))]

    def words_again(
        self, old: AlignedBatch, new: AlignedBatch, chosen: Sequence[str]
    ) -> list[Word | None]:
        """See `models.score.StatefulScorer`."""
        changed: set[int] = set()
        for scorer in self._scorers.values():
            changed.update(scorer.changed(old, new))
        rows = sorted(changed)
        found: list[Word | None] = [None] * len(chosen)
        if rows:
            words = self.words(take(new, rows), [chosen[i] for i in rows])
            for i, word in zip(rows, words, strict=True):
                found[i] = word if word.score.value is not None else None
        return found

    def memory_of(self, patient_id: str) -> dict[str, bytes]:
        """See `models.score.StatefulScorer`."""
        kept = {v: scorer.slab.store(patient_id) for v, scorer in self._scorers.items()}
        return {version: memory for version, memory in kept.items() if memory is not None}

    def remember(self, patient_id: str, memory: dict[str, bytes]) -> None:
        """See `models.score.StatefulScorer`."""
        for version, kept in memory.items():
            if version in self._scorers:
                self._scorers[version].slab.load(patient_id, kept)

    def forget(self, patient_id: str) -> None:
        """See `models.score.StatefulScorer`."""
        for scorer in self._scorers.values():
            scorer.slab.forget(patient_id)

    def _asked(self, scorer: FusionScorer, batch: AlignedBatch) -> list[Word]:
        """Words of a version; when it raises, row by row: scoring a row again changes nothing."""
        try:
            return scorer.words(batch)
        except Exception as error:  # noqa: BLE001 - a model is not trusted: the rules must go on
            scorer.fault(error)
        windows = batch.features.windows
        if len(windows) == 1:
            return [_no_word(self.name, scorer.model, windows[0], RAISED)]
        return [self._asked(scorer, take(batch, [i]))[0] for i in range(len(windows))]

    def _keep_warm(self, scorer: FusionScorer, batch: AlignedBatch) -> None:
        try:
            scorer.advance(batch)
        except Exception as error:  # noqa: BLE001 - as above
            scorer.fault(error)


def take(batch: AlignedBatch, rows: Sequence[int]) -> AlignedBatch:
    """Some rows of a batch, in that order."""
    if len(rows) == len(batch.features.windows):
        return batch
    at = np.asarray(rows, np.intp)
    features = batch.features
    return AlignedBatch(
        FeatureBatch(
            tuple(features.windows[i] for i in rows),
            features.value[at],
            features.quality[at],
            features.coverage[at],
            features.n[at],
            features.reason[at],
        ),
        batch.concept_value[at],
        batch.concept_time_us[at],
        batch.effect_value[at] if len(batch.effect_value) else batch.effect_value,
        batch.effect_time_us[at] if len(batch.effect_time_us) else batch.effect_time_us,
        tuple(batch.stores[i] for i in rows) if batch.stores else (),
    )


def _no_word(name: str, model: str, window: Window, fault: str) -> Word:
    """A score without a value, and why."""
    score = Score(
        patient_id=window.patient_id,
        scorer=name,
        model=model,
        start_us=window.start_us,
        end_us=window.end_us,
        known_us=window.known_us,
        revision=window.revision,
        value=None,
        lower=None,
        upper=None,
        std=None,
        calibrated=False,
        horizon_s=0.0,
        share={},
        present={},
        completeness=0.0,
        news2=None,
        evidence=(),
        cold=True,
    )
    return Word(score, fault)

"""What is published of rows that a model scored: a `Score` each, all rows of a call in one go.

Nothing is decided here about state or time; a row's words depend on its own numbers alone. Not
here: what models say (`models.fusion_scorer`). Torch-free.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from models.doubt import Doubt
from models.inputs import Feed, Rows
from models.runtime import Floats, Said
from models.score import Score, Word
from models.spec import ModelSpec
from streams.windows import Window

DECIMALS: Final = 4
_NORMAL_95: Final = 1.96
NO_VALUE: Final = "failed, or gave a value that is not finite"


class Looked(NamedTuple):
    """What was found by asking a model again about a row."""

    points: Floats | None  # [D] what each input added; None: not asked
    bits: float  # disagreement of the modalities; NaN: not asked


UNLOOKED: Final = Looked(None, math.nan)


class Wording:
    """Words of one version of one model.

    Parameters
    ----------
    name, model : str
        Of the scorer, as policies call it; and name/version/digest.
    spec : ModelSpec
        Of the model.
    feed : Feed
        Of its inputs.
    """

    def __init__(self, name: str, model: str, spec: ModelSpec, feed: Feed) -> None:
        self.name, self.model, self.spec = name, model, spec
        self._feed = feed
        self._names = [m.name for m in spec.modalities]
        self._warmup_us = round(spec.warmup_s * 1e6)
        self._calibrated = spec.calibration.kind != "none"
        self._halfwidth = spec.calibration.halfwidth_logit
        self.doubt = Doubt.of(spec)

    def of(
        self,
        said: Said,
        rows: Rows,
        windows: Sequence[Window],
        since_us: NDArray[np.int64],
        looked: Sequence[Looked],
    ) -> list[Word]:
        """A word per row.

        Parameters
        ----------
        said : Said
            N rows.
        rows : Rows
            What it was said of, N rows.
        windows : sequence of Window
            N.
        since_us : (N,) int64
            When state began, 0 = not yet.
        looked : sequence of Looked
            N.
        """
        there = said.present > 0.5
        unsound = ~np.isfinite(np.concatenate([said.logit, said.after], axis=1))
        sound: NDArray[np.bool_] = unsound.sum(axis=1) == 0
        finite = sound.tolist()
        told = (sound & there.any(axis=1)).tolist()
        value = [round(x, DECIMALS) for x in said.prob[:, 0].tolist()]
        numbers = zip(
            value,
            said.logit[:, 0].tolist(),
            said.prob[:, 0].tolist(),
            said.std[:, 0].tolist(),
            strict=True,
        )
        lines = [
            self._line(*x) if known else _UNKNOWN for known, x in zip(told, numbers, strict=True)
        ]
        share = (np.round(said.share.astype(np.float64), DECIMALS) + 0.0).tolist()
        whole = (rows.member >= 0).mean(axis=1).tolist()
        outcomes = self.doubt.outcomes_of(np.array(value))
        evidence = self._feed.told(
            rows, [w.end_us for w in windows], [look.points for look in looked]
        )
        found = []
        for i, (window, line, flags, since) in enumerate(
            zip(windows, lines, there.tolist(), since_us.tolist(), strict=True)
        ):
            cold = since == 0 or window.end_us - since < self._warmup_us
            doubts = self._doubts(outcomes[i], looked[i].bits) if told[i] else _NO_DOUBTS
            score = Score(
                window.patient_id,
                self.name,
                self.model,
                window.start_us,
                window.end_us,
                window.known_us,
                window.revision,
                *line,
                self._calibrated and not cold,
                self.spec.horizons_s[0],
                dict(zip(self._names, share[i], strict=True)) if told[i] else {},
                dict(zip(self._names, flags, strict=True)),
                round(whole[i], DECIMALS),
                None,
                evidence[i],
                cold,
                *doubts,
            )
            found.append(Word(score, "" if finite[i] or window.revision else NO_VALUE))
        return found

    def _line(self, value: float, logit: float, prob: float, std: float) -> _Line:
        """Value, its bounds, and its spread: conformal, else from the spread, else none."""
        spread = round(std, DECIMALS) if math.isfinite(std) else None
        if self._halfwidth:
            low, high = sigmoid(logit - self._halfwidth), sigmoid(logit + self._halfwidth)
        elif math.isfinite(std):
            low = max(prob - _NORMAL_95 * std, 0.0)
            high = min(prob + _NORMAL_95 * std, 1.0)
        else:
            return value, None, None, spread
        return value, min(round(low, DECIMALS), value), max(round(high, DECIMALS), value), spread

    def _doubts(self, outcomes: tuple[str, ...] | None, bits: float) -> tuple[Any, ...]:
        """Outcomes not ruled out, and whether modalities contradict; nothing that is not known."""
        sets = (UNSET, UNSET) if outcomes is None else (outcomes, len(outcomes) != 1)
        if not math.isfinite(bits):
            return *sets, UNSET, UNSET
        return *sets, round(bits, DECIMALS) + 0.0, bits > self.doubt.disagree_above


_Line = tuple[float | None, float | None, float | None, float | None]
_UNKNOWN: Final[_Line] = (None, None, None, None)
_NO_DOUBTS: Final = (UNSET, UNSET, UNSET, UNSET)


def sigmoid(x: float) -> float:
    """Logistic function of one number, at any size of it."""
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))

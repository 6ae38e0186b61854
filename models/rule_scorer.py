"""MEWS, qSOFA, SIRS and shock index as scorers, asked for by a policy or the configuration.

`value` and `lower` are the points of the inputs at hand, `upper` what missing ones could add. A
row with no input at all has no value; the shock index none without both. Torch-free.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from features.concepts import CONCEPTS, INDEX
from models.inputs import Feed, Rows
from models.rule_tables import TABLES, Judged, Table
from models.score import Evidence, Score
from models.spec import FeatureSpec, ModalitySpec, ModelSpec
from streams.windows import Window

_DECIMALS = 4
_FOR_EVER_S = 1e9  # a concept's own maximum age has been applied already


class RuleScorer:
    """One table on every row.

    Parameters
    ----------
    name : str
        Of `models.rule_tables.TABLES`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._table: Table = TABLES[name]
        self.model = f"{name}/{self._table.version}"
        self._feed = Feed(_spec(self._table))

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`."""
        rows = self._feed.rows(batch)
        judged = self._table.judge(rows.value)
        windows = batch.features.windows
        points = list(judged.points.astype(np.float32))
        evidence = self._feed.told(rows, [w.end_us for w in windows], points)
        valued = self._valued(rows, judged).tolist()
        return [
            self._row(i, window, judged, evidence[i], valued=valued[i])
            for i, window in enumerate(windows)
        ]

    def totals(self, batch: AlignedBatch) -> NDArray[np.float64]:
        """Points [N] of the inputs at hand; NaN where there is no value."""
        rows = self._feed.rows(batch)
        judged = self._table.judge(rows.value)
        return np.where(self._valued(rows, judged), judged.points.sum(axis=1), np.nan)

    def _valued(self, rows: Rows, judged: Judged) -> NDArray[np.bool_]:
        there: NDArray[np.bool_] = np.isfinite(rows.value).any(axis=1) & np.isfinite(judged.upper)
        return there

    def _row(
        self, i: int, window: Window, judged: Judged, items: tuple[Evidence, ...], *, valued: bool
    ) -> Score:
        share: dict[str, float] = {}
        for item in items:
            share[item.source] = round(share.get(item.source, 0.0) + item.points, _DECIMALS)
        total, upper = float(judged.points[i].sum()), float(judged.upper[i])
        bounded = np.isfinite(upper)
        return Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=window.start_us,
            end_us=window.end_us,
            known_us=window.known_us,
            revision=window.revision,
            value=round(total, _DECIMALS) if valued else None,
            lower=round(total, _DECIMALS) if bounded else None,
            upper=round(upper, _DECIMALS) if bounded else None,
            std=None,
            calibrated=False,
            horizon_s=0.0,
            share=share,
            present=dict.fromkeys(share, True),
            completeness=round(len(items) / len(self._table.inputs), _DECIMALS),
            news2=None,
            evidence=items,
        )


def _spec(table: Table) -> ModelSpec:
    """The inputs of a table as a model's."""
    inputs = tuple(
        FeatureSpec(code, unit, CONCEPTS[INDEX[code]].lo, CONCEPTS[INDEX[code]].hi)
        for code, unit in zip(table.inputs, table.units, strict=True)
    )
    modality = ModalitySpec("inputs", "dense", inputs, _FOR_EVER_S)
    return ModelSpec(table.name, table.version, "rule", "rule", (1.0,), 10.0, 0.0, (modality,))

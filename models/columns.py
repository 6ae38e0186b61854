"""Catalogue columns as inputs of single-parameter alerts: any feature by name, with its baseline.

A policy reads them as `source = "columns.input"`, `input = "<feature>"`; a z-score is a feature
like any other. Not here: the limits, which are the policy's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.align import AlignedBatch
from features.catalog import CATALOG, INDEX, FeatureReason
from features.population import USUAL
from models.score import Evidence, Score
from streams.errors import ConfigError
from streams.windows import Window

WINDOW = "60s"  # what is scored
BASELINES = {usual.feature: f"{usual.stem}_baseline_{usual.unit}" for usual in USUAL}
_DECIMALS = 4
_WEARABLE = "wearable"


def baseline_column(feature: str) -> int | None:
    """Column that holds what is usual for the patient; None if the catalogue has none.

    Examples
    --------
    >>> CATALOG[baseline_column("ecg_hr_bpm")].name, baseline_column("acc_enmo_mg")
    ('ecg_hr_baseline_bpm', None)
    """
    return INDEX.get(BASELINES.get(feature, ""))


class ColumnScorer:
    """Shows features to the alert policy; it has no score of its own, `value` is always None.

    Parameters
    ----------
    features : sequence of str
        Catalogue names, in the order they are shown.

    Raises
    ------
    ConfigError
        If the catalogue has no such feature, or only over windows that are not scored.
    """

    name = "columns"
    model = "columns/1"

    def __init__(self, features: Sequence[str]) -> None:
        unknown = [feature for feature in features if feature not in INDEX]
        if unknown:
            raise ConfigError(f"no such feature: {', '.join(unknown)} (see docs/features.md)")
        longer = [name for name in features if WINDOW not in CATALOG[INDEX[name]].windows]
        if longer:
            raise ConfigError(f"not over {WINDOW}, and only that is scored: {', '.join(longer)}")
        self._shown = [(INDEX[name], baseline_column(name)) for name in features]
        beside = (column for _, column in self._shown if column is not None)
        self.reads = (*features, *(CATALOG[column].name for column in beside))

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`; a feature without a value is not among its evidence."""
        found = batch.features
        there = (found.reason == FeatureReason.OK) & np.isfinite(found.value)
        return [self._row(batch, row, there[row]) for row in range(len(found.windows))]

    def _row(self, batch: AlignedBatch, row: int, there: np.ndarray) -> Score:
        """Score of one row."""
        found, window = batch.features, batch.features.windows[row]
        items = tuple(
            _evidence(
                column,
                float(found.value[row, column]),
                float(found.quality[row, column]),
                window,
                None if own is None or not there[own] else float(found.value[row, own]),
            )
            for column, own in self._shown
            if there[column]
        )
        return Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
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
            present={_WEARABLE: bool(items)},
            completeness=round(len(items) / max(len(self._shown), 1), _DECIMALS),
            news2=None,
            evidence=items,
        )


def _evidence(
    column: int, value: float, quality: float, window: Window, baseline: float | None
) -> Evidence:
    """One feature as an input; it carries no points."""
    feature = CATALOG[column]
    return Evidence(
        label=feature.label,
        code=feature.name,
        value=round(value, _DECIMALS),
        unit=feature.unit,
        time_us=window.end_us,
        age_s=0.0,
        source=_WEARABLE,
        quality=round(quality, _DECIMALS),
        points=0.0,
        baseline=None if baseline is None else round(baseline, _DECIMALS),
    )

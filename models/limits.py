"""Single-parameter limits: how far each vital sign alone is out, in NEWS2 points.

Not here: combining parameters (`models.news2`). Bands are those of the NEWS2 chart, so the two
never disagree about one parameter.
"""

from __future__ import annotations

import msgspec

from features.align import AlignedBatch
from models.news2 import MISSING, news2, news2_inputs
from models.rule_inputs import PARAMETERS, READS, evidence, modalities, select
from models.score import Evidence, Score
from streams.windows import Window

# Oxygen and consciousness have no limit of their own; they stay inputs of the SpO2 bands.
LIMITED = ("resp_rate", "spo2", "sbp", "pulse", "temp")
_COLUMNS = [PARAMETERS.index(parameter) for parameter in LIMITED]

# Any value inside the band of 0 points tells the two sides apart.
_NORMAL = {"resp_rate": 16.0, "sbp": 150.0, "pulse": 70.0, "temp": 37.0}
_NORMAL_SPO2 = {1: 100.0, 2: 90.0}  # scale 1 has no upper side


def side(parameter: str, value: float, scale: int) -> str:
    """Which side of normal a value that scores points lies on.

    Parameters
    ----------
    parameter : str
        One of LIMITED.
    value : float
        In the chart's unit.
    scale : int
        SpO2 scale in force, 1 or 2.

    Returns
    -------
    str
        "low" or "high".

    Examples
    --------
    >>> side("pulse", 135.0, 1), side("spo2", 97.0, 2), side("spo2", 91.0, 1)
    ('high', 'high', 'low')
    """
    normal = _NORMAL_SPO2[scale] if parameter == "spo2" else _NORMAL[parameter]
    return "low" if value < normal else "high"


class LimitsScorer:
    """The worst single parameter: `value` is its points, 0 to 3.

    Evidence lists what is out of limits first, worst first, with the side in its label
    ("Respiration rate: high"); then what is within. A missing parameter leaves `upper` at 3.
    """

    name = "limits"
    model = "limits/1"
    reads = READS

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`; see `models.rule_inputs.select` for precedence."""
        inputs = select(batch)
        result = news2(news2_inputs(inputs))
        windows = batch.features.windows
        items = evidence(inputs, [window.end_us for window in windows], result.points)
        scored = zip(items, result.points.tolist(), result.scale.tolist(), strict=True)
        ranked = [_ranked(*row) for row in scored]
        upper = result.ceiling[:, _COLUMNS].max(axis=1).tolist()
        return [self._row(*row) for row in zip(windows, ranked, upper, strict=True)]

    def _row(self, window: Window, items: tuple[Evidence, ...], upper: int) -> Score:
        """Score of one row; the parameter listed first carries the whole value."""
        value = items[0].points if items else None
        share, _ = modalities(items[:1])
        _, present = modalities(items)
        return Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=window.start_us,
            end_us=window.end_us,
            known_us=window.known_us,
            revision=window.revision,
            value=value,
            lower=value or 0.0,
            upper=float(upper),
            std=None,
            calibrated=False,
            horizon_s=0.0,
            share=share,
            present=present,
            completeness=round(len(items) / len(LIMITED), 4),
            news2=None,
            evidence=items,
        )


def _ranked(items: tuple[Evidence, ...], points: list[int], scale: int) -> tuple[Evidence, ...]:
    """Evidence of the limited parameters, worst first, then chart order."""
    shown = [p for p, n in zip(PARAMETERS, points, strict=True) if n != MISSING]
    found = []
    for parameter, item in zip(shown, items, strict=True):
        if parameter not in LIMITED:
            continue
        if item.points > 0:
            label = f"{item.label}: {side(parameter, item.value, scale)}"
            item = msgspec.structs.replace(item, label=label)
        found.append(item)
    return tuple(sorted(found, key=_by_points))


def _by_points(item: Evidence) -> float:
    """Worst first; the sort is stable, so ties keep the chart's order."""
    return -item.points

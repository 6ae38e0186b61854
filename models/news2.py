"""NEWS2 (Royal College of Physicians 2017), vectorised, with bounds for missing inputs.

Reproduced with acknowledgement: Royal College of Physicians. National Early Warning Score
(NEWS) 2: Standardising the assessment of acute-illness severity in the NHS. London: RCP, 2017.
For adults of 16 or more, not in pregnancy. Not here: where inputs come from
(`models.rule_inputs`), nor what a score means for an alert (`alerts`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.align import AlignedBatch
from models.rule_inputs import PARAMETERS, READS, Inputs, evidence, modalities, select
from models.score import Evidence, RuleScore, Score
from streams.windows import Window

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MISSING = -1  # in `News2Result.points`
_NOISE_DIGITS = 6  # binary noise below 1e-6 never decides a band


class _Band(NamedTuple):
    """Inclusive upper edges, then points; the last points are for anything above."""

    edges: Ints
    points: Ints


def _band(edges: tuple[int, ...], points: tuple[int, ...]) -> _Band:
    """One row of the chart."""
    return _Band(np.array(edges, dtype=np.int64), np.array(points, dtype=np.int64))


_RESP = _band((8, 11, 20, 24), (3, 1, 0, 2, 3))
_SPO2_SCALE1 = _band((91, 93, 95), (3, 2, 1, 0))
_SPO2_SCALE2_AIR = _band((83, 85, 87), (3, 2, 1, 0))
_SPO2_SCALE2_O2 = _band((83, 85, 87, 92, 94, 96), (3, 2, 1, 0, 1, 2, 3))
_SBP = _band((90, 100, 110, 219), (3, 2, 1, 0, 3))
_PULSE = _band((40, 50, 90, 110, 130), (3, 1, 0, 1, 2, 3))
_TEMP_TENTHS = _band((350, 360, 380, 390), (3, 1, 0, 1, 2))
_CONSCIOUSNESS = _band((0,), (0, 3))
_OXYGEN = _band((0,), (0, 2))

VITAL_SIGNS: Final = {  # edges in the chart's steps, points, steps per unit; on scale 1
    "resp_rate": (_RESP, 1),
    "spo2": (_SPO2_SCALE1, 1),
    "sbp": (_SBP, 1),
    "hr": (_PULSE, 1),
    "temp": (_TEMP_TENTHS, 10),
}

_PER_UNIT = np.array([1, 1, 1, 1, 1, 1, 10], dtype=np.int64)  # the chart's steps per unit
_MAXIMUM = np.array([3, 3, 2, 3, 3, 3, 3], dtype=np.int64)  # per parameter, in their order
_RESP_I, _SPO2_I, _OXYGEN_I, _SBP_I, _PULSE_I, _CONSC_I, _TEMP_I = range(7)


class News2Inputs(NamedTuple):
    """Inputs of B assessments; NaN = missing (infinite values count as missing)."""

    resp_rate: Floats  # [B] /min
    spo2: Floats  # [B] %
    oxygen: Floats  # [B] 0 air, 1 oxygen
    sbp: Floats  # [B] mmHg
    pulse: Floats  # [B] /min
    consciousness: Floats  # [B] 0 alert, 1-4 C V P U
    temp: Floats  # [B] °C
    spo2_scale: Floats  # [B] 2 where prescribed, anything else is scale 1


class News2Result(NamedTuple):
    """`lower <= true score <= upper`; they are equal when nothing is missing."""

    lower: Ints  # [B] from the inputs at hand
    upper: Ints  # [B]
    single3: NDArray[np.bool_]  # [B] a present input scores 3
    scale: Ints  # [B] 1 or 2
    points: Ints  # [B, 7] columns as PARAMETERS, MISSING where the input is
    ceiling: Ints  # [B, 7] most points the input could have


def chart_round(value: Floats, per_unit: int | Ints = 1) -> Ints:
    """Half-up rounding to chart resolution, as an integer count of 1/`per_unit`.

    Parameters
    ----------
    value : array of float64
        Any finite values.
    per_unit : int or array of int64
        1 for whole numbers, 10 for tenths; broadcast against `value`.

    Returns
    -------
    array of int64
        floor(value * per_unit + 1/2), with binary noise removed first: 36.05 is 361 tenths.

    Examples
    --------
    >>> chart_round(np.array([91.5, 91.49])).tolist()
    [92, 91]
    >>> chart_round(np.array([36.05, 38.05, 36.04]), per_unit=10).tolist()
    [361, 381, 360]
    """
    scaled = np.round(value * per_unit, _NOISE_DIGITS)
    return np.floor(scaled + 0.5).astype(np.int64)


def _points(charted: Ints, band: _Band) -> Ints:
    """Points of values in chart steps."""
    return band.points[np.searchsorted(band.edges, charted, side="left")]


def news2(inputs: News2Inputs) -> News2Result:
    """National Early Warning Score 2 with the bounds that missing inputs leave open.

    Parameters
    ----------
    inputs : News2Inputs
        (B,) each; NaN = missing. Fractional values are rounded half up to chart resolution
        (whole numbers, tenths of a degree) before they are scored.

    Returns
    -------
    News2Result
        (B,) and (B, 7); 0 to 20. A missing input adds 0 to `lower` and its maximum to `upper`
        (3; oxygen 2). On scale 2 with air or oxygen unknown both are tried: SpO2 then has its
        points on air in `points` and the larger ones in `ceiling`.

    Notes
    -----
    Source: RCP (2017), NEWS2 chart 1. Checked against every band edge and every subset of
    missing inputs in ``tests/models/test_news2.py``.

    Examples
    --------
    >>> one = [np.array([x]) for x in (26.0, 93.0, 1.0, 98.0, 118.0, 0.0, 38.2, np.nan)]
    >>> result = news2(News2Inputs(*one))
    >>> result.points.tolist(), result.lower.tolist(), result.single3.tolist()
    ([[3, 2, 2, 2, 2, 0, 1]], [12], [True])
    """
    value = np.stack(inputs[:7], axis=1)  # [B, 7]
    present = np.isfinite(value)
    charted = chart_round(np.where(present, value, 0.0), _PER_UNIT)
    scale2 = inputs.spo2_scale == 2
    oxygen_known = present[:, _OXYGEN_I]
    points, on_oxygen = _all_points(charted, oxygen_known, scale2)
    ceiling = np.where(present, points, _MAXIMUM)
    # neither term falls when air becomes oxygen, so the pair is largest on oxygen
    open_spo2 = present[:, _SPO2_I] & ~oxygen_known
    ceiling[:, _SPO2_I] = np.where(open_spo2, on_oxygen, ceiling[:, _SPO2_I])
    floor = np.where(present, points, 0)
    return News2Result(
        lower=floor.sum(axis=1),
        upper=ceiling.sum(axis=1),
        single3=(floor == 3).any(axis=1),
        scale=np.where(scale2, 2, 1).astype(np.int64),
        points=np.where(present, points, MISSING),
        ceiling=ceiling,
    )


def _all_points(
    charted: Ints, oxygen_known: NDArray[np.bool_], scale2: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Points of every input [B, 7], and those of SpO2 if oxygen were given [B]."""
    spo2 = charted[:, _SPO2_I]
    scale1_points = _points(spo2, _SPO2_SCALE1)
    on_air = np.where(scale2, _points(spo2, _SPO2_SCALE2_AIR), scale1_points)
    on_oxygen = np.where(scale2, _points(spo2, _SPO2_SCALE2_O2), scale1_points)
    oxygen = _points(charted[:, _OXYGEN_I], _OXYGEN)
    columns = [
        _points(charted[:, _RESP_I], _RESP),
        np.where(oxygen_known & (oxygen > 0), on_oxygen, on_air),
        oxygen,
        _points(charted[:, _SBP_I], _SBP),
        _points(charted[:, _PULSE_I], _PULSE),
        _points(charted[:, _CONSC_I], _CONSCIOUSNESS),
        _points(charted[:, _TEMP_I], _TEMP_TENTHS),
    ]
    return np.stack(columns, axis=1), on_oxygen


def news2_inputs(inputs: Inputs) -> News2Inputs:
    """Columns of selected inputs in the order of the chart."""
    value = inputs.value
    return News2Inputs(
        resp_rate=value[:, _RESP_I],
        spo2=value[:, _SPO2_I],
        oxygen=value[:, _OXYGEN_I],
        sbp=value[:, _SBP_I],
        pulse=value[:, _PULSE_I],
        consciousness=value[:, _CONSC_I],
        temp=value[:, _TEMP_I],
        spo2_scale=inputs.spo2_scale,
    )


class News2Scorer:
    """NEWS2 from windowed wearables and as-of clinical facts.

    `value` and `lower` are the points of the inputs at hand, `upper` what missing ones could
    add. A row with no input at all has `value` None, never 0: silence is not low risk.
    """

    name = "news2"
    model = "news2/1"
    reads = READS

    def score(self, batch: AlignedBatch) -> list[Score]:
        """One `Score` per row of `batch`; see `models.rule_inputs.select` for precedence."""
        inputs = select(batch)
        result = news2(news2_inputs(inputs))
        windows = batch.features.windows
        items = evidence(inputs, [window.end_us for window in windows], result.points)
        rules = _rule_scores(result)
        return [self._row(*row) for row in zip(windows, rules, items, strict=True)]

    def _row(self, window: Window, rule: RuleScore, items: tuple[Evidence, ...]) -> Score:
        """Score of one row."""
        share, present = modalities(items)
        return Score(
            patient_id=window.patient_id,
            scorer=self.name,
            model=self.model,
            start_us=window.start_us,
            end_us=window.end_us,
            known_us=window.known_us,
            revision=window.revision,
            value=float(rule.lower) if items else None,
            lower=float(rule.lower),
            upper=float(rule.upper),
            std=None,
            calibrated=False,
            horizon_s=0.0,
            share=share,
            present=present,
            completeness=round(len(items) / len(PARAMETERS), 4),
            news2=rule,
            evidence=items,
        )


def _rule_scores(result: News2Result) -> list[RuleScore]:
    """Published form of each row."""
    columns = (result.lower, result.upper, result.single3, result.scale, result.points)
    return [
        RuleScore(
            total=lower,
            lower=lower,
            upper=upper,
            single3=single3,
            scale=scale,
            missing=tuple(p for p, n in zip(PARAMETERS, points, strict=True) if n == MISSING),
            points={p: n for p, n in zip(PARAMETERS, points, strict=True) if n != MISSING},
        )
        for lower, upper, single3, scale, points in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]

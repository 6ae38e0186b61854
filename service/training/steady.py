"""The default's forests without what time alone says: for wards whose patients stay.

In CinC 2019 stays without sepsis end within 60 h and septic ones do not, so that the time somebody
has been followed gives the outcome away; elsewhere long stays have other reasons. What every
forest says on average of hours without the label, by the time followed, is taken from it; who is
more ill than others of the same hour is still said. What NEWS2 says of the vital signs is added:
the chart holds in other houses too, and it weighs where forests have learned little (ADR 0140).
Calibrated and judged on the first two days of every stay, in which few stays have ended.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.calibration.knots import Line
from models.families.boosted import BoostedModel
from service.datasets.cinc2019 import Stays
from service.training import chart
from service.training.cinc2019 import Development
from service.training.committee import SHARES, Raw

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Arrays = dict[str, NDArray[Any]]
EDGES_H: Final = (  # hours followed, the first row has been followed for one
    *(1, 2, 3, 4, 5, 7, 9, 13, 19, 25, 31, 37, 43, 49, 53, 57, 61, 73, 97, 10_000),
)
KNOTS: Final = len(EDGES_H) - 1
POINT: Final = 0.15  # of the mixed raw logit, a point of NEWS2
VERSION: Final = "3"
CHARTED: Final = ("joint", chart.MODALITY)  # forests that see vital signs
FIRST_H: Final = 48  # hours of a stay that calibrate and are judged


def charted(raw: Raw, points: Floats, point: float = POINT) -> Raw:
    """Logits with the points of `service.training.chart` added to forests that see vital signs."""
    more = _each(point) * points
    single = {name: x + more if name in CHARTED else x for name, x in raw.single.items()}
    return raw._replace(joint=raw.joint + more, single=single)


def _each(point: float) -> float:
    """What a point is worth in each forest that gets it, so that it is `point` once mixed."""
    return point / sum(SHARES[name] for name in CHARTED)


def with_chart(forest: Arrays, model: BoostedModel) -> Arrays:
    """A forest's arrays with the chart's trees behind its own."""
    own = chart.trees(model, forest["column"].shape[1])
    own["value"] = (own["value"] * _each(POINT)).astype(np.float32)
    return {name: np.concatenate([forest[name], own[name]]) for name in own}


def hours_followed(lengths: Ints) -> Ints:
    """Hours of every row since its stay began, the first is 1; [N]."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + 1


def clocks(label: Bools, raw: Raw, hours: Ints) -> dict[str, Line]:
    """What each forest says by the time alone: its mean over rows without the label.

    Parameters
    ----------
    label : (N,) bool
        What happened.
    raw : Raw
        Logits of patients that trained nothing.
    hours : (N,) int64
        From `hours_followed`.
    """
    place = np.searchsorted(EDGES_H, hours, side="right") - 1

    def line(logit: Floats, rows: Bools) -> Line:
        count = np.bincount(place[rows], minlength=KNOTS).astype(np.float64)
        total = np.bincount(place[rows], logit[rows], KNOTS)
        middle = np.bincount(place[rows], hours[rows], KNOTS)
        some = count > 0
        at = np.where(some, middle / np.where(some, count, 1), EDGES_H[:-1])
        said = np.where(some, total / np.where(some, count, 1), np.nan)
        said = np.interp(at, at[some], said[some])  # where nobody was: as the nearest
        return Line(at, said)

    joint = {"joint": line(raw.joint, ~label)}
    single = {name: line(x, ~label & raw.there[name]) for name, x in raw.single.items()}
    return joint | single


def without_clock(raw: Raw, hours: Ints, lines: dict[str, Line]) -> Raw:
    """Logits less what the time alone says, as `models.families.boosted.Clock` takes it away."""

    def less(name: str, logit: Floats) -> Floats:
        own = lines[name]
        taken: Floats = np.interp(hours, own.raw, own.calibrated)
        return logit - taken

    single = {name: less(name, logit) for name, logit in raw.single.items()}
    return raw._replace(joint=less("joint", raw.joint), single=single)


def taken(
    stays: Stays, held: Development, points: Floats
) -> tuple[Stays, Development, dict[str, Line]]:
    """Clocks of held-out scores, and the beginning of stays with scores less what they say.

    Parameters
    ----------
    stays : Stays
        That trained nothing.
    held : Development
        Their raw logits as the forests say them.
    points : (N,) float64
        From `chart.points_of`; they are added first.
    """
    held = held._replace(raw=charted(held.raw, points))
    hours = hours_followed(stays.lengths)
    lines = clocks(stays.label, held.raw, hours)
    less = held._replace(raw=without_clock(held.raw, hours, lines))
    return (*beginning(stays, less), lines)


def beginning(stays: Stays, held: Development) -> tuple[Stays, Development]:
    """The first hours of every stay, and their scores; what came later never happened."""
    rows = hours_followed(stays.lengths) <= FIRST_H
    cut = stays._replace(
        lengths=np.minimum(stays.lengths, FIRST_H),
        value={name: x[rows] for name, x in stays.value.items()},
        label=stays.label[rows],
        hour=stays.hour[rows],
    )
    return cut, held._replace(raw=held.raw.rows(rows))

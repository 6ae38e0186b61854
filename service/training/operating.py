"""From scores of patients that trained nothing: thresholds, and how sure a probability is.

Not here: the figures themselves (`models.evaluation`), calibration (`models.calibration`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evaluation.events import SEPSIS, EventSpec, Watched, watch
from models.evaluation.utility import RowUtility
from service.datasets.cinc2019 import LABEL_LEAD_H, Stays

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SLACK: Final = 0.004  # utility given away for fewer alarms, see `cautious_threshold`
MISS: Final = 0.1  # of a conformal set: one in ten
_BINS: Final = 20  # of equal mass, in which an outcome's rate is compared with its probability


def cautious_threshold(score: Floats, worth: RowUtility, slack: float = SLACK) -> float:
    """Highest threshold whose alarms are worth within `slack` of the best there is.

    Around its best the utility is flat: thresholds that differ twofold in their alarms differ by
    less than the figure is known to. Of these the one with fewest alarms is taken, which is also
    the one that suffers least where the event is rarer than here.

    Parameters
    ----------
    score : (N,) float64
        Higher is more likely.
    worth : RowUtility
        Official utility of every row.
    slack : float
        In normalised utility.

    Returns
    -------
    float
        +inf if no alarms are worth any.
    """
    gain = worth.alarm - worth.quiet
    order = np.argsort(-score, kind="stable")
    total = np.cumsum(gain[order])
    ends = np.append(score[order][1:] != score[order][:-1], True)
    span = float((np.where(worth.wanted, worth.alarm, worth.quiet) - worth.quiet).sum())
    best = float(total[ends].max(initial=0.0))
    if best <= 0:
        return np.inf
    enough = np.flatnonzero(ends & (total >= best - slack * span))
    return float(score[order][enough[0]])


def balanced_threshold(score: Floats, label: Bools) -> float:
    """Threshold at which the lesser of sensitivity and positive predictive value is greatest.

    The first event of the CinC challenge of 2012 is judged by that figure (Silva et al. 2012, CinC
    39:245). Of equals the highest; 1 where nothing happened.

    Parameters
    ----------
    score : (N,) float64
        Higher is more likely.
    label : (N,) bool
        What happened.

    Examples
    --------
    >>> balanced_threshold(np.array([0.9, 0.8, 0.3, 0.1]), np.array([True, False, True, False]))
    0.3
    """
    if not label.any():
        return 1.0
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(score[order][1:] != score[order][:-1], True))
    hits = np.cumsum(label[order])[ends]
    least = np.minimum(hits / hits[-1], hits / (ends + 1))
    return float(score[order][ends[int(np.argmax(least))]])


def watched_of(stays: Stays, which: Bools, spec: EventSpec = SEPSIS) -> Watched:
    """Rows of some stays laid out for alarms; an event is the onset of sepsis.

    Parameters
    ----------
    stays : Stays
        All of them.
    which : (P,) bool
        Whose rows, in the order of the stays.
    spec : EventSpec
        Rules.
    """
    hour = np.arange(len(stays.label)) - np.repeat(stays.starts, stays.lengths)
    first = np.full(len(stays.lengths), np.inf)
    np.minimum.at(first, stays.stay[stays.label], hour[stays.label])
    rows = np.repeat(which, stays.lengths)
    number = np.cumsum(which) - 1
    ill = np.flatnonzero(which & stays.septic)
    return watch(
        number[stays.stay[rows]],
        hour[rows].astype(np.float64),
        number[ill],
        first[ill] + LABEL_LEAD_H,
        spec,
    )


def conformal(label: Bools, prob: Floats, miss: float = MISS) -> dict[str, tuple[float, ...]]:
    """Bounds of conformal sets: "no" is in the set up to one, "yes" from the other on.

    Each class is held in its set with at least 1 - `miss`, separately: a rare event cannot be
    bought with the frequent rest. Source: Vovk 2013, Mach. Learn. 92:349, label-conditional.

    Parameters
    ----------
    label : (N,) bool
        What happened.
    prob : (N,) float64
        Of patients that trained nothing.
    miss : float
        Share that may be outside.
    """
    no, yes = np.sort(prob[~label]), np.sort(prob[label])[::-1]
    return {"no_up_to": (_rank(no, miss),), "yes_from": (_rank(yes, miss),)}


def _rank(ordered: Floats, miss: float) -> float:
    """The value that all but `miss` of an exchangeable one more do not pass."""
    place = int(np.ceil((len(ordered) + 1) * (1 - miss))) - 1
    return float(ordered[min(place, len(ordered) - 1)])


def halfwidth(label: Bools, logit: Floats, group: Ints, cover: float = 0.9) -> float:
    """Half width of an interval of the logit that held the observed rate.

    Parameters
    ----------
    label : (N,) bool
        What happened.
    logit : (N,) float64
        Calibrated, of patients that trained nothing.
    group : (N,) int64
        Held-out fold of every row: rates are observed per fold and bin of equal mass.
    cover : float
        Share of these that the interval holds.
    """
    gaps = []
    for fold in np.unique(group):
        own = group == fold
        order = np.argsort(logit[own], kind="stable")
        for rows in np.array_split(order, _BINS):
            rate = (label[own][rows].sum() + 0.5) / (len(rows) + 1)
            said = 1 / (1 + np.exp(-logit[own][rows]))
            gaps.append(abs(_odds(rate) - _odds(float(said.mean()))))
    return float(np.quantile(gaps, cover))


def _odds(share: float) -> float:
    return float(np.log(share / (1 - share)))

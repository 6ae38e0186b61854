"""How irregular the rhythm itself is: on raw intervals, for correction would erase fibrillation.

Not here: a decision. Two numbers that a model or a rule may weigh.
"""

from __future__ import annotations

from typing import NamedTuple

from features.variability.entropy import sample_entropy
from features.variability.rows import Floats, NnRows, ratio, row_deviations, row_means
from features.variability.time_domain import steps_of


class Irregularity(NamedTuple):
    """(n_rows,) each."""

    cv: Floats
    sampen: Floats


def irregularity(raw: NnRows) -> Irregularity:
    """SD of the successive differences over the mean interval, and sample entropy.

    Parameters
    ----------
    raw : NnRows
        Intervals between adjacent beats as they were found, none corrected.

    Returns
    -------
    Irregularity
        The first near 0.02-0.06 in sinus rhythm and above 0.2 in atrial fibrillation.

    Notes
    -----
    Source: Tateno and Glass (2001), Med Biol Eng Comput 39:664 (differences over mean interval);
    Lake and Moorman (2011), Am J Physiol Heart Circ Physiol 300:H319 (entropy).
    """
    step, row = steps_of(raw)
    spread = row_deviations(step, row, raw.n_rows)
    mean = row_means(raw.nn_ms, raw.row, raw.n_rows)[1]
    return Irregularity(ratio(spread, mean), sample_entropy(raw))

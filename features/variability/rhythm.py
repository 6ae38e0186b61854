"""How irregular the rhythm itself is: on raw intervals, for correction would erase fibrillation.

Not here: a decision. A number that a model or a rule may weigh.
"""

from __future__ import annotations

from features.variability.rows import Floats, NnRows, ratio, row_deviations, row_means
from features.variability.time_domain import steps_of


def relative_steps(raw: NnRows) -> Floats:
    """Standard deviation of the successive differences over the mean interval.

    Parameters
    ----------
    raw : NnRows
        Intervals between adjacent beats as they were found, none corrected.

    Returns
    -------
    (n_rows,) float64
        Signed differences, ddof 1. Near 0.02-0.06 in sinus rhythm, above 0.2 in atrial
        fibrillation; NaN for fewer than two differences.

    Notes
    -----
    Source: Tateno and Glass (2001), Med Biol Eng Comput 39:664. Its companion is the sample
    entropy of the same raw intervals: Lake and Moorman (2011), Am J Physiol 300:H319.
    """
    step, row = steps_of(raw)
    spread = row_deviations(step, row, raw.n_rows)
    return ratio(spread, row_means(raw.nn_ms, raw.row, raw.n_rows)[1])

"""Which windows of one patient may be computed together, though they follow one another.

A window of one patient alone costs what a hundred of many cost. Hours that come at once are windows
of one patient; where nothing that is heard between two of them can change the second, they are
rows of one batch, as if they were of different patients.
"""

from __future__ import annotations

from collections import Counter

from features.calibrations import ANEW_US
from features.signal_ring import MOST_SEGMENTS
from service.ops import SegmentOp, WindowOp
from service.patient import Patient


def stride(patient: Patient, first: WindowOp, most: int | None) -> int:
    """How many of the queued operations can be carried out before `first` is computed.

    Parameters
    ----------
    patient : Patient
        `first` is taken from its queue, and its facts are heard.
    first : WindowOp
        The next one that is due.
    most : int or None
        How many windows may be computed, `first` among them; None: any number.

    Returns
    -------
    int
        They are segments and windows only, and end with a window. 0: `first` goes alone.

    Notes
    -----
    Windows that page nobody change nothing that the next one looks at but the patient's own past,
    which `features.follow` and models keep in order. Beside that:

    - a segment between them begins where the last window ended or later, so that window cannot see
      it, and rings have room for it;
    - no fact is known later than `first` is decided: none of them scores another one again;
    - accelerometers are calibrated anew after a window that ends five minutes.
    """
    last, windows, joined = first.windows[0], 1, 0
    if first.pages or patient.recent.news_us > last.known_us:
        return 0
    came, room = Counter[tuple[str, str]](), MOST_SEGMENTS - patient.memory.rings.fullest()
    for number, op in enumerate(patient.ops, 1):
        if windows == most or last.end_us % ANEW_US == 0:
            break
        if isinstance(op, SegmentOp):
            source = op.segment.signal, op.segment.device_id
            came[source] += 1
            if op.segment.start_us < last.end_us or came[source] > room:
                break
        elif isinstance(op, WindowOp) and not op.pages and op.windows[0].known_us >= last.known_us:
            last, windows, joined = op.windows[0], windows + 1, number
        else:
            break
    return joined

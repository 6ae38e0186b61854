"""Which candidates are beats: two looks by small networks.

The first look sees a candidate by itself, the second among those the first believed. The whole
row is used, before and after, with its own statistics: nothing is carried from row to row.
Not here: where exactly a beat lies (`features.ecg.localise`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from features.ecg import weights
from features.ecg.alone import alone
from features.ecg.candidates import Block, Candidates, select
from features.ecg.company import together
from features.ecg.network import Network, from_text, logits
from features.runs import Bools, Floats, Ints

Looks = tuple[Network, Network]
_DOUBT: Final = 2.5  # logit below which, either way, a candidate is doubtful
# Of the first look's logit in the last word: company leads astray where most of it is noise.
_BY_ITSELF: Final = 0.2
# A row in which little was refused is quiet: what is left and stands out is a beat, however odd its
# shape. The more was refused, the more of what seems a beat is noise. Found with networks that had
# not seen the record, at four levels of noise together (`train_ecg_decision --folds 8`).
_QUIET_LOGIT: Final = -2.2
_PER_REFUSED: Final = 6.0  # logit a refused candidate per beat
_NOISY_LOGIT: Final = -0.4
_UNSURE: Final = 1.0  # doubtful candidates per beat, above which the row says little
_UNSURE_LOGIT: Final = -0.8
REFRACTORY_S: Final = 0.18  # a heart at 300/min beats every 0.2 s
RULED_OUT: Final = -5.0  # logit of the first look below which no second one is taken


class Decided(NamedTuple):
    """Beats, how far each is believed, and how doubtful each row is."""

    beats: Candidates
    logit: Floats  # (n,) 0 is even odds
    risk: Floats  # (B,) expected number of wrong decisions, were the logits calibrated


@lru_cache(maxsize=1)
def looks() -> Looks:
    """The trained networks."""
    first, second = (from_text(text) for text in weights.LOOKS)
    return first, second


def decide(block: Block, found: Candidates, networks: Looks | None = None) -> Decided:
    """The beats among candidates.

    Parameters
    ----------
    block : Block
    found : Candidates
    networks : two Network, optional
        Others than those that were trained.

    Returns
    -------
    Decided
        Beats at least 0.18 s apart within a row: of two closer ones the more believed is kept.
    """
    kept, logit = judge(block, found, networks or looks())
    wrong = 1.0 / (1.0 + np.exp(np.abs(logit)))
    risk = np.bincount(kept.row, wrong, len(block.wave)).astype(np.float64, copy=False)
    beat = logit > _bar(kept.row, logit, len(block.wave))
    kept, logit = select(kept, beat), logit[beat]
    apart = strongest(kept.row, kept.summit, logit, REFRACTORY_S * block.fs_hz)
    kept = select(kept, apart)
    # A blank hides as many beats as its share of the row holds.
    n_beats = np.bincount(kept.row, minlength=len(block.wave))
    hidden = block.blanked * n_beats
    # A spike that stays among beats may be taken for one, and hide those around it. Where nothing
    # but spikes is found they may be the narrow beats of a slow heart; bare ones are told by
    # `features.ecg.standstill`.
    among = np.where(block.spikes < n_beats, block.spikes, 0.0)
    return Decided(kept, logit[apart], risk + hidden + among)


def _bar(row: Ints, logit: Floats, n_rows: int) -> Floats:
    """Logit each candidate must exceed: less in rows where little was refused."""
    beats = np.maximum(np.bincount(row[logit > 0], minlength=n_rows), 1)
    doubtful = np.bincount(row[np.abs(logit) < _DOUBT], minlength=n_rows) / beats
    refused = np.bincount(row[logit <= -_DOUBT], minlength=n_rows) / beats
    quiet = np.minimum(_QUIET_LOGIT + _PER_REFUSED * refused, _NOISY_LOGIT)
    return np.where(doubtful < _UNSURE, quiet, _UNSURE_LOGIT)[row]


def judge(block: Block, found: Candidates, networks: Looks) -> tuple[Candidates, Floats]:
    """Candidates not ruled out by the first look, and the logits of both looks together."""
    by_itself = alone(block, found)
    logit = logits(networks[0], by_itself)
    possible = logit > RULED_OUT
    found, logit, by_itself = select(found, possible), logit[possible], by_itself[:, possible]
    second = logits(networks[1], together(block, found, logit, by_itself))
    return found, (1.0 - _BY_ITSELF) * second + _BY_ITSELF * logit


def strongest(row: Ints, position: Ints | Floats, strength: Floats, nearest: float) -> Bools:
    """Which remain when of two too close ones the stronger (the earlier) is kept."""
    kept = np.ones(row.size, np.bool_)
    close = (np.diff(row) == 0) & (np.diff(position) < nearest)
    best = last = -2
    for i in (np.flatnonzero(close) + 1).tolist():
        if i - 1 > last:  # a new cluster: the one before stands until beaten
            best = i - 1
        last = i
        if position[i] - position[best] >= nearest:
            best = i
        elif strength[i] > strength[best]:
            kept[best] = False
            best = i
        else:
            kept[i] = False
    return kept

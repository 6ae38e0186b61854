"""Stress-Predict as rows of features: each window's own, and as far from what is usual for them.

A person's usual is learned from the windows before, never from later ones. Time since the start is
no feature (`stress_predict` says why), and how the wrist lies is kept apart: the desk decides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.datasets.e4_windows import HOP_S, SKIN_PLAIN, WINDOW_S, read_session, window_features
from service.datasets.stress_predict import session, windows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POSTURE: Final = ("x", "y", "z")
MOTION: Final = ("mad", "mad_high", "mad_low", "still", "sway", "sway_hz", *POSTURE)
SKIN: Final = (*SKIN_PLAIN, "eda_tonic", "eda_responses")
FLOOR: Final = 0.15  # of a feature's spread over people: a person's spread is never believed less
TRAILS: Final = (12, 18, 30, 60)  # windows: 2, 3, 5 and 10 min
N_VIEWS: Final = 13
TOLD_ALL: Final = 0.6  # of the windows, in a draw of histories: most are long when they are asked


class People(NamedTuple):
    """All windows of all people, in time order within a person."""

    names: list[str]
    person: Ints  # [N]
    start_s: Floats  # [N] Unix
    stress_share: Floats  # [N] of the window's seconds
    task: Ints  # [N] 0, 1, 2: which of the tasks; -1 rest
    x: Floats  # [N, features]


def load(folder: Path) -> People:
    """Windows of everybody with labels.

    Raises
    ------
    SourceError
        If the labels are absent or of another form.
    """
    cut = windows(folder, WINDOW_S, HOP_S)
    names: list[str] = []
    rows = []
    for who in np.unique(cut.person).tolist():
        recording = read_session(session(folder, who))
        for start_s in cut.start_s[cut.person == who].tolist():
            values = window_features(recording, start_s)
            names = list(values)
            rows.append(list(values.values()))
    return People(names, cut.person, cut.start_s, cut.stress_share, cut.task, np.array(rows))


def personal(w: People, lengths: Ints | None = None) -> Floats:
    """Thirteen views of every feature, from this and earlier windows of the same person only.

    Itself; its distance from the person's median so far, and that of its 2 min mean, in median
    absolute deviations; its distance from the least, the most (10 min) and the mean (5 min); how
    far its 3 min mean is above the person's lowest tenth; how much that mean rose within the
    3 min; the share of the person's windows so far that are lower; how long ago the highest and
    the lowest of 5 min and of 10 min were, in shares of that time or of what there is of it. What
    floors a person's own spread is taken from all rows given: for folds, not for a monitor.

    Parameters
    ----------
    w : People
    lengths : (N,) int, optional
        Windows of history that each is told of (`random_lengths`); all there are by default.
    """
    spread = FLOOR * np.nanstd(w.x, axis=0)
    out = np.empty((len(w.x), N_VIEWS * w.x.shape[1]))
    for row, past in histories(w):
        told = past if lengths is None else past[-int(lengths[row]) :]
        out[row] = _views(w.x[row], told, spread)
    return out


def random_lengths(w: People, seed: int) -> Ints:
    """For every window a number of windows, itself the last: all so far, or one up to all.

    A least, a median and a rank tell how many windows they were taken from, and with the same
    tasks in the same order for everybody that tells the label. Rows that train with histories
    of such lengths, weighted so that a length says nothing of the label, cannot learn it.
    """
    random = np.random.default_rng(seed)
    so_far = np.array([len(past) for _, past in histories(w)], np.int64)
    some = random.integers(1, so_far + 1)
    return np.where(random.random(len(so_far)) < TOLD_ALL, so_far, some)


def above_usual(w: People) -> Floats:
    """The last 2 min of every feature less the person's median so far, [N, features]."""
    out = np.full(w.x.shape, np.nan)
    for row, past in histories(w):
        known = ~np.isnan(past).all(axis=0)
        seen = past[:, known]
        out[row, known] = np.nanmean(seen[-TRAILS[0] :], axis=0) - np.nanmedian(seen, axis=0)
    return out


def histories(w: People) -> Iterator[tuple[int, Floats]]:
    """Every window with the person's features up to it; what is missing is carried on."""
    for who in np.unique(w.person):
        at = np.flatnonzero(w.person == who)
        x = w.x[at].copy()
        for i in range(1, len(x)):
            x[i] = np.where(np.isnan(x[i]), x[i - 1], x[i])
        for i, row in enumerate(at.tolist()):
            yield row, x[: i + 1]


def _views(raw: Floats, past: Floats, spread: Floats) -> Floats:
    """The views of the last of `past`; features never seen stay missing."""
    now = past[-1]
    known = ~np.isnan(past)
    safe = np.where(known.any(axis=0), past, 0.0)  # columns that never had a value
    middle = np.nanmedian(safe, axis=0)
    scale = 1.4826 * np.nanmedian(np.abs(safe - middle), axis=0) + spread
    minutes2, minutes3, minutes5, minutes10 = (safe[-k:] for k in TRAILS)
    half = len(minutes3) // 2
    rise = minutes3[half:].mean(axis=0) - minutes3[: max(half, 1)].mean(axis=0)
    views = (
        (now - middle) / scale,
        (np.nanmean(minutes2, axis=0) - middle) / scale,
        now - np.nanmin(minutes10, axis=0),
        now - np.nanmax(minutes10, axis=0),
        now - np.nanmean(minutes5, axis=0),
        (minutes3.mean(axis=0) - np.quantile(safe, 0.1, axis=0)) / scale,
        rise,
        (safe < now).mean(axis=0),
        *_ago(past[-TRAILS[2] :]),
        *_ago(past[-TRAILS[3] :]),
    )
    return np.concatenate([raw, *(np.where(known.any(axis=0), v, np.nan) for v in views)])


def _ago(past: Floats) -> tuple[Floats, Floats]:
    """How long ago the highest and the lowest were, in shares of `past`; 0.5 of one window."""
    last = len(past) - 1
    if last < 1:
        middle = np.full(past.shape[1], 0.5)
        return middle, middle
    seen = ~np.isnan(past)
    highest = np.where(seen, past, -np.inf).argmax(axis=0)
    lowest = np.where(seen, past, np.inf).argmin(axis=0)
    return 1.0 - highest / last, 1.0 - lowest / last

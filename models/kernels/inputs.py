"""Raw rows to what networks are shown of them, all modalities in one go. Compiled.

Kind by kind over all rows of a chunk: a loop over many arrays is not made into vectors. The
reference is `models.parts.normalised`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from features.compiler import compiled
from models.kernels import network as net
from models.kernels.functions import exp, log1p
from models.kernels.lanes import bits_of, float_of, move, ratio
from models.kernels.network import CHUNK

_F = np.float32
_ZERO, _ONE, _QUARTER = _F(0.0), _F(1.0), _F(0.25)
_HOUR_S, _DAY_S, _MONTH_DAYS = _F(3600.0), _F(86_400.0), _F(30.0)


class Shown(NamedTuple):
    """Inputs of a chunk, [rows, padded inputs] flat; what is missing is 0 everywhere."""

    value: Any
    mask: Any
    fresh: Any
    faded: Any
    age_s: Any
    age: Any  # as networks are shown it
    days: Any  # as they are shown that of facts
    quality: Any
    left: Any  # seconds for which it still counts as there, and 1


@compiled
def spread(rows: Any, span: Any, given: Any, padded: int) -> None:
    """Value, age, fresh and quality of a chunk, kind by kind, rows of whole vectors."""
    first, n = span
    wide = rows.shape[2]
    for r in range(n):
        for kind in range(4):
            at = ((first + r) * 4 + kind) * wide
            move(rows, at, given, kind * given.shape[1] + r * padded, wide)


@compiled
def take_time(sizes: Any, state: Any, clock: Any, after: Any, span: Any, passed: Any) -> None:
    """How long ago the last row was, as networks are shown it; the state's clock is set."""
    first, n = span
    at = sizes[net.CLOCK]
    for r in range(n):
        row = first + r
        hours, seconds = state[row, at], state[row, at + 1]
        apart = (clock[row, 0] - hours) * _HOUR_S + (clock[row, 1] - seconds)
        passed[r] = apart if (hours > _ZERO) & (apart > _ZERO) else _ZERO
        after[row, at], after[row, at + 1] = clock[row, 0], clock[row, 1]
    for r in range(n):
        passed[r] = log1p(ratio(passed[r], _HOUR_S))


@compiled
def normalise(network: Any, given: Any, shown: Any, n: int) -> None:
    """Robust z-scores, ages, what is new, what has faded; as `models.parts.normalised`.

    Kind by kind over all rows at once: a loop of many arrays is not made into vectors.
    """
    end = n * network.columns.shape[1] // CHUNK
    columns = network.columns
    oldest = columns[net.OLDEST, :end]
    mask, age_s, fresh = shown.mask[:end], shown.age_s[:end], shown.fresh[:end]
    value, age = shown.value[:end], shown.age[:end]
    _see(given[0, :end], given[1, :end], oldest, mask)
    usual = (columns[net.CENTER, :end], columns[net.SCALE, :end], columns[net.CLIP, :end])
    _score(given[0, :end], mask, usual, value)
    _keep(given[1, :end], mask, age_s)
    _news(given[2, :end], mask, fresh)
    _ages(age_s, age)
    rate = (columns[net.FADE, :end], columns[net.FADE_BIAS, :end])
    _fade(value, (fresh, age_s), rate, shown.faded[:end])
    _last(oldest, age_s, mask, shown.left[:end])
    facts = vouched = False
    for part in network.parts:
        facts = facts or part[net.RESET_X] == net.NONE
        vouched = vouched or part[net.QUALITY] > 0
    if facts:
        _days(age_s, shown.days[:end])
    if vouched:
        _trust(given[3, :end], mask, shown.quality[:end])


@compiled
def _see(value: Any, age_s: Any, oldest: Any, mask: Any) -> None:
    """What is finite, and not too old."""
    for j in range(mask.size):
        there = (value[j] - value[j] == _ZERO) & (age_s[j] <= oldest[j])
        mask[j] = _ONE if there else _ZERO


@compiled
def _score(value: Any, mask: Any, known: Any, out: Any) -> None:
    """Robust z-scores, clipped; 0 where missing."""
    center, scale, clip = known
    for j in range(out.size):
        z = ratio(value[j] - center[j], scale[j])
        z = clip[j] if z > clip[j] else z
        z = -clip[j] if z < -clip[j] else z
        out[j] = z if mask[j] > _ZERO else _ZERO


@compiled
def _keep(given_s: Any, mask: Any, age_s: Any) -> None:
    """Ages of what is there; what comes from a clock ahead of ours is new."""
    for j in range(age_s.size):
        age_s[j] = given_s[j] if (mask[j] > _ZERO) & (given_s[j] > _ZERO) else _ZERO


@compiled
def _news(given: Any, mask: Any, fresh: Any) -> None:
    """What is there, and new since the last row."""
    for j in range(fresh.size):
        fresh[j] = _ONE if (mask[j] > _ZERO) & (given[j] > _ZERO) else _ZERO


@compiled
def _ages(age_s: Any, out: Any) -> None:
    """Ages as networks are shown them."""
    for j in range(out.size):
        out[j] = log1p(ratio(age_s[j], _HOUR_S)) * _QUARTER


@compiled
def _days(age_s: Any, out: Any) -> None:
    """Ages of facts as networks are shown them: in days, at most a month."""
    for j in range(out.size):
        days = ratio(age_s[j], _DAY_S)
        days = _MONTH_DAYS if days > _MONTH_DAYS else days
        out[j] = log1p(days) * _QUARTER


@compiled
def _fade(value: Any, when: Any, known: Any, out: Any) -> None:
    """What is not new fades to the middle with its age."""
    (fresh, age_s), (rate, start) = when, known
    for j in range(out.size):
        fading = rate[j] * ratio(age_s[j], _HOUR_S) + start[j]
        fading = fading if fading > _ZERO else _ZERO
        out[j] = value[j] * exp((fresh[j] - _ONE) * fading)


@compiled
def _last(oldest: Any, age_s: Any, mask: Any, out: Any) -> None:
    """For how long each input still counts as there, and 1."""
    for j in range(out.size):
        out[j] = (oldest[j] - age_s[j] + _ONE) * mask[j]


@compiled
def _trust(quality: Any, mask: Any, out: Any) -> None:
    """Quality from 0 to 1; 0 where missing or unvouched."""
    for j in range(out.size):
        vouched = _ONE if quality[j] > _ONE else quality[j]
        out[j] = vouched if (mask[j] > _ZERO) & (vouched >= _ZERO) else _ZERO


@compiled
def remain(network: Any, m: int, left: Any, present: Any, after: Any, span: Any) -> None:
    """For how long a modality still counts as there, and whether it does."""
    first, n = span
    part, padded = network.parts[m], network.columns.shape[1] // CHUNK
    for r in range(n):
        at = r * padded + part[net.START]
        most = np.int32(0)
        for j in range(part[net.INPUTS]):  # at or above 0, floats are in the order of their bits
            bits = bits_of(left[at + j])
            most = max(most, bits)
        after[first + r, network.sizes[net.LEFT] + m] = float_of(most)
        present[first + r, m] = _ONE if float_of(most) >= _ONE else _ZERO

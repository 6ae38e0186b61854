"""Compiled loop that writes feature rows as JSON; imported only where numba is installed.

The reference is `service.outputs.feature_rows` with msgspec.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from features.compiler import compiled

COMMA: Final = ord(",")
_ZERO: Final = ord("0")
_MINUS: Final = ord("-")
_CLOSE: Final = ord("}")
_WORD: Final = 8
_TEN_THOUSAND: Final = 10_000.0
_LAST: Final = 10_000


@compiled
def put(out: Any, at: int, texts: Any, k: int) -> int:
    """Text k of a table, written in words of eight bytes; returns where the next goes."""
    words, borders, lengths = texts
    place = at
    for i in range(borders[k], borders[k + 1]):
        out[place] = words[i]
        place += _WORD
    return at + int(lengths[k])


@compiled
def put_count(out: Any, at: int, number: int) -> int:
    """A whole number in digits, and a comma."""
    if number < 0:
        out[at] = _MINUS
        at += 1
        number = -number
    digits = 1
    rest = number // 10
    while rest:
        digits += 1
        rest //= 10
    for i in range(digits - 1, -1, -1):
        out[at + i] = _ZERO + number % 10
        number //= 10
    out[at + digits] = COMMA
    return at + digits + 1


@compiled
def put_until_comma(out: Any, at: int, text: Any, cursor: int) -> int:
    """Bytes up to the next comma or the list's end, and a comma; returns how many."""
    n = 0
    while cursor + n < text.size - 1 and text[cursor + n] != COMMA:
        out[at + n] = text[cursor + n]
        n += 1
    out[at + n] = COMMA
    return n + 1


@compiled
def place_of(share: float) -> int:
    """Which ten-thousandth a share rounds to; -1 for what is no share of 0 to 1."""
    k = np.rint(share * _TEN_THOUSAND) if abs(share) < _LAST else -1.0
    if k < 0 or k > _LAST or math.copysign(1.0, share) < 0:
        return -1
    return int(k)


@compiled
def write(told: Any, order: Any, values: Any, fields: Any, tables: Any, out: Any) -> Any:
    """Five dictionaries a row, one after the other.

    Parameters
    ----------
    told : (B, F) bool
        What is written, in the order of names.
    order : (F,) int
        Column of each name in `fields`.
    values : (k,) uint8
        What is told of the values, as one JSON list.
    fields : quality, coverage, n and reason, (B, F) each
    tables : headings, names with colons, shares and reasons with commas
        Each (words of eight bytes, their borders, lengths in bytes).
    out : (m,) uint8 and (m - 7,) uint64
        The same bytes, large enough: every byte, and the eight bytes that begin at each.

    Returns
    -------
    (B,) int or empty
        Where each row stops; empty where a share is no number of 0 to 1.
    """
    quality, coverage, n, reason = fields
    headings, names, shares, reasons = tables
    single, wide = out
    n_rows, n_columns = told.shape
    stops, own = np.empty(n_rows, np.int64), np.empty(n_columns, np.int64)
    at, cursor = 0, 1  # past the list's bracket
    for r in range(n_rows):
        n_own = 0
        for j in range(n_columns):
            own[n_own] = j
            n_own += told[r, j]
        for section in range(5):
            at = put(wide, at, headings, section)
            begin = at
            for j in own[:n_own]:
                at = put(wide, at, names, j)
                column = order[j]
                if section == 0:
                    length = put_until_comma(single, at, values, cursor)
                    at += length
                    cursor += length
                elif section <= 2:
                    share = quality[r, column] if section == 1 else coverage[r, column]
                    k = place_of(float(share))
                    if k < 0:
                        return stops[:0]
                    at = put(wide, at, shares, k)
                elif section == 3:
                    at = put_count(single, at, n[r, column])
                else:
                    at = put(wide, at, reasons, reason[r, column])
            if at > begin:
                at -= 1  # the last comma
            single[at] = _CLOSE
            at += 1
        stops[r] = at
    return stops

"""Vectors that stand for a text: of the encoder here, or of one elsewhere, arriving as events.

The contract for an encoder outside (ClinicalBERT, an image or omics model): it publishes a clinical
event of the concept `note_embedding` whose `unit` says who made it, `name/version/dimensions`, and
whose `text` is the vector as base64 of little-endian float32. `event_time` is that of the note,
`known_time` when the vector was there; corrections and cancellations are those of any event.
Not here: when a vector is in force (`features.notes`).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.text import DIMENSIONS, ENCODER, embedding
from streams.records import Reason

MOST_DIMENSIONS: Final = 1024
LOCAL: Final = f"{ENCODER}/{DIMENSIONS}"
_NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/([1-9][0-9]{0,3})")
_FLOAT: Final = np.dtype("<f4")


class Vector(NamedTuple):
    """Numbers of one text; `data` is little-endian float32."""

    encoder: str  # "name/version/dimensions"
    data: bytes

    def numbers(self) -> NDArray[np.float32]:
        """(D,) float32."""
        return np.frombuffer(self.data, _FLOAT).astype(np.float32)


def dimensions(encoder: str) -> int:
    """Numbers of a vector by the name of its encoder, 0 for what is no such name.

    Examples
    --------
    >>> dimensions("bert/2/768"), dimensions(LOCAL), dimensions("bert"), dimensions("b/1/4096")
    (768, 32, 0, 0)
    """
    named = _NAME.fullmatch(encoder)
    size = 0 if named is None else int(named[1])
    return size if size <= MOST_DIMENSIONS else 0


def of_note(text: str) -> Vector:
    """Vector of a note by the encoder here; NaN where it has no letter or digit."""
    return Vector(LOCAL, embedding(text).astype(_FLOAT).tobytes())


def received(unit: str, text: str) -> Vector | Reason:
    """Vector of an event, or why it is none.

    Parameters
    ----------
    unit : str
        Who made it: "name/version/dimensions", at most `MOST_DIMENSIONS`.
    text : str
        base64 of that many little-endian float32, all finite.

    Returns
    -------
    Vector or Reason
        BAD_UNIT (no such name, too many dimensions, the name of the encoder here); BAD_LENGTH (not
        that many numbers); BAD_FIELD (no base64, a number that is not finite).

    Examples
    --------
    >>> received("demo/1/2", base64.b64encode(np.array([1, 2], "<f4").tobytes()).decode()).encoder
    'demo/1/2'
    >>> received("demo/1/3", base64.b64encode(np.array([1, 2], "<f4").tobytes()).decode())
    <Reason.BAD_LENGTH: 'bad_length'>
    """
    size = dimensions(unit)
    if size == 0 or unit == LOCAL:
        return Reason.BAD_UNIT
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return Reason.BAD_FIELD
    if len(data) != size * _FLOAT.itemsize:
        return Reason.BAD_LENGTH
    if not np.isfinite(np.frombuffer(data, _FLOAT)).all():
        return Reason.BAD_FIELD
    return Vector(unit, data)

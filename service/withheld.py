"""Note text stays on its topic and in its store: what a dead letter may show of a clinical event.

The text of a note, of words under an unknown code, and of an event nobody can read is left out; the
letter names the record's position, where whoever may read notes finds it. The name of a drug and
the word of a category are kept: without them a refusal cannot be put right.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from features.concepts import find

_CODE: Final = 4  # place of the fields in the body of a `ClinicalEvent`
_TEXT: Final = 7
_EVENT: Final = b"\xa5event"  # the kind, as MessagePack writes it behind the version
_HEAD: Final = 12  # bytes within which the kind stands
_MISREAD: Final = (ValueError, TypeError, RecursionError, MemoryError, OverflowError)


def without_notes(original: bytes) -> bytes:
    """Bytes of a refused record without the words of a note.

    Parameters
    ----------
    original : bytes
        Of the record, readable or not.

    Returns
    -------
    bytes
        The same for anything but a clinical event. Of an event with private words, the event with
        an empty text; of one that cannot be read, nothing.
    """
    if _EVENT not in original[:_HEAD]:
        return original
    try:
        envelope = msgspec.msgpack.decode(original)
        body = envelope[2]
        if not _private(body[_CODE], body[_TEXT]):
            return original
        body[_TEXT] = ""
        return msgspec.msgpack.encode(envelope)
    except (*_MISREAD, IndexError, KeyError):
        return b""


def may_lack_words(original: bytes) -> bool:
    """Whether `without_notes` may have left something out of a dead letter's bytes."""
    if not original:
        return True
    if _EVENT not in original[:_HEAD]:
        return False
    try:
        return bool(msgspec.msgpack.decode(original)[2][_TEXT] == "")
    except (*_MISREAD, IndexError, KeyError):
        return False


def _private(code: Any, text: Any) -> bool:
    """Whether words under a code may be a note's."""
    if text == "":
        return False
    concept = find(code) if isinstance(code, str) else None
    return concept is None or concept.modality == "note" or not isinstance(text, str)

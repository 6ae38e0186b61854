"""Who may put commands and ticks on the log: HMAC signatures that the engine checks.

Signals, facts, commands and ticks share one log, so the broker's permissions cannot tell a device
gateway from a desk. Pure: keys are given, never read here (`service.keys`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

import msgspec

from streams.codec import encode, kind_of
from streams.records import AlertCommand, Tick

MIN_SECRET_BYTES: Final = 32  # as long as the digest: a shorter key is the weaker part (RFC 2104)
SIGNABLE: Final = ("command", "tick")

Signable = TypeVar("Signable", AlertCommand, Tick)


class Key(NamedTuple):
    """One key of the ring. A retired one still verifies what was appended before `until_us`."""

    secret: bytes
    may: frozenset[str]  # of SIGNABLE: what it may sign
    until_us: int = 0  # append time from which it is no longer good; 0: in use


Keyring = Mapping[str, Key]


def signed(record: Signable, key_id: str, key: Key) -> Signable:
    """The record with the signature of a key.

    Parameters
    ----------
    record : AlertCommand or Tick
        Any signature it has is replaced.
    key_id : str
        The key's name in the ring.
    key : Key
        HMAC-SHA-256 (RFC 2104) over the record's own bytes, `key_id` included.

    Returns
    -------
    AlertCommand or Tick
        An equal record but for `key_id` and `signature`.
    """
    named = msgspec.structs.replace(record, key_id=key_id, signature=b"")
    return msgspec.structs.replace(named, signature=_digest(named, key))


def objection(record: AlertCommand | Tick, append_us: int, ring: Keyring) -> str | None:
    """Why a record is not authorised; None when it is.

    Parameters
    ----------
    record : AlertCommand or Tick
        As decoded from the log.
    append_us : int
        Append time of its log record, µs UTC: a retired key is judged by it, so that a replay
        accepts what the live engine accepted.
    ring : Keyring
        Every key ever used, the retired ones too.

    Returns
    -------
    str or None
        A reason that names the key and never shows a secret or a digest.
    """
    key = ring.get(record.key_id)
    if key is None:
        return f"signed by an unknown key {record.key_id!r}" if record.key_id else "not signed"
    if kind_of(record) not in key.may:
        return f"key {record.key_id!r} may not sign a {kind_of(record)}"
    if key.until_us and append_us >= key.until_us:
        return f"key {record.key_id!r} was retired before this was appended"
    expected = _digest(msgspec.structs.replace(record, signature=b""), key)
    if not hmac.compare_digest(expected, record.signature):
        return f"the signature is not that of key {record.key_id!r}"
    return None


def _digest(record: AlertCommand | Tick, key: Key) -> bytes:
    """HMAC over the record's bytes on the log."""
    return hmac.new(key.secret, encode(record), hashlib.sha256).digest()

"""The ring of keys that commands and ticks are signed with, read from a file of its own.

A key per process that may put them on the log, so that one can be retired alone. Not here: what a
signature is (`streams.signing`).
"""

from __future__ import annotations

import os
import secrets
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from service.config import Config
from streams.errors import ConfigError
from streams.history import LogEntry
from streams.records import Tick
from streams.signing import MIN_SECRET_BYTES, SIGNABLE, Key, Keyring, Signable, signed

FIELDS: Final = ("secret", "may", "until")
MAX_KEYS: Final = 1000


class Ring(NamedTuple):
    """Every key ever used, and the one this process signs with; none of either: nothing signed."""

    keys: Keyring
    sign_as: str

    def sign(self, record: Signable) -> Signable:
        """The record with this process's signature; unchanged where there is no key."""
        return signed(record, self.sign_as, self.keys[self.sign_as]) if self.sign_as else record


OPEN: Final = Ring({}, "")  # nothing is signed, nothing is asked for


def load_ring(config: Config, *kinds: str) -> Ring:
    """The ring that `[keys]` names.

    Parameters
    ----------
    config : Config
        `keys.file` empty: no signatures.
    *kinds : str
        "command", "tick": what this process is going to sign; none: nothing.

    Raises
    ------
    ConfigError
        If the file cannot be read, may be read by everybody, breaks a rule, or the process has no
        key for all of `kinds`. No message shows a secret.
    """
    spec = config.keys
    if not spec.file:
        if spec.sign_as:
            raise ConfigError("keys.sign_as is set, keys.file is not: name the file of keys")
        return OPEN
    keys = parse_ring(_text(Path(spec.file)), spec.file)
    if not kinds:
        return Ring(keys, "")
    key = keys.get(spec.sign_as)
    if key is None:
        raise ConfigError(f"keys.sign_as {spec.sign_as!r}: no such key in {spec.file}")
    for kind in kinds:
        if kind not in key.may:
            raise ConfigError(f"key {spec.sign_as!r} may not sign a {kind}: see {spec.file}")
    if key.until_us:
        raise ConfigError(f"key {spec.sign_as!r} is retired: name one in use as keys.sign_as")
    return Ring(keys, spec.sign_as)


def parse_ring(text: str, place: str) -> dict[str, Key]:
    """Keys from TOML: a table per key with `secret` (hex), `may` and, when retired, `until`.

    Raises
    ------
    ConfigError
        Naming the key and the rule, never its secret.
    """
    try:
        tree = tomllib.loads(text)
    except ValueError:
        raise ConfigError(f"{place}: not valid TOML") from None  # its message may quote a secret
    if not tree or len(tree) > MAX_KEYS:
        raise ConfigError(f"{place}: holds {len(tree)} keys; 1 to {MAX_KEYS} may stand there")
    return {name: _key(table, f"{place}: key {name!r}") for name, table in tree.items()}


def new_key(name: str, may: tuple[str, ...]) -> str:
    """A fresh key as the table that belongs into the file."""
    kinds = ", ".join(f'"{kind}"' for kind in _kinds(list(may), name))
    return f'["{name}"]\nsecret = "{secrets.token_hex(MIN_SECRET_BYTES)}"\nmay = [{kinds}]\n'


def with_signed_ticks(log: Iterable[LogEntry], ring: Ring) -> Iterator[LogEntry]:
    """A log of history whose ticks bear this process's signature."""
    for entry in log:
        tick = entry.record
        yield entry._replace(record=ring.sign(tick)) if isinstance(tick, Tick) else entry


def _key(table: Any, place: str) -> Key:
    if not isinstance(table, Mapping) or not set(table) <= set(FIELDS):
        raise ConfigError(f"{place}: a table with {', '.join(FIELDS)} and nothing else")
    try:
        secret = bytes.fromhex(str(table.get("secret", "")))
    except ValueError:
        raise ConfigError(f"{place}: secret must be hexadecimal") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(f"{place}: secret must have {MIN_SECRET_BYTES} bytes or more")
    until = table.get("until")
    if until is not None and not (isinstance(until, datetime) and until.tzinfo):
        raise ConfigError(f"{place}: until must be a date and time with an offset, like ...T12:00Z")
    until_us = round(until.timestamp() * 1e6) if until is not None else 0
    return Key(secret, frozenset(_kinds(table.get("may"), place)), until_us)


def _kinds(may: Any, place: str) -> list[str]:
    if not isinstance(may, list) or not may or not set(may) <= set(SIGNABLE):
        raise ConfigError(f"{place}: may must list one or more of {', '.join(SIGNABLE)}")
    return may


def _text(path: Path) -> str:
    try:
        mode = os.stat(path).st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"keys.file {path}: cannot be read ({error.strerror})") from error
    if mode & stat.S_IROTH:
        raise ConfigError(f"keys.file {path}: everybody may read it; chmod o-r it")
    return text

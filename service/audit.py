"""Append-only, hash-chained logs: what people did, and every attempt to deliver.

A line is a canonical JSON object. `prev` is the hash of the line before, `hash` is SHA-256 over
the line without it. So a changed, removed, inserted or moved line breaks the chain at its place.
What a file alone cannot show is that its end was cut off: the last head (`n` and `hash`) is kept
in a file beside it, and `vigil audit verify --head` takes one that was kept elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import msgspec

from streams.errors import ConfigError

GENESIS: Final = "0" * 64
HEAD_SUFFIX: Final = ".head"
MAX_LINE: Final = 65_536  # bytes of a line; longer ones are not ours
_JSON = msgspec.json.Encoder(order="sorted")

log = logging.getLogger(__name__)


class Head(NamedTuple):
    """The last line of a chain: how many there are, and its hash."""

    n: int
    hash: str


class Verdict(NamedTuple):
    """What verifying found. `faults` name the place and what is wrong there."""

    rows: int
    head: Head
    faults: tuple[str, ...]


def sealed(row: Mapping[str, Any], before: Head) -> tuple[bytes, Head]:
    """A row as the next line of a chain, without its end, and the head after it.

    Examples
    --------
    >>> line, head = sealed({"kind": "note"}, Head(0, GENESIS))
    >>> msgspec.json.decode(line)["n"], head.hash[:8]
    (1, 'da65052e')
    """
    n = before.n + 1
    body = {**row, "n": n, "prev": before.hash}
    digest = hashlib.sha256(_JSON.encode(body)).hexdigest()
    return _JSON.encode({**body, "hash": digest}), Head(n, digest)


class AuditLog:
    """One file, one writer. A row is on disk when `append` returns.

    Parameters
    ----------
    path : Path
        Created with its folders. A half-written last line, which a crash leaves, is taken off
        and told in the log itself.

    Raises
    ------
    ConfigError
        If it cannot be written, another process writes it, or its chain is broken at the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = head_file(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab+")
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f"{path}: another process writes this log") from error
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
        self._head = Head(0, GENESIS)
        try:
            self._resume()
        except ConfigError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def head(self) -> Head:
        """The last line's number and hash."""
        return self._head

    def append(self, row: Mapping[str, Any]) -> Head:
        """Add a row and make it durable; `n`, `prev` and `hash` are ours."""
        line, head = sealed(row, self._head)
        if len(line) > MAX_LINE:
            raise ValueError(f"an audit row of {len(line)} bytes, more than {MAX_LINE}")
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._head = head
        self._write_head()
        return head

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row so far, oldest first."""
        with self._path.open("rb") as file:
            for line in file:
                yield msgspec.json.decode(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _resume(self) -> None:
        torn = b""
        self._file.seek(0)
        good = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                torn = line
                break
            head = _checked(line, self._head)
            if isinstance(head, str):
                raise ConfigError(f"{self._path} line {self._head.n + 1}: {head}; not continued")
            self._head = head
            good += len(line)
        if torn:
            self._file.truncate(good)
            digest = hashlib.sha256(torn).hexdigest()
            log.warning("%s: a half-written line of %d bytes taken off", self._path, len(torn))
            self.append({"kind": "torn_line", "bytes": len(torn), "sha256": digest})
        known = read_head(self._beside)
        if known is not None and known.n > self._head.n:
            message = f"{known.n} rows were written, {self._head.n} are there"
            raise ConfigError(f"{self._path}: its end is missing: {message}")

    def _write_head(self) -> None:
        """The head beside the log; lost in a crash it is one row behind, never ahead."""
        part = self._beside.with_suffix(".part")
        part.write_bytes(_JSON.encode(self._head._asdict()) + b"\n")
        part.replace(self._beside)


def verify(path: Path, head: Head | None = None) -> Verdict:
    """Check a whole chain.

    Parameters
    ----------
    path : Path
        The log.
    head : Head, optional
        A head that was kept elsewhere; the chain must contain it.

    Returns
    -------
    Verdict
        Without faults the log is as it was written, up to its end; that lines were cut off its
        end shows only against a head: the one beside the file, or `head`.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    faults: list[str] = []
    wanted = [("the head file", read_head(head_file(path))), ("the given head", head)]
    found: dict[int, str] = {}
    at = Head(0, GENESIS)
    number = 0
    for number, line in enumerate(_lines(path), 1):
        result = _checked(line, at)
        if isinstance(result, str):
            faults.append(f"line {number}: {result}")
            result = _as_written(line, at)
        at = result
        found[at.n] = at.hash
    for name, known in wanted:
        if known is None or known.n == 0:
            continue
        if known.n > at.n:
            faults.append(f"{known.n - at.n} rows are missing at the end, by {name}")
        elif found.get(known.n) != known.hash:
            faults.append(f"row {known.n} is not the one of {name}")
    return Verdict(number, at, tuple(faults))


def head_file(path: Path) -> Path:
    """Where the head of a log is kept."""
    return path.with_name(path.name + HEAD_SUFFIX)


def read_head(path: Path) -> Head | None:
    """A kept head; None when there is none or it cannot be read."""
    try:
        return Head(**msgspec.json.decode(path.read_bytes()))
    except (OSError, TypeError, ValueError):
        return None


def parse_head(text: str) -> Head:
    """A head as `vigil audit verify` prints it: N:HASH.

    Raises
    ------
    ConfigError
        If it is not one.
    """
    number, _, digest = text.partition(":")
    if not number.isdigit() or len(digest) != len(GENESIS):
        raise ConfigError(f"--head {text!r}: must be N:HASH, as verify prints it")
    return Head(int(number), digest)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from iter(lambda: file.readline(MAX_LINE + 1), b"")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error


def _checked(line: bytes, before: Head) -> Head | str:
    """The head after a line, or what is wrong with it."""
    if not line.endswith(b"\n"):
        return "half-written"
    try:
        row = msgspec.json.decode(line)
        canonical = _JSON.encode(row) + b"\n"
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(row, dict) or canonical != line:
        return "changed: not in canonical form"
    digest = row.pop("hash", None)
    if hashlib.sha256(_JSON.encode(row)).hexdigest() != digest:
        return "changed: its hash is not that of its content"
    if row.get("prev") != before.hash or row.get("n") != before.n + 1:
        return "not the successor of the line before: a line was removed, added or moved"
    return Head(before.n + 1, digest)


def _as_written(line: bytes, before: Head) -> Head:
    """The head a faulty line claims, so that only its own place is reported."""
    try:
        row = msgspec.json.decode(line)
        return Head(int(row["n"]), str(row["hash"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Head(before.n + 1, before.hash)

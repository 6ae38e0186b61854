"""CSV text to records, in bounded memory whatever the file holds.

Python's csv module alone reads a 1 GB line into memory, and after refusing an over-long quoted
field it goes on in the middle of it, where a line of a note may look like a row. This splitter
keeps the quoting state over any length, drops what is too long, and hands on complete records.
Not here: what the columns mean (`service.event_csv`).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import NamedTuple, TextIO

MAX_RECORD_CHARS = 131_072  # csv's own limit for one field
READ_CHARS = 65_536

_MARKS = re.compile(r'"|,|\r\n|\n|\r')
_START, _PLAIN, _QUOTED, _CLOSING = range(4)  # CLOSING: a quote that may end the field


class CsvRecord(NamedTuple):
    """One record of a CSV file; `fields` is None when `fault` says why it cannot be read."""

    line: int  # of its first character, from 1
    fields: list[str] | None
    fault: str = ""


def read_records(handle: TextIO) -> Iterator[CsvRecord]:
    r"""Split RFC 4180 text into records; blank lines are left out.

    Parameters
    ----------
    handle : text file
        Opened with ``newline=""``.

    Yields
    ------
    CsvRecord
        In file order. A record over `MAX_RECORD_CHARS`, or cut off inside quotes by the end of
        the file, comes as a fault; the records after it are read as if it were not there.

    Examples
    --------
    >>> import io
    >>> [record.fields for record in read_records(io.StringIO('a,b\n1,"x\ny"\n'))]
    [['a', 'b'], ['1', 'x\ny']]
    """
    splitter = _Splitter()
    while piece := handle.read(READ_CHARS):
        yield from splitter.feed(piece)
    yield from splitter.finish()


class _Splitter:
    """Cut text at record ends. `held` never exceeds the limit, however long a record is."""

    def __init__(self) -> None:
        self.state = _START
        self.held: list[str] = []  # pieces of the record so far
        self.size = 0  # characters of the record so far, held or dropped
        self.carry = ""  # a final "\r" whose "\n" may still come
        self.line = 1  # of the record's first character
        self.newlines = 0  # inside the record so far

    def feed(self, piece: str) -> Iterator[CsvRecord]:
        """Take the next piece of the file; give the records it completes."""
        text = self.carry + piece
        self.carry = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(self.carry)]
        at = 0  # start of what is not yet held
        seen = 0  # end of the last mark
        for mark in _MARKS.finditer(text):
            if mark.start() > seen:
                self._plain_text()
            seen = mark.end()
            if self._ends_record(mark.group()):
                self._hold(text[at : mark.start()])
                at = seen
                yield from self._record()
        if seen < len(text):
            self._plain_text()
        self._hold(text[at:])

    def finish(self) -> Iterator[CsvRecord]:
        """Give the last record, if the file did not end with a newline."""
        if self.carry:
            yield from self.feed("\n")
        if self.state == _QUOTED:
            yield CsvRecord(self.line, None, "the file ends inside a quoted field")
        else:
            yield from self._record()

    def _plain_text(self) -> None:
        """Note text between marks: it starts an unquoted field or follows a closing quote."""
        if self.state in (_START, _CLOSING):
            self.state = _PLAIN

    def _ends_record(self, mark: str) -> bool:
        """Move the state over one mark; whether the record ends there."""
        if mark == '"':
            after = {_START: _QUOTED, _PLAIN: _PLAIN, _QUOTED: _CLOSING, _CLOSING: _QUOTED}
            self.state = after[self.state]
            return False
        if self.state == _QUOTED:
            self.newlines += mark != ","
            return False
        self.state = _START
        return mark != ","

    def _hold(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_RECORD_CHARS:
            self.held.clear()
        else:
            self.held.append(text)

    def _record(self) -> Iterator[CsvRecord]:
        """Give the record held, and start the next."""
        text, size, line = "".join(self.held), self.size, self.line
        self.line += self.newlines + 1
        self.held, self.size, self.newlines, self.state = [], 0, 0, _START
        if size > MAX_RECORD_CHARS:
            yield CsvRecord(line, None, f"the row has over {MAX_RECORD_CHARS} characters")
        elif size:
            yield CsvRecord(line, next(csv.reader([text])))

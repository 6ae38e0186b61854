"""HL7 v2 files: ORU results and ADT movements, one message after the other, MLLP frames or not.

Event time OBX-14, else OBR-7; known time OBR-22, else MSH-7, else the message is refused. Times
without an offset need the sending hospital's zone. Messages are split and bounded here; what
segments become is in `service.importers.hl7v2_segments`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from service.importers import files
from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact
from service.importers.hl7v2_segments import Message, Refused, facts
from streams.records import Reason

MAX_MESSAGE_BYTES: Final = 4 * 2**20
_CHARSETS: Final = {
    "": "utf-8",
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "8859/1": "iso-8859-1",
    "8859/15": "iso-8859-15",
}


def claims(path: Path, head: bytes) -> bool:
    """Whether a file begins with a message header, or batch headers before one."""
    first = head.lstrip(b"\xef\xbb\xbf\x0b \r\n")
    return first.startswith((b"MSH|", b"FHS|", b"BHS|")) or first.startswith(b"MSH")


def read(job: Job) -> Iterator[Item]:
    """Facts of all messages in order; `line` is the line of the message's header.

    Yields
    ------
    Fact or EventError
        Patients are the first identifier of PID-3.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    with files.binary(job.path) as handle:
        for line, raw in messages(handle):
            job.rows += 1
            if raw is None:
                rule = f"the message is over {MAX_MESSAGE_BYTES} bytes"
                yield EventError(str(job.path), line, "", rule, Reason.BAD_LENGTH)
                continue
            yield from _facts(job, line, raw)


def messages(handle: BinaryIO) -> Iterator[tuple[int, list[bytes] | None]]:
    """Messages as segments, with the line of their header; None for one over the bound."""
    held: list[bytes] = []
    size = start = 0
    number = 0
    for number, segment in _segments(handle):
        if segment.startswith(b"MSH"):
            if held or size:
                yield start, (held if size <= MAX_MESSAGE_BYTES else None)
            held, size, start = [], 0, number
        if segment.startswith((b"FHS", b"BHS", b"BTS", b"FTS")):
            continue
        size += len(segment)
        if size <= MAX_MESSAGE_BYTES:
            held.append(segment)
        else:
            held = []
    if held or size:
        yield start or number, (held if size <= MAX_MESSAGE_BYTES else None)


def _segments(handle: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered segments; both line ends count, frame bytes are dropped."""
    number, rest = 1, b""
    while piece := handle.read(65_536):
        text = (rest + piece).translate(None, b"\x0b\x1c").replace(b"\r\n", b"\r")
        text = text.replace(b"\n", b"\r")
        *whole, rest = text.split(b"\r")
        for segment in whole:
            if segment:
                yield number, segment
            number += 1
        if len(rest) > MAX_MESSAGE_BYTES:  # one endless segment: counted, not held
            yield number, rest
            rest = b""
    if rest:
        yield number, rest


def _facts(job: Job, line: int, raw: list[bytes]) -> Iterator[Item]:
    try:
        message = Message.parse(_decoded(raw))
        parts = list(facts(message, job))
    except Refused as fault:
        if fault.reason is None:
            job.skip(f"message {fault.rule}")
        else:
            yield EventError(str(job.path), line, fault.column, fault.rule, fault.reason)
        return
    for part in parts:
        if isinstance(part, Fact):
            yield msgspec.structs.replace(part, file=str(job.path), line=line)
        elif isinstance(part, EventError):
            yield part._replace(file=str(job.path), line=line)
        else:
            yield part


def _decoded(raw: list[bytes]) -> list[str]:
    """Segments as text, in the character set MSH-18 names."""
    head = raw[0]
    separator = head[3:4] or b"|"
    fields = head.split(separator)
    named = fields[17].decode("ascii", "replace").strip() if len(fields) > 17 else ""
    charset = _CHARSETS.get(named.split("~")[0])
    if charset is None:
        raise Refused(f"character set {named[:20]} is not read", Reason.UNDECODABLE, "MSH-18")
    try:
        return [segment.decode(charset) for segment in raw]
    except UnicodeDecodeError:
        raise Refused(f"is not {charset} text", Reason.UNDECODABLE, "MSH-18") from None


IMPORTER: Final = Importer("hl7v2", "HL7 v2 messages", claims, read)

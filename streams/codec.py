"""Records to bytes and back. Decoding never raises: what cannot be read becomes `Rejected`.

Wire form: MessagePack array `[version, kind, body]`, body an array with append-only fields.
A bundle whose chunks are all good is decoded in one call; otherwise chunk by chunk, so that
a bad chunk costs its neighbours nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from streams.records import (
    SCHEMA_VERSION,
    AlertCommand,
    Chunk,
    ClinicalEvent,
    DeviceStatus,
    LogRecord,
    Reason,
    Record,
    Rejected,
    SignalBundle,
    Tick,
)

MIN_TIME_US = 946_684_800_000_000  # 2000-01-01: older than any wearable
MAX_TIME_US = 4_102_444_800_000_000  # 2100-01-01
MIN_FS_HZ = 1 / 3600
MAX_FS_HZ = 10_000.0
MAX_SAMPLES = 1_000_000
MAX_CHUNK_S = 3600  # a chunk is cut into stretches of the lateness: bounds the work of one
MAX_ID_BYTES = 128
MAX_UNIT_BYTES = 32
MAX_TEXT_BYTES = 65_536
MAX_VERSION = 2**31
IDS_KNOWN = 32_768  # checked lately; devices send under the same ones
STATUSES = ("final", "corrected", "cancelled")

_KIND_OF: dict[type, str] = {
    SignalBundle: "bundle",
    ClinicalEvent: "event",
    DeviceStatus: "device",
    AlertCommand: "command",
    Tick: "tick",
}


class _Envelope(msgspec.Struct, array_like=True, gc=False):
    version: int
    kind: str
    body: msgspec.Raw


class _RawBundle(msgspec.Struct, array_like=True, gc=False):
    chunks: list[msgspec.Raw]


_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(_Envelope)
_RAW_BUNDLE = msgspec.msgpack.Decoder(_RawBundle)
_CHUNK = msgspec.msgpack.Decoder(Chunk)
_BODY: dict[str, msgspec.msgpack.Decoder[Record]] = {
    kind: msgspec.msgpack.Decoder(record_type) for record_type, kind in _KIND_OF.items()
}
_DECODE_ERRORS = (ValueError, RecursionError, MemoryError, OverflowError)


def kind_of(record: Record) -> str:
    """Short name of a record's type, for the wire and for metrics.

    Examples
    --------
    >>> kind_of(Tick(now_us=0))
    'tick'
    """
    return _KIND_OF[type(record)]


def encode(record: Record) -> bytes:
    """Bytes of one record; `decode` gives an equal record back."""
    return _ENCODER.encode((SCHEMA_VERSION, _KIND_OF[type(record)], record))


def decode(value: bytes, partition: int, offset: int, append_us: int) -> LogRecord:
    """Decode and check one log record; never raises.

    Returns
    -------
    LogRecord
        `record` is None when nothing of it can be used; `rejected` says what was refused and
        why, with the exact bytes.
    """
    try:
        envelope = _ENVELOPE.decode(value)
    except _DECODE_ERRORS as error:
        return _refuse(partition, offset, append_us, _rejected(Reason.UNDECODABLE, error, value))
    if envelope.version != SCHEMA_VERSION:
        detail = f"version {envelope.version}, this build reads {SCHEMA_VERSION}"
        return _refuse(
            partition, offset, append_us, Rejected(Reason.UNKNOWN_VERSION, detail, 0, value)
        )
    decoder = _BODY.get(envelope.kind)
    if decoder is None:
        refused = Rejected(Reason.UNKNOWN_KIND, "no such record type", 0, value)
        return _refuse(partition, offset, append_us, refused)
    try:
        record = decoder.decode(envelope.body)
    except _DECODE_ERRORS as error:
        if envelope.kind == "bundle":
            return _salvage(envelope.body, value, (partition, offset, append_us))
        return _refuse(partition, offset, append_us, _rejected(Reason.BAD_FIELD, error, value))
    admitted = admit(record, partition, offset, append_us)
    if envelope.kind == "bundle":
        return admitted
    exact = tuple(msgspec.structs.replace(r, original=value) for r in admitted.rejected)
    return admitted._replace(rejected=exact, value=value)


def admit(record: Record, partition: int, offset: int, append_us: int) -> LogRecord:
    """Check the limits of a record that is already decoded; the bad parts become `Rejected`."""
    if isinstance(record, SignalBundle):
        good: list[Chunk] = []
        bad: list[Rejected] = []
        _sort_chunks(enumerate(record.chunks), good, bad)
        if not bad:
            return LogRecord(partition, offset, append_us, record)
        kept = SignalBundle(tuple(good)) if good else None
        return LogRecord(partition, offset, append_us, kept, tuple(bad))
    fault = _fault(record)
    if fault is None:
        return LogRecord(partition, offset, append_us, record)
    refused = Rejected(fault[0], fault[1], 0, encode(record), _patient(record))
    return _refuse(partition, offset, append_us, refused)


def _refuse(partition: int, offset: int, append_us: int, rejected: Rejected) -> LogRecord:
    return LogRecord(partition, offset, append_us, None, (rejected,))


def _rejected(reason: Reason, error: BaseException, original: bytes) -> Rejected:
    return Rejected(reason, str(error)[:200], 0, original)


def _patient(record: Record) -> str:
    patient_id = getattr(record, "patient_id", "")
    return patient_id if isinstance(patient_id, str) and _id_ok(patient_id) else ""


def _sort_chunks(
    chunks: Sequence[tuple[int, Chunk]] | enumerate[Chunk],
    good: list[Chunk],
    bad: list[Rejected],
) -> None:
    for index, chunk in chunks:
        fault = chunk_fault(chunk)
        if fault is None:
            good.append(chunk)
        else:
            patient_id = chunk.patient_id if _id_ok(chunk.patient_id) else ""
            original = _ENCODER.encode(chunk)
            bad.append(Rejected(fault[0], fault[1], index, original, patient_id))


def _salvage(body: msgspec.Raw, value: bytes, where: tuple[int, int, int]) -> LogRecord:
    """Decode a broken bundle chunk by chunk."""
    try:
        raws = _RAW_BUNDLE.decode(body).chunks
    except _DECODE_ERRORS as error:
        return _refuse(*where, _rejected(Reason.BAD_FIELD, error, value))
    good: list[Chunk] = []
    bad: list[Rejected] = []
    for index, raw in enumerate(raws):
        try:
            chunk = _CHUNK.decode(raw)
        except _DECODE_ERRORS as error:
            bad.append(Rejected(Reason.BAD_FIELD, str(error)[:200], index, bytes(raw)))
        else:
            _sort_chunks([(index, chunk)], good, bad)
    return LogRecord(*where, SignalBundle(tuple(good)) if good else None, tuple(bad))


def _sender_ok(text: str) -> bool:
    """Whether a text can be an id; of those under whom chunks come, the same ones again and again.

    What is too long to be one is never kept: texts of megabytes may come.
    """
    return len(text) <= MAX_ID_BYTES and _known_ok(text)


@lru_cache(maxsize=IDS_KNOWN)
def _known_ok(text: str) -> bool:
    return _id_ok(text)


def _id_ok(text: str) -> bool:
    """Whether a text can be an id."""
    return (
        0 < len(text) <= MAX_ID_BYTES
        and text.isprintable()
        and len(text.encode(errors="replace")) <= MAX_ID_BYTES
    )


def _signature_ok(record: AlertCommand | Tick) -> bool:
    """Within its limits; whether it is the right one is for `streams.signing`."""
    named = not record.key_id or _id_ok(record.key_id)
    return named and len(record.signature) <= MAX_ID_BYTES


def _time_ok(time_us: int) -> bool:
    return MIN_TIME_US <= time_us < MAX_TIME_US


def chunk_fault(chunk: Chunk) -> tuple[Reason, str] | None:
    """Why a chunk cannot be used, or None. Stateless; the signal table is the engine's."""
    size = len(chunk.data)
    if not (
        _sender_ok(chunk.patient_id) and _sender_ok(chunk.device_id) and _sender_ok(chunk.signal)
    ):
        return Reason.BAD_FIELD, f"an id is empty, unprintable or over {MAX_ID_BYTES} bytes"
    if not MIN_FS_HZ <= chunk.fs_hz <= MAX_FS_HZ:  # also false for NaN
        return Reason.BAD_RATE, f"fs_hz must be {MIN_FS_HZ:.5f}..{MAX_FS_HZ:.0f}"
    if not (math.isfinite(chunk.scale) and math.isfinite(chunk.offset)) or chunk.scale == 0:
        return Reason.BAD_SCALE, "scale and offset must be finite, scale not 0"
    if abs(chunk.scale) > 1e6 or abs(chunk.offset) > 1e9:
        return Reason.BAD_SCALE, "scale over 1e6 or offset over 1e9"
    if size == 0 or size % 2 or size > 2 * MAX_SAMPLES:
        return Reason.BAD_LENGTH, "data must be 1..1,000,000 little-endian int16"
    if size // 2 > MAX_CHUNK_S * chunk.fs_hz:
        return Reason.BAD_LENGTH, f"a chunk may last {MAX_CHUNK_S} s at most"
    end_us = chunk.start_us + (size // 2) * 1e6 / chunk.fs_hz
    # A clock that was never set begins in 1970: `streams.device_clock` may put it right.
    if not (chunk.start_us >= 0 and end_us < MAX_TIME_US):
        return Reason.BAD_TIME, "start_us must lie in the years 1970..2099"
    if chunk.codec != 0 or not 0 <= chunk.first_sample < 2**53:
        return Reason.BAD_FIELD, "codec must be 0 and first_sample 0..2^53"
    if len(chunk.unit) > MAX_UNIT_BYTES:
        return Reason.BAD_FIELD, f"unit over {MAX_UNIT_BYTES} characters"
    return None


def _fault(record: Record) -> tuple[Reason, str] | None:
    match record:
        case Tick():
            if not _signature_ok(record):
                return Reason.BAD_FIELD, "key_id or signature too long"
            return None if _time_ok(record.now_us) else (Reason.BAD_TIME, "now_us")
        case ClinicalEvent():
            return _event_fault(record)
        case DeviceStatus():
            return _status_fault(record)
        case AlertCommand():
            ids = (record.patient_id, record.command_id, record.occurrence_id, record.action)
            if not all(_id_ok(text) for text in ids) or len(record.reason) > MAX_TEXT_BYTES:
                return Reason.BAD_FIELD, "an id is empty, unprintable or too long"
            if not _signature_ok(record):
                return Reason.BAD_FIELD, "key_id or signature too long"
            return None if _time_ok(record.event_time_us) else (Reason.BAD_TIME, "event_time_us")
        case _:
            return Reason.UNKNOWN_KIND, "no such record type"


def _status_fault(status: DeviceStatus) -> tuple[Reason, str] | None:
    words = (status.signal, status.status, status.firmware)
    if not (_id_ok(status.patient_id) and _id_ok(status.device_id)):
        return Reason.BAD_FIELD, f"an id is empty, unprintable or over {MAX_ID_BYTES} bytes"
    if max(map(len, words)) > MAX_ID_BYTES:
        return Reason.BAD_FIELD, f"signal, status or firmware over {MAX_ID_BYTES} characters"
    if status.battery_pct is not None and not math.isfinite(status.battery_pct):
        return Reason.BAD_FIELD, "battery_pct must be finite or absent"
    if not _time_ok(status.event_time_us) or abs(status.clock_offset_us) > 10**15:
        return Reason.BAD_TIME, "event_time_us or clock_offset_us"
    return None


def _event_fault(event: ClinicalEvent) -> tuple[Reason, str] | None:
    ids = (event.event_id, event.patient_id, event.code)
    if not all(_id_ok(text) for text in ids):
        return Reason.BAD_FIELD, f"an id is empty, unprintable or over {MAX_ID_BYTES} bytes"
    if event.status not in STATUSES or not 0 <= event.version < MAX_VERSION:
        return Reason.BAD_FIELD, f"status must be one of {', '.join(STATUSES)}; version >= 0"
    if event.value is not None and not math.isfinite(event.value):
        return Reason.BAD_FIELD, "value must be finite or absent"
    if len(event.unit) > MAX_UNIT_BYTES or len(event.text) > MAX_TEXT_BYTES:
        return Reason.BAD_FIELD, "unit or text too long"
    if event.known_time_us == 0:
        return Reason.NO_KNOWN_TIME, "known_time_us is what keeps a replay from looking ahead"
    if not (_time_ok(event.event_time_us) and _time_ok(event.known_time_us)):
        return Reason.BAD_TIME, "times must lie in the years 2000..2099"
    return None

"""Everything that can be in a patient's log, as immutable values.

Not here: how records become bytes (`streams.codec`) or where they travel (`streams.topics`).
All times are int64 µs UTC. Fields are append-only; a changed meaning is a new version.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

SCHEMA_VERSION = 1
MISSING_SAMPLE = -32768  # the int16 that means "no sample here", as in WFDB format 16
CANARY = "vigil-canary"  # patient who does not exist and proves that alerts come (`service.canary`)
ANYONE = "*"  # patient of a command that every patient of every partition hears


class Reason(StrEnum):
    """Why a record was refused: the one vocabulary of logs, metrics, tests and dead letters."""

    UNDECODABLE = "undecodable"  # bytes that are not the codec's MessagePack
    UNKNOWN_VERSION = "unknown_version"  # a schema version this build does not read
    UNKNOWN_KIND = "unknown_kind"  # a record type this build does not know
    BAD_FIELD = "bad_field"  # a field of the wrong type or outside its limits
    BAD_SCALE = "bad_scale"  # scale or offset not finite, or scale 0
    BAD_RATE = "bad_rate"  # fs_hz outside its limits
    BAD_LENGTH = "bad_length"  # empty, odd or over-long data
    BAD_TIME = "bad_time"  # a time outside the accepted years
    FUTURE = "future"  # device clock ahead of append time + tolerance
    TOO_LATE = "too_late"  # the segment it belongs to is already closed
    CONFLICT = "conflict"  # same sample range, other values; the first copy won
    RATE_CHANGED = "rate_changed"  # fs_hz or unit differs from the running signal
    TOO_MUCH = "too_much"  # more samples of one patient than any device takes
    TOO_MANY = "too_many"  # more devices or signals than a patient may have
    UNKNOWN_SIGNAL = "unknown_signal"  # no such signal in the signal table
    UNKNOWN_CONCEPT = "unknown_concept"  # no such clinical concept
    BAD_UNIT = "bad_unit"  # a unit that cannot be turned into the concept's own
    IMPLAUSIBLE = "implausible"  # a clinical value outside what is physically possible
    NO_KNOWN_TIME = "no_known_time"  # a clinical event without the time it became known
    BAD_COMMAND = "bad_command"  # a command that cannot apply to the alert it names
    UNAUTHORISED = "unauthorised"  # a command or tick without the signature of a key that may
    MISROUTED = "misrouted"  # a record on a partition that is not its patient's
    ENGINE_FAULT = "engine_fault"  # the patient is quarantined after an internal fault


class Chunk(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A run of consecutive samples of one signal of one device.

    `data` is little-endian int16; value = sample * scale + offset; `MISSING_SAMPLE` is a gap.
    `start_us` is the device clock at the FIRST sample. `first_sample` counts samples since the
    device started this signal and never restarts while the device runs.
    `codec` is 0 (raw). `seq` is the gateway's running number, for diagnosis only.
    """

    patient_id: str
    device_id: str
    signal: str
    seq: int
    first_sample: int
    start_us: int
    fs_hz: float
    unit: str
    scale: float
    offset: float
    codec: int
    data: bytes


class SignalBundle(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Chunks of one partition, sent as one log record because records cost more than bytes."""

    chunks: tuple[Chunk, ...]


class ClinicalEvent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An irregular fact of care: lab, vital, medication, note.

    `event_time_us` is when it was true, `known_time_us` when anyone could know it.
    `status` is "final", "corrected" or "cancelled"; a higher `version` of the same `event_id`
    replaces the lower. `value` is NaN-free: None when the fact is text.
    """

    event_id: str
    version: int
    status: str
    patient_id: str
    code: str
    value: float | None
    unit: str
    text: str
    event_time_us: int
    known_time_us: int
    source: str


class DeviceStatus(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a device says of itself; `status` is worn, lead_off, not_worn, off or unknown.

    `clock_offset_us` is what the gateway measured: event time = device time + offset.
    """

    patient_id: str
    device_id: str
    signal: str  # empty: the whole device
    status: str
    battery_pct: float | None
    firmware: str
    clock_offset_us: int
    event_time_us: int


class AlertCommand(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a person or service asks of an alert. Total order on the log decides races.

    `signature` is that of the process which knows who asked (`streams.signing`): on one log,
    topic permissions cannot tell a device gateway from a desk.
    """

    command_id: str
    patient_id: str
    occurrence_id: str
    action: str
    actor: str
    role: str
    reason: str
    expected_seq: int  # -1: whatever the state is
    until_us: int  # 0: no end
    event_time_us: int
    key_id: str = ""  # empty: not signed
    signature: bytes = b""


class Tick(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The passing of time, on every partition: silence and timers replay because of it."""

    now_us: int
    key_id: str = ""  # empty: not signed
    signature: bytes = b""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """A record, or one chunk of a bundle, that was refused; `original` is its exact bytes."""

    reason: Reason
    detail: str
    index: int  # position in its bundle; 0 for a record that is not a bundle
    original: bytes
    patient_id: str = ""


Record = SignalBundle | ClinicalEvent | DeviceStatus | AlertCommand | Tick


class LogRecord(NamedTuple):
    """One position of the log, decoded. `rejected` holds the parts that could not be.

    `value` is what was decoded, for dead letters; empty for a record that never was bytes and
    for bundles, whose chunks are refused one by one.
    """

    partition: int
    offset: int
    append_us: int
    record: Record | None
    rejected: tuple[Rejected, ...] = ()
    value: bytes = b""

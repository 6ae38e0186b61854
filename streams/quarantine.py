"""A patient whose data make the engine itself raise is no longer fed, and everybody is told.

The host finds who it is (`streams.io.host`); the engine takes the patient out at the record that
raises (`service.engine`), so that it happens at the same place however the log is fed. Here: the
words that say so on the log, and who is in a record.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from streams.processor import Fault
from streams.records import AlertCommand, LogRecord, SignalBundle, Tick

QUARANTINE: Final = "quarantine"
RELEASE: Final = "release"
SERVICE: Final = "service"  # the role that both need


def named_in(records: Iterable[LogRecord]) -> set[tuple[int, str]]:
    """(partition, patient) of everybody whom records are about."""
    found: set[tuple[int, str]] = set()
    for row in records:
        if isinstance(row.record, SignalBundle):
            found |= {(row.partition, chunk.patient_id) for chunk in row.record.chunks}
        elif row.record is not None and not isinstance(row.record, Tick):
            found.add((row.partition, row.record.patient_id))
    return found


def quarantine_order(patient_id: str, fault: Fault) -> AlertCommand:
    """The record that takes a patient out.

    Its id names patient and offset, so that two workers that met the same fault say it once.
    """
    name = f"{patient_id}:{fault.offset}"
    order = _order(QUARANTINE, name, patient_id, fault.reason, fault.append_us)
    return msgspec.structs.replace(order, expected_seq=fault.offset)  # a later release wins


def release_order(patient_id: str, by: str, now_us: int) -> AlertCommand:
    """The record that takes a patient back in."""
    return _order(RELEASE, f"{patient_id}:{now_us}", patient_id, by, now_us)


def _order(action: str, name: str, patient_id: str, reason: str, now_us: int) -> AlertCommand:
    return AlertCommand(
        command_id=f"{action}:{name}",
        patient_id=patient_id,
        occurrence_id="monitoring",
        action=action,
        actor="service:vigil",
        role=SERVICE,
        reason=reason,
        expected_seq=-1,
        until_us=0,
        event_time_us=now_us,
    )

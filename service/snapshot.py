"""A patient's whole engine state as bytes, versioned; another version is refused, not guessed.

The raw buffers are inside (docs/adr/0004): a restored patient needs nothing from before its
frontier, so the committed offset is simply the position every snapshot has reached.
"""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.machine import AlertMachine, MachineState
from alerts.policy import Policy
from alerts.suppress import Standing
from features.asof import AsOf
from features.catalog import catalog_hash
from features.memory import Memory
from service.patient import Patient, SignalLife
from service.recent import Recent
from streams.clock import TimingSpec
from streams.device import Device, DeviceState
from streams.errors import SnapshotMismatch

SNAPSHOT_VERSION = 4


Memories = dict[str, dict[str, bytes]]  # state by model and version


class PatientState(msgspec.Struct, array_like=True):
    """Everything that decides what a patient's next record causes."""

    version: int
    catalog: str
    patient_id: str
    frontier: int
    clock_us: int
    cursor_us: int
    started: bool
    covered_us: int
    devices: list[DeviceState]
    life: dict[str, SignalLife]
    memory: Any  # as `Memory.to_state` gives it
    asof: Any  # as `AsOf.to_state` gives it
    recent: Any  # as `Recent.to_state` gives it
    machine: MachineState
    models: dict[str, str]  # version that speaks, by model; absent: the default one
    memories: Memories


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(PatientState)


def pack(patient: Patient, memories: Memories) -> bytes:
    """Bytes of a patient with nothing left to do, and of what models keep of them."""
    assert not patient.ops, "a snapshot between feeds only"
    return _ENCODER.encode(
        PatientState(
            SNAPSHOT_VERSION,
            catalog_hash(),
            patient.patient_id,
            patient.frontier,
            patient.clock_us,
            patient.cursor_us,
            patient.started,
            patient.covered_us,
            [device.state() for device in patient.devices.values()],
            patient.life,
            patient.memory.to_state(),
            patient.asof.to_state(),
            patient.recent.to_state(),
            patient.machine.state(),
            patient.models,
            memories,
        )
    )


def standing(state: bytes) -> Standing:
    """What holds for a stored patient beyond one alert, for people to look at.

    Raises
    ------
    SnapshotMismatch
        If the bytes are no snapshot of this build.
    """
    return _decoded(state).machine.standing


def unpack(
    state: bytes, timing: TimingSpec, context_us: dict[str, int], policy: Policy
) -> tuple[Patient, Memories]:
    """The patient that gave `state`, and what models kept of them.

    Parameters
    ----------
    state : bytes
        What `pack` returned.
    timing, context_us
        The engine's own; they must be those of the run that wrote the snapshot.
    policy : Policy
        The engine's own; alert state made under another one is refused.

    Raises
    ------
    SnapshotMismatch
        If the bytes are of another version or feature catalogue, or not a snapshot at all.
    """
    kept = _decoded(state)
    if (kept.version, kept.catalog) != (SNAPSHOT_VERSION, catalog_hash()):
        raise SnapshotMismatch(
            f"stored engine state is version {kept.version}, catalogue {kept.catalog}; this build "
            f"needs {SNAPSHOT_VERSION}, {catalog_hash()}. Start from a topic prefix of its own, or "
            "run the build that wrote it."
        )
    try:
        return _rebuilt(kept, timing, context_us, policy), kept.memories
    except (ValueError, TypeError, KeyError) as error:
        raise SnapshotMismatch(
            "stored engine state does not fit this build's signals or waiting rules; keep both, or "
            "start from a topic prefix of its own"
        ) from error


def _decoded(state: bytes) -> PatientState:
    try:
        return _DECODER.decode(state)
    except (ValueError, RecursionError) as error:
        raise SnapshotMismatch("stored engine state cannot be read by this build") from error


def _rebuilt(
    kept: PatientState, timing: TimingSpec, context_us: dict[str, int], policy: Policy
) -> Patient:
    machine = AlertMachine(policy, kept.patient_id, kept.machine)
    patient = Patient(kept.patient_id, timing, context_us, machine)
    patient.frontier, patient.clock_us = kept.frontier, kept.clock_us
    patient.cursor_us, patient.started = kept.cursor_us, kept.started
    patient.covered_us = kept.covered_us
    patient.devices = {
        device.device_id: Device.from_state(kept.patient_id, device, timing, context_us)
        for device in kept.devices
    }
    patient.life = kept.life
    patient.memory = Memory.from_state(kept.memory)
    patient.asof = AsOf.from_state(kept.asof)
    patient.recent = Recent.from_state(kept.recent, timing.waits.revise_us)
    patient.models = kept.models
    return patient

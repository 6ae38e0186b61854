"""A patient's whole engine state as bytes, versioned; another version is refused, not guessed.

Raw samples are not inside, but where on the log they can be read again (docs/adr/0062): a restored
patient is whole once its samples were given back.
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
from service.patient import Patient
from service.recent import Recent
from service.signal_life import SignalLife
from service.squeeze import restored, squeezed
from streams.allowance import Allowance
from streams.clock import TimingSpec
from streams.device import Device, DeviceState
from streams.errors import SnapshotMismatch

SNAPSHOT_VERSION = 12
# Then the version, one byte, then `service.squeeze`; until version 4 plain MessagePack.
_MAGIC = b"vigil-state"

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
    passed_on: list[int]
    out: bool
    released: int
    shed: int
    allowance: Allowance


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(PatientState)


def pack(patient: Patient, memories: Memories) -> bytes:
    """Bytes of a patient with nothing left to do, and of what models keep of them."""
    assert not patient.ops, "a snapshot between feeds only"
    state = _ENCODER.encode(
        PatientState(
            SNAPSHOT_VERSION,
            catalog_hash(),
            patient.patient_id,
            patient.frontier,
            patient.clock_us,
            patient.cursor_us,
            patient.started,
            patient.covered_us,
            [device.state(patient.clock_us) for device in patient.devices.values()],
            patient.life,
            patient.memory.to_state(),
            patient.asof.to_state(),
            patient.recent.to_state(),
            patient.machine.state(),
            patient.models,
            memories,
            patient.passed_on,
            patient.out,
            patient.released,
            patient.shed,
            patient.allowance,
        )
    )
    return _MAGIC + bytes((SNAPSHOT_VERSION,)) + squeezed(state)


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
        raise _other(f"{kept.version}, catalogue {kept.catalog}")
    try:
        return _rebuilt(kept, timing, context_us, policy), kept.memories
    except (ValueError, TypeError, KeyError) as error:
        raise SnapshotMismatch(
            "stored engine state does not fit this build's signals or waiting rules; keep both, or "
            "start from a topic prefix of its own"
        ) from error


def _decoded(state: bytes) -> PatientState:
    """The state itself; whatever is not of this version is refused before it is looked into."""
    version = _version_of(state)
    if version != SNAPSHOT_VERSION:
        raise _other("unknown" if version is None else str(version))
    try:
        return _DECODER.decode(restored(state[len(_MAGIC) + 1 :]))
    except (ValueError, RecursionError) as error:
        raise SnapshotMismatch("stored engine state cannot be read by this build") from error


def _version_of(state: bytes) -> int | None:
    """The version that wrote the bytes; None for what no version wrote."""
    if state.startswith(_MAGIC) and len(state) > len(_MAGIC):
        return state[len(_MAGIC)]
    try:
        old = msgspec.msgpack.decode(state)
    except (ValueError, RecursionError):
        return None
    first = old[0] if isinstance(old, list) and old else None
    return first if isinstance(first, int) and 0 < first < SNAPSHOT_VERSION else None


def _other(version: str) -> SnapshotMismatch:
    return SnapshotMismatch(
        f"stored engine state is version {version}; this build needs {SNAPSHOT_VERSION}, catalogue "
        f"{catalog_hash()}. Start from a topic prefix of its own, or run the build that wrote it."
    )


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
    patient.passed_on = kept.passed_on
    patient.out, patient.released = kept.out, kept.released
    patient.shed, patient.allowance = kept.shed, kept.allowance
    return patient

"""Conditions of the equipment: what is lost, of which device, in codes and in words.

Not here: finding silence, which is the engine's: it owns the clocks.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from alerts import occurrence
from alerts.alert import Kind, Trigger
from alerts.ledger import Events, Ledger
from alerts.lifecycle import Move
from alerts.occurrence import Moment, Start
from alerts.silences import modality_of
from alerts.text import clock
from streams.records import DeviceStatus

NO_DATA: Final = "no_data"
LEAD_OFF: Final = "lead_off"
MONITORING_LOST: Final = "monitoring_lost"
MODEL_LOST: Final = "model_lost"
DEVICE_CLOCK: Final = "device_clock"
NO_QRS: Final = "no_qrs"
LOOSE: Final = {"lead_off": "is off the skin", "not_worn": "is not worn"}
SWITCHED_OFF: Final = ("off", "unlinked")
WORN: Final = "worn"
UNTIL_BACK: Final = "What rests on it cannot be judged until it is back"
MAX_SOURCES = 16  # devices one condition keeps count of


class Loss(NamedTuple):
    """Something that should be there and is not."""

    kind: str  # a table of the policy's [technical]
    code: str  # condition code: one occurrence per code
    source: str  # the device, "engine", or the service that told
    since_us: int
    finding: str  # in words
    signal: str  # what it takes away; empty: everything
    takes: bool = True  # False: it takes no data away


class Technical:
    """The equipment of one patient.

    `lost` maps a condition to who lacks it and since when; `off` are devices of `lost` that were
    switched off: nobody is to look for them.
    """

    __slots__ = ("ledger", "lost", "off")

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.lost: dict[str, dict[str, int]] = {}
        self.off: tuple[str, ...] = ()

    def lose(self, loss: Loss, moment: Moment) -> Events:
        """Raise a loss, or merge a second source into it; a loss already known is free.

        One that a person closed while it lasts stays closed until the thing is back.
        """
        sources = self.lost.setdefault(loss.code, {})
        if loss.source in sources or len(sources) >= MAX_SOURCES:
            return ()
        sources[loss.source] = loss.since_us
        self._retire()
        occ = self.ledger.active(loss.code)
        if occ is None and len(sources) > 1:
            return ()
        if occ is not None:
            more = occ.record.duplicate_count + 1
            return self.ledger.kept(
                occurrence.change(occ, Move.UPDATE, moment, loss.finding, duplicate_count=more)
            )
        spec = self.ledger.policy.technical[loss.kind]
        start = Start(
            loss.code, Kind.TECHNICAL, spec.display, spec.priority, loss.since_us, loss.finding
        )
        missing = (modality_of(loss.signal),) if loss.signal else ()
        cause = UNTIL_BACK if loss.takes else loss.finding
        return self.ledger.begin(start, moment, cause, missing_modalities=missing)

    def regain(self, code: str, source: str, moment: Moment, cause: str) -> Events:
        """End a loss for one source; the condition ends with the last one."""
        sources = self.lost.get(code, {})
        if sources.pop(source, None) is None:
            return ()
        if not sources:
            del self.lost[code]
        self.switch(source, off=False)
        if sources or self.ledger.active(code) is None:
            return ()
        return self.ledger.clear(code, moment, cause, last_evidence_us=moment.event_us)

    def switch(self, device_id: str, *, off: bool) -> None:
        """Note that a device was switched off, or is in use again."""
        missed = any(device_id in sources for sources in self.lost.values())
        others = tuple(known for known in self.off if known != device_id)
        self.off = (*others, device_id) if off and missed else others
        self._retire()

    def restore(self, off: tuple[str, ...]) -> None:
        """Take over which devices are off; `lost` is there already."""
        self.off = off
        self._retire()

    def _retire(self) -> None:
        """Retire the conditions all of whose devices are off."""
        self.ledger.retired = tuple(
            code
            for code, sources in self.lost.items()
            if all(source in self.off for source in sources)
        )


def silence_loss(signal: str, device_id: str, since_us: int) -> Loss:
    """Return the loss of a signal that stopped coming; an empty one means the whole device.

    Examples
    --------
    >>> silence_loss("ecg", "chest-1", 0).finding
    'No ecg data from chest-1 since 1970-01-01 00:00:00 UTC'
    """
    what = f"No {signal} data" if signal else "No data at all"
    finding = f"{what} from {device_id} since {clock(since_us)}"
    return Loss(NO_DATA, f"{NO_DATA}:{signal}", device_id, since_us, finding, signal)


def device_loss(status: DeviceStatus) -> Loss | None:
    """Return what a device says it has lost, None if nothing."""
    words = LOOSE.get(status.status)
    if words is None:
        return None
    what = f"{status.signal} sensor of {status.device_id}" if status.signal else status.device_id
    finding = f"{what} {words} since {clock(status.event_time_us)}"
    code = f"{LEAD_OFF}:{status.signal}"
    return Loss(LEAD_OFF, code, status.device_id, status.event_time_us, finding, status.signal)


def worn_codes(status: DeviceStatus, lost: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codes of `lost` that a "worn" ends; a device that names no signal means all."""
    if status.status != WORN:
        return ()
    wanted = f"{LEAD_OFF}:{status.signal}"
    return tuple(
        code for code in lost if code == wanted or (not status.signal and code.startswith(wanted))
    )


def fault_loss(reason: str, since_us: int) -> Loss:
    """Return the loss of monitoring itself."""
    finding = f"This patient is not watched since {clock(since_us)}: {reason}"
    return Loss(MONITORING_LOST, MONITORING_LOST, "engine", since_us, finding, "")


def model_loss(name: str, why: str, since_us: int) -> Loss:
    """Return the loss of a model's score; the rules watch on.

    Examples
    --------
    >>> model_loss("default", "failed", 0).finding
    'No score of default since 1970-01-01 00:00:00 UTC: failed; the rules watch on'
    """
    finding = f"No score of {name} since {clock(since_us)}: {why}; the rules watch on"
    return Loss(MODEL_LOST, f"{MODEL_LOST}:{name}", name, since_us, finding, "", takes=False)


def clock_fault(device_id: str, ahead_us: int, since_us: int) -> Loss:
    """Return the finding that a device's clock is wrong; its data are placed right all the same.

    Examples
    --------
    >>> clock_fault("chest-1", -3_600_000_000, 0).finding
    'The clock of chest-1 is 3600 s behind since 1970-01-01 00:00:00 UTC; its data are placed right'
    """
    where = "ahead" if ahead_us > 0 else "behind"
    finding = (
        f"The clock of {device_id} is {round(abs(ahead_us) / 1e6)} s {where} since "
        f"{clock(since_us)}; its data are placed right"
    )
    return Loss(DEVICE_CLOCK, DEVICE_CLOCK, device_id, since_us, finding, "", takes=False)


def no_qrs_loss(since_us: int) -> Loss:
    """Return the loss of the heart beats in an ECG that is there.

    Examples
    --------
    >>> no_qrs_loss(0).finding
    'No QRS complexes in the ECG since 1970-01-01 00:00:00 UTC: see the patient first'
    """
    when = clock(since_us)
    finding = f"No QRS complexes in the ECG since {when}: see the patient first"
    return Loss(NO_QRS, NO_QRS, "ecg", since_us, finding, "ecg")


def told_loss(code: str, service: str, since_us: int, words: str) -> Loss:
    """Return a loss that a service tells of: an alert not delivered, a fleet of devices away.

    Examples
    --------
    >>> told_loss("delivery_lost:pager", "service:watch", 0, "no receipt for 60 s").kind
    'delivery_lost'
    """
    finding = f"{words} since {clock(since_us)}"
    return Loss(code.partition(":")[0], code, service, since_us, finding, "", takes=False)


def device_moment(now_us: int) -> Moment:
    """Return when something of a device was noticed."""
    return Moment(now_us, now_us, trigger=Trigger.DEVICE)

"""One patient's alerts: scores, silence, device status, commands and ticks in, events out.

Invariant: at most one open occurrence per condition, and the state is a pure function of the calls
so far. Not here: the decision (`alerts.conditions`), what follows from it (`alerts.clinical`,
`alerts.technical`), what holds signals back (`alerts.suppress`), timers, what commands do, bytes
and topics (`alerts.envelope`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from alerts import commands, hearing, requests, timers
from alerts.alert import AlertRecord, Kind, Resolution
from alerts.clinical import Clinical
from alerts.commands import Refused
from alerts.conditions import ConditionState
from alerts.ledger import Events, Ledger
from alerts.occurrence import Labels, Occurrence
from alerts.policy import Policy
from alerts.revision import Trail
from alerts.suppress import Standing
from alerts.technical import (
    SWITCHED_OFF,
    WORN,
    Loss,
    Technical,
    clock_fault,
    device_loss,
    device_moment,
    fault_loss,
    model_loss,
    no_qrs_loss,
    silence_loss,
    worn_codes,
)
from alerts.views import Past
from alerts.words import clean
from models.score import Score
from streams.errors import SnapshotMismatch
from streams.records import AlertCommand, DeviceStatus, Reason

STATE_VERSION = 2
MAX_COMMANDS = 128  # command ids remembered against redelivery


class MachineState(msgspec.Struct, frozen=True):
    """Everything a machine remembers; bounded, and encodable by msgspec.

    `conditions`, `trails`, `calm` and `seen_us` are those of `Clinical`, `lost` and `off` those of
    `Technical`, `open`, `closed`, `onsets_us`, `standing` and `labels` those of `Ledger`;
    `commands` are the ids already decided.
    """

    version: int
    policy_digest: str
    patient_id: str
    conditions: dict[str, ConditionState]
    open: dict[str, Occurrence]
    closed: tuple[Occurrence, ...]
    commands: tuple[str, ...]
    lost: dict[str, dict[str, int]]
    seen_us: dict[str, int]
    onsets_us: dict[str, int]
    trails: dict[str, Trail]
    calm: dict[str, Past]
    off: tuple[str, ...]
    standing: Standing
    labels: Labels


class AlertMachine:
    """The alerts of one patient under one policy.

    Parameters
    ----------
    policy : Policy
        From `alerts.policy.parse_policy`.
    patient_id : str
        As in the log; the `subject` of every alert.
    state : MachineState, optional
        From `state()`; None starts a new patient.
    standing : Standing, optional
        What holds for every patient of the partition when a new one appears: the `standing()` of
        the machine of `streams.records.ANYONE`, which hears every broadcast.

    Raises
    ------
    SnapshotMismatch
        If `state` is another patient's, of another version, or was made under another policy.
    """

    __slots__ = ("_clinical", "_commands", "_ledger", "_technical", "patient_id")

    def __init__(
        self,
        policy: Policy,
        patient_id: str,
        state: MachineState | None = None,
        standing: Standing | None = None,
    ) -> None:
        self.patient_id = patient_id
        self._ledger = Ledger(policy, patient_id)
        self._ledger.standing = standing or Standing()
        self._clinical = Clinical(self._ledger)
        self._technical = Technical(self._ledger)
        self._commands: tuple[str, ...] = ()
        if state is not None:
            self._load(state)

    @classmethod
    def restore(cls, policy: Policy, patient_id: str, data: bytes) -> AlertMachine:
        """Return the machine whose `snapshot` was `data`.

        Raises
        ------
        SnapshotMismatch
            If the bytes are no such snapshot, or of another patient, version or policy.
        """
        try:
            state = msgspec.msgpack.decode(data, type=MachineState)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SnapshotMismatch(f"alert state cannot be read: {error}") from error
        return cls(policy, patient_id, state)

    def snapshot(self) -> bytes:
        """Return the state as bytes; equal states give equal bytes."""
        return msgspec.msgpack.encode(self.state())

    def state(self) -> MachineState:
        """Return all that the machine remembers, detached from it."""
        ledger, clinical = self._ledger, self._clinical
        return MachineState(
            STATE_VERSION,
            ledger.policy.digest,
            self.patient_id,
            dict(clinical.states),
            dict(ledger.open),
            ledger.closed,
            self._commands,
            {code: dict(sources) for code, sources in self._technical.lost.items()},
            dict(clinical.seen_us),
            dict(ledger.onsets_us),
            dict(clinical.trails),
            dict(clinical.calm),
            self._technical.off,
            ledger.standing,
            ledger.labels,
        )

    def standing(self) -> Standing:
        """Return the silences and the losses of the ward in force, for patients yet to come."""
        return self._ledger.standing

    def records(self) -> tuple[AlertRecord, ...]:
        """Return the record of every open occurrence, oldest first."""
        return tuple(occ.record for occ in self._ledger.open.values())

    def knows(self, command_id: str) -> bool:
        """Whether a command was decided before, as far as is remembered."""
        return command_id in self._commands

    def alerted(self) -> bool:
        """Whether an alert on the patient's own state, not on equipment, is open."""
        opened = self._ledger.open.values()
        return any(occ.record.kind is Kind.PHYSIOLOGICAL for occ in opened)

    def on_scores(self, scores: Sequence[Score]) -> Events:
        """Judge all scores of one window of this patient.

        Parameters
        ----------
        scores : sequence of Score
            Windows come in order of their end, per scorer. A score of a window already judged
            is ignored, unless its `revision` is above 0 and the window is at most the policy's
            `revise_s` old: then the recent past is played again with it (`alerts.late`) and its
            events say `revised`.

        Returns
        -------
        tuple of AlertEvent
            In the order of `scores`, then of the policy's conditions. A score without a value, or
            too incomplete to be believed when low, turns an active alert stale.
        """
        events = hearing.hear(self._clinical, scores)
        return events + self._settle(scores[0].known_us) if events else ()

    def on_tick(self, now_us: int) -> Events:
        """Fire the timers that are due at `Tick.now_us`; without an open alert there are none."""
        if not self._ledger.open:
            return ()
        events = self._settle(now_us)  # a silence that ends lets its alert climb a tier again
        for code, occ in list(self._ledger.open.items()):
            after, fired = timers.run(occ, self._ledger.policy, now_us)
            if fired:
                if after.record.state.stale and not occ.record.state.stale:
                    self._clinical.pause(code)
                self._ledger.keep(after)
                events += fired
        return events + self._settle(now_us) if events else ()

    def on_command(self, command: AlertCommand, recorded_us: int) -> Events | Refused:
        """Carry out what a person or service asks.

        Parameters
        ----------
        command : AlertCommand
            Of this patient. A repeated `command_id` is ignored: the first one decided.
            "discharge" and "withdraw_consent" close every open occurrence; those of
            `alerts.requests` are about none.
        recorded_us : int
            Append time of the command.

        Returns
        -------
        tuple of AlertEvent or Refused
            Refused with `Reason.BAD_COMMAND` and words for a person; no alert has changed then.
        """
        if command.command_id in self._commands:
            return ()
        refused = commands.check(command, self._ledger.policy, self.patient_id)
        if refused is not None:
            return refused
        self._commands = (*self._commands, command.command_id)[-MAX_COMMANDS:]
        if command.action in commands.CLOSE_ALL:
            return self._close_all(command, recorded_us)
        if commands.ASKS[command.action].move is None:
            done = requests.carry_out(self._technical, command, recorded_us)
        else:
            done = self._answer(command, recorded_us)
        return done if isinstance(done, Refused) else done + self._settle(recorded_us)

    def on_silence(self, signal: str, device_id: str, since_us: int, now_us: int) -> Events:
        """Report that a signal stopped coming; reporting it again while it lasts is free.

        Parameters
        ----------
        signal, device_id : str
            What fell silent.
        since_us : int
            End of the last sample, event time.
        now_us : int
            `Tick.now_us` of the tick that noticed.
        """
        return self._lose(silence_loss(signal, device_id, since_us), now_us)

    def on_signal_back(self, signal: str, device_id: str, now_us: int) -> Events:
        """Report that a silent signal is there again."""
        code = silence_loss(signal, device_id, now_us).code
        words = f"{signal or 'Data'}{' data' if signal else ''} from {device_id} again"
        events = self._technical.regain(code, device_id, device_moment(now_us), words)
        return events + self._settle(now_us)

    def on_device_status(self, status: DeviceStatus, recorded_us: int) -> Events:
        """Raise or end `lead_off` by what a device says of itself.

        "lead_off" and "not_worn" raise it, "worn" ends it (for every signal of the device if it
        names none). A whole device that is "off" or "unlinked" takes its technical alerts out of
        service until it is back; "unknown" changes nothing.
        """
        loss = device_loss(status)
        if loss is not None:
            return self._lose(loss, recorded_us)
        if status.status in (*SWITCHED_OFF, WORN) and not status.signal:
            self._technical.switch(status.device_id, off=status.status != WORN)
        events: Events = ()
        words = f"{status.device_id} is worn again"
        for code in worn_codes(status, tuple(self._technical.lost)):
            moment = device_moment(recorded_us)
            events += self._technical.regain(code, status.device_id, moment, words)
        return events + self._settle(recorded_us)

    def on_fault(self, reason: str, now_us: int) -> Events:
        """Say loudly that this patient is no longer watched.

        Parameters
        ----------
        reason : str
            Short and the same in every run: the name of the fault, no addresses.
        now_us : int
            Append time of the record that met the fault.
        """
        return self._lose(fault_loss(reason, now_us), now_us)

    def on_fault_over(self, now_us: int) -> Events:
        """Report that the patient is watched again."""
        return self._regain(fault_loss("", now_us), "Monitoring runs again", now_us)

    def on_model(self, name: str, why: str, since_us: int, now_us: int) -> Events:
        """Report whether a model had a word; saying the same again is free.

        Parameters
        ----------
        name : str
            The model's.
        why : str
            Why it had none, the same in every run; empty: it had one.
        since_us : int
            End of the window it was asked about.
        now_us : int
            When it was asked.
        """
        loss = model_loss(name, why, since_us)
        known = loss.source in self._technical.lost.get(loss.code, ())
        if known == bool(why):
            return ()
        if not why:
            return self._regain(loss, f"{name} gives scores again", now_us)
        return self._settled(self._technical.lose(loss, device_moment(now_us)), now_us)

    def on_standstill(self, since_us: int | None, now_us: int) -> Events:
        """Report whether an ECG shows heart beats; saying the same again is free.

        Parameters
        ----------
        since_us : int or None
            Since when it shows waves and no QRS complexes; 0: beats are there; None: nothing tells.
        now_us : int
            When it was noticed.
        """
        loss = no_qrs_loss(since_us or 0)
        if since_us is None or (loss.code in self._technical.lost) == bool(since_us):
            return ()
        again = "The ECG shows QRS complexes again"
        return self._lose(loss, now_us) if since_us else self._regain(loss, again, now_us)

    def on_clock(self, device_id: str, ahead_us: int, now_us: int) -> Events:
        """Report by how much a device's clock is wrong; 0: it is right again."""
        loss = clock_fault(device_id, ahead_us, now_us)
        if ahead_us:
            return self._settled(self._technical.lose(loss, device_moment(now_us)), now_us)
        return self._regain(loss, f"The clock of {device_id} is right again", now_us)

    def _lose(self, loss: Loss, now_us: int) -> Events:
        """Raise a technical condition, then mark stale what rests on what was lost."""
        known = loss.source in self._technical.lost.get(loss.code, ())
        events = self._technical.lose(loss, moment := device_moment(now_us))
        if not known:
            events += self._clinical.lose_signal(loss.signal, moment, loss.finding)
        return self._settled(events, now_us)

    def _regain(self, loss: Loss, words: str, now_us: int) -> Events:
        """End a loss for its source."""
        moment = device_moment(now_us)
        return self._settled(self._technical.regain(loss.code, loss.source, moment, words), now_us)

    def _settle(self, now_us: int) -> Events:
        """Hold back and let go what the present state says; nothing is open: nothing to do."""
        return self._ledger.settle(now_us) if self._ledger.open else ()

    def _settled(self, events: Events, now_us: int) -> Events:
        """Return events and what they hold back or let go."""
        return events + self._settle(now_us) if events else ()

    def _close_all(self, command: AlertCommand, recorded_us: int) -> Events:
        """Close every open occurrence with the command's reason: the patient left."""
        events: Events = ()
        whoever = msgspec.structs.replace(command, expected_seq=-1)
        for occ in tuple(self._ledger.open.values()):
            done = self._apply(occ, whoever, recorded_us)
            events += () if isinstance(done, Refused) else done
        return events

    def _answer(self, command: AlertCommand, recorded_us: int) -> Events | Refused:
        """Carry out a command on the occurrence it names."""
        occ = self._ledger.find(command.occurrence_id)
        if occ is None:
            name = clean(command.occurrence_id[: commands.MAX_NAME])
            return Refused(Reason.BAD_COMMAND, f"no such occurrence: {name!r}")
        return self._apply(occ, command, recorded_us)

    def _apply(self, occ: Occurrence, command: AlertCommand, recorded_us: int) -> Events | Refused:
        """Carry out a command on one occurrence and store the result."""
        done = commands.apply(occ, self._ledger.policy, command, recorded_us)
        if isinstance(done, Refused):
            return done
        ended = done[0].record.state.resolution is not Resolution.OPEN
        if ended and occ.record.state.resolution is Resolution.OPEN:
            self._clinical.forget(occ.code)
        return self._ledger.kept(done)

    def _load(self, state: MachineState) -> None:
        """Take over a state of the same patient, version and policy."""
        found = (state.version, state.policy_digest, state.patient_id)
        wanted = (STATE_VERSION, self._ledger.policy.digest, self.patient_id)
        if found != wanted:
            raise SnapshotMismatch(f"alert state is of {found}, this machine is {wanted}")
        self._ledger.open.update(state.open)
        self._ledger.closed = state.closed
        self._ledger.onsets_us.update(state.onsets_us)
        self._ledger.standing, self._ledger.labels = state.standing, state.labels
        self._clinical.trails.update(state.trails)
        self._clinical.calm.update(state.calm)
        self._clinical.states.update(state.conditions)
        self._clinical.seen_us.update(state.seen_us)
        self._technical.lost.update({code: dict(to) for code, to in state.lost.items()})
        self._technical.restore(state.off)
        self._commands = state.commands

"""What holds back the signal of an alert now, the strongest reason first.

Out of service, maintenance, inhibited, silenced, snoozed, in this order. The record is published
all the same. Not here: silences themselves (`alerts.silences`), the order of conditions
(`alerts.inhibition`), the moves (`alerts.ledger`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from alerts.alert import PRIORITY_RANK, AlertRecord, Condition, Kind, Suppression
from alerts.occurrence import Held, Occurrence
from alerts.policy import Policy
from alerts.policy_spec import InhibitSpec
from alerts.rules import fits
from alerts.silences import MAINTENANCE, Silence, modalities

WEARABLE_SIGNALS = ("ecg", "ppg", "resp", "spo2", "hr", "pulse", "temp", "acc", "eda")
_DEAF = (Suppression.SILENCED, Suppression.INHIBITED, Suppression.MAINTENANCE,
         Suppression.OUT_OF_SERVICE)  # fmt: skip


class WardLoss(msgspec.Struct, frozen=True, array_like=True):
    """A condition of the equipment of many patients, told by a service to all of them."""

    id: str  # of the command that said so
    made_us: int  # when it was recorded: a patient who comes in later replays may know it before


class Standing(msgspec.Struct, frozen=True):
    """What holds beyond one alert: silences in force or to come, losses of the whole ward.

    Both say from when they count, so that a patient who starts with the ward's while a log is read
    again is held back no earlier than in the first reading.
    """

    silences: tuple[Silence, ...] = ()
    losses: dict[str, WardLoss] = {}

    def without_past(self, now_us: int) -> Standing:
        """Forget silences that have ended."""
        if all(silence.ends_us > now_us for silence in self.silences):
            return self
        kept = tuple(silence for silence in self.silences if silence.ends_us > now_us)
        return Standing(kept, self.losses)


class Scene(NamedTuple):
    """Everything that decides what is held back at one time."""

    policy: Policy
    standing: Standing
    open: Mapping[str, Occurrence]
    retired: Sequence[str]  # codes of conditions whose devices are all switched off
    now_us: int


def held(occ: Occurrence, scene: Scene) -> Held:
    """Return what holds an occurrence's signal back, and its name."""
    if occ.code in scene.retired:
        return Held(Suppression.OUT_OF_SERVICE, "device off")
    quiet = [s for s in scene.standing.silences if _in_force(s, occ, scene.now_us)]
    for silence in quiet:
        if silence.kind == MAINTENANCE:
            return Held(Suppression.MAINTENANCE, silence.id)
    muted_by = _inhibitor(occ.record, scene)
    if muted_by is not None:
        return Held(Suppression.INHIBITED, muted_by)
    if quiet:
        return Held(Suppression.SILENCED, quiet[0].id)
    return Held(Suppression.SNOOZED) if occ.snoozed_until_us > 0 else Held()


def rank(code: str, policy: Policy) -> int:
    """Return when a condition is looked at: sources of inhibition before their targets."""
    return policy.ranks[code if code in policy.conditions else code.partition(":")[0]]


def _in_force(silence: Silence, occ: Occurrence, now_us: int) -> bool:
    """Say whether a silence holds an occurrence back now."""
    if not silence.starts_us <= now_us < silence.ends_us:
        return False
    return silence.made_us > occ.broke_through_us and silence.fits(occ.record)


def _inhibitor(record: AlertRecord, scene: Scene) -> str | None:
    """Return who mutes an alert: an occurrence of the patient, or a loss of the whole ward."""
    code = record.condition.code
    for rule in scene.policy.inhibits:
        if PRIORITY_RANK[record.priority] > PRIORITY_RANK[rule.target_priority]:
            continue
        if not fits(rule.target, code):
            continue
        for name, loss in scene.standing.losses.items():
            if fits(rule.source, name) and loss.made_us <= scene.now_us:
                return loss.id
        for other in scene.open.values():
            if _mutes(other.record, record, rule):
                return other.record.occurrence_id
    return None


def _mutes(source: AlertRecord, target: AlertRecord, rule: InhibitSpec) -> bool:
    """Say whether a source is there, heard, urgent enough and about the same thing.

    A source that is stale proves nothing, and one that nobody hears must not mute another: either
    would hide both.
    """
    return (
        fits(rule.source, source.condition.code)
        and source.state.condition is Condition.ACTIVE
        and not source.state.stale
        and source.state.suppression not in _DEAF
        and PRIORITY_RANK[source.priority] >= PRIORITY_RANK[rule.source_priority]
        and not _known_before(source, target)
        and ("modality" not in rule.equal or _same_modality(source, target))
    )


def _known_before(source: AlertRecord, target: AlertRecord) -> bool:
    """Say whether a clinical alert began before the loss that would mute it.

    What was seen on a good signal must not fall silent because the signal is gone.
    """
    lost_later = source.onset_us > target.onset_us
    return source.kind is Kind.TECHNICAL and target.kind is not Kind.TECHNICAL and lost_later


def _same_modality(source: AlertRecord, target: AlertRecord) -> bool:
    """Say whether all the target rests on is what the source is about.

    A loss that names no signal is of the whole device, and covers every wearable modality.
    """
    rests_on = modalities(target)
    lost = modalities(source)
    if not lost and source.kind is Kind.TECHNICAL:
        lost = frozenset(WEARABLE_SIGNALS)
    return bool(rests_on) and rests_on <= lost

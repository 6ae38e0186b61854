"""Receipts: a named consumer says what it has, a watch says what nobody confirmed. Pure.

A receipt is no step of an alert's life. It travels on `vigil.receipts.v1`, keyed and partitioned
by patient as the alert was. Not here: Kafka (`service.watch`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from alerts.alert import AlertEvent, AlertRecord, Phase, Priority, Resolution
from streams.errors import ConfigError
from streams.records import AlertCommand

SCHEMA: Final = "receipt.v1"
CONDITION: Final = "delivery_lost"
LOSE, REGAIN = "lost", "regained"  # actions of an AlertCommand
MAX_REMEMBERED: Final = 100_000  # occurrences per watch whose last receipt is known
_JSON = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[Receipt]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer has an event, and by that every earlier one of its occurrence."""

    schema: str = SCHEMA
    consumer: str
    subject: str
    occurrence_id: str
    seq: int
    received_us: int


_DECODER = msgspec.json.Decoder(Receipt)


def receipt_of(event: AlertEvent, consumer: str, received_us: int) -> Receipt:
    """The receipt of an event."""
    return Receipt(
        consumer=consumer,
        subject=event.subject,
        occurrence_id=event.occurrence_id,
        seq=event.seq,
        received_us=received_us,
    )


def receipt_value(receipt: Receipt) -> bytes:
    """The value of `vigil.receipts.v1`."""
    return _JSON.encode(receipt)


def parse_receipt(value: bytes) -> Receipt:
    """A receipt.

    Raises
    ------
    ValueError
        If it is none.
    """
    return _DECODER.decode(value)


class WatchRules(NamedTuple):
    """Whose receipts are expected, of what, and how soon."""

    consumers: tuple[str, ...]
    within_us: int
    phases: tuple[Phase, ...] = (Phase.RAISED, Phase.ESCALATED, Phase.UNACKNOWLEDGED)
    priorities: tuple[Priority, ...] = (Priority.MEDIUM, Priority.HIGH)


class Lapse(NamedTuple):
    """A consumer did not confirm what a patient's alert said, or does again (`over`)."""

    consumer: str
    subject: str
    since_us: int  # when the first unconfirmed event was published
    over: bool = False


class _Due(NamedTuple):
    subject: str
    seq: int
    published_us: int


class ReceiptWatch:
    """Compares what was published with what was confirmed.

    Invariant: per consumer and patient a lapse is told once, and its end once.
    """

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._due: dict[tuple[str, str], _Due] = {}  # consumer, occurrence: oldest not confirmed
        self._confirmed: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lapsed: dict[tuple[str, str], int] = {}  # consumer, subject: since

    def seed(self, records: Iterable[AlertRecord]) -> None:
        """Take over the lapses that were told before a restart: they are open alerts."""
        for record in records:
            kind, _, consumer = record.condition.code.partition(":")
            still = record.state.resolution is Resolution.OPEN
            if kind == CONDITION and still and record.state.condition == "active":
                self._lapsed[consumer, record.subject] = record.onset_us

    def published(self, event: AlertEvent, at_us: int) -> None:
        """An event is on the log since `at_us`; only what rings must be confirmed."""
        rules = self._rules
        own = event.condition.code.partition(":")[0] == CONDITION
        if own or event.phase not in rules.phases or event.priority not in rules.priorities:
            return
        for consumer in rules.consumers:
            key = (consumer, event.occurrence_id)
            if self._confirmed.get(key, 0) < event.seq and key not in self._due:
                self._due[key] = _Due(event.subject, event.seq, at_us)

    def confirmed(self, receipt: Receipt) -> list[Lapse]:
        """A receipt came; the lapse it ends, if it ends one."""
        key = (receipt.consumer, receipt.occurrence_id)
        self._confirmed[key] = max(self._confirmed.get(key, 0), receipt.seq)
        self._confirmed.move_to_end(key)
        if len(self._confirmed) > MAX_REMEMBERED:
            self._confirmed.popitem(last=False)
        due = self._due.get(key)
        if due is not None and due.seq <= receipt.seq:
            del self._due[key]
        where = (receipt.consumer, receipt.subject)
        if where not in self._lapsed or self._overdue(where, receipt.received_us):
            return []
        return [Lapse(*where, self._lapsed.pop(where), over=True)]

    def lapses(self, now_us: int) -> list[Lapse]:
        """Lapses that are new by now."""
        found: dict[tuple[str, str], int] = {}
        for (consumer, _), due in self._due.items():
            where = (consumer, due.subject)
            if now_us - due.published_us > self._rules.within_us and where not in self._lapsed:
                found[where] = min(found.get(where, due.published_us), due.published_us)
        self._lapsed.update(found)
        return [Lapse(*where, since_us) for where, since_us in sorted(found.items())]

    def lapsed(self) -> dict[str, int]:
        """Patients per consumer whose alerts it does not confirm."""
        counts = dict.fromkeys(self._rules.consumers, 0)
        for consumer, _ in self._lapsed:
            counts[consumer] = counts.get(consumer, 0) + 1
        return counts

    def waiting(self) -> int:
        """Events not confirmed yet."""
        return len(self._due)

    def _overdue(self, where: tuple[str, str], now_us: int) -> bool:
        """Whether something of this patient is still not confirmed by this consumer."""
        return any(
            (consumer, due.subject) == where and now_us - due.published_us > self._rules.within_us
            for (consumer, _), due in self._due.items()
        )


def lapse_command(lapse: Lapse, at_us: int) -> AlertCommand:
    """The command that raises or ends the technical alert of a lapse."""
    words = "confirms alerts again" if lapse.over else "confirms no alerts"
    where = (lapse.subject, f"{CONDITION}:{lapse.consumer}", f"{lapse.consumer} {words}")
    return command(where, lapse.since_us, over=lapse.over, at_us=at_us)


def command(where: tuple[str, str, str], since_us: int, *, over: bool, at_us: int) -> AlertCommand:
    """A command of the watch's: something a patient's alerts rest on is lost, or back.

    Parameters
    ----------
    where : (patient, condition code, words)
        What is lost and of whom; the code stands in `occurrence_id`, the words in `reason`.
    since_us : int
        Since when. The command's id is made of it, so one sent twice counts once.
    over : bool
        Whether it is back.
    at_us : int
        Now.
    """
    patient, code, words = where
    action = REGAIN if over else LOSE
    name = hashlib.sha256(f"{action}|{patient}|{code}|{since_us}".encode()).hexdigest()
    return AlertCommand(
        command_id=f"watch-{name[:32]}",
        patient_id=patient,
        occurrence_id=code,
        action=action,
        actor="service:watch",
        role="service",
        reason=words,
        expected_seq=-1,
        until_us=0,
        event_time_us=at_us if over else since_us,
    )


def check_consumer(name: str) -> str:
    """A consumer's name, as it may stand in a condition's code.

    Raises
    ------
    ConfigError
        If it has characters a code may not have.
    """
    if not name or len(name) > 64 or not all(c.isalnum() or c in "._-" for c in name):
        raise ConfigError(f"consumer {name!r}: 1 to 64 letters, digits, dots, dashes, underscores")
    return name

"""Silences and maintenance: who asked for quiet, about what, why and until when.

A silence is made by a command, for one patient or for all (`streams.records.ANYONE`), and hides
the signal of what it fits, never the record. Not here: applying it (`alerts.suppress`), who may
make one (`alerts.commands`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from alerts.alert import PRIORITY_RANK, AlertRecord, Priority
from alerts.rules import fits
from alerts.words import nearest

MAX_SILENCES: Final = 32
FIELDS: Final = ("condition", "kind", "subject", "ward", "modality", "up_to")
DEFAULT_UP_TO: Final = Priority.MEDIUM
MAINTENANCE: Final = "maintenance"


class Silence(msgspec.Struct, frozen=True):
    """Quiet about what all `matchers` fit, in [starts, ends), up to a priority.

    `made_us` is when it was recorded: what becomes more urgent after that breaks through.
    """

    id: str
    kind: str  # silence or maintenance
    matchers: tuple[tuple[str, str], ...]
    up_to: Priority
    starts_us: int
    ends_us: int
    made_us: int
    by: str
    comment: str

    def fits(self, record: AlertRecord) -> bool:
        """Say whether an alert is meant, whatever the time. A ward not known is not meant."""
        if PRIORITY_RANK[record.priority] > PRIORITY_RANK[self.up_to]:
            return False
        return all(_matches(field, pattern, record) for field, pattern in self.matchers)

    def concerns(self, subject: str) -> bool:
        """Say whether it can ever be about a patient."""
        return all(fits(word, subject) for field, word in self.matchers if field == "subject")


class Matchers(NamedTuple):
    """A parsed target: what must fit, and the highest priority that is quiet."""

    fits: tuple[tuple[str, str], ...]
    up_to: Priority


def parse_matchers(text: str) -> Matchers | str:
    """Read "field=pattern,field=pattern"; a pattern may end in "*".

    Parameters
    ----------
    text : str
        Fields are condition, kind, subject, ward, modality, and up_to (highest priority that is
        held back, medium unless given).

    Returns
    -------
    Matchers or str
        The words of a refusal.

    Examples
    --------
    >>> parse_matchers("condition=no_data:*,up_to=low").up_to
    <Priority.LOW: 'low'>
    >>> parse_matchers("wrd=W4")
    "unknown field 'wrd'; nearest: ward"
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        field, equals, pattern = (piece.strip() for piece in part.partition("="))
        if not equals or not pattern:
            return f"{part.strip()!r} is not of the form field=pattern"
        if field not in FIELDS:
            return f"unknown field {field!r}; {nearest(field, FIELDS)}"
        if field in found:
            return f"{field} is given twice"
        found[field] = pattern
    up_to = found.pop("up_to", DEFAULT_UP_TO)
    if up_to not in tuple(Priority):
        return f"up_to={up_to!r}; {nearest(up_to, tuple(Priority))}"
    if not found:
        return "a silence must say what it is about: condition, kind, subject, ward or modality"
    return Matchers(tuple(sorted(found.items())), Priority(up_to))


def preview(silence: Silence, records: Iterable[AlertRecord]) -> tuple[AlertRecord, ...]:
    """Return those of `records` that a silence would hold back, in their order."""
    return tuple(record for record in records if silence.fits(record))


def modalities(record: AlertRecord) -> frozenset[str]:
    """Return the modalities an alert is about: what is lost, or what carries it."""
    if record.evidence:
        return frozenset(
            modality_of(item.code) for item in record.evidence if item.contribution > 0
        )
    return frozenset(record.missing_modalities)


def modality_of(signal_or_feature: str) -> str:
    """Return the modality a signal or catalogue feature belongs to: its first word.

    Examples
    --------
    >>> modality_of("acc_x"), modality_of("ecg_hr_bpm"), modality_of("resp")
    ('acc', 'ecg', 'resp')
    """
    return signal_or_feature.partition("_")[0]


def _matches(field: str, pattern: str, record: AlertRecord) -> bool:
    """Say whether one matcher fits an alert."""
    if field == "modality":
        return any(fits(pattern, name) for name in modalities(record))
    words = {
        "condition": record.condition.code,
        "kind": str(record.kind),
        "subject": record.subject,
        "ward": "" if record.location is None else record.location.ward,
    }
    return bool(words[field]) and fits(pattern, words[field])

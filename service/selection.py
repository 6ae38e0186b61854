"""Which alert events a listener wants. Pure; shared by `vigil subscribe` and `vigil deliver`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from alerts.alert import AlertEvent, AlertRecord, Kind, Phase, Priority
from alerts.words import nearest
from streams.errors import ConfigError
from streams.records import CANARY


class Selection(msgspec.Struct, frozen=True):
    """An event is wanted when every list that is not empty names it.

    `conditions` match whole codes or, ending in `*`, their beginning: "no_data:*".
    """

    patients: tuple[str, ...] = ()
    priorities: tuple[Priority, ...] = ()
    kinds: tuple[Kind, ...] = ()
    phases: tuple[Phase, ...] = ()
    conditions: tuple[str, ...] = ()

    def wants(self, event: AlertEvent) -> bool:
        """Say whether the event is wanted.

        Examples
        --------
        >>> Selection(conditions=("no_data:*",))._of_condition("no_data:ecg")
        True
        """
        return _in(event.phase, self.phases) and self.may_want(event)

    def may_want(self, record: AlertRecord) -> bool:
        """Say whether some step of the occurrence could be wanted as it stands."""
        return (
            _in(record.subject, self.patients)
            and (record.subject != CANARY or CANARY in self.patients)  # nobody to call anyone for
            and _in(record.priority, self.priorities)
            and _in(record.kind, self.kinds)
            and self._of_condition(record.condition.code)
        )

    def _of_condition(self, code: str) -> bool:
        return not self.conditions or any(
            code.startswith(name[:-1]) if name.endswith("*") else code == name
            for name in self.conditions
        )


def selection(**lists: Iterable[str]) -> Selection:
    """A selection from plain words.

    Parameters
    ----------
    **lists
        Any of `Selection`'s fields.

    Raises
    ------
    ConfigError
        For a word that no event can have, naming the nearest one that it can.

    Examples
    --------
    >>> selection(priorities=["hgih"])
    Traceback (most recent call last):
        ...
    streams.errors.ConfigError: priority 'hgih': nearest: high
    """
    known: dict[str, tuple[str, type[Priority] | type[Kind] | type[Phase]]] = {
        "priorities": ("priority", Priority),
        "kinds": ("kind", Kind),
        "phases": ("phase", Phase),
    }
    fields: dict[str, Any] = {name: tuple(words) for name, words in lists.items()}
    for name, (singular, vocabulary) in known.items():
        for word in fields.get(name, ()):
            if word not in tuple(vocabulary):
                raise ConfigError(f"{singular} {word!r}: {nearest(word, vocabulary)}")
        fields[name] = tuple(vocabulary(word) for word in fields.get(name, ()))
    return Selection(**fields)


def _in(value: str, wanted: tuple[str, ...]) -> bool:
    """Whether a list names a value; an empty list names all."""
    return not wanted or value in wanted

"""Facts that wait for a person: what they lack, what somebody said, and their release.

A row waits because its code or unit means nothing here. `say` notes what it means; `release`
makes events of the rows that now have a meaning, by the same conversion every import goes
through, and stores them. Nothing is deleted and nothing is guessed. Not here: the table
(`streams.io.store_quarantine`), or the conversion (`service.importers.fact`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from features import concepts
from service.importers.fact import EventError, Meaning, Terms, from_json
from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_quarantine import Quarantined, Selection
from streams.io.store_rows import SourcedEvent
from streams.records import Reason

PAGE_ROWS = 1_000


class Released(NamedTuple):
    """What a release did: `looked_at` = released + still."""

    looked_at: int
    released: int  # rows that are events now
    inserted: int  # of them, events that were new
    still: dict[str, int]  # reason -> rows that wait on


def say(store: Store, which: Selection, concept: str, unit: str, who: str) -> int:
    """Note what waiting rows mean; how many rows that are.

    Parameters
    ----------
    store : Store
    which : Selection
        Of the rows that wait.
    concept : str
        A code or alias of the table of concepts; "" leaves what was said.
    unit : str
        What the values are in; "" leaves what was written.
    who : str
        The person who decides.

    Raises
    ------
    ConfigError
        If there is no such concept, the unit does not convert into it, or neither is given.
    """
    if not (concept or unit):
        raise ConfigError("say a concept, a unit, or both")
    code = _known(concept).code if concept else ""
    if code and unit and not _converts(code, unit):
        wanted = concepts.CONCEPTS[concepts.INDEX[code]].unit
        raise ConfigError(f"{unit!r} does not convert into {wanted!r}, the unit of {code}")
    return store.quarantine.map(which, code, unit, who)


def terms_of(store: Store) -> Terms:
    """Terms with everything people have said: it holds for what is imported from now on."""
    found = store.quarantine.meanings()
    return Terms({(coding, unit): Meaning(concept, to) for coding, unit, concept, to in found})


def release(
    store: Store, which: Selection, who: str, on_error: Callable[[EventError], None]
) -> Released:
    """Make events of the waiting rows that have a meaning; the others wait on.

    A crash between storing and noting costs nothing: storing again changes nothing.

    Raises
    ------
    StoreError
        The database went away; pages before are released.
    """
    counts: Counter[str] = Counter()
    still: Counter[str] = Counter()
    after_id = 0
    while page := store.quarantine.rows("waiting", which, after_id=after_id, limit=PAGE_ROWS):
        after_id = page[-1].id
        made: list[tuple[int, SourcedEvent]] = []
        for row in page:
            event = event_of(row)
            if isinstance(event, EventError):
                still[event.reason.value] += 1
                on_error(event)
            else:
                made.append((row.id, event))
        if made:
            counts["inserted"] += store.store_events([event for _, event in made]).new
            counts["released"] += store.quarantine.decide([i for i, _ in made], "released", who)
        counts["looked_at"] += len(page)
    return Released(
        counts["looked_at"], counts["released"], counts["inserted"], dict(sorted(still.items()))
    )


def event_of(row: Quarantined) -> SourcedEvent | EventError:
    """Event of a waiting row with what was said of it, or why it is none yet."""
    try:
        fact = from_json(row.original)
    except msgspec.MsgspecError:
        rule = "was not kept as a fact, so it cannot be released"
        return EventError(row.file, row.line or 0, "", rule, Reason.UNDECODABLE)
    said = {}
    if row.mapped_concept or row.mapped_unit:
        said[fact.codings[0] if fact.codings else "", "*"] = Meaning(
            row.mapped_concept, row.mapped_unit
        )
    return Terms(said).event(fact)


def _known(name: str) -> concepts.Concept:
    concept = concepts.find(name)
    if concept is None:
        raise ConfigError(f"no concept is called {name!r}; see docs/concepts.md")
    return concept


def _converts(code: str, unit: str) -> bool:
    concept = concepts.CONCEPTS[concepts.INDEX[code]]
    return concept.is_text or bool(concept.words) or concepts.conversion(code, unit) is not None

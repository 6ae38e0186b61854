"""Importing a source: facts into events, events into the store, what lacks a meaning to wait.

Every batch is one transaction and a checkpoint after it; importing again changes nothing, with
or without the checkpoint. Not here: formats, or what waiting rows become (`service.quarantine`).
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from service.importers.contract import Importer, Item, Job
from service.importers.fact import EventError, Fact, Terms, to_json
from service.progress import SILENT, Watcher
from streams.errors import ConfigError
from streams.io.store import Store
from streams.io.store_people import Encounter, Patient
from streams.io.store_quarantine import QuarantineRecord
from streams.io.store_rows import BATCH_ROWS, SourcedEvent
from streams.records import ClinicalEvent

KEPT_IDS: Final = 20
_FINGERPRINT_BYTES: Final = 65_536

OnError = Callable[[EventError], None]


class ImportReport(NamedTuple):
    """What an import did. `facts` = inserted + present + changed + refused."""

    rows: int  # of the source
    facts: int  # what was, or should have been, an event
    inserted: int
    present: int  # stored already, the same in every field
    changed: int  # stored already under the same id and version, with other content: not written
    changed_ids: tuple[str, ...]  # the first of them
    refused: dict[str, int]  # reason -> rows; those that can wait are in quarantine
    waiting: int  # of the refused: new in quarantine
    skipped: dict[str, int]  # kind -> rows that are nothing Vigil has a concept for
    people: int  # persons and stays written, known or not


class Checkpoint(msgspec.Struct):
    """How far an import got: items of its source that are settled, and what became of them."""

    importer: str
    source: str  # fingerprint
    items: int = 0
    inserted: int = 0
    changed: int = 0
    waiting: int = 0
    people: int = 0
    changed_ids: list[str] = []
    refused: dict[str, int] = {}


class CheckpointFile:
    """A checkpoint in a file, replaced as a whole.

    Raises
    ------
    ConfigError
        On reading one that is of another source or importer, or is no checkpoint.
    """

    def __init__(self, path: Path | None, importer: str, source: str) -> None:
        self._path = path
        self._fresh = Checkpoint(importer, source)

    def read(self) -> Checkpoint:
        """Checkpoint of this import, a new one where there is none."""
        if self._path is None or not self._path.exists():
            return self._fresh
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=Checkpoint)
        except (msgspec.MsgspecError, OSError) as fault:
            raise ConfigError(f"{self._path}: is no checkpoint ({fault}); remove it") from None
        if (found.importer, found.source) != (self._fresh.importer, self._fresh.source):
            raise ConfigError(
                f"{self._path}: is the checkpoint of another source, or the source has changed; "
                "remove it, importing again changes nothing"
            )
        return found

    def write(self, state: Checkpoint) -> None:
        """Replace the file, so that a crash leaves the old one or the new one."""
        if self._path is None:
            return
        fresh = self._path.with_suffix(self._path.suffix + ".new")
        fresh.write_bytes(msgspec.json.encode(state))
        os.replace(fresh, self._path)

    def done(self) -> None:
        """Remove the file: the import is complete."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def fingerprint(path: Path) -> str:
    """Names, sizes and first bytes of a source's files: another source has another one."""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    for one in files:
        digest.update(f"{one.relative_to(path)}\x1f{one.stat().st_size}\x1f".encode())
        with one.open("rb") as handle:
            digest.update(handle.read(_FINGERPRINT_BYTES))
    return digest.hexdigest()


def import_source(
    store: Store,
    importer: Importer,
    job: Job,
    on_error: OnError,
    terms: Terms | None = None,
    watcher: Watcher = SILENT,
) -> ImportReport:
    """Import a source into the store; importing it again changes nothing.

    Parameters
    ----------
    store : Store
        With its schema in place.
    importer : Importer
        Of the source's format.
    job : Job
        What to read; counts what was read. Its checkpoint is removed at the end.
    on_error : callable
        Told of every refused row; the others go on.
    terms : Terms or None
        What codes and units mean; None: what the table of concepts knows.
    watcher : Watcher
        Told of the rows read.

    Returns
    -------
    ImportReport
        `changed` rows are not written, because a correction needs a higher `version` of the
        same `event_id`: overwriting would change what a replay of the past would know.

    Raises
    ------
    SourceError
        The source as a whole cannot be read; the batches before are stored.
    ConfigError
        The checkpoint is not this import's.
    StoreError
        The database went away; the batches before are stored, importing again completes it.
    """
    notes = CheckpointFile(job.checkpoint, importer.name, fingerprint(job.path))
    state = notes.read()
    batch = _Batch(store, state, on_error)
    meaning = terms or Terms()
    watcher.stage(f"import {importer.label}", None)
    told, settled = 0, state.items
    for seen, item in enumerate(importer.read(job), 1):
        if seen <= settled:
            continue
        batch.take(item, meaning)
        if batch.full:
            batch.flush()
            notes.write(state)
            watcher.step(job.rows - told)
            told = job.rows
    batch.flush()
    watcher.step(job.rows - told)
    notes.done()
    return _report(job, state)


class _Batch:
    """Events and waiting rows on their way into the store."""

    def __init__(self, store: Store, state: Checkpoint, on_error: OnError) -> None:
        self._store = store
        self._state = state
        self._on_error = on_error
        self._events: list[ClinicalEvent | SourcedEvent] = []
        self._waiting: list[QuarantineRecord] = []
        self._refused: Counter[str] = Counter()
        self._patients: dict[str, Patient] = {}
        self._stays: dict[str, Encounter] = {}
        self._items = 0

    @property
    def full(self) -> bool:
        """Whether it is time to write."""
        return self._items >= BATCH_ROWS

    def take(self, item: Item, terms: Terms) -> None:
        """One item of the importer."""
        self._items += 1
        if isinstance(item, Patient):
            self._patients[item.patient_id] = item
            self._state.people += 1
            return
        if isinstance(item, Encounter):
            self._stays[item.encounter_id] = item
            self._state.people += 1
            return
        made = terms.event(item) if isinstance(item, Fact) else item
        if not isinstance(made, EventError):
            self._events.append(made)
            return
        self._refused[made.reason.value] += 1
        if made.fact is not None:
            self._waiting.append(waiting_row(made, made.fact))
        self._on_error(made)

    def flush(self) -> None:
        """Write what there is; afterwards the state counts it."""
        state = self._state
        # People first: an admission wakes the feed, which then sends the history in order.
        if self._patients:
            self._store.people.write_patients(list(self._patients.values()))
        if self._stays:
            self._store.people.write_encounters(list(self._stays.values()))
        if self._waiting:
            state.waiting += self._store.quarantine.add(self._waiting)
        if self._events:
            written = self._store.store_events(self._events)
            state.inserted += written.new
            state.changed += len(written.changed)
            room = KEPT_IDS - len(state.changed_ids)
            state.changed_ids = [*state.changed_ids, *written.changed[: max(0, room)]]
        refused = Counter(state.refused)
        refused.update(self._refused)
        state.refused = dict(sorted(refused.items()))
        state.items += self._items
        self._events.clear()
        self._waiting.clear()
        self._patients.clear()
        self._stays.clear()
        self._refused.clear()
        self._items = 0


def waiting_row(error: EventError, fact: Fact) -> QuarantineRecord:
    """Row of the quarantine for a fact that lacks a meaning."""
    return QuarantineRecord(
        key=f"{fact.event_id}|{fact.version}",
        reason=error.reason.value,
        original=to_json(fact),
        detail=error.rule,
        patient_id=fact.patient_id,
        source=fact.source,
        file=fact.file,
        line=fact.line,
        coding=fact.codings[0] if fact.codings else "",
        unit=fact.unit,
    )


def _report(job: Job, state: Checkpoint) -> ImportReport:
    refused = sum(state.refused.values())
    return ImportReport(
        rows=job.rows,
        facts=state.items - state.people,
        inserted=state.inserted,
        present=state.items - state.people - state.inserted - state.changed - refused,
        changed=state.changed,
        changed_ids=tuple(state.changed_ids),
        refused=state.refused,
        waiting=state.waiting,
        skipped=dict(job.skipped.most_common()),
        people=state.people,
    )

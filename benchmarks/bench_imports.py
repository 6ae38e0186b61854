"""Imports of real clinical data: what converts, what does not and why, and how fast.

Reads MIMIC-III demo and T1D-UOM whole. Conversion is timed alone, in CPU time. With VIGIL_DATABASE
set (`deploy/services run -- python -m benchmarks.bench_imports`) everything also goes into a
database of its own, twice: the second time nothing may change.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from benchmarks._common import data_folder, heading
from service.importers import registry
from service.importers.contract import Job
from service.importers.fact import EventError, Fact, Terms
from service.importers.run import ImportReport, import_source
from streams.io.store import Store
from streams.io.store_people import Encounter, Patient
from streams.io.store_rows import SourcedEvent

SETS = ("mimic3_demo", "t1d_uom")
DATABASE = "vigil_bench_imports"
CHARTED = ("mimic3:chartevents", "mimic3:labevents")
SHOWN = 25


class Read(NamedTuple):
    """What reading a source gave, without a database."""

    job: Job
    by_source: Counter[str]
    concepts: set[str]
    refused: Counter[str]
    cpu_s: float


def read(path: Path) -> Read:
    """Read and convert a whole source."""
    importer, job, terms = registry.detect(path), Job(path), Terms()
    made: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    concepts: set[str] = set()
    began_s = time.process_time()
    for item in importer.read(job):
        if isinstance(item, Encounter | Patient):
            continue
        one = terms.event(item) if isinstance(item, Fact) else item
        if isinstance(one, EventError):
            coding = f" {item.codings[0]} in {item.unit!r}" if isinstance(item, Fact) else ""
            refused[f"{one.reason.value}: {one.column}{coding}"] += 1
            continue
        event = one.event if isinstance(one, SourcedEvent) else one
        made[event.source] += 1
        concepts.add(event.code)
    return Read(job, made, concepts, refused, time.process_time() - began_s)


def tell(name: str, found: Read) -> None:
    """Table of one source."""
    events = sum(found.by_source.values())
    print(f"\n{name}: {found.job.rows:,} rows, {events:,} events of {len(found.concepts)} concepts")
    print(f"  read and converted: {found.job.rows / found.cpu_s:,.0f} rows per CPU-second")
    for source, count in found.by_source.most_common():
        print(f"  {count:>9,}  events of {source}")
    unmapped = sum(n for kind, n in found.job.skipped.items() if ": item " in kind)
    if unmapped:
        print(f"  {unmapped:>9,}  rows of items without a concept")
    left = Counter({k: n for k, n in found.job.skipped.items() if ": item " not in k})
    for kind, count in (left + found.refused).most_common(SHOWN):
        print(f"  {count:>9,}  {'refused, ' if kind in found.refused else 'left out, '}{kind}")
    charted = sum(found.by_source[source] for source in CHARTED)
    if charted:
        missed = sum(n for kind, n in left.items() if kind.startswith(("chart", "lab")))
        missed += sum(found.refused.values())
        share = charted / (charted + missed)
        print(f"  chart and laboratory rows of mapped items converted: {share:.2%}")


@contextmanager
def database(dsn: str) -> Iterator[str]:
    """A database of its own, dropped at the end."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield urlunsplit(urlsplit(dsn)._replace(path=f"/{DATABASE}"))
        finally:
            server.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")


def stored(dsn: str, name: str, path: Path) -> None:
    """Import twice; rates of the first, and whether the second changed anything."""
    with database(dsn) as own, Store.connect(own) as store:
        edition = store.migrate()
        before_s = server_cpu_s(dsn)
        first, wall_s, cpu_s = timed(store, path)
        server_s = server_cpu_s(dsn) - before_s
        second, again_s, _ = timed(store, path)
        waiting = sum(group.rows for group in store.quarantine.groups())
        changed = second.inserted or second.changed or second.waiting
        print(f"\n{name} into {edition}: {first.rows:,} rows, {first.inserted:,} events")
        print(f"  first  {wall_s:6.1f} s, {first.rows / wall_s:,.0f} rows/s wall")
        print(f"         CPU: {cpu_s:.1f} s here, {server_s:.1f} s in the server's process;")
        both_s = cpu_s + server_s
        print(f"         {first.rows / both_s:,.0f} rows and {first.inserted / both_s:,.0f} events")
        print("         per CPU-second of both together")
        print(f"  second {again_s:6.1f} s: {'CHANGED SOMETHING' if changed else 'changed nothing'}")
        print(f"  waiting in quarantine: {waiting}")


def server_cpu_s(dsn: str) -> float:
    """CPU seconds of the server's processes for a database; NaN where it is on another machine."""
    import psycopg

    query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    total = 0.0
    with psycopg.connect(dsn, autocommit=True) as server:
        for (pid,) in server.execute(query, (DATABASE,)).fetchall():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)
            except OSError:
                return float("nan")
            if "postgres" not in fields[0]:
                return float("nan")
            ticks = fields[1].split()[11:13]
            total += sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return total


def timed(store: Store, path: Path) -> tuple[ImportReport, float, float]:
    """One import with its wall and CPU seconds."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    report = import_source(store, registry.detect(path), Job(path), lambda error: None)
    return report, time.perf_counter() - wall_s, time.process_time() - cpu_s


def main() -> None:
    """Print the tables."""
    print(heading("Imports of clinical events"))
    dsn = os.environ.get("VIGIL_DATABASE", "")
    for name in SETS:
        path = data_folder(name)
        tell(name, read(path))
        if dsn:
            stored(dsn, name, path)
    if not dsn:
        print("\nno VIGIL_DATABASE: the database was not measured")


if __name__ == "__main__":
    main()

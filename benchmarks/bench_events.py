"""Clinical events: import into the database, and from an insert to the patients' log.

`python -m benchmarks.bench_events [--rows N] [--seconds S] [--only import|feed]`; needs
VIGIL_DATABASE and VIGIL_KAFKA (deploy/services up prints them). Rows are shaped like the charts
of an ICU: random ids, months of times.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from psycopg import conninfo

from benchmarks._common import ROOT, heading
from service.config import to_toml
from streams.codec import decode
from streams.io.kafka_admin import create_topics, delete_topics
from streams.io.kafka_read import LogReader
from streams.io.store import Store
from streams.io.store_rows import SourcedEvent
from streams.records import ClinicalEvent
from streams.topics import topic_name

CODES = ("hr", "sbp", "dbp", "map", "resp_rate", "spo2", "temp", "lactate", "creatinine", "k")
HOUR_US = 3_600_000_000
SPAN_US = 120 * 24 * HOUR_US
RATE_HZ = 500
PARTITIONS = 64


def facts(count: int, patients: int, end_us: int, seed: int = 6) -> list[SourcedEvent]:
    """Charted rows of the last months before `end_us`, by the time they became known."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        time_us = end_us - 30 * 60_000_000 - chance.randrange(SPAN_US)
        known_us = time_us + chance.randrange(20 * 60_000_000)
        code = chance.choice(CODES)
        value = round(chance.uniform(20, 180), 1)
        event = ClinicalEvent(
            str(uuid.UUID(int=chance.getrandbits(128))),
            1,
            "final",
            f"h{chance.randrange(patients):04d}",
            code,
            value,
            "/min",
            "",
            time_us,
            known_us,
            "chartevents",
        )
        made.append(SourcedEvent(event, f"mimic|{chance.randrange(220_000, 230_000)}", str(value)))
    return sorted(made, key=lambda one: one.event.known_time_us)


@contextmanager
def database(server: str) -> Iterator[str]:
    """A new database, dropped afterwards."""
    name = f"vigil_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield conninfo.make_conninfo(server, dbname=name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def digest(dsn: str) -> str:
    """One digest over every stored row, in a fixed order."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT md5(string_agg(md5(e::text), '' ORDER BY event_id, version)) "
            "FROM clinical_events e"
        ).fetchone()
    return str(row[0]) if row else ""


def backends(dsn: str) -> list[int]:
    """Process ids of the server's sessions that serve the store."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'vigil' "
            "AND datname = current_database()"
        ).fetchall()
    return [int(row[0]) for row in found]


def cpu_of(pid: int) -> float:
    """CPU seconds of a process of this machine; 0.0 where it is not seen."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bench_import(server: str, rows: list[SourcedEvent], *, extension: bool) -> None:
    """Rows per second in, again, and whether that changed anything."""
    with database(server) as dsn, Store(dsn) as store:
        edition = store.migrate(extension)
        if extension and edition == "postgresql":
            print("  no TimescaleDB on this server")
            return
        (pid,) = backends(dsn)
        digests = []
        for word in ("first", "again"):
            began_s, cpu_s, server_s = time.perf_counter(), time.process_time(), cpu_of(pid)
            written = store.store_events(rows)
            wall_s = time.perf_counter() - began_s
            client_s, server_s = time.process_time() - cpu_s, cpu_of(pid) - server_s
            digests.append(digest(dsn))
            per_row = 1e6 / len(rows)
            print(
                f"  {edition:17} {word:5} {written.new:9,d} new {len(rows) / wall_s:8,.0f} rows/s; "
                f"{len(rows) / (client_s + server_s):8,.0f} per CPU-s (us/row: client "
                f"{client_s * per_row:.1f}, server {server_s * per_row:.1f})"
            )
        same = digests[0] == digests[1]
        print(f"  {edition:19} the second import changed {'nothing' if same else 'SOMETHING'}")


async def watch(bootstrap: str, topic: str, stop: Any) -> tuple[dict[str, list[float]], int]:
    """When each live event came off the log, s, and how many records came in all."""
    seen: dict[str, list[float]] = {}
    total = 0
    async with LogReader(bootstrap, [topic], "earliest") as reader:
        rows = aiter(reader)
        while not stop.is_set():
            try:
                row = await asyncio.wait_for(anext(rows), 0.5)
            except TimeoutError:
                rows = aiter(reader)
                continue
            total += 1
            if b"live-" in row.value:
                now_s = time.perf_counter()
                record = decode(row.value, row.partition, row.offset, row.append_us).record
                if isinstance(record, ClinicalEvent):
                    seen.setdefault(record.event_id, []).append(now_s)
    return seen, total


def watcher(bootstrap: str, topic: str, stop: Any, answer: Any) -> None:
    """`watch` as a process of its own: it takes no time from the writers."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    answer.put(asyncio.run(watch(bootstrap, topic, stop)))


INSERT = (
    "INSERT INTO clinical_events (event_id, version, status, patient_id, concept, value, unit, "
    "event_time, known_time, source) VALUES (%s, 1, 'final', %s, 'hr', %s, '/min', "
    "clock_timestamp() - interval '1 min', clock_timestamp(), 'monitor')"
)


def live(dsn: str, seconds: int) -> tuple[dict[str, float], float]:
    """Insert one event per transaction at `RATE_HZ` from four sessions, as another system would.

    Returns when each insert began, s, and the rate that was reached.
    """
    inserted: dict[str, float] = {}
    count = RATE_HZ * seconds
    began_s = time.perf_counter() + 0.5

    def write(writer: int) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for number in range(writer, count, 4):
                due_s = began_s + number / RATE_HZ
                time.sleep(max(0.0, due_s - time.perf_counter()))
                name = f"live-{number}"
                inserted[name] = time.perf_counter()
                connection.execute(INSERT, (name, f"p{number % 1000:04d}", 60.0 + number % 40))

    writers = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return inserted, count / (time.perf_counter() - began_s)


def bench_feed(server: str, bootstrap: str, seconds: int, backlog: list[SourcedEvent]) -> None:
    """From the insert to a consumer of the log, `vigil events feed` between them."""
    prefix = f"bench-{uuid.uuid4().hex[:8]}"
    create_topics(bootstrap, prefix, PARTITIONS, 1)
    processes = multiprocessing.get_context("fork")
    stop, answer = processes.Event(), processes.Queue()
    try:
        with database(server) as dsn, feeding(bootstrap, prefix, dsn) as feed, Store(dsn) as store:
            arguments = (bootstrap, topic_name("in", prefix), stop, answer)
            consumer = processes.Process(target=watcher, args=arguments)
            consumer.start()
            time.sleep(5.0)
            began_s = time.perf_counter()
            importer = processes.Process(target=_import, args=(dsn, backlog))
            importer.start()
            inserted, rate = live(dsn, seconds)
            importer.join()
            while store.feed.backlog().rows and feed.poll() is None:
                time.sleep(0.2)
            drained_s = time.perf_counter() - began_s
            time.sleep(2.0)
            stop.set()
            seen, total = answer.get()
            consumer.join()
        _report(inserted, seen, rate, len(backlog))
        wanted = len(inserted) + len(backlog)
        print(
            f"    {total:,d} records on the log of {wanted:,d} events; all marked after "
            f"{drained_s:.1f} s ({wanted / drained_s:,.0f}/s)"
        )
    finally:
        delete_topics(bootstrap, prefix)


def _import(dsn: str, backlog: list[SourcedEvent]) -> None:
    with Store(dsn) as store:
        store.store_events(backlog)


@contextmanager
def feeding(bootstrap: str, prefix: str, dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    """`vigil events feed` as a process, ended afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "kafka": {"bootstrap": bootstrap, "prefix": prefix, "partitions": PARTITIONS},
            "database": {"dsn": dsn},
        }
        (Path(folder) / "vigil.toml").write_text(to_toml(settings) + "\n", "utf-8")
        with Store(dsn) as store:
            store.migrate()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "events", "feed"],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(ROOT)},
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def _report(
    inserted: dict[str, float], seen: dict[str, list[float]], rate: float, backlog: int
) -> None:
    delays_ms = np.array(
        [(seen[name][0] - began_s) * 1e3 for name, began_s in inserted.items() if name in seen]
    )
    twice = sum(len(times) > 1 for times in seen.values())
    p50, p99 = np.percentile(delays_ms, [50, 99])
    print(
        f"  {rate:5.0f} events/s, backlog {backlog:9,d}: p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  "
        f"max {delays_ms.max():7.1f} ms; missing {len(inserted) - len(delays_ms)}, twice {twice}"
    )


def main() -> None:
    """Print the tables of RESULTS-events.md."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--rows", type=int, default=300_000)
    reader.add_argument("--seconds", type=int, default=60)
    reader.add_argument("--only", choices=("import", "feed"), default="")
    asked = reader.parse_args()
    # A topic that was just made has no leader for a moment; the client says so and goes on.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    server, bootstrap = os.environ.get("VIGIL_DATABASE", ""), os.environ.get("VIGIL_KAFKA", "")
    if not server or not bootstrap:
        sys.exit("needs VIGIL_DATABASE and VIGIL_KAFKA: deploy/services up prints them")
    print(heading("Clinical events"))
    with psycopg.connect(server) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    print(f"PostgreSQL {row[0] if row else '?'}; load {os.getloadavg()[0]:.1f}")
    rows = facts(asked.rows, 1_000, time.time_ns() // 1000)
    print(f"import of {asked.rows:,d} rows, 5,000 per transaction")
    for extension in (True, False) if asked.only != "feed" else ():
        bench_import(server, rows, extension=extension)
    if asked.only == "import":
        return
    print(f"insert -> seen by a consumer of the log, {asked.seconds} s")
    bench_feed(server, bootstrap, asked.seconds, [])
    bench_feed(server, bootstrap, asked.seconds, rows)


if __name__ == "__main__":
    main()

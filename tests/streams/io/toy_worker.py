"""A real worker with an engine small enough to check by hand; run as a subprocess.

Its state per patient is an order-sensitive digest of the chunks, so a record that is lost, doubled
or out of order shows in every later output.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from streams.errors import VigilError
from streams.processor import Fault, Loaded, Output, Outputs, Prompt
from streams.records import LogRecord, SignalBundle, Tick


class Toy(msgspec.Struct, array_like=True):
    frontier: int
    count: int
    digest: int
    ticks: int


class ToyProcessor(Prompt):
    """Counts chunks and ticks per patient; one output per chunk, an alert at every tenth."""

    def __init__(self) -> None:
        self._patients: dict[int, dict[str, Toy]] = {}
        self._changed: dict[int, set[str]] = {}

    def feed(self, records: Sequence[LogRecord]) -> Outputs:
        messages: list[Output] = []
        for row in records:
            for refused in row.rejected:
                reason = (("vigil-reason", refused.reason.value.encode()),)
                messages.append(
                    Output("dlq", "", row.partition, row.append_us, refused.original, reason)
                )
            patients = self._patients.setdefault(row.partition, {})
            if isinstance(row.record, Tick):
                for toy in patients.values():
                    if row.offset >= toy.frontier:
                        toy.ticks += 1
                self._changed.setdefault(row.partition, set()).update(patients)
            elif isinstance(row.record, SignalBundle):
                messages += self._bundle(row, row.record, patients)
            for toy in patients.values():
                toy.frontier = max(toy.frontier, row.offset + 1)
        return Outputs(tuple(messages))

    def _bundle(
        self, row: LogRecord, bundle: SignalBundle, patients: dict[str, Toy]
    ) -> list[Output]:
        messages = []
        for chunk in bundle.chunks:
            toy = patients.setdefault(chunk.patient_id, Toy(0, 0, 0, 0))
            if row.offset < toy.frontier:
                continue
            toy.count += 1
            toy.digest = zlib.crc32(chunk.data, toy.digest)
            self._changed.setdefault(row.partition, set()).add(chunk.patient_id)
            value = msgspec.json.encode([chunk.patient_id, toy.count, toy.digest, toy.ticks])
            messages.append(
                Output("features", chunk.patient_id, row.partition, row.append_us, value)
            )
            if toy.count % 10 == 0:
                event = (
                    ("ce_specversion", b"1.0"),
                    ("ce_id", f"{chunk.patient_id}-{toy.count}".encode()),
                )
                messages.append(
                    Output("alerts", chunk.patient_id, row.partition, row.append_us, value, event)
                )
        return messages

    def snapshots(
        self, partition: int, share: float = 1.0, also: Collection[str] = ()
    ) -> list[tuple[str, int, bytes]]:
        patients = self._patients.get(partition, {})
        given = self._changed.pop(partition, set()) | (patients.keys() & also)
        return [
            (name, patients[name].frontier, msgspec.msgpack.encode(patients[name]))
            for name in sorted(given)
        ]

    def unstored(self, partition: int) -> int | None:
        return None

    def restore(self, partition: int, patient_id: str, state: bytes) -> Loaded:
        toy = msgspec.msgpack.decode(state, type=Toy)
        self._patients.setdefault(partition, {})[patient_id] = toy
        return Loaded(toy.frontier, toy.frontier)

    def refill(self, records: Sequence[LogRecord]) -> None:
        raise AssertionError("nothing was asked for")

    def complete(self, partition: int) -> None:
        pass

    def suspects(self, records: Sequence[LogRecord]) -> dict[tuple[int, str], Fault]:
        return {}

    def quarantine(self, patient_id: str, fault: Fault) -> None:
        raise AssertionError("nobody is suspected")

    def drop(self, partition: int) -> None:
        self._patients.pop(partition, None)
        self._changed.pop(partition, None)


def skip_records(count: int) -> None:
    """Make Faust skip records of every partition once, as it does after some rebalances."""
    from streams.io import faust_worker

    make_app = faust_worker._app

    def sabotaged(settings: Any) -> Any:
        app = make_app(settings)

        def skip() -> None:
            for part, offset in list(app.consumer._read_offset.items()):
                app.consumer._read_offset[part] = (offset or 0) + count

        async def assigned(app: Any, assigned: Any, **_: Any) -> None:
            asyncio.get_running_loop().call_later(2.0, skip)

        app.on_partitions_assigned.connect(assigned, weak=False)
        return app

    faust_worker._app = sabotaged


def main() -> int:
    from streams.io.start import run
    from streams.io.worker_settings import WorkerSettings

    parser = argparse.ArgumentParser()
    parser.add_argument("--runner", choices=("faust", "direct"), default="faust")
    parser.add_argument("bootstrap")
    parser.add_argument("prefix")
    parser.add_argument("instance")
    parser.add_argument("--checkpoint-s", type=float, default=0.5)
    parser.add_argument("--ticks", default="recorded")
    parser.add_argument("--tick-s", type=float, default=5.0)
    parser.add_argument("--take", type=int, default=20)
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--keep-place", action="store_true")
    parser.add_argument("--datadir", required=True)
    options = parser.parse_args()
    if options.skip:
        skip_records(options.skip)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    settings = WorkerSettings(
        options.bootstrap,
        prefix=options.prefix,
        group=options.prefix,
        instance=options.instance,
        ticks=options.ticks,
        tick_s=options.tick_s,
        checkpoint_s=options.checkpoint_s,
        take_records=options.take,
        leave_on_stop=not options.keep_place,
        datadir=options.datadir,
    )
    try:
        return run(options.runner, settings, ToyProcessor)
    except VigilError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""How long a worker needs until it processes again, with the state of ten thousand patients.

    deploy/services run -- python -m benchmarks.bench_restart [--patients 10000] [--runner direct]

States are real: a few simulated patients after eight minutes, every ring full, each standing for
many. Every patient's state is stored as often as a worker would in `--rounds` times
`worker.snapshot_s`, and the samples that states rest on lie on the input topic, followed by ticks
that wait. Measured from the start of the process: until it is ready, and until the ticks are done.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families
from psutil import Process

from benchmarks._common import heading
from benchmarks._ward import Ward, cpu_s
from features.ecg.kernels import warm_up
from service import snapshot
from service.build import build_engine
from service.config import Config, KafkaConfig
from service.load import CHUNK_S, SIGNALS, Load, LoadSpec
from service.squeeze import squeezed
from streams.codec import encode
from streams.io.kafka_log import LogWriter, Message, start_client, stop_client
from streams.io.state_store import StateStore
from streams.partition import partition_of
from streams.records import LogRecord, SignalBundle, Tick

PARTITIONS = 64
TEMPLATES, SECONDS, TICK_S = CHUNK_S, 480, 5  # one patient sends in each second
SHARES = 6  # of the patients' states, stored one after the other
GOAL_S = 30.0


class Templates(NamedTuple):
    """A few patients: their log on one partition, and their states after it."""

    log: list[LogRecord]
    names: list[str]  # in the order in which the log first names them
    frontiers: dict[str, int]
    states: dict[str, bytes]
    replay: int  # lowest offset with samples that a state rests on


def templates() -> Templates:
    """Run the engine for eight minutes, up to now."""
    start_us = (time.time_ns() // 1_000_000_000 - SECONDS) * 1_000_000
    log: list[LogRecord] = []
    load = Load(LoadSpec(TEMPLATES, start_us, 1))
    for second in range(SECONDS):
        now_us = start_us + second * 1_000_000
        rows = [entry.record for entry in load.second(second)]
        rows += [Tick(now_us)] if second % TICK_S == 0 else []
        log += [LogRecord(0, len(log) + k, now_us, row) for k, row in enumerate(rows)]
    engine = build_engine(Config(kafka=KafkaConfig(partitions=1)))
    for at in range(0, len(log), 16):
        engine.feed(log[at : at + 16])
    stored = engine.snapshots(0)
    fresh = build_engine(Config(kafka=KafkaConfig(partitions=1)))
    replay = min(fresh.restore(0, name, state).replay for name, _, state in stored)
    return Templates(
        log,
        [name for name, _, _ in stored],
        {name: frontier for name, frontier, _ in stored},
        {name: state for name, _, state in stored},
        replay,
    )


def renamed(state: bytes, patient_id: str, before: int) -> bytes:
    """The state of another patient who has lived the same, `before` others in each bundle."""
    kept = snapshot._decoded(state)
    for device in kept.devices:
        for signal in device.signals.values():
            if signal.sources:  # differences: the first place moves all
                signal.sources[1] += before * len(SIGNALS)
    machine = msgspec.structs.replace(kept.machine, patient_id=patient_id)
    kept = msgspec.structs.replace(kept, patient_id=patient_id, machine=machine)
    packed = squeezed(snapshot._ENCODER.encode(kept))
    head: bytes = snapshot._MAGIC + bytes((snapshot.SNAPSHOT_VERSION,))
    return head + packed


def crowd(patients: int) -> dict[int, list[str]]:
    """Names of so many patients, by partition."""
    found: dict[int, list[str]] = {number: [] for number in range(PARTITIONS)}
    for number in range(patients):
        name = f"many-{number:05d}"
        found[partition_of(name, PARTITIONS)].append(name)
    return found


def input_log(made: Templates, own: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """(append time, value) of one partition: samples where states rest on them, else ticks."""
    place = {name: k for k, name in enumerate(made.names)}
    for row in made.log:
        if row.offset < made.replay or not isinstance(row.record, SignalBundle):
            yield row.append_us, encode(Tick(row.append_us))
            continue
        chunks = tuple(
            msgspec.structs.replace(chunk, patient_id=name)
            for name in own[place[row.record.chunks[0].patient_id] :: TEMPLATES]
            for chunk in row.record.chunks
        )
        yield row.append_us, encode(SignalBundle(chunks) if chunks else Tick(row.append_us))


async def fill(ward: Ward, made: Templates, names: dict[int, list[str]], rounds: int) -> int:
    """Write logs, states and offsets; bytes of all states of one round."""
    size = 0
    async with LogWriter(ward.bootstrap) as writer:
        store = StateStore(ward.bootstrap, ward.topic("state"), writer)
        await store.read(list(names))
        for number, own in names.items():
            rows = [
                Message(ward.topic("in"), number, at_us, None, value)
                for at_us, value in input_log(made, own)
            ]
            await writer.send_all(rows)
            states = []
            for k, name in enumerate(own):
                template = made.names[k % TEMPLATES]
                state = renamed(made.states[template], name, k // TEMPLATES)
                states.append((name, made.frontiers[template], state))
                size += len(state)
            for _ in range(rounds):
                for share in range(SHARES):
                    now_us = time.time_ns() // 1000
                    await store.write(number, 1, now_us, states[share::SHARES])
    await _commit(ward, len(made.log))
    return size


async def _commit(ward: Ward, offset: int) -> None:
    group = ward.config.kafka.group
    consumer = AIOKafkaConsumer(
        bootstrap_servers=ward.bootstrap, group_id=group, enable_auto_commit=False
    )
    await start_client(consumer, ward.bootstrap)
    try:
        parts = [TopicPartition(ward.topic("in"), number) for number in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.commit(dict.fromkeys(parts, offset))
    finally:
        await stop_client(consumer)


async def _tick(ward: Ward, now_us: int) -> None:
    async with LogWriter(ward.bootstrap) as writer:
        value = encode(Tick(now_us))
        await writer.send_all(
            [Message(ward.topic("in"), number, now_us, None, value) for number in range(PARTITIONS)]
        )


def started(ward: Ward) -> None:
    """Start the worker and tell when it is ready and when it has done what waited."""
    began_s = time.monotonic()
    ward.start("one")
    port = ward.ports["one"]
    pid, ready_s, ready_cpu_s = ward.workers["one"].pid, 0.0, 0.0
    while _ticks_done(port) < PARTITIONS:
        if ward.workers["one"].poll() is not None or time.monotonic() - began_s > 300:
            raise SystemExit((ward.folder / "one.log").read_text(errors="replace")[-2000:])
        if not ready_s and ward.is_ready("one"):
            ready_s, ready_cpu_s = time.monotonic() - began_s, cpu_s(pid)
        time.sleep(0.1)
    done_s = time.monotonic() - began_s
    mib = Process(pid).memory_info().rss / 2**20
    print(
        f"ready after {ready_s or done_s:.1f} s ({ready_cpu_s:.1f} s of CPU), processing again "
        f"after {done_s:.1f} s ({cpu_s(pid):.1f} s of CPU), {mib:.0f} MiB; load average "
        f"{os.getloadavg()[0]:.1f}\n"
        f"goal: {GOAL_S:.0f} s: {'met' if done_s <= GOAL_S else 'MISSED'}",
        flush=True,
    )


def _ticks_done(port: int) -> float:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0.0
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vigil_records_total" and sample.labels["kind"] == "tick"
    )


def main() -> None:
    """Fill the topics, start, measure; again, as after a second restart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--runner", choices=("faust", "direct"), default="faust")
    options = parser.parse_args()
    print(heading(f"Restart with {options.patients} patients' state, {options.runner}"), flush=True)
    warm_up()
    made = templates()
    # Recorded: filling the topics takes longer than a restart, and is no silence of devices.
    worker = {"runner": options.runner, "ticks": "recorded"}
    with tempfile.TemporaryDirectory(prefix="vigil-restart-") as folder:
        ward = Ward(
            os.environ["VIGIL_KAFKA"], Path(folder), PARTITIONS, settings={"worker": worker}
        )
        try:
            size = asyncio.run(fill(ward, made, crowd(options.patients), options.rounds))
            print(
                f"{size / options.patients / 1000:.1f} kB a state, {options.rounds} rounds of "
                f"{size / 2**20:.0f} MiB; samples of {len(made.log) - made.replay} records a "
                "partition to read again",
                flush=True,
            )
            asyncio.run(_tick(ward, made.log[-1].append_us + TICK_S * 1_000_000))
            started(ward)
        finally:
            ward.close()


if __name__ == "__main__":
    main()

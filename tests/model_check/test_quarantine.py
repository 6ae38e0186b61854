"""Fault 24: data of one patient that make the engine itself raise, again after every restart."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence

import msgspec
import pytest

from service import patient as patients
from service import settle, work
from streams.codec import decode, encode
from streams.io.input_log import RawRecord
from streams.quarantine import release_order
from streams.records import AlertCommand, SignalBundle
from tests.model_check.crashes import check
from tests.model_check.logs import numbered
from tests.model_check.world import Worker, World
from tests.service.engine_kit import PARTITIONS, START_US, S, engine, log_of, patient

SICK, AT_S = "poison", 61.0


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug: the engine divides by zero where this patient's saturation reads 12.34 %."""
    real = patients.Patient.on_chunks

    def buggy(self, index, chunks, arrival):  # type: ignore[no-untyped-def]
        done = real(self, index, chunks, arrival)
        if any(chunk.data[:2] == (1234).to_bytes(2, "little") for _, chunk in chunks):
            raise ZeroDivisionError(f"about {self.patient_id}")
        return done

    monkeypatch.setattr(patients.Patient, "on_chunks", buggy)


def ward(*, poisoned: bool = True, rest: bool = True) -> list[RawRecord]:
    """Five patients of 150 s, one of whom once sends what the engine cannot bear."""
    names = [SICK, *(f"n{k}" for k in range(4))]
    rows = log_of(
        [patient(name, 150, fs_hz=62.5, off=False) for name in names if rest or name != SICK],
        tail_us=30 * S,
    )
    out = [(r.partition, r.append_us, encode(changed(r.record, poisoned))) for r in rows]
    return numbered(out)


def changed(record: object, poisoned: bool) -> object:
    if not (poisoned and isinstance(record, SignalBundle)):
        return record
    return SignalBundle(
        tuple(
            msgspec.structs.replace(chunk, data=(1234).to_bytes(2, "little") * 2)
            if (chunk.patient_id, chunk.signal) == (SICK, "spo2")
            and chunk.start_us == START_US + 60 * S
            else chunk
            for chunk in record.chunks
        )
    )


class Growing(World):
    """A world in which what a worker says on the input topic stands there."""

    def take(self, partition: int, append_us: int, value: bytes) -> None:
        row = RawRecord(partition, len(self.log[partition]), append_us, value)
        self.log[partition].append(row)
        self.order.append(row)


def played(log: Sequence[RawRecord], sizes: Callable[[int], int], restarts: bool = False) -> World:
    """Everything said, by workers that are replaced now and then."""

    async def run() -> World:
        world = Growing(log)
        worker, turn = Worker(world, engine), 0
        await worker.start()
        while await worker.work(sizes(turn)):
            grown(world)
            turn += 1
            if turn % 7 == 0:
                world.committed |= await worker.store(0.5)
            if restarts and turn % 5 == 0:
                worker.end()
                worker = Worker(world, engine)
                await worker.start()
        worker.end()
        return world

    return asyncio.run(run())


def grown(world: Growing) -> None:
    """Move what was said on the input topic onto it."""
    for number, said in world.outputs.items():
        for row in [row for row in said if row[0] == "check.in.v1"]:
            said.remove(row)
            if row[2] not in [r.value for r in world.log[number]]:
                world.take(number, world.log[number][-1].append_us, row[2])


def of(world: World, topic: str, name: str | None = None) -> list[bytes]:
    """Distinct values on a topic, of one patient or of all."""
    rows = [row for said in world.outputs.values() for row in said if row[0] == f"check.{topic}.v1"]
    return list(dict.fromkeys(v for _, k, v in rows if name is None or name in k.decode()))


def others(world: World) -> dict[int, list[tuple[str, bytes, bytes]]]:
    """What is said of everybody else, by partition."""
    found = {
        number: [r for r in dict.fromkeys(said) if SICK.encode() not in r[1] and "dlq" not in r[0]]
        for number, said in world.outputs.items()
    }
    return {number: said for number, said in found.items() if said}


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("size", [1, 9, 200])
def test_one_patient_is_taken_out_and_all_others_are_told_the_same(size: int) -> None:
    world = played(ward(), lambda turn: size)
    assert others(world) == others(played(ward(rest=False), lambda turn: 50))
    alerts = [msgspec.json.decode(v) for v in of(world, "alerts", SICK)]
    lost = [a for a in alerts if a["condition"]["code"].startswith("monitoring")]
    assert [a["phase"] for a in lost] == ["raised"]
    assert lost[0]["kind"] == "technical"
    letters = [msgspec.json.decode(v) for v in of(world, "dlq")]
    assert {letter["reason"] for letter in letters} == {"engine_fault"}
    first = base64.b64decode(letters[0]["original"])
    (chunk,) = decode(first, 0, 0, 0).record.chunks  # type: ignore[union-attr]
    assert chunk.patient_id == SICK
    assert len(letters) > 30, "what came later is kept as well"


@pytest.mark.parametrize("at_once", [1, 3])
def test_who_raises_only_when_put_off_windows_are_computed_is_taken_out_as_well(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    real = settle._news

    def buggy(patient, op):  # type: ignore[no-untyped-def]
        if patient.patient_id == SICK and op.windows[0].end_us >= START_US + 100 * S:
            raise ZeroDivisionError
        return real(patient, op)

    monkeypatch.setattr(settle, "_news", buggy)
    plain = played(ward(poisoned=False), lambda turn: 40)
    monkeypatch.setattr(work, "FEW", 0)
    monkeypatch.setattr(work, "AT_ONCE", at_once)
    world = played(ward(poisoned=False), lambda turn: 300)
    assert {n: set(said) for n, said in others(world).items()} == {
        n: set(said) for n, said in others(plain).items()
    }
    for topic in ("alerts", "scores"):
        assert set(of(world, topic, SICK)) == set(of(plain, topic, SICK))
    alerts = [msgspec.json.decode(value) for value in of(world, "alerts", SICK)]
    assert "monitoring_lost" in {alert["condition"]["code"] for alert in alerts}


@pytest.mark.usefixtures("poison")
def test_how_the_log_is_fed_and_who_is_killed_changes_nothing_of_it() -> None:
    whole = played(ward(), lambda turn: 40)
    for restarts, size in ((True, 11), (False, 3)):
        again = played(ward(), lambda turn, size=size: size, restarts)
        for number, said in whole.outputs.items():
            assert set(again.outputs[number]) == set(said)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("seed", [0, 1])
def test_kills_change_nothing_while_a_patient_is_out(seed: int) -> None:
    verdict = check(ward(), seed, engine)
    assert verdict.kills > 5
    # Only the order itself has no place of its own: a worker writes it when it meets the fault.
    assert verdict.lost == verdict.extra == 0, verdict


@pytest.mark.usefixtures("poison")
def test_the_order_on_the_log_takes_the_patient_out_where_the_bug_is_mended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = played(ward(), lambda turn: 20)
    orders = [
        decode(r.value, r.partition, r.offset, r.append_us).record
        for rows in world.log.values()
        for r in rows
        if b"quarantine" in r.value
    ]
    assert [o.action for o in orders if isinstance(o, AlertCommand)] == ["quarantine"]
    monkeypatch.undo()
    again = played(world.order, lambda turn: 50)
    codes = [msgspec.json.decode(v)["condition"]["code"] for v in of(again, "alerts", SICK)]
    assert any(code.startswith("monitoring") for code in codes)


@pytest.mark.usefixtures("poison")
def test_a_release_lets_the_patient_be_watched_again() -> None:
    rows = ward()
    where = next(r.partition for r in rows if SICK.encode() in r.value)
    at_us = START_US + 100 * S
    order = (where, at_us, encode(release_order(SICK, "kim", at_us)))
    plain = [(r.partition, r.append_us, r.value) for r in rows]
    cut = next(i for i, row in enumerate(plain) if row[1] > at_us)
    world = played(numbered([*plain[:cut], order, *plain[cut:]]), lambda turn: 20)
    alerts = [msgspec.json.decode(v) for v in of(world, "alerts", SICK)]
    phases = [a["phase"] for a in alerts if a["condition"]["code"].startswith("monitoring")]
    assert phases[0] == "raised"
    assert phases[-1] in ("resolved", "cleared")
    ends = [msgspec.json.decode(v)["end_us"] for v in of(world, "features", SICK)]
    assert max(ends) > at_us + 10 * S


def test_a_bug_outside_any_patient_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("nobody's")

    monkeypatch.setattr("service.work.settle", broken)

    async def run() -> None:
        worker = Worker(World(ward(poisoned=False)), engine)
        await worker.start()
        try:
            await worker.work(20)
        finally:
            worker.end()

    monkeypatch.setattr("service.engine.Engine._fault_of", lambda *_: None)
    with pytest.raises(RuntimeError, match="nobody's"):
        asyncio.run(run())


def test_partitions_are_those_of_the_kit() -> None:
    assert {r.partition for r in ward()} <= set(range(PARTITIONS))

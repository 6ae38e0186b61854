"""Runs with kills at every step, zombies, staggered snapshots, random sizes; and their verdict."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple
from unittest.mock import patch

from streams.io.input_log import RawRecord
from streams.io.state_store import newest
from streams.processor import Processor
from tests.model_check.world import Choice, KilledError, Said, Worker, World, straight

KILL = 0.4  # per step of a worker
ZOMBIE = 0.3  # of the killed are only asleep
MOST_KILLS = 60
PASSES = (1, 1, 4_000, 1 << 20)  # bytes of one pass: one record, a few, all of them
FEW = (0, 0, 1, 4)  # windows of a patient that are not put off
AT_ONCE = (1, 2, 16)  # ... and of those put off that are computed in one go
Engine = Callable[[], Processor]


class Rules(NamedTuple):
    """How a run commits and which state wins; the controls change them."""

    commit_what_was_read: bool = False
    choose: Choice = newest


class Verdict(NamedTuple):
    """What came of one log."""

    kills: int
    zombies: int
    lost: int
    extra: int
    out_of_order: bool
    repeated: int  # messages that were written again, with the same content

    @property
    def same(self) -> bool:
        """Nothing lost, nothing that the run without crashes did not say, in its order."""
        return not (self.lost or self.extra or self.out_of_order)


def check(
    log: Sequence[RawRecord], seed: int, engine: Engine, rules: Rules | None = None
) -> Verdict:
    """Run a log with crashes and compare it with the run without."""
    rules = rules or Rules()
    whole = straight(log, engine)
    crashed = World(log, rules.choose)
    chance = random.Random(seed)
    size = chance.choice(PASSES)
    with (
        patch("streams.portions.PASS_BYTES", size),
        patch("streams.portions.MOST_PASS_BYTES", size),
        patch("service.work.FEW", chance.choice(FEW)),
        patch("service.work.AT_ONCE", chance.choice(AT_ONCE)),
    ):
        kills, zombies = asyncio.run(_Storm(crashed, seed, engine, rules).run())
    lost = extra = repeated = 0
    out_of_order = False
    for number in whole.log:
        wanted, found = whole.outputs[number], crashed.outputs[number]
        said = list(dict.fromkeys(found))
        lost += sum((Counter(set(wanted)) - Counter(said)).values())
        extra += sum((Counter(said) - Counter(set(wanted))).values())
        out_of_order |= _by_patient(said) != _by_patient(list(dict.fromkeys(wanted)))
        repeated += len(found) - len(said)
    return Verdict(kills, zombies, lost, extra, out_of_order, repeated)


def _by_patient(said: Sequence[Said]) -> dict[bytes, list[Said]]:
    """What was said of each, in its order: among patients there is none."""
    found: dict[bytes, list[Said]] = {}
    for row in said:
        found.setdefault(row[1], []).append(row)
    return found


class _Storm:
    """One run; everything it does comes from its seed."""

    def __init__(self, world: World, seed: int, engine: Engine, rules: Rules) -> None:
        self.world, self.engine, self.rules = world, engine, rules
        self.rng = random.Random(seed)
        self.kills = 0
        self.zombies: list[Worker] = []
        self.slept = 0

    async def run(self) -> tuple[int, int]:
        while not await self._life():
            self.kills += 1
        for zombie in self.zombies:
            zombie.end()
        return self.kills, self.slept

    async def _life(self) -> bool:
        """One worker until it is killed; True when it reached the end of the log."""
        worker = Worker(self.world, self.engine)
        try:
            await worker.start()
            while await self._step(worker):
                if self.zombies and self.rng.random() < 0.3:
                    await self._wake()
        except KilledError:
            self._bury(worker)
            return False
        worker.end()
        return True

    async def _step(self, worker: Worker) -> bool:
        """Some records, then perhaps a checkpoint; the line may be cut anywhere in it."""
        mortal = self.kills < MOST_KILLS
        if mortal and self.rng.random() < KILL:
            worker.line.left = self.rng.choice((0, 1, 2, 5, 12, 40))
        more = await worker.work(self.rng.choice((1, 2, 5, 15)))
        if self.rng.random() < 0.4 or not more:
            due = await worker.store(self.rng.choice((0.01, 0.3, 0.5, 1.0)))
            if worker.line.left is not None:
                raise KilledError  # between the state and the commit
            if self.rules.commit_what_was_read:
                due = worker.host.positions
            self.world.committed |= due
        if worker.line.left is not None and self.rng.random() < 0.5:
            raise KilledError
        return more

    def _bury(self, worker: Worker) -> None:
        if self.rng.random() < ZOMBIE and len(self.zombies) < 2:
            worker.line.left = None
            self.zombies.append(worker)
            self.slept += 1
        else:
            worker.end()

    async def _wake(self) -> None:
        """A worker that lost its partitions goes on for a while; the group refuses its commits."""
        zombie = self.rng.choice(self.zombies)
        zombie.line.left = self.rng.choice((3, 20, 200))
        try:
            await zombie.work(self.rng.choice((1, 20)))
            await zombie.store(1.0)
        except (KilledError, ZeroDivisionError):
            # The latter is `test_quarantine`'s poison: who looks for its owner finds state its next
            # owner stored later, hence nobody who raises, and such a process ends as it should.
            self.zombies.remove(zombie)
            zombie.end()

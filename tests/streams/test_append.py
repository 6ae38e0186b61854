"""A chunk that goes on where the last ended is stored a shorter way; the state must be the same."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from streams.buffers import SignalBuffer
from streams.clock import TimingSpec
from streams.records import MISSING_SAMPLE, Chunk

START_US = 1_700_000_000_000_000
WHOSE = ("p", "d", "acc_x")
FS_HZ, CONTEXT_US = 32.0, 2_000_000
CAPACITY_US = TimingSpec().waits.capacity_us


def chunk(counter: int, start_us: int, samples: np.ndarray, scale: float = 0.5) -> Chunk:
    data = samples.astype("<i2").tobytes()
    return Chunk("p", "d", "acc_x", 0, counter, start_us, FS_HZ, "g", scale, 0.0, 0, data)


def random_chunks(seed: int) -> list[Chunk]:
    """Mostly one after the other; some twice, late, after a gap, with a jump, on another scale."""
    rng = np.random.default_rng(seed)
    made: list[Chunk] = []
    counter, start_us = int(rng.integers(0, 1000)), START_US
    for _ in range(60):
        n = int(rng.choice([32, 64, 320]))
        samples = rng.integers(-500, 500, n)
        samples[rng.random(n) < 0.01] = MISSING_SAMPLE
        odd = rng.random()
        if odd < 0.04:
            counter += 50
            start_us += round(50 * 1e6 / FS_HZ)
        elif odd < 0.06:
            start_us += 400_000
        elif odd < 0.08:
            counter += 7
        made.append(
            chunk(counter, start_us, samples, 0.25 if odd > 0.98 and len(made) > 40 else 0.5)
        )
        if odd > 0.9 and len(made) > 3:
            made.append(made[int(rng.integers(len(made) - 3, len(made)))])
        counter += n
        start_us += round(n * 1e6 / FS_HZ) + int(rng.integers(-2000, 2000))
    return made


@pytest.mark.parametrize("seed", range(12))
def test_appending_leaves_what_inserting_leaves(seed: int) -> None:
    short, long = (SignalBuffer(FS_HZ, "g", CONTEXT_US, CAPACITY_US) for _ in range(2))
    appended = 0
    for offset, one in enumerate(random_chunks(seed)):
        end_us = short.append(one, (offset, 0), one.start_us)
        whole = 0, len(one.data) // 2
        said = long.insert(one, (offset, 0), whole, one.start_us)
        if end_us:
            appended += 1
            assert (said.used, said.duplicate, said.late, said.fault) == (whole[1], 0, 0, None)
            assert end_us == said.end_us
        else:
            assert short.insert(one, (offset, 0), whole, one.start_us) == said
        ready_us = one.start_us - 10_000_000
        for mine, theirs in zip(short.cut(ready_us, WHOSE), long.cut(ready_us, WHOSE), strict=True):
            assert (*mine[:8], mine.gain) == (*theirs[:8], theirs.gain)
            assert mine.data.tobytes() == theirs.data.tobytes()
        states = [msgspec.msgpack.encode(b.state(keep=offset % 2 == 0)) for b in (short, long)]
        assert states[0] == states[1]
    assert appended > 5


def test_what_does_not_go_on_is_not_appended_and_changes_nothing() -> None:
    buffer = SignalBuffer(FS_HZ, "g", CONTEXT_US, CAPACITY_US)
    zeros = np.zeros(320)
    for k in range(6):
        one = chunk(320 * k, START_US + 10_000_000 * k, zeros)
        buffer.insert(one, (k, 0), (0, 320), one.start_us)
        buffer.cut(one.start_us, WHOSE)
    before = msgspec.msgpack.encode(buffer.state(keep=True))
    at = START_US + 60_000_000
    for odd in (
        chunk(1900, at, zeros),  # again
        chunk(1930, at, zeros),  # after a gap
        chunk(1920, at + 200_000, zeros),  # at another time
        chunk(1920, at, zeros, 0.25),  # on another scale
        chunk(1920, at, np.zeros(200_000)),  # more than there may be room for
    ):
        assert buffer.append(odd, (9, 0), odd.start_us) == 0
        assert msgspec.msgpack.encode(buffer.state(keep=True)) == before
    assert buffer.append(chunk(1920, at, zeros), (9, 0), at) > 0

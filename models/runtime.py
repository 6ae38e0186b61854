"""What runs a packed model: the contract, the buckets, and picking one. Torch-free by itself.

Invariant: a row's bits depend neither on the bucket it fell into, nor its position, nor its
neighbours. Every runtime is asked once, when it is opened, whether that holds on this machine; a
bucket for which it does not is never used (`settled`). Measured: ONNX Runtime holds it in blocks of
a multiple of 4 rows on one thread (else the logarithm of the last values takes another way), torch
on MKL in multiples of 32 once narrow layers are widened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.layout import Layout
from models.spec import ModelSpec

Floats = NDArray[np.float32]

INPUTS: Final = ("state", "rows", "clock")
OUTPUTS: Final = ("after", "logit", "prob", "std", "share", "present")

BUCKETS: Final = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)  # more: several of the last
CANONICAL: Final = BUCKETS[-1]
_SHIFT: Final = 3  # rows a probe is moved by: places in a block must not matter either
_PROBE_SEED: Final = 20_240_229
_HOURS: Final = 480_000.0  # since 1970: a clock of the probe


class Said(NamedTuple):
    """What a runtime says of N rows; see `models.packed.Packed`."""

    after: Floats  # [N, S]
    logit: Floats  # [N, H]
    prob: Floats  # [N, H]
    std: Floats  # [N, H]
    share: Floats  # [N, M]
    present: Floats  # [N, M]


Step = Callable[[Floats, Floats, Floats], Said]  # state [N, S], rows [N, 4, D], clock [N, 2]


class Runtime(Protocol):
    """Runs a model on blocks of rows."""

    name: str  # "onnxruntime cpu", "torch cpu", "torch cuda"
    smallest: int  # block for which it promises the bits of larger ones

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """One block; its size is one of `buckets`."""
        ...


class Blocks:
    """Any number of rows through a runtime, padded to fixed buckets with zeros.

    Parameters
    ----------
    runtime : Runtime
        Runs one block.
    buckets : tuple of int
        Ascending.
    alone : bool
        Every row gets a block of its own: slow, and right on any machine.
    """

    def __init__(
        self, runtime: Runtime, buckets: tuple[int, ...] = BUCKETS, *, alone: bool = False
    ) -> None:
        self.runtime = runtime
        self.buckets = buckets
        self.alone = alone

    def __call__(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        """Every row, in order."""
        most = 1 if self.alone else self.buckets[-1]
        found = [
            self._block(*(x[start : start + most] for x in (state, rows, clock)))
            for start in range(0, len(state), most)
        ]
        if len(found) == 1:
            return found[0]
        return Said(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    def _block(self, state: Floats, rows: Floats, clock: Floats) -> Said:
        n = len(state)
        size = next(bucket for bucket in self.buckets if bucket >= n)
        if size == n:
            said = self.runtime(*(np.ascontiguousarray(x) for x in (state, rows, clock)))
        else:
            said = self.runtime(*(_padded(x, size) for x in (state, rows, clock)))
        return Said(*(part[:n] for part in said))


def _padded(x: Floats, size: int) -> Floats:
    out = np.zeros((size, *x.shape[1:]), dtype=np.float32)
    out[: len(x)] = x
    return out


def settled(runtime: Runtime, spec: ModelSpec, buckets: tuple[int, ...] = BUCKETS) -> Blocks:
    """Blocks of those buckets in which a row has the bits it has in the largest one, anywhere.

    Parameters
    ----------
    runtime : Runtime
        Just opened.
    spec : ModelSpec
        Of its model.
    buckets : tuple of int
        Ascending; the last one is the measure. If even there a row's place decides its bits, every
        row gets a block of its own.
    """
    made = probe(spec, buckets[-1] + _SHIFT)
    first = runtime(*_cut(made, 0, buckets[-1]))
    shifted = runtime(*_cut(made, _SHIFT, buckets[-1]))
    if not _equal(shifted, first, _SHIFT):
        return Blocks(runtime, (buckets[-1],), alone=True)
    good = []
    for bucket in (b for b in buckets[:-1] if b >= runtime.smallest):
        starts = range(_SHIFT % bucket, buckets[-1] - bucket + 1, bucket)
        if all(_equal(runtime(*_cut(made, i, bucket)), first, i) for i in starts):
            good.append(bucket)
    return Blocks(runtime, (*good, buckets[-1]))


def _cut(probe: tuple[Floats, ...], start: int, size: int) -> tuple[Floats, ...]:
    return tuple(np.ascontiguousarray(x[start : start + size]) for x in probe)


def _equal(block: Said, whole: Said, start: int) -> bool:
    """Whether a block that begins `start` rows into another has its bits, as far as both reach."""
    for part, full in zip(block, whole, strict=True):
        theirs = np.ascontiguousarray(full[start : start + len(part)])
        if np.ascontiguousarray(part[: len(theirs)]).tobytes() != theirs.tobytes():
            return False
    return True


def probe(spec: ModelSpec, n: int) -> tuple[Floats, Floats, Floats]:
    """Made-up rows inside the declared ranges, a third of them missing."""
    layout = Layout.of(spec)
    draw = np.random.default_rng(_PROBE_SEED)
    lo = np.array([f.lo for f in layout.features], np.float32)
    hi = np.array([f.hi for f in layout.features], np.float32)
    rows = np.zeros((n, 4, len(lo)), np.float32)
    rows[:, 0] = lo + (hi - lo) * draw.random(rows[:, 0].shape, dtype=np.float32)
    rows[:, 0][draw.random(rows[:, 0].shape) < 1 / 3] = np.nan
    rows[:, 1] = 3600 * draw.random(rows[:, 1].shape, dtype=np.float32)
    rows[:, 2] = draw.random(rows[:, 2].shape) < 1 / 2
    rows[:, 3] = draw.random(rows[:, 3].shape, dtype=np.float32)
    state = draw.standard_normal((n, layout.state_width), dtype=np.float32)
    clock = np.tile(np.array([_HOURS, 0.0], np.float32), (n, 1))
    clock[:, 1] = 3600 * draw.random(n, dtype=np.float32)
    for part in layout.state:
        if part.name == "t":
            state[:, part.start : part.stop] = clock - np.array([1.0, 0.0], np.float32)
    return state, rows, clock

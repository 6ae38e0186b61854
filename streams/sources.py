"""Where raw samples can be read again: chunks of the log, by offset and place in their bundle.

A snapshot holds this instead of the samples. A restored buffer is filled by reading those chunks
once more, exactly as they were placed the first time, whatever the device's clock did since.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

_WIDTH: Final = 5


class Source(NamedTuple):
    """Samples `[first, first + size)` of one chunk went to `[start, start + size)`."""

    offset: int  # of the record on the log
    place: int  # of the chunk in its bundle
    first: int
    start: int
    size: int


class Sources:
    """Sources in the order in which they were stored; the first copy of a sample wins.

    Examples
    --------
    >>> sources = Sources()
    >>> sources.add(Source(7, 0, 0, 100, 50))
    >>> sources.add(Source(9, 0, 0, 150, 50))
    >>> sources.forget(150)
    >>> sources.first_offset(), len(sources)
    (9, 1)
    """

    __slots__ = ("_flat",)

    def __init__(self, flat: Iterable[int] = ()) -> None:
        self._flat = array("q", flat)

    def __len__(self) -> int:
        return len(self._flat) // _WIDTH

    def __iter__(self) -> Iterator[Source]:
        flat = self._flat
        for at in range(0, len(flat), _WIDTH):
            yield Source(*flat[at : at + _WIDTH])

    def add(self, source: tuple[int, int, int, int, int]) -> None:
        """Note one more."""
        self._flat.extend(source)

    def first_offset(self) -> int | None:
        """The lowest offset; None without any."""
        return min(self._flat[::_WIDTH], default=None)

    def forget(self, below: int) -> None:
        """Drop those whose samples all lie below an index."""
        flat, at = self._flat, 0
        while at < len(flat) and flat[at + 3] + flat[at + 4] <= below:
            at += _WIDTH
        del flat[:at]  # mostly those that came first, and no others
        for at in range(3, len(flat), _WIDTH):
            if flat[at] + flat[at + 1] <= below:
                self._keep_above(below)
                return

    def _keep_above(self, below: int) -> None:
        kept = array("q")
        for source in self:
            if source.start + source.size > below:
                kept.extend(source)
        self._flat = kept

    def since(self, below: int) -> list[int]:
        """Those that reach an index, flat, each as its difference to the one before."""
        flat: list[int] = []
        last = (0,) * _WIDTH
        for source in self:
            if source.start + source.size > below:
                flat += [now - before for now, before in zip(source, last, strict=True)]
                last = source
        return flat


def from_differences(flat: list[int]) -> Sources:
    """What `Sources.since` told; ValueError if it is not whole."""
    if len(flat) % _WIDTH:
        raise ValueError("sources of samples are not whole")
    now = [0] * _WIDTH
    out: list[int] = []
    for at in range(0, len(flat), _WIDTH):
        now = [a + b for a, b in zip(now, flat[at : at + _WIDTH], strict=True)]
        out += now
    return Sources(out)

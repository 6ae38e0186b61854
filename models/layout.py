"""Where each input and each piece of state stands in a packed row. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from models.spec import FeatureSpec, ModelSpec


class Part(NamedTuple):
    """Columns `start` to `stop` of a packed row."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]


class Layout(NamedTuple):
    """Columns of one model's inputs, in the order of its spec, and of its state, by name."""

    inputs: tuple[Part, ...]  # one per modality
    state: tuple[Part, ...]
    features: tuple[FeatureSpec, ...]  # one per input column

    @classmethod
    def of(cls, spec: ModelSpec) -> Layout:
        """Layout of a spec.

        Examples
        --------
        >>> spec = ModelSpec("m", "1", "f", "t", (60.0,), 60.0, 0.0, (), {"h": (3,), "a": (2,)})
        >>> [(part.name, part.start, part.stop) for part in Layout.of(spec).state]
        [('a', 0, 2), ('h', 2, 5)]
        """
        sizes = [(m.name, (len(m.features),)) for m in spec.modalities]
        return cls(
            _parts(sizes),
            _parts(sorted(spec.state.items())),
            tuple(f for m in spec.modalities for f in m.features),
        )

    @property
    def state_width(self) -> int:
        """Numbers in a patient's state."""
        return self.state[-1].stop if self.state else 0


def _parts(sizes: Sequence[tuple[str, tuple[int, ...]]]) -> tuple[Part, ...]:
    start, found = 0, []
    for name, shape in sizes:
        found.append(Part(name, start, start + prod(shape), tuple(shape)))
        start += prod(shape)
    return tuple(found)

"""What the catalogue says of one feature."""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """One column. `id` changes whenever the formula, a band or a parameter changes."""

    name: str  # <signal>_<feature>_<unit>
    id: str
    unit: str  # UCUM-like
    signal: str  # primary source signal
    windows: tuple[str, ...]  # of "60s", "300s", "3600s", "86400s"
    minimum: str  # what the window must hold, in words
    lo: float  # declared range; a value outside is a bug
    hi: float
    label: str  # for people
    definition: str
    source: str  # citation

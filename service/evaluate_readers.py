"""Which data sets `vigil evaluate` knows: one row each. Reading a new one is one function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from service import evaluate_cohorts
from service.evaluate_data import Cohort, of_cinc2012, of_cinc2019
from streams.errors import ConfigError

READERS: Final[dict[str, Callable[[Path], Cohort]]] = {
    "cinc2019": of_cinc2019,
    "cinc2012": of_cinc2012,
    **evaluate_cohorts.READERS,
}


def cohort_of(text: str) -> Cohort:
    """Cohort of `DATASET:PATH`.

    Raises
    ------
    ConfigError
        If the data set is not known or not there.
    """
    name, colon, place = text.partition(":")
    if not colon or name not in READERS:
        known = ", ".join(f"{name}:PATH" for name in READERS)
        raise ConfigError(f"--data {text}: expected one of {known}")
    return READERS[name](Path(place))

"""A panel in the engine: it fuses what its members have just said, and asks nobody twice.

A member that speaks as another build than the rule was fitted on, after a swap say, is not heard:
the panel goes on without it and `present` says so. Torch-free.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from models.late.panel import Panel, words
from models.score import Score
from streams.errors import CheckpointMismatch, ConfigError


class LivePanel:
    """One panel among the scorers of an engine.

    Parameters
    ----------
    panel : Panel
        Members and rule.
    models : mapping of str to collection of str
        By name of a scorer, the builds of it that are here; none: it could not be loaded.

    Raises
    ------
    ConfigError
        If a member is not among the scorers, or one of them has the panel's name.
    CheckpointMismatch
        If a member is here, but not the build that the rule was fitted on.
    """

    def __init__(self, panel: Panel, models: Mapping[str, Collection[str]]) -> None:
        if panel.name in models:
            raise ConfigError(f"panel {panel.name!r}: a scorer has this name")
        for seat in panel.seats:
            if seat.name not in models:
                raise ConfigError(f"panel {panel.name!r}: no scorer {seat.name!r}")
            here = models[seat.name]
            if here and seat.model not in here:
                raise CheckpointMismatch(
                    f"panel {panel.name!r} was fitted on {seat.model}, here is {', '.join(here)}"
                )
        self.name = panel.name
        self._panel = panel

    def words(self, rows: Sequence[Sequence[Score]]) -> list[Score | None]:
        """The panel's word on rows, from all that was said of each; None: no member spoke."""
        heard = [self._heard(row) for row in rows]
        some = [i for i, row in enumerate(heard) if any(score is not None for score in row)]
        found: list[Score | None] = [None] * len(rows)
        for i, word in zip(some, words(self._panel, [heard[i] for i in some]), strict=True):
            found[i] = word
        return found

    def reads(self, scores: Sequence[Score]) -> bool:
        """Whether any of these is a member's."""
        return any(score is not None for score in self._heard(scores))

    def _heard(self, row: Sequence[Score]) -> list[Score | None]:
        """The members' scores of a row, in the order of the seats."""
        said = {(score.scorer, score.model): score for score in row}
        return [said.get((seat.name, seat.model)) for seat in self._panel.seats]


def add_words(panels: Sequence[LivePanel], rows: Sequence[list[Score]]) -> None:
    """Let panels speak of rows, after their members; panels do not hear each other."""
    said = [panel.words(rows) for panel in panels]
    for column in said:
        for row, word in zip(rows, column, strict=True):
            if word is not None:
                row.append(word)

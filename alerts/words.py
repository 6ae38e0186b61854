"""Words for people who mistyped, and text from people made safe to show.

Not here: what an alert says (`alerts.text`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the valid name nearest to `name`, or all of them when none is near."""
    names = [str(item) for item in valid]
    close = difflib.get_close_matches(name, names, n=1)
    return f"nearest: {close[0]}" if close else f"valid: {', '.join(names)}"


def clean(text: str) -> str:
    r"""Return somebody's words as one line that steers no terminal and hides no letter.

    Control characters, line ends and marks that reorder text are shown as escapes; markup stays
    what it is, inert text, for whoever shows it to escape.

    Examples
    --------
    >>> clean("on my\nway\x1b[2J")
    'on my way\\x1b[2J'
    """
    kept = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)

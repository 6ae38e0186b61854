"""How priorities, times and numbers are written for people: the same in the report and the board.

A priority is always shape and word, so that colour is never alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

SHAPES: Final = {"high": "▲▲▲", "medium": "▲▲", "low": "▲", "info": "●"}
MISSING: Final = "–"

# What a vital sign is read from, best first: as `models.rule_inputs` takes them for a score.
VITALS: Final[dict[str, tuple[str, ...]]] = {
    "hr": ("ecg_hr_bpm", "ppg_pulse_rate_bpm", "hr_mean_bpm", "pulse_mean_bpm"),
    "rr": ("resp_rate_per_min", "resp_device_per_min"),
    "spo2": ("spo2_mean_pct",),
    "temp": ("temp_mean_c",),
}


def vital(values: Mapping[str, float | None], name: str) -> float | None:
    """Value of the best source that has one; None if none has.

    Examples
    --------
    >>> vital({"ecg_hr_bpm": None, "hr_mean_bpm": 71.0}, "hr")
    71.0
    """
    found = (values.get(source) for source in VITALS[name])
    return next((value for value in found if value is not None), None)


def priority_words(priority: str) -> str:
    """Shape and word of a priority.

    Examples
    --------
    >>> priority_words("medium")
    '▲▲ Medium'
    """
    return f"{SHAPES.get(priority, '')} {priority.capitalize()}".strip()


def offset_words(us: int) -> str:
    """Time since the start as minutes and seconds, with hours once there are any.

    Examples
    --------
    >>> offset_words(90_000_000), offset_words(3_661_000_000), offset_words(-5_000_000)
    ('1:30', '1:01:01', '-0:05')
    """
    seconds = abs(us) // 1_000_000
    minutes, hours = seconds // 60 % 60, seconds // 3600
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{'-' if us < 0 else ''}{head}:{seconds % 60:02d}"


def bounds_words(lower: int | None, upper: int | None, missing: Sequence[str] = ()) -> str:
    """A score with the bounds that missing inputs leave open, and a mark when some are missing.

    Examples
    --------
    >>> bounds_words(6, 9, ["temp"]), bounds_words(6, 6), bounds_words(None, None)
    ('6 (6–9)*', '6', '–')
    """
    if lower is None:
        return MISSING
    shown = str(lower) if upper is None or lower == upper else f"{lower} ({lower}–{upper})"
    return f"{shown}*" if missing else shown


def number_words(value: float | None, decimals: int = 0) -> str:
    """A number with fixed decimals, or a dash.

    Examples
    --------
    >>> number_words(71.6), number_words(36.64, 1), number_words(None), number_words(-0.01)
    ('72', '36.6', '–', '0')
    """
    if value is None:
        return MISSING
    text = f"{value:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text

"""Times of sources as µs UTC, and never a guessed zone."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.errors import ConfigError

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
SECOND_US: Final = 1_000_000
DAY_US: Final = 86_400 * SECOND_US

_HL7 = re.compile(
    r"(\d{4})(\d{2})(\d{2})(?:(\d{2})(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?([+-]\d{4})?", re.ASCII
)


def zone(name: str) -> ZoneInfo:
    """Time zone by its IANA name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"{name!r} is no time zone; give one like Europe/London") from None


def as_us(moment: datetime) -> int:
    """µs since 1970 of a time with zone."""
    return (moment - EPOCH) // _MICROSECOND


@functools.lru_cache(maxsize=8_192)
def iso_us(text: str, local: ZoneInfo | None = None) -> int | None:
    """µs UTC of an ISO 8601 time; None for what is none, or has no zone where `local` is not given.

    A date alone is its midnight. A time that a change to winter time makes twice is the earlier
    one; one that a change to summer time leaves out is read as if the change had not come yet.

    Examples
    --------
    >>> iso_us("2024-05-01T08:00:00Z"), iso_us("2024-05-01T08:00:00"), iso_us("today")
    (1714550400000000, None, None)
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        if local is None:
            return None
        moment = moment.replace(tzinfo=local)
    return as_us(moment)


@functools.lru_cache(maxsize=8_192)
def day_first_us(text: str, local: ZoneInfo) -> int | None:
    """µs UTC of a local "DD/MM/YYYY", "DD/MM/YYYY HH:MM" or "DD/MM/YYYY HH:MM:SS", None if not.

    Examples
    --------
    >>> day_first_us("01/10/2023 02:00", ZoneInfo("UTC"))
    1696125600000000
    """
    try:
        day, month, rest = text.strip().split("/")
        year, _, clock = rest.partition(" ")
        hour, minute, second = ([int(part) for part in clock.split(":") if part] + [0, 0, 0])[:3]
        moment = datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=local)
    except (ValueError, TypeError):
        return None
    return as_us(moment)


@functools.lru_cache(maxsize=8_192)
def hl7_us(text: str, local: ZoneInfo | None = None) -> int | None:
    """µs UTC of an HL7 v2 time stamp, None for what is none or has no zone without `local`.

    Examples
    --------
    >>> hl7_us("20240501080000+0000"), hl7_us("202405010800"), hl7_us("2024")
    (1714550400000000, None, None)
    """
    match = _HL7.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    micro = int((fraction or "").ljust(6, "0"))
    try:
        naive = datetime(  # noqa: DTZ001 - the zone follows
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            micro,
        )
    except ValueError:
        return None
    if offset is not None:
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        shift = timedelta(minutes=minutes if offset[0] == "+" else -minutes)
        return as_us((naive - shift).replace(tzinfo=UTC))
    return None if local is None else as_us(naive.replace(tzinfo=local))


_VERSION_EPOCH_US: Final = 946_684_800 * SECOND_US  # 2000-01-01


def version_at(known_us: int) -> int:
    """Version number for a source without one: seconds since 2000 of when this wording was known.

    A later wording of the same fact is a higher version, the same one read again the same.

    Examples
    --------
    >>> version_at(946_684_805_000_000)
    5
    """
    return max(0, (known_us - _VERSION_EPOCH_US) // SECOND_US)

"""Names of occurrences that last: the same input log gives the same ones for ever.

Invariant: nothing here changes once an alert has been published; subscribers keep these ids.
"""

from __future__ import annotations

import uuid
from typing import Final

NAMESPACE: Final = uuid.UUID("6f1f5c0e-6c5b-5d0a-9d3e-0b7c5a4e2d11")


def dedup_key(tenant: str, subject: str, condition: str) -> str:
    """Key of the one open occurrence a patient may have of a condition.

    The parts are joined with "|"; a "|" or "%" inside a part is percent-encoded, so that two
    different triples never share a key.

    Examples
    --------
    >>> dedup_key("t1", "p|1", "deterioration")
    't1|p%7C1|deterioration'
    """
    return "|".join(escape(part) for part in (tenant, subject, condition))


def occurrence_id(key: str, policy_id: str, onset_us: int, model: str = "") -> str:
    """UUID (version 5) of an occurrence: the same input log gives the same id for ever.

    Parameters
    ----------
    key : str
        The occurrence's `dedup_key`.
    policy_id : str
        Id of the policy that raised it.
    onset_us : int
        Event time at which the condition began, µs UTC.
    model : str
        Digest of the model that raised it; empty for rules.

    Examples
    --------
    >>> occurrence_id("t1|p1|deterioration", "ward-default", 0)
    '383b8f0f-c952-5ef4-b7c0-8c7f918abbf9'
    """
    by = f"|{escape(model)}" if model else ""
    return str(uuid.uuid5(NAMESPACE, f"{key}|{escape(policy_id)}|{onset_us}{by}"))


def escape(part: str) -> str:
    """Return `part` safe between "|" separators, reversibly."""
    return part.replace("%", "%25").replace("|", "%7C")

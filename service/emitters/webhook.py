"""CloudEvents by POST, signed as the Standard Webhooks specification has it.

A receiver computes HMAC-SHA256 over `id.timestamp.body` and compares; `docs/delivery.md` has the
lines. A repeat has the same `Idempotency-Key`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from alerts.alert import AlertEvent
from alerts.envelope import cloud_event_json
from service.emitters.contract import HttpRequest, Letter, Plain

CONTENT_TYPE: Final = "application/cloudevents+json; charset=utf-8"


def mapper(url: str, secret: str) -> Plain:
    """The emitter's mapper."""
    return Plain(lambda event, now_us: letter(event, now_us, url, secret))


def letter(event: AlertEvent, now_us: int, url: str, secret: str) -> Letter:
    """The signed request of an event.

    Parameters
    ----------
    event : AlertEvent
        Any.
    now_us : int
        Time of the attempt: a receiver may refuse old ones.
    url, secret : str
        Where to, and the key both sides hold.
    """
    body = cloud_event_json(event)
    seconds = now_us // 1_000_000
    headers = (
        ("Content-Type", CONTENT_TYPE),
        ("Idempotency-Key", event.event_id),
        ("webhook-id", event.event_id),
        ("webhook-timestamp", str(seconds)),
        ("webhook-signature", f"v1,{signature(event.event_id, seconds, body, secret)}"),
    )
    return Letter((event.event_id,), HttpRequest("POST", url, headers, body))


def signature(event_id: str, seconds: int, body: bytes, secret: str) -> str:
    """HMAC-SHA256 of `id.timestamp.body` in base64.

    Examples
    --------
    >>> signature("a:1", 1, b"{}", "key")
    'zXD1Y6EXp0wwmMRYeUroSKIoV+7e8xMTh6Gh9fyfAvk='
    """
    signed = f"{event_id}.{seconds}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return base64.b64encode(digest).decode()

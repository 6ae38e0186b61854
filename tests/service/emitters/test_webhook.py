"""Webhooks: signed, idempotent, a CloudEvent that any receiver can check."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from pathlib import Path

import pytest

from alerts.alert import Suppression
from service.emitters.contract import HttpRequest, Result
from service.emitters.http import HttpSender, judged
from service.emitters.webhook import letter
from streams.errors import ConfigError
from tests.service.emitters.emitter_kit import NOW_US, Listener, axes, raised

SECRET = "the key of both sides"


def post(request: object, timeout_s: float = 2.0) -> object:
    async def once() -> object:
        sender = HttpSender(timeout_s)
        try:
            return await sender.post(request)  # type: ignore[arg-type]
        finally:
            await sender.close()

    return asyncio.run(once())


def test_a_receiver_can_check_who_sent_it_and_when(listener: Listener) -> None:
    event = raised()
    sent = letter(event, NOW_US, f"{listener.url}/hook", SECRET)
    assert post(sent.content).result is Result.DELIVERED  # type: ignore[attr-defined]
    got = listener.requests[0]
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode()
    mac = hmac.new(SECRET.encode(), signed + got.body, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    assert got.headers["idempotency-key"] == event.event_id == got.headers["webhook-id"]
    assert got.headers["webhook-timestamp"] == str(NOW_US // 1_000_000)
    assert got.json["specversion"] == "1.0"
    assert got.json["data"]["occurrence_id"] == event.occurrence_id


def test_a_receiver_is_told_what_holds_an_alert_back() -> None:
    quiet = raised(state=axes(suppression=Suppression.SILENCED), suppressed_by="silence-1")
    content = letter(quiet, NOW_US, "http://h/", SECRET).content
    assert isinstance(content, HttpRequest)
    said = json.loads(content.body)["data"]
    assert (said["state"]["suppression"], said["suppressed_by"]) == ("silenced", "silence-1")


def test_a_repeat_is_the_same_but_for_its_time() -> None:
    one = letter(raised(), NOW_US, "http://h/", SECRET).content
    two = letter(raised(), NOW_US + 5_000_000, "http://h/", SECRET).content
    assert isinstance(one, HttpRequest)
    assert isinstance(two, HttpRequest)
    assert one.body == two.body
    changed = {a[0] for a, b in zip(one.headers, two.headers, strict=True) if a != b}
    assert changed == {"webhook-timestamp", "webhook-signature"}


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, "delivered"),
        (204, "delivered"),
        (302, "away"),
        (400, "refused"),
        (401, "away"),
        (404, "away"),
        (409, "refused"),
        (422, "refused"),
        (429, "away"),
        (500, "failed"),
        (503, "away"),
    ],
)
def test_what_a_status_means(listener: Listener, status: int, result: str) -> None:
    listener.answer = lambda request: (status, {"Location": "http://127.0.0.1:9/"})
    outcome = post(letter(raised(), NOW_US, listener.url, SECRET).content)
    assert outcome.result.value == result  # type: ignore[attr-defined]
    assert len(listener.requests) == 1  # a redirect is not followed


def test_a_target_may_say_when_to_come_back_but_not_too_late() -> None:
    assert judged(429, "7").retry_after_s == 7.0
    assert judged(503, "999999999").retry_after_s == 3600.0
    assert judged(503, "soon").retry_after_s is None


def test_nobody_listening_and_nobody_answering_are_away(listener: Listener) -> None:
    listener.down()
    request = letter(raised(), NOW_US, listener.url, SECRET).content
    outcome = post(request)
    assert outcome.result is Result.AWAY  # type: ignore[attr-defined]
    assert "p1" not in outcome.detail  # type: ignore[attr-defined]


def test_a_certificate_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    from tests.service.emitters.tls_kit import certificate

    pem = certificate(tmp_path)

    async def serve() -> tuple[object, object]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
        got = []

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        request = letter(raised(), NOW_US, f"https://localhost:{port}/", SECRET).content
        doubting, trusting = HttpSender(2.0), HttpSender(2.0, str(pem))
        refused = await doubting.post(request)
        assert got == []
        taken = await trusting.post(request)
        for sender in (doubting, trusting):
            await sender.close()
        server.close()
        await asyncio.sleep(0.05)
        return refused, taken

    refused, taken = asyncio.run(serve())
    assert refused.result is Result.AWAY  # type: ignore[attr-defined]
    assert taken.result is Result.DELIVERED  # type: ignore[attr-defined]


def test_a_ca_file_that_is_none_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", "utf-8")
    with pytest.raises(ConfigError, match="ca_file"):
        HttpSender(1.0, str(tmp_path / "ca.pem"))

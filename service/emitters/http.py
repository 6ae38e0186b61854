"""One HTTP client for every emitter that needs one: TLS verified, no redirects, bounded time."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import aiohttp

from service.emitters.contract import Content, HttpRequest, Outcome, Result
from streams.errors import ConfigError

LATER: Final = frozenset({408, 425, 429, 502, 503, 504})
# The address or the secret is wrong: no event is at fault, so none may be dropped for it.
MISCONFIGURED: Final = frozenset({401, 403, 404, 405, 407})
MAX_RETRY_AFTER_S: Final = 3600.0


class HttpSender:
    """Posts `HttpRequest`s.

    Parameters
    ----------
    timeout_s : float
        For one whole request.
    ca_file : str
        Certificates to trust besides the system's; empty: none.

    Raises
    ------
    ConfigError
        If `ca_file` cannot be read.
    """

    def __init__(self, timeout_s: float, ca_file: str = "") -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._tls = trusting(ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, content: Content) -> Outcome:
        """Make one request; the answer's status decides, its body is not read."""
        assert isinstance(content, HttpRequest)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(ssl=self._tls),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.request(
                content.method,
                content.url,
                data=content.body,
                headers=dict(content.headers),
                allow_redirects=False,
            ) as answer:
                return judged(answer.status, answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            return Outcome(Result.AWAY, type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def judged(status: int, retry_after: str = "") -> Outcome:
    """What a status means for delivery.

    Examples
    --------
    >>> judged(503, "7").retry_after_s, judged(422).result.value, judged(401).result.value
    (7.0, 'refused', 'away')
    """
    detail = f"HTTP {status}"
    if 200 <= status < 300:
        return Outcome(Result.DELIVERED, detail)
    if status in LATER:
        wait_s = float(retry_after) if retry_after.isdigit() else None
        bounded_s = None if wait_s is None else min(wait_s, MAX_RETRY_AFTER_S)
        return Outcome(Result.AWAY, detail, bounded_s)
    if status in MISCONFIGURED or 300 <= status < 400:
        return Outcome(Result.AWAY, f"{detail}: are the address and the secret right?")
    if status >= 500:
        return Outcome(Result.FAILED, detail)
    return Outcome(Result.REFUSED, detail)


def trusting(ca_file: str) -> ssl.SSLContext:
    """A context that verifies against the system's certificates and those in `ca_file`.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"ca_file {ca_file}: cannot be read as certificates") from error
    return context

"""HL7 over MLLP: one connection, one message at a time, and its acknowledgement awaited."""

from __future__ import annotations

import asyncio
from typing import Final

from service.emitters.contract import Content, Outcome, Result
from service.emitters.hl7v2 import acknowledgement, control_id
from service.emitters.http import trusting

START: Final = b"\x0b"
END: Final = b"\x1c\x0d"
MAX_ANSWER: Final = 65_536
_WORDS: Final = {
    "AA": Result.DELIVERED,
    "CA": Result.DELIVERED,
    "AE": Result.FAILED,
    "CE": Result.FAILED,
    "AR": Result.REFUSED,
    "CR": Result.REFUSED,
}


class MllpSender:
    """Posts HL7 messages; a connection that answered wrongly or late is not used again.

    Parameters
    ----------
    host, port : str, int
        Where the receiver listens.
    timeout_s : float
        For connecting, and for an acknowledgement.
    tls : bool
        Whether to use TLS, verified.
    ca_file : str
        Certificates to trust besides the system's.
    """

    def __init__(
        self, host: str, port: int, timeout_s: float, tls: bool = True, ca_file: str = ""
    ) -> None:
        self._place = (host, port)
        self._timeout_s = timeout_s
        self._tls = trusting(ca_file) if tls else None
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, content: Content) -> Outcome:
        """Send one message and wait for its ACK."""
        assert isinstance(content, bytes)
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    code = await self._exchange(content)
            except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
                await self._drop()
                return Outcome(Result.AWAY, type(error).__name__)
            except asyncio.CancelledError:
                await self._drop()
                raise
        return Outcome(_WORDS.get(code, Result.FAILED), f"MSA-1 {code or 'absent'}"[:20])

    async def close(self) -> None:
        """Close the connection."""
        await self._drop()

    async def _exchange(self, content: bytes) -> str:
        """The acknowledgement code of this message; answers to others are passed over."""
        if self._streams is None:
            host, port = self._place
            self._streams = await asyncio.open_connection(
                host, port, ssl=self._tls, limit=MAX_ANSWER
            )
        reader, writer = self._streams
        writer.write(START + content + END)
        await writer.drain()
        wanted = control_id(content)
        while True:
            answer = (await reader.readuntil(END))[: -len(END)]
            code, of = acknowledgement(answer.rpartition(START)[2])
            if of == wanted or not code:
                return code

    async def _drop(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            try:
                await asyncio.wait_for(streams[1].wait_closed(), 1.0)
            except (OSError, TimeoutError):
                return

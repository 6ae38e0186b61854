"""Alert events for emitters, and a real HTTP server in the test's own process."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from alerts.alert import (
    Action,
    AlertEvent,
    Axes,
    Condition,
    Phase,
    Resolution,
    Responsibility,
)
from alerts.identity import dedup_key

GOLDEN = Path(__file__).resolve().parents[2] / "alerts" / "golden" / "raised_news2_7.json"
NOW_US = 1_750_000_200_000_000


def raised(occurrence: str = "", subject: str = "p1", **changes: Any) -> AlertEvent:
    """The golden event: NEWS2 7, raised, high."""
    data = msgspec.json.decode(GOLDEN.read_bytes())["data"]
    event = msgspec.convert(data, AlertEvent)
    key = dedup_key(event.tenant, subject, event.condition.code)
    changes = {"subject": subject, "dedup_key": key, **changes}
    return replace(event, occurrence_id=occurrence or event.occurrence_id, **changes)


def step(event: AlertEvent, phase: Phase, **changes: Any) -> AlertEvent:
    """The next event of an occurrence."""
    axes = {
        name: changes.pop(name)
        for name in ("condition", "responsibility", "suppression", "stale", "latched", "resolution")
        if name in changes and (name != "condition" or isinstance(changes[name], Condition))
    }
    state = replace(event.state, **axes)
    return replace(event, phase=phase, seq=event.seq + 1, state=state, **changes)


def life(occurrence: str, subject: str = "p1") -> list[AlertEvent]:
    """A whole life: raised, acknowledged, cleared, resolved."""
    first = raised(occurrence, subject)
    action = Action(2, "c-1", "acknowledge", "user:nurse", "rn", NOW_US, None, None, None)
    acked = step(
        first, Phase.ACKNOWLEDGED, responsibility=Responsibility.ACCEPTED, actions=(action,)
    )
    cleared = step(acked, Phase.CLEARED, condition=Condition.CLEARED, cleared_us=NOW_US)
    return [
        first,
        acked,
        cleared,
        step(cleared, Phase.RESOLVED, resolution=Resolution.CLOSED, closed_reason="cleared"),
    ]


def axes(**fields: Any) -> Axes:
    """Axes with the rest at rest."""
    return Axes(**{"condition": Condition.ACTIVE, **fields})


@dataclass
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return msgspec.json.decode(self.body)


@dataclass
class Listener:
    """A real HTTP server on loopback that answers as it is told and remembers everything."""

    answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda request: (202, {})
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> Listener:
        """Listen; on the same port as before."""
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                listener._connections.append(self.connection)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {k.lower(): v for k, v in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                listener.requests.append(request)
                status, extra = listener.answer(request)
                self.send_response(status)
                for name, value in {"Content-Length": "0", **extra}.items():
                    self.send_header(name, value)
                self.end_headers()

            do_PUT = do_POST  # noqa: N815 - the library's name

            def log_message(self, format: str, *args: Any) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        ThreadingHTTPServer.daemon_threads = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def down(self) -> None:
        """Stop listening and hang up: connections are refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

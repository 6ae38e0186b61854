"""`/metrics`, `/healthz`, `/readyz` of a worker. Nothing of a patient is served here."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from service.metrics import Metrics
from streams.errors import ConfigError

_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_JSON = [("Content-Type", "application/json")]


class HealthServer:
    """Serves health and figures in daemon threads until it is closed.

    Parameters
    ----------
    metrics : Metrics
        Its registry and readiness are served.
    host : str
        Address to listen on; loopback unless told otherwise.
    port : int
        0 takes a free one; see `port` after the start.
    stale_s : float or None
        Not ready while a partition's frontier is older; None for history, whose log is old.

    Raises
    ------
    ConfigError
        If the port is taken or not allowed.
    """

    def __init__(
        self,
        metrics: Metrics,
        host: str = "127.0.0.1",
        port: int = 9464,
        stale_s: float | None = None,
    ) -> None:
        try:
            self._server = make_server(
                host, port, _application(metrics, stale_s), ThreadingWSGIServer, _QuietHandler
            )
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"cannot serve metrics on {host}:{port} ({error}); choose another port"
            ) from error
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _application(metrics: Metrics, stale_s: float | None) -> Any:
    exposition = make_wsgi_app(metrics.registry)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        headers = _TEXT
        if path == "/metrics":
            served: Iterable[bytes] = exposition(environ, start_response)
            return served
        if path == "/healthz":
            status, body = "200 OK", b"alive\n"
        elif path == "/readyz":
            ready, body = _readiness(metrics, stale_s)
            status = "200 OK" if ready else "503 Service Unavailable"
            headers = _JSON
        else:
            status, body = "404 Not Found", b"try /metrics, /healthz or /readyz\n"
        start_response(status, list(headers))  # the server adds the length to the list it gets
        return [body]

    return application


def _readiness(metrics: Metrics, stale_s: float | None) -> tuple[bool, bytes]:
    """Whether alerts can be relied on, with one entry per check; the database is none of them."""
    age_s = metrics.oldest_frontier_s()
    fresh = stale_s is None or age_s is None or age_s <= stale_s
    checks = [
        {"name": "restored", "ok": metrics.is_ready},
        {"name": "frontier", "ok": fresh, "age_s": None if age_s is None else round(age_s, 1)},
    ]
    # Without a model the rules watch on: it is told, and is no reason to be taken out of service.
    for name, why in sorted(metrics.refused_models.items()):
        checks.append({"name": f"model:{name}", "ok": not why, "detail": why or None})
    ready = metrics.is_ready and fresh
    return ready, json.dumps({"ready": ready, "checks": checks}).encode() + b"\n"


class _QuietHandler(WSGIRequestHandler):
    """No line per scrape on stderr."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

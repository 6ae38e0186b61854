"""A real Prometheus Alertmanager of a test's own, from Debian's package."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.emitters.contract import Letter, Result
from service.emitters.http import HttpSender
from tests.fixtures_services import free_ports, wait_until

BINARY = "prometheus-alertmanager"
CONFIG = "route:\n  receiver: none\nreceivers:\n  - name: none\n"


@dataclass
class Alertmanager:
    """The process and its API."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> Alertmanager:
        """Start it with nothing remembered, and wait until it answers."""
        binary = shutil.which(BINARY)
        assert binary is not None
        config, data = self.folder / "alertmanager.yml", self.folder / "data"
        config.write_text(CONFIG, "utf-8")
        shutil.rmtree(data, ignore_errors=True)
        command = [binary, f"--config.file={config}", f"--storage.path={data}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(self._ready, 20, "Alertmanager answers")
        return self

    def down(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)

    def restart(self) -> None:
        """Stop it and start it with nothing remembered."""
        self.down()
        self.up()

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        """`GET /api/v2/alerts`."""
        words = "&".join(f"{k}={v}" for k, v in query.items())
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?{words}", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def post(self, letter: Letter | None) -> None:
        """Send a letter as the emitter would."""
        assert letter is not None

        async def once() -> None:
            sender = HttpSender(5.0)
            outcome = await sender.post(letter.content)
            await sender.close()
            assert outcome.result is Result.DELIVERED, outcome

        asyncio.run(once())

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1):
                return True
        except OSError:
            return False


def own_alertmanager(folder: Path) -> Alertmanager:
    """One on a free port of loopback."""
    (port,) = free_ports(1)
    return Alertmanager(folder, port)

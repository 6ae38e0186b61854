"""Letters as files: whole or not at all, the same name for the same event."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from service.emitters.contract import Content, Document, Outcome, Result


class FolderSender:
    """Writes `Document`s into a folder, which is created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def post(self, content: Content) -> Outcome:
        """Write one file; a disk that is full or away is waited for."""
        assert isinstance(content, Document)
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            return Outcome(Result.AWAY, error.strerror or type(error).__name__)
        return Outcome(Result.DELIVERED, "written")

    async def close(self) -> None:
        """Nothing is held open."""

    def _write(self, document: Document) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{document.name}.part"
        with part.open("wb") as file:
            file.write(document.body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / document.name)

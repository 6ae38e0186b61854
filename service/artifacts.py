"""Artifacts as folders: finding, reading, writing; and the seats that a configuration asks for.

A model that cannot be opened leaves an empty seat: the rules go on, every patient gets a technical
alert, and `/readyz`, `vigil doctor` and the log say why. Only a shipped model that this build does
not carry leaves nothing at all.
"""

from __future__ import annotations

import importlib.resources
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from models.artifact import FILES, LIMITS, Artifact, decode
from models.fusion_scorer import FusionScorer, Opened
from models.late.panel import Panel
from models.late.panel import decode as decode_panel
from models.open import Device, open_blocks
from models.runtime import Blocks
from models.seat import Seat
from service.config import Config, ModelConfig
from streams.errors import CheckpointMismatch, ConfigError, SourceError, VigilError

SHIPPED: Final = ("default", "steady")  # artifacts that come with Vigil, where a build has them

NOT_LOADED: Final = "it could not be loaded"  # what alerts say: the same on every machine

log = logging.getLogger(__name__)
_OPENED: dict[tuple[str, str], Blocks] = {}  # by digest and device: runtimes keep no state


class Found(NamedTuple):
    """A configured model, and what became of it."""

    config: ModelConfig
    artifact: Artifact | None
    refusal: str  # why there is none


def shipped_folder(name: str) -> Path | None:
    """Folder of an artifact that comes with Vigil; None if this build does not carry it."""
    if name not in SHIPPED:
        return None
    place = importlib.resources.files("models") / "artifacts" / name
    return Path(str(place)) if place.is_dir() else None


def folder_of(artifact: str) -> Path:
    """Folder that a configuration or a command line means.

    Raises
    ------
    SourceError
        If there is no such folder and no shipped artifact of that name.
    """
    shipped = shipped_folder(artifact)
    if shipped is not None:
        return shipped
    folder = Path(artifact)
    if not folder.is_dir():
        there = ", ".join(name for name in SHIPPED if shipped_folder(name) is not None)
        no_folder = f"no such folder; shipped are: {there or 'none'}"
        kind = "this build does not carry it" if artifact in SHIPPED else no_folder
        raise SourceError(f"model {artifact}: {kind}")
    return folder


def read_artifact(folder: Path) -> Artifact:
    """The checked artifact in a folder.

    Raises
    ------
    SourceError
        If a file cannot be read.
    CheckpointMismatch
        As `models.artifact.decode`.
    """
    files = {}
    for name in FILES:
        path = folder / name
        try:
            if not path.is_file():
                continue
            if path.stat().st_size > LIMITS[name]:
                raise CheckpointMismatch(f"model {folder}: {name} is larger than allowed")
            files[name] = path.read_bytes()
        except OSError as error:
            raise SourceError(f"model {path}: cannot be read ({error.strerror})") from error
    try:
        return decode(files)
    except CheckpointMismatch as error:
        raise CheckpointMismatch(f"model {folder}: {error}") from error


def write_artifact(folder: Path, files: dict[str, bytes]) -> None:
    """Write an artifact; a reader sees the old one or the new one, whose hashes fit.

    Raises
    ------
    SourceError
        If the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # spec.json names the hashes of the others, so it comes last
        for name in sorted(files, key=lambda name: name == FILES[0]):
            draft = folder / f".{name}.draft"
            draft.write_bytes(files[name])
            os.replace(draft, folder / name)
    except OSError as error:
        raise SourceError(f"model {folder}: cannot be written ({error.strerror})") from error


def find(config: Config) -> list[Found]:
    """Every configured model, checked; a shipped one that is not carried is left out."""
    found = []
    for model in config.models:
        if model.artifact in SHIPPED and shipped_folder(model.artifact) is None:
            continue
        try:
            found.append(Found(model, read_artifact(folder_of(model.artifact)), ""))
        except VigilError as error:
            found.append(Found(model, None, str(error)))
    return found


def open_seats(config: Config) -> tuple[Seat, ...]:
    """A seat per configured model name; never raises for a model that is bad."""
    by_name: dict[str, list[Found]] = {}
    for one in find(config):
        by_name.setdefault(one.config.name, []).append(one)
    return tuple(_seat(name, versions) for name, versions in by_name.items())


def read_panels(config: Config) -> tuple[Panel, ...]:
    """The configured panels.

    Raises
    ------
    ConfigError
        If a file cannot be read or is no panel, or two have one name.
    """
    found: dict[str, Panel] = {}
    for path in config.panels:
        try:
            panel = decode_panel(Path(path).read_bytes())
        except OSError as error:
            raise ConfigError(f"panel {path}: cannot be read ({error.strerror})") from error
        except CheckpointMismatch as error:
            raise ConfigError(f"panel {path}: {error}") from error
        if panel.name in found:
            raise ConfigError(f"panel {path}: there is another one named {panel.name!r}")
        found[panel.name] = panel
    return tuple(found.values())


def described_models(config: Config) -> dict[str, list[dict[str, str]]]:
    """What `run.json` and `/readyz` say of the models: per name, each version or why not."""
    told: dict[str, list[dict[str, str]]] = {}
    for one in find(config):
        row = {"refused": one.refusal}
        if one.artifact is not None:
            key = (one.artifact.digest, one.config.device)
            opened = _OPENED.get((key[0], key[1]))
            row = {"model": one.artifact.ref}
            row["runtime"] = opened.runtime.name if opened else "not opened"
        told.setdefault(one.config.name, []).append(row)
    return told


def _seat(name: str, versions: Sequence[Found]) -> Seat:
    """A seat with the versions that open; without the first, nobody speaks."""
    scorers: list[FusionScorer] = []
    for place, one in enumerate(versions):
        try:
            scorers.append(_scorer(one))
        except (VigilError, RuntimeError, MemoryError, ImportError) as error:
            log.warning("model %s cannot be used: %s", name, error)
            if place == 0:
                return Seat(name, (), NOT_LOADED, str(error))
    return Seat(name, scorers)


def _scorer(one: Found) -> FusionScorer:
    if one.artifact is None:
        raise CheckpointMismatch(one.refusal)
    device = _device(one.config.device)
    key = (one.artifact.digest, device)
    if key not in _OPENED:
        _OPENED[key] = open_blocks(one.artifact, device, log.warning)
    artifact = one.artifact
    return FusionScorer(
        Opened(one.config.name, artifact.ref, artifact.spec, _OPENED[key], log.warning)
    )


def _device(name: str) -> Device:
    for device in ("cpu", "compiled", "auto", "cuda", "torch"):
        if name == device:
            return device
    raise ConfigError(f"models.device: {name!r}")

"""The `vigil` command: it teaches, and every failure is one line and an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.markup import render

from service.__main__ import app, run
from service.cli.common import EXIT_DATA, EXIT_OPERATION, EXIT_USAGE

COMMANDS = ("demo", "run", "replay", "ingest", "subscribe", "events", "init", "doctor", "config")
DEAD = "127.0.0.1:9"  # discard: nothing answers there


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def _texts(command: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every help text below a command, with where it stands."""
    yield path, command.help or ""
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", None) or ""
    for name, below in getattr(command, "commands", {}).items():
        yield from _texts(below, f"{path} {name}")


def test_no_help_text_loses_what_it_has_in_brackets() -> None:
    """Words in square brackets are markup to what prints the help: they are not shown."""
    texts = dict(_texts(typer.main.get_command(app), "vigil"))
    assert len(texts) > 100
    assert {at: text for at, text in texts.items() if render(text).plain != text} == {}


def test_help_loads_neither_faust_nor_torch() -> None:
    code = (
        "import sys; from service.__main__ import run; run(['--help']);"
        "sys.exit(any(m in sys.modules for m in ('faust', 'torch', 'psycopg', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


def test_a_missing_source_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", str(tmp_path / "nothing.edf"), "--out", str(tmp_path)]) == EXIT_DATA
    assert "nothing.edf" in capsys.readouterr().err


def test_a_typo_in_the_configuration_names_the_nearest_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[timing]\nlatenes_s = 3\n")
    assert run(["config", "check", "--config", str(own)]) == EXIT_USAGE
    assert "lateness_s" in capsys.readouterr().err


def test_a_bad_policy_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "policy.toml"
    own.write_text("[policy]\nid = 'x'\nversion = '1'\nforr_s = 1\n")
    assert run(["policy", "check", str(own)]) == EXIT_USAGE
    assert "forr_s" in capsys.readouterr().err


def test_a_password_is_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_DATABASE", "postgresql://vigil:hunter2@127.0.0.1:9/vigil")
    assert run(["config", "show"]) == 0
    assert "hunter2" not in capsys.readouterr().out


def test_doctor_says_what_to_do_when_nothing_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_KAFKA", DEAD)
    monkeypatch.setenv("VIGIL_DATABASE", "postgresql://vigil@127.0.0.1:9/vigil")
    assert run(["doctor", "--json"]) == EXIT_OPERATION
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert not found["broker"]["ok"]
    assert found["broker"]["remedy"]
    assert not found["database"]["ok"]
    assert found["policy"]["ok"]

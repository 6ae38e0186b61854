"""`[deliver.NAME]` tables: every mistake is told with its place, no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.alert import Priority
from service.config import Config, load, to_toml
from service.emitters.registry import open_emitter
from service.emitters.spec import KINDS, AlertmanagerSpec, WebhookSpec, secret_of
from service.selection import selection
from streams.errors import ConfigError
from tests.service.emitters.emitter_kit import raised

GOOD = {
    "webhook": 'url = "https://h/x"\nsecret_env = "S"',
    "alertmanager": 'url = "http://h:9093"\nlabels = { site = "n" }',
    "pagerduty": 'secret_env = "S"',
    "fhir": 'folder = "out"\nversion = "R6"',
    "hl7": 'host = "h"\nport = 2575',
}


def loaded(folder: Path, text: str) -> Config:
    path = folder / "vigil.toml"
    path.write_text(text, "utf-8")
    return load(path, {})


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_can_be_configured_and_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S", "secret")
    config = loaded(tmp_path, f'[deliver.x]\nkind = "{kind}"\n{GOOD[kind]}\n')
    spec = config.deliver["x"]
    assert isinstance(spec, KINDS[kind])
    emitter = open_emitter("x", spec)
    assert emitter.mapper.repeat_s == (60.0 if kind == "alertmanager" else 0.0)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('kind = "webhok"', "kind must be one of webhook, alertmanager"),
        ("", "kind must be one of"),
        ('kind = "webhook"\nurll = "x"', "unknown key deliver.x.urll; did you mean deliver.x.url"),
        ('kind = "webhook"\nurl = "https://h/"', "secret_env or secret_file is needed"),
        ('kind = "webhook"\nurl = "ftp://h/"\nsecret_env = "S"', "url must be http"),
        ('kind = "webhook"\nurl = "http://u:p@h/"\nsecret_env = "S"', "without a password"),
        ('kind = "alertmanager"\nurl = "http://h"\nresend_s = 300', "resend_s must be"),
        ('kind = "alertmanager"\nurl = "http://h"\nhold_s = 60', "hold_s must be"),
        ('kind = "fhir"', "url or folder"),
        ('kind = "fhir"\nfolder = "o"\nversion = "R5"', "version must be R4B or R6"),
        ('kind = "hl7"\nhost = "h"', "host and port, or folder"),
        ('kind = "hl7"\nhost = "h"\nport = 1\nfolder = "o"', "host and port, or folder"),
        ('kind = "hl7"\nfolder = "o"\npriorities = ["hgih"]', "priority 'hgih': nearest: high"),
        ('kind = "hl7"\nfolder = "o"\nparallel = 0', "parallel must be"),
        ('kind = "hl7"\nfolder = "o"\nstart = "now"', "start must be"),
        ('kind = "hl7"\nfolder = "o"\nretry_last_s = 0.1', "retry_first_s and retry_last_s"),
        ('kind = "hl7"\nfolder = "o"\nparallel = "4"', "Expected `int`"),
    ],
)
def test_what_cannot_work_is_refused_with_its_place(tmp_path: Path, table: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"[deliver.x]\n{table}\n")
    assert words in str(refused.value)


@pytest.mark.parametrize("name", ["a/b", "x y", ""])
def test_a_name_becomes_a_file_and_a_code_so_it_is_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="plain name"):
        loaded(tmp_path, f'[deliver."{name}"]\nkind = "hl7"\nfolder = "o"\n')


def test_a_secret_comes_from_the_environment_or_a_file_and_never_from_the_table(
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    file.write_text(" of-the-file \n", "utf-8")
    assert secret_of("x", WebhookSpec(secret_file=str(file))) == "of-the-file"
    assert secret_of("x", WebhookSpec(secret_env="S"), {"S": "of-the-env"}) == "of-the-env"
    assert secret_of("x", AlertmanagerSpec()) == ""
    file.write_text("\n", "utf-8")
    for spec, words in (
        (WebhookSpec(secret_env="S"), "S is not set"),
        (WebhookSpec(secret_file=str(file)), "is empty"),
        (WebhookSpec(secret_file=str(tmp_path / "absent")), "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=words):
            secret_of("x", spec, {})


def test_what_is_shown_can_be_read_again(tmp_path: Path) -> None:
    text = f'[deliver.x]\nkind = "alertmanager"\n{GOOD["alertmanager"]}\n'
    config = loaded(tmp_path, text)
    shown = to_toml(config.redacted())
    assert loaded(tmp_path, shown) == config


def test_a_selection_wants_what_every_list_names() -> None:
    event = raised()
    assert selection().wants(event)
    assert selection(priorities=["high"], phases=["raised"], patients=["p1"]).wants(event)
    assert not selection(priorities=["low"]).wants(event)
    assert not selection(phases=["cleared"]).wants(event)
    assert selection(phases=["cleared"]).may_want(event)
    assert selection(conditions=["deter*"]).wants(event)
    assert not selection(conditions=["no_data:*"]).wants(event)
    assert selection(priorities=["low"]).priorities == (Priority.LOW,)

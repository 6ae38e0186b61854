"""A real PostgreSQL that speaks TLS only and asks for a password: used, checked, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import psycopg
import pytest

from streams.errors import StoreError
from streams.io.store import Store
from tests.fixtures_database import QUICK
from tests.fixtures_services import OwnService, Vigil, wait_until
from tests.service.emitters.tls_kit import certificate

pytestmark = pytest.mark.database

PASSWORD = "canary-database-secret-8812"
RULES = "hostssl all all 127.0.0.1/32 scram-sha-256\n"


class SecureDatabase(NamedTuple):
    """Where it is, and the certificate that it shows."""

    address: str
    ca_file: Path

    def dsn(self, sslmode: str = "verify-full", ca_file: Path | None = None) -> str:
        """As `database.dsn`: no password in it."""
        asked = {"sslmode": sslmode, "sslrootcert": str(ca_file or self.ca_file)}
        return f"{self.address}?{urlencode(asked)}"


@pytest.fixture
def database(private_database: OwnService, services_state: str, tmp_path: Path) -> SecureDatabase:
    """The same server after it was told to be careful."""
    (folder,) = (found.parent for found in Path(services_state).rglob("PG_VERSION") if owns(found))
    certificate(tmp_path)
    owner = folder.stat()
    for name, text in (
        ("server.key", (tmp_path / "key.pem").read_text()),
        ("server.crt", (tmp_path / "cert.pem").read_text()),
        ("pg_hba.conf", RULES),
    ):
        place = folder / name
        place.write_text(text, encoding="utf-8")
        place.chmod(0o600)
        os.chown(place, owner.st_uid, owner.st_gid)
    with psycopg.connect(private_database.address, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE vigil PASSWORD '{PASSWORD}'")
        admin.execute("ALTER SYSTEM SET ssl = on")
        admin.execute("SELECT pg_reload_conf()")
    made = SecureDatabase(private_database.address, tmp_path / "cert.pem")
    wait_until(lambda: refused(made.dsn("disable")) != "", 10, "the server to be careful")
    return made


def owns(found: Path) -> bool:
    """Whether it is that of the data folder, not of a database in it."""
    return (found.parent / "pg_hba.conf").exists()


def refused(dsn: str) -> str:
    """What is said when it may not be used; "" when it may."""
    try:
        with Store.connect(dsn, QUICK):
            return ""
    except StoreError as error:
        return str(error)


def with_password(vigil: Vigil, database: SecureDatabase, word: str = PASSWORD) -> str:
    """The DSN as processes make it of their configuration."""
    secret = vigil.folder / "database.secret"
    secret.write_text(word + "\n", encoding="utf-8")
    settings = {"dsn": database.dsn(), "password_file": str(secret)}
    return vigil.configure(database=settings).database_dsn()


def test_a_database_is_used_over_tls_with_the_password_of_a_file(
    vigil: Vigil, database: SecureDatabase
) -> None:
    dsn = with_password(vigil, database)
    with Store.connect(dsn, QUICK) as store:
        store.migrate()
        assert store.counts()["alerts"] == 0
    with psycopg.connect(dsn) as line:
        row = line.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (True,)


def test_no_tls_a_wrong_password_and_a_strangers_certificate_are_refused_and_nothing_is_shown(
    vigil: Vigil, database: SecureDatabase, tmp_path: Path
) -> None:
    plain = database.dsn("disable").replace("vigil@", f"vigil:{PASSWORD}@")
    assert "pg_hba" in refused(plain)
    wrong = refused(with_password(vigil, database, "canary-wrong-4410"))
    assert "password" in wrong
    (tmp_path / "other").mkdir()
    certificate(tmp_path / "other")
    stranger = database.dsn(ca_file=tmp_path / "other" / "cert.pem")
    strange = refused(stranger.replace("vigil@", f"vigil:{PASSWORD}@"))
    assert "certificate" in strange
    for said in (refused(plain), wrong, strange):
        assert PASSWORD not in said
        assert "canary-wrong-4410" not in said
        assert "\n" not in said.strip()

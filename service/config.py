"""`vigil.toml` and the environment, checked once at start. Unknown keys name the nearest valid one.

Secrets come from the environment or from files only, and are never shown.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import msgspec

from service.config_checks import GROUP, check
from service.emitters.spec import KINDS, AnySpec
from streams.clock import TimingSpec
from streams.errors import ConfigError
from streams.io.broker import Broker, Security
from streams.io.upkeep import TABLES, Keep


class KafkaConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log is. `prefix` names the topics: `<prefix>.in.v1` and so on."""

    bootstrap: str = "127.0.0.1:29192"
    prefix: str = "vigil"
    partitions: int = 64
    replication: int = 1
    group: str = "vigil"
    security: str = "plaintext"  # one of streams.io.broker.PROTOCOLS
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    @property
    def broker(self) -> Broker:
        """The address with what it takes to be let in.

        Raises
        ------
        ConfigError
            If the password file cannot be read.
        """
        password = _secret(self.password_file, "kafka.password_file")
        files = (self.ca_file, self.cert_file, self.key_file)
        security = Security(self.security, self.mechanism, self.user, password, *files)
        return Broker(self.bootstrap, security)


def _secret(path: str, key: str) -> str:
    """What a file of one secret holds; empty for no file."""
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(
            f"{key} cannot be read ({error.strerror}); give the process's user read access or "
            "leave the key out"
        ) from error


class DatabaseConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where clinical events are. The password never stands here: see `Config.database_dsn`."""

    dsn: str = "postgresql://vigil@127.0.0.1:25432/vigil"
    password_file: str = ""


class RetentionConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days that rows stay in the database, 0: for ever; in force from the next `vigil init`."""

    clinical_events_days: float = 0.0
    features_days: float = 0.0
    scores_days: float = 0.0
    alerts_days: float = 0.0
    event_quarantine_days: float = 0.0  # those decided on; what waits is kept
    compress_days: float = 0.0  # features and scores older than this, where the edition can

    @property
    def keep(self) -> Keep:
        """As the store takes it."""
        days = tuple((table, float(getattr(self, f"{table}_days"))) for table in TABLES)
        return Keep(days, self.compress_days).checked()


class FeedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose clinical events go onto the log: `all`, or those `admitted` (docs/event-store.md)."""

    patients: str = "all"


class WorkerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a worker runs. `ticks`: wall (live) or recorded (history brings its own)."""

    runner: str = "faust"  # what carries records: faust, or direct (aiokafka alone)
    ticks: str = "wall"
    checkpoint_s: float = 5.0
    snapshot_s: float = 60.0
    batch: int = 256
    within_s: float = 0.25
    data_dir: str = ".vigil/worker"
    instance: str = ""
    leave_on_stop: bool = True  # SIGTERM: others take its patients over at once
    http_host: str = "127.0.0.1"
    http_port: int = 9464  # 0: any free port, -1: no HTTP


class TimingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait for data; the meanings are those of `streams.clock.TimingSpec`."""

    lateness_s: float = TimingSpec().lateness_s
    future_s: float = TimingSpec().future_s
    hold_s: float = TimingSpec().hold_s
    idle_s: float = TimingSpec().idle_s
    silence_s: float = TimingSpec().silence_s
    lag_s: float = TimingSpec().lag_s
    backfill_s: float = TimingSpec().backfill_s
    wait_s: float = TimingSpec().wait_s
    revise_s: float = TimingSpec().revise_s


class KeysConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose commands and ticks count. No file: anybody's; see docs/operations.md."""

    file: str = ""  # path of the ring: secrets never stand in this file
    sign_as: str = ""  # the key of it that this process signs with


class WatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `vigil watch` expects: receipts of these consumers, heartbeats, devices that speak."""

    consumers: tuple[str, ...] = ()
    receipt_s: float = 60.0
    heartbeat_s: float = 15.0
    fleet_patients: int = 5  # 0: outages of many devices are not looked for
    fleet_share: float = 0.5
    fleet_within_s: float = 120.0
    shed_s: float = 30.0  # a worker so far behind computes no backfill; 0: it always does
    hop_s: float = 90.0  # ... and windows of a minute every half minute only; 0: never
    calm_s: float = 10.0  # all again when the lag was below this for a minute
    canary_s: float = 60.0  # 0: no canary patient
    http_host: str = "127.0.0.1"
    http_port: int = 9466  # 0: any free port, -1: no HTTP


class ModelConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that scores beside the rules. Several of one name are its versions, in order."""

    name: str = "default"  # as policies read it: source = "NAME.value"
    artifact: str = "default"  # folder, or name of a shipped one
    device: str = (
        "cpu"  # cpu, compiled (loops of our own), auto (a GPU where there is one), cuda, torch
    )


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration."""

    kafka: KafkaConfig = KafkaConfig()
    database: DatabaseConfig = DatabaseConfig()
    retention: RetentionConfig = RetentionConfig()
    feed: FeedConfig = FeedConfig()
    worker: WorkerConfig = WorkerConfig()
    timing: TimingConfig = TimingConfig()
    keys: KeysConfig = KeysConfig()
    watch: WatchConfig = WatchConfig()
    deliver: dict[str, AnySpec] = {}
    models: tuple[ModelConfig, ...] = (ModelConfig(),)  # empty: rules only
    panels: tuple[str, ...] = ()  # files of panels: late fusion of scorers, docs/fusion.md
    audit_dir: str = ".vigil/audit"  # where notification logs and the log of actions are kept
    policy: str = ""  # path of a policy file; empty: the default policy
    rules: tuple[str, ...] = ()  # of RULES, scored beside NEWS2 and the limits

    @property
    def timing_spec(self) -> TimingSpec:
        """The engine's waiting rules."""
        return TimingSpec(**msgspec.structs.asdict(self.timing)).checked()

    def database_dsn(self) -> str:
        """The DSN with the password from its file, if one is named.

        Raises
        ------
        ConfigError
            If the password file cannot be read.
        """
        if not self.database.password_file:
            return self.database.dsn
        password = _secret(self.database.password_file, "database.password_file")
        return _with_password(self.database.dsn, password)

    def redacted(self) -> dict[str, Any]:
        """For people: everything, with secrets replaced by ***."""
        shown: dict[str, Any] = msgspec.to_builtins(self)
        shown["database"]["dsn"] = redact_dsn(self.database.dsn)
        return shown


def to_toml(tree: Mapping[str, Any]) -> str:
    """A configuration tree as TOML: its plain values first, then its sections.

    Examples
    --------
    >>> print(to_toml({"policy": "", "kafka": {"partitions": 64}}))
    policy = ""
    <BLANKLINE>
    [kafka]
    partitions = 64
    """
    lines = [f"{k} = {_toml(v)}" for k, v in tree.items() if _plain(v)]
    for section, values in tree.items():
        if isinstance(values, dict):
            lines += _section(section, values)
        elif not _plain(values):
            for table in values:
                lines += ["", f"[[{section}]]", *(f"{k} = {_toml(v)}" for k, v in table.items())]
    return "\n".join(lines)


def _plain(value: object) -> bool:
    """Whether a value stands on a line of its own: no table, no array of tables."""
    tables = isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)
    return not (tables or isinstance(value, dict))


def _section(path: str, values: Mapping[str, Any]) -> list[str]:
    """A table and the tables in it."""
    lines = ["", f"[{path}]"]
    lines += [f"{k} = {_toml(v)}" for k, v in values.items() if not isinstance(v, dict)]
    for name, value in values.items():
        if isinstance(value, dict):
            lines += _section(f"{path}.{name}", value)
    return lines


def _toml(value: object) -> str:
    """A string, number or boolean as TOML has it, which is as JSON has it but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "VIGIL_KAFKA": ("kafka", "bootstrap"),
    "VIGIL_PREFIX": ("kafka", "prefix"),
    "VIGIL_KAFKA_SECURITY": ("kafka", "security"),
    "VIGIL_KAFKA_USER": ("kafka", "user"),
    "VIGIL_KAFKA_PASSWORD_FILE": ("kafka", "password_file"),
    "VIGIL_KAFKA_CA_FILE": ("kafka", "ca_file"),
    "VIGIL_DATABASE": ("database", "dsn"),
    "VIGIL_DATABASE_PASSWORD_FILE": ("database", "password_file"),
    "VIGIL_DATA_DIR": ("worker", "data_dir"),
    "VIGIL_HTTP_HOST": ("worker", "http_host"),
    "VIGIL_WATCH_HTTP_HOST": ("watch", "http_host"),
    "VIGIL_KEYS_FILE": ("keys", "file"),
    "VIGIL_SIGN_AS": ("keys", "sign_as"),
}


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """Configuration from `path` (or `vigil.toml` here, if there is one), then the environment.

    Parameters
    ----------
    path : Path or None
        A file that must exist, or None for the default place.
    environment : mapping or None
        Instead of `os.environ`; see `ENVIRONMENT` for the variables read.

    Raises
    ------
    ConfigError
        Naming the file, the key, the rule, and the nearest valid key on a typo.
    """
    tree: dict[str, Any] = {}
    if path is None and Path("vigil.toml").is_file():
        path = Path("vigil.toml")
    if path is not None:
        tree = _read(path)
    place = str(path) if path else "environment"
    for variable, (section, key) in ENVIRONMENT.items():
        value = (os.environ if environment is None else environment).get(variable)
        if value and isinstance(tree.setdefault(section, {}), dict):  # else `_convert` says so
            tree[section][key] = value
    config = _convert(tree, place)
    check(config, place)
    return config


def redact_dsn(dsn: str) -> str:
    """A DSN without its password; one in another form than a URL is not shown at all.

    Examples
    --------
    >>> redact_dsn("postgresql://u:secret@h:1/d")
    'postgresql://u:***@h:1/d'
    >>> redact_dsn("host=h user=u password=secret")
    '***'
    """
    try:
        parts = urlsplit(dsn)
    except ValueError:
        return "***"
    if not parts.scheme or "password" in unquote(parts.query).lower():
        return "***"
    return _with_password(dsn, "***") if parts.password is not None else dsn


def _with_password(dsn: str, password: str) -> str:
    """A DSN with this password, in the form it has: a URL or `host=... user=...`."""
    if "://" not in dsn:
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        return f"{dsn} password='{quoted}'"
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    secret = password if password == "***" else quote(password, safe="")
    user = quote(unquote(parts.username or ""), safe="")
    return urlunsplit(parts._replace(netloc=f"{user}:{secret}@{host}"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _convert(tree: dict[str, Any], place: str) -> Config:
    _known(tree, Config, place, "")
    for section, value in tree.items():
        if section == "deliver" and isinstance(value, dict):
            _known_emitters(value, place)
        elif section == "models" and isinstance(value, list):
            for table in value:
                _known(table if isinstance(table, dict) else {}, ModelConfig, place, "models.")
        elif isinstance(value, dict):
            _known(value, type(getattr(Config(), section)), place, f"{section}.")
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{place}: {error}") from error


def _known_emitters(tables: dict[str, Any], place: str) -> None:
    """Refuse an unknown kind, or a key its kind does not have."""
    for name, table in tables.items():
        path = f"deliver.{name}"
        if not GROUP.fullmatch(name) or not isinstance(table, dict):
            raise ConfigError(f"{place}: {path}: must be a table with a plain name")
        kind = KINDS.get(table.get("kind", ""))
        if kind is None:
            raise ConfigError(f"{place}: {path}.kind must be one of {', '.join(KINDS)}")
        _known({k: v for k, v in table.items() if k != "kind"}, kind, place, f"{path}.")


def _known(tree: dict[str, Any], kind: type, place: str, prefix: str) -> None:
    fields = getattr(kind, "__struct_fields__", ())
    for key in tree:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1, 0.0)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise ConfigError(f"{place}: unknown key {prefix}{key}{hint}")

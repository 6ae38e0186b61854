"""What `[deliver.NAME]` tables of vigil.toml may say, checked when the file is read.

Nothing heavy is imported here. Secrets never stand in the file: a key names an environment
variable or another file that holds them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from service.selection import Selection, selection
from streams.errors import ConfigError

MAX_PARALLEL = 64


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every emitter has: what it wants, how it retries, whether it confirms.

    `start`: where a new group begins, "latest" or "earliest". `give_up_s`: an event the target
    fails on for this long is given up, loudly; a target that is away is waited for without end.
    """

    patients: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    start: str = "latest"
    receipts: bool = True
    parallel: int = 4
    timeout_s: float = 10.0
    retry_first_s: float = 0.5
    retry_last_s: float = 30.0
    give_up_s: float = 86_400.0
    secret_env: str = ""
    secret_file: str = ""
    metrics_port: int = -1  # on loopback; 0: any free port, -1: none

    def selection(self) -> Selection:
        """What it wants.

        Raises
        ------
        ConfigError
            For a word that no event can have.
        """
        return selection(
            patients=self.patients,
            priorities=self.priorities,
            kinds=self.kinds,
            phases=self.phases,
            conditions=self.conditions,
        )


class HttpSpec(Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A target that speaks HTTP. `ca_file`: certificates to trust besides the system's."""

    url: str = ""
    ca_file: str = ""


class WebhookSpec(HttpSpec, frozen=True, kw_only=True, tag="webhook"):
    """POSTs CloudEvents. The secret, which it must have, signs them."""


class AlertmanagerSpec(HttpSpec, frozen=True, kw_only=True, tag="alertmanager"):
    """A Prometheus Alertmanager; `url` without `/api/v2`. The secret is a bearer token.

    `resend_s` must be shorter than Alertmanager's resolve_timeout (5 min); `hold_s` is how long
    an alert outlives this process; `resolved_s`: an end is repeated for so long.
    """

    resend_s: float = 60.0
    hold_s: float = 3600.0
    resolved_s: float = 300.0
    labels: dict[str, str] = {}
    link_base: str = ""


class PagerDutySpec(HttpSpec, frozen=True, kw_only=True, tag="pagerduty"):
    """PagerDuty Events v2. The secret is the routing key."""

    url: str = "https://events.pagerduty.com/v2/enqueue"
    link_base: str = ""


class FhirSpec(HttpSpec, frozen=True, kw_only=True, tag="fhir"):
    """A FHIR server (`url`) or a folder. The secret is a bearer token.

    `version`: R4B (Flag, Communication, RiskAssessment) or R6 (DeviceAlert).
    """

    folder: str = ""
    version: str = "R4B"
    patient_system: str = "urn:vigil:subject"


class Hl7Spec(Spec, frozen=True, kw_only=True, tag="hl7"):
    """HL7 v2 ORU^R40 over MLLP (`host`, `port`) or into a folder."""

    host: str = ""
    port: int = 0
    tls: bool = True
    ca_file: str = ""
    folder: str = ""
    sending: str = "VIGIL"
    facility: str = ""
    receiving: str = ""
    receiving_facility: str = ""
    patient_authority: str = "VIGIL"


AnySpec = WebhookSpec | AlertmanagerSpec | PagerDutySpec | FhirSpec | Hl7Spec
KINDS: Mapping[str, type[AnySpec]] = {
    "webhook": WebhookSpec,
    "alertmanager": AlertmanagerSpec,
    "pagerduty": PagerDutySpec,
    "fhir": FhirSpec,
    "hl7": Hl7Spec,
}


def check(name: str, spec: AnySpec) -> None:
    """Refuse a table that cannot work.

    Raises
    ------
    ConfigError
        Naming the key and the rule.
    """
    spec.selection()
    rules = [
        (spec.start in ("latest", "earliest"), "start must be latest or earliest"),
        (1 <= spec.parallel <= MAX_PARALLEL, f"parallel must be 1 to {MAX_PARALLEL}"),
        (0.1 <= spec.timeout_s <= 300, "timeout_s must be 0.1 to 300"),
        (
            0.01 <= spec.retry_first_s <= spec.retry_last_s <= 3600,
            "retry_first_s and retry_last_s must be 0.01 to 3600 and rise",
        ),
        (spec.give_up_s > 0, "give_up_s must be greater than 0"),
        (not (spec.secret_env and spec.secret_file), "secret_env or secret_file, not both"),
        *_target_rules(spec),
    ]
    for holds, rule in rules:
        if not holds:
            raise ConfigError(f"deliver.{name}: {rule}")


def _target_rules(spec: AnySpec) -> list[tuple[bool, str]]:
    secret = bool(spec.secret_env or spec.secret_file)
    if isinstance(spec, Hl7Spec):
        reachable = bool(spec.host) and 1 <= spec.port <= 65_535
        return [(reachable != bool(spec.folder), "host and port, or folder")]
    rules = [(_is_url(spec.url), "url must be http:// or https://, without a password")]
    if isinstance(spec, FhirSpec):
        one = bool(spec.url) != bool(spec.folder)
        rules = [(one, "url or folder"), (not spec.url or _is_url(spec.url), rules[0][1])]
        rules.append((spec.version in ("R4B", "R6"), "version must be R4B or R6"))
    if isinstance(spec, WebhookSpec | PagerDutySpec):
        rules.append((secret, "secret_env or secret_file is needed"))
    if isinstance(spec, AlertmanagerSpec):
        rules.append((1 <= spec.resend_s < 300, "resend_s must be 1 to 300 s (resolve_timeout)"))
        rules.append((spec.hold_s > 2 * spec.resend_s, "hold_s must be over twice resend_s"))
    return rules


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.password is None


def secret_of(name: str, spec: Spec, environment: Mapping[str, str] | None = None) -> str:
    """The secret a table names; empty when it names none.

    Raises
    ------
    ConfigError
        If the variable is unset, or the file cannot be read; never with what is in it.
    """
    variables = os.environ if environment is None else environment
    if spec.secret_env:
        if not variables.get(spec.secret_env):
            raise ConfigError(f"deliver.{name}: {spec.secret_env} is not set")
        return variables[spec.secret_env]
    if not spec.secret_file:
        return ""
    try:
        secret = Path(spec.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise ConfigError(f"deliver.{name}: secret_file cannot be read ({why})") from error
    if not secret:
        raise ConfigError(f"deliver.{name}: secret_file is empty")
    return secret

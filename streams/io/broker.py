"""Where Kafka is and what it takes to be let in: one value for three client libraries.

Secrets come from files (`service.config`); a `Broker` prints as its address and nothing else.
"""

from __future__ import annotations

import ssl
from typing import Any, Final, NamedTuple

from streams.errors import ConfigError

PROTOCOLS: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS: Final = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


class Security(NamedTuple):
    """How a client proves who it is, and checks who answers."""

    protocol: str = "plaintext"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = ""
    ca_file: str = ""  # empty: the system's authorities
    cert_file: str = ""  # of this client, where the broker asks for one
    key_file: str = ""

    def __repr__(self) -> str:
        return f"Security({self.protocol}, {self.mechanism}, user={self.user!r})"

    @property
    def sasl(self) -> bool:
        """Whether the client names itself."""
        return self.protocol.startswith("sasl")

    def context(self) -> ssl.SSLContext | None:
        """TLS 1.2 or newer, the broker's name and certificate checked; None without TLS.

        Raises
        ------
        ConfigError
            If a file cannot be read or holds no certificate.
        """
        if not self.protocol.endswith("ssl"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise ConfigError(
                f"kafka: ca_file, cert_file or key_file cannot be used ({error})"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


OPEN: Final = Security()


class Broker(str):
    """`host:port`, several separated by commas, with how to be let in there.

    A plain `str` in its place means a broker that lets everybody in.
    """

    __slots__ = ("security",)
    security: Security

    def __new__(cls, servers: str, security: Security = OPEN) -> Broker:
        """An address with its security."""
        broker = super().__new__(cls, servers)
        broker.security = security
        return broker


def security_of(bootstrap: str) -> Security:
    """The security of a `Broker`; of a plain address, none."""
    return bootstrap.security if isinstance(bootstrap, Broker) else OPEN


def client_options(bootstrap: str) -> dict[str, Any]:
    """Connection options of aiokafka and kafka-python, which name them alike.

    Raises
    ------
    ConfigError
        As `Security.context`.
    """
    security = security_of(bootstrap)
    options: dict[str, Any] = {"security_protocol": security.protocol.upper()}
    context = security.context()
    if context is not None:
        options["ssl_context"] = context
    if security.sasl:
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.user
        options["sasl_plain_password"] = security.password
    return options

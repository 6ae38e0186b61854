"""The error tree. Bad data is never an exception: see `streams.records.Reason`."""


class VigilError(Exception):
    """Root of every error Vigil raises on purpose."""


class ConfigError(VigilError, ValueError):
    """A configuration, policy or argument that cannot work; raised at construction."""


class SourceError(VigilError, ValueError):
    """A recording or event file that breaks its format; names file, place and rule."""


class SnapshotMismatch(VigilError):  # noqa: N818 - the design's public name
    """Stored engine state of another version or catalogue; never half-read."""


class CheckpointMismatch(VigilError):  # noqa: N818 - the design's public name
    """Model weights that do not fit the feature catalogue."""


class OperationalError(VigilError):
    """Trouble with a broker, database or device; `retriable` says whether to try again."""

    retriable = True


class BrokerError(OperationalError):
    """Kafka refused, timed out or lost something."""


class StoreError(OperationalError):
    """TimescaleDB or PostgreSQL refused, timed out or went away."""

"""librdkafka's mock cluster: a broker on a real socket that can be told to answer with errors.

For what a real broker cannot be told to do. Reached through ctypes in the library that the
confluent-kafka wheel brings; used in tests only.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

PRODUCE: Final = 0  # API key
_PRODUCER: Final = 0


def _library() -> Any:
    kafka = pytest.importorskip("confluent_kafka")
    package = Path(kafka.__file__).parent
    found = [*package.glob("librdkafka*"), *package.parent.glob("confluent_kafka.libs/librdkafka*")]
    if not found:
        pytest.skip("this confluent-kafka wheel brings no library of its own")
    for name in sorted(found[0].parent.glob("lib*")):  # what it is linked with comes first
        if name != found[0]:
            ctypes.CDLL(str(name), mode=ctypes.RTLD_GLOBAL) if ".so" in name.name else None
    library = ctypes.CDLL(str(found[0]))
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "rd_kafka_mock_push_request_errors_array": (
            number,
            [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockBroker:
    """One mock broker; its errors are used up request by request."""

    def __init__(self) -> None:
        self._library = _library()
        error = ctypes.create_string_buffer(512)
        config = self._library.rd_kafka_conf_new()
        self._client = self._library.rd_kafka_new(_PRODUCER, config, error, len(error))
        assert self._client, error.value
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        assert self._cluster

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._library.rd_kafka_mock_cluster_destroy(self._cluster)
        self._library.rd_kafka_destroy(self._client)

    @property
    def bootstrap(self) -> str:
        """Where it listens."""
        return str(self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        done = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        assert done == 0

    def fail(self, codes: Sequence[int], api: int = PRODUCE) -> None:
        """Answer the next requests of an API with these errors, one each."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api, len(codes), array)

    def slow(self, round_trip_ms: int) -> None:
        """Answer everything so late."""
        assert self._library.rd_kafka_mock_broker_set_rtt(self._cluster, -1, round_trip_ms) == 0

"""JSON Schemas and the AsyncAPI document, generated from the records: `python -m service.schemas`.

The files stand in `docs/schemas/`. A test generates them again and compares, so they cannot drift.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from alerts.alert import AlertEvent, AlertRecord, Phase
from alerts.envelope import CONTENT_TYPE, CloudEvent
from models.score import Score
from service.heartbeat import Heartbeat
from service.outputs import DeadLetter, FeatureRow
from service.receipts import Receipt
from streams.topics import TOPICS, topic_name

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
RECORDS: Final[dict[str, Any]] = {
    "alert-event.v1": AlertEvent,
    "alert-state.v1": AlertRecord,
    "cloud-event.v1": CloudEvent,
    "score.v1": Score,
    "feature-row.v1": FeatureRow,
    "dead-letter.v1": DeadLetter,
    "receipt.v1": Receipt,
    "heartbeat.v1": Heartbeat,
}
CHANNELS: Final = {  # topic: record, and whether a subscriber receives or sends
    "features": ("feature-row.v1", "receive"),
    "scores": ("score.v1", "receive"),
    "alerts": ("alert-event.v1", "receive"),
    "alert-state": ("alert-state.v1", "receive"),
    "heartbeat": ("heartbeat.v1", "receive"),
    "receipts": ("receipt.v1", "send"),
    "dlq": ("dead-letter.v1", "receive"),
}
CE_HEADERS: Final = tuple(
    name for name in CloudEvent.__struct_fields__ if name not in ("data", "datacontenttype")
)


def documents() -> dict[str, bytes]:
    """Every generated file: name to content."""
    files = {f"{name}.json": schema(name) for name in RECORDS}
    files["asyncapi.json"] = asyncapi()
    return {name: _bytes(document) for name, document in files.items()}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one record, complete in itself.

    Further fields are allowed: a record grows by additions, and an old reader must not stop.
    """
    (root,), parts = msgspec.json.schema_components([RECORDS[name]], ref_template="#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": f"urn:vigil:schema:{name}",
        "title": name,
        **_tidy(root),
        "$defs": _tidy(parts),
    }


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.1 document: the topics a subscriber may read and write."""
    kinds = list(dict.fromkeys(RECORDS[name] for name, _ in CHANNELS.values()))
    _, parts = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Vigil",
            "version": "1",
            "description": "Alerts, scores and features as they leave Vigil. Research and "
            "engineering use; not a medical device; delivery to a person is not promised.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": {
            "kafka": {"host": "127.0.0.1:29192", "protocol": "kafka", "description": "Default."}
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {short: _channel(short) for short in CHANNELS},
        "operations": {
            f"{action}-{short}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{short}"},
            }
            for short, (_, action) in CHANNELS.items()
        },
        "components": {
            "messages": {short: _message(short) for short in CHANNELS},
            "schemas": {**_tidy(parts), "CloudEventHeaders": _headers()},
        },
    }


def _channel(short: str) -> dict[str, Any]:
    topic = TOPICS[short]
    return {
        "address": topic_name(short),
        "description": f"{topic.content}. Key: {topic.key}.",
        "messages": {short: {"$ref": f"#/components/messages/{short}"}},
    }


def _message(short: str) -> dict[str, Any]:
    kind = RECORDS[CHANNELS[short][0]].__name__
    said: dict[str, Any] = {
        "name": kind,
        "contentType": CONTENT_TYPE,
        "payload": {"$ref": f"#/components/schemas/{kind}"},
        "bindings": {"kafka": {"key": {"type": "string"}}},
    }
    if short in ("alerts", "alert-state"):
        said["headers"] = {"$ref": "#/components/schemas/CloudEventHeaders"}
    return said


def _headers() -> dict[str, Any]:
    """CloudEvents 1.0 in binary mode."""
    properties: dict[str, Any] = {f"ce_{name}": {"type": "string"} for name in CE_HEADERS}
    phases = [str(phase) for phase in Phase]
    properties["ce_type"]["pattern"] = rf"^io\.vigil\.alert\.({'|'.join(phases)})\.v1$"
    properties["content-type"] = {"const": CONTENT_TYPE}
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _tidy(node: Any) -> Any:
    """Descriptions on one line: they come from docstrings."""
    if isinstance(node, dict):
        return {
            key: re.sub(r"\s+", " ", value).strip()
            if key == "description" and isinstance(value, str)
            else _tidy(value)
            for key, value in node.items()
        }
    return [_tidy(item) for item in node] if isinstance(node, list) else node


def _bytes(document: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in documents().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()

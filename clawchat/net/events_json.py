"""Events for the user as lines of JSON, and the schema of the lines.

Each line is an object: ``schema`` is the version, ``event`` the record's name in snake case, ``time`` Unix
seconds, and the rest are the record's fields, where a field that is None is left out. The schema file beside
this module is generated from the records by ``python -m clawchat.net.events_json``.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import re
import sys
import types
import typing
from typing import Literal

from clawchat.net.user_events import UserEvent

SCHEMA_VERSION = 1
SCHEMA_FILE = "events.schema.json"


def event_name(kind: type[UserEvent]) -> str:
    """Name a kind of event as the lines do."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def encode(event: UserEvent, *, time: float) -> str:
    """Write an event as one line of JSON without its line end; ``time`` is Unix seconds."""
    record: dict[str, object] = {"schema": SCHEMA_VERSION, "event": event_name(type(event)), "time": round(time, 3)}
    record |= {
        field.name: value for field in dataclasses.fields(event) if (value := getattr(event, field.name)) is not None
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def schema() -> dict[str, object]:
    """Describe every line as JSON Schema (draft 2020-12), from the records above."""
    kinds: tuple[type[UserEvent], ...] = typing.get_args(UserEvent)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ClawChat events",
        "description": "One event a line; unknown events and unknown properties of later versions are to be ignored.",
        "oneOf": [{"$ref": f"#/$defs/{event_name(kind)}"} for kind in kinds],
        "$defs": {event_name(kind): _describe(kind) for kind in kinds},
    }


def shipped_schema() -> str:
    """Read the schema file that is installed with the package."""
    return importlib.resources.files("clawchat.net").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")


def _describe(kind: type[UserEvent]) -> dict[str, object]:
    hints = typing.get_type_hints(kind)
    properties: dict[str, object] = {
        "schema": {"const": SCHEMA_VERSION},
        "event": {"const": event_name(kind)},
        "time": {"type": "number"},
    }
    properties |= {name: _describe_type(hint) for name, hint in hints.items()}
    required = ["schema", "event", "time", *(name for name, hint in hints.items() if not _is_optional(hint))]
    return {"description": kind.__doc__, "type": "object", "properties": properties, "required": required}


def _is_optional(hint: object) -> bool:
    return types.NoneType in typing.get_args(hint)


def _describe_type(hint: object) -> dict[str, object]:
    simple = {str: "string", int: "integer", float: "number", bool: "boolean"}
    if isinstance(hint, type) and hint in simple:
        return {"type": simple[hint]}
    inner = [argument for argument in typing.get_args(hint) if argument not in (types.NoneType, ...)]
    if typing.get_origin(hint) is Literal:
        return {"enum": inner}
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _describe_type(inner[0])}
    return _describe_type(inner[0])


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")

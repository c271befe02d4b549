from __future__ import annotations

import dataclasses
import json

import jsonschema
import pytest
from hypothesis import given

from clawchat.net import events_json, user_events
from clawchat.net.user_events import UserEvent
from tests.client.strategies import KINDS, events

VALIDATOR = jsonschema.Draft202012Validator(json.loads(events_json.shipped_schema()))


def test_the_shipped_schema_is_the_one_of_the_records() -> None:
    assert json.loads(events_json.shipped_schema()) == events_json.schema()


def test_the_shipped_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(events_json.schema())


@given(events)
def test_every_event_is_one_line_that_the_schema_takes(event: UserEvent) -> None:
    line = events_json.encode(event, time=1.5)
    assert "\n" not in line
    VALIDATOR.validate(json.loads(line))


@given(events)
def test_a_line_holds_every_field_that_is_set(event: UserEvent) -> None:
    record = json.loads(events_json.encode(event, time=1.5))
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        assert record.get(field.name) == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize(
    ("kind", "name"), [(user_events.Message, "message"), (user_events.PathChanged, "path_changed")]
)
def test_events_are_named_in_snake_case(kind: type[UserEvent], name: str) -> None:
    assert events_json.event_name(kind) == name


def test_all_unions_members_are_listed() -> None:
    declared = {value for value in vars(user_events).values() if dataclasses.is_dataclass(value)}
    assert declared == set(KINDS)


def test_a_line_is_what_a_script_expects() -> None:
    line = events_json.encode(user_events.Message(7, "ann", "hé", 100, room="lobby"), time=100.1234)
    assert line == (
        '{"schema":1,"event":"message","time":100.123,"number":7,"sender":"ann","text":"hé","at":100,'
        '"room":"lobby","past":false}'
    )

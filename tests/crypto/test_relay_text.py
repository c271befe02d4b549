"""A relay as one line of text."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import Credential, make_slot
from clawchat.crypto.relay_text import read_relay, write_relay
from clawchat.crypto.secfile import MAX_FILE_BYTES, open_file, seal_file
from clawchat.values.address import Address
from clawchat.values.errors import UsageError
from clawchat.values.limits import (
    MAX_OBSERVED_CANDIDATES,
    MAX_RELAY_CANDIDATES,
    MAX_RELAY_TEXT,
    MAX_RELAYS,
    MAX_WEBSOCKET_URL,
)
from clawchat.values.websocket import check_websocket, websocket_urls

LONG = Address("2001:db8:1111:2222:3333:4444:5555:6666", 65535)


def relay(*candidates: Address, name: str = "relay", relays: tuple[str, ...] = (), websocket: str = "") -> Credential:
    return make_slot(
        os.urandom,
        name=name,
        hello_header_key=os.urandom(32),
        candidates=candidates or (Address("203.0.113.1", 5000), LONG),
        relays=relays,
        timestamp=1_700_000_000,
        validity=10**9,
        reusable=True,
        websocket=websocket,
    ).credential


def test_what_is_written_is_read_with_everything_that_a_handshake_binds() -> None:
    credential = relay()
    assert read_relay(write_relay(credential)) == credential
    assert read_relay(write_relay(credential)).prologue() == credential.prologue()


def test_the_most_that_is_allowed_fits_a_security_file() -> None:
    url = "wss://" + "w" * (MAX_WEBSOCKET_URL - 6)
    most = relay(*[LONG] * MAX_RELAY_CANDIDATES, name="r" * 64, websocket=url)
    text = write_relay(most)
    assert len(text) == MAX_RELAY_TEXT
    full = relay(*[LONG] * MAX_OBSERVED_CANDIDATES, name="x" * 64, relays=(text,) * MAX_RELAYS)
    key = KeyFile(os.urandom(32))
    data = seal_file(full, key, os.urandom)
    assert len(data) <= MAX_FILE_BYTES
    assert open_file(data, key) == full


def test_where_websockets_are_taken_is_written_and_bound() -> None:
    plain, both = relay(), relay(websocket="wss://relay.example/chat")
    assert write_relay(replace(both, websocket="")) != write_relay(both)
    assert read_relay(write_relay(both)) == both
    assert replace(both, websocket="ws://:8443").prologue() != both.prologue()
    assert read_relay(write_relay(plain)).websocket == ""
    key = KeyFile(os.urandom(32))
    assert open_file(seal_file(both, key, os.urandom), key) == both


@pytest.mark.parametrize("wrong", ["http://relay.example", "ws://", "ws://:0", "ws://:70000", "ws://a/?b", "ws://ä"])
def test_what_is_no_place_for_websockets_is_not_read(wrong: str) -> None:
    with pytest.raises(UsageError):
        check_websocket(wrong)
    with pytest.raises(UsageError):
        read_relay(write_relay(relay(websocket=wrong)))


def test_a_url_without_a_host_is_one_for_each_address() -> None:
    assert websocket_urls("ws://:8443", ["203.0.113.1", "2001:db8::1", "203.0.113.1"], b"\x01\x02") == [
        "ws://203.0.113.1:8443/0102",
        "ws://[2001:db8::1]:8443/0102",
    ]
    assert websocket_urls("wss://relay.example/chat", ["203.0.113.1"], b"\x01") == ["wss://relay.example/chat/01"]


def test_what_is_no_relay_is_not_written() -> None:
    credential = relay()
    for wrong in (replace(credential, candidates=()), replace(credential, relays=("a",))):
        with pytest.raises(UsageError):
            write_relay(wrong)
    with pytest.raises(UsageError):
        write_relay(relay(*[LONG] * (MAX_RELAY_CANDIDATES + 1)))


def test_nothing_but_the_one_form_is_read() -> None:
    text = write_relay(relay())
    cut = [text[:end] for end in range(len(text))]
    for wrong in (*cut, text + "A", text + "=", "B" + text[1:], text + " ", "wss://relay.example", "A" * 400, "ä"):
        with pytest.raises(UsageError):
            read_relay(wrong)

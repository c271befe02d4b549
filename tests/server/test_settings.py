from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from clawchat.net.config import load
from clawchat.net.config_schema import document
from clawchat.values.address import Address
from clawchat.values.errors import ConfigError
from server.settings import HEADING, Settings, public_address, unused

DESIGNED = {
    "server": {"id", "ip", "port"},
    "security": {"directory", "file_validity_minutes", "auto_regenerate_minutes", "resume_hours"},
    "encryption": {"key_rotation_interval", "port_rotation_interval"},
    "networking": {
        "public_address",
        "relays",
        "stun_servers",
        "port_mapping",
        "hole_punch_timeout",
        "nat_detection",
    },
    "chat": {"rooms", "history"},
    "logging": {"level", "format"},
}


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "server.yaml"
    file.write_text(text, encoding="utf-8")
    return load(Settings, file, environ={}).value


def test_the_keys_keep_their_names(tmp_path: Path) -> None:
    text = document(Settings, heading=HEADING)
    value = yaml.safe_load(text)
    for section, keys in DESIGNED.items():
        assert keys <= value[section].keys()
    assert read(tmp_path, text) == Settings()


@pytest.mark.parametrize(
    "text",
    [
        "server: {id: 'two words'}",
        "server: {id: ../x}",
        "server: {ip: localhost}",
        "server: {port: 0}",
        "networking: {public_address: example.org}",
        "networking: {public_address: '203.0.113.1:99999'}",
        "networking: {relays: [a, b, c, d, e, f, g, h, i]}",
        "networking: {stun_servers: ['http://example.org']}",
        "networking: {stun_servers: ['a:99999']}",
        "chat: {rooms: []}",
        "chat: {rooms: ['two words']}",
        "chat: {rooms: ['']}",
        "chat: {history: -1}",
        "logging: {level: loud}",
        "security: {bootstrap: nothing}",
        "security: {file_validity_minutes: 0}",
        "security: {file_validity_minutes: .inf}",
        "security: {file_validity_minutes: .nan}",
        "handler: python bot.py",
        "handler: [[bot]]",
    ],
)
def test_a_value_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.1", Address("203.0.113.1", 7)),
        ("203.0.113.1:5000", Address("203.0.113.1", 5000)),
        ("2001:db8::1", Address("2001:db8::1", 7)),
        ("[2001:db8::1]", Address("2001:db8::1", 7)),
        ("[2001:db8::1]:5000", Address("2001:db8::1", 5000)),
    ],
)
def test_a_public_address_may_leave_out_the_port(text: str, address: Address) -> None:
    assert public_address(text, 7) == address


def test_a_key_that_does_nothing_yet_is_named(tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    text = "networking: {hole_punch_timeout: 30}\nencryption: {port_rotation_interval: 3600}\nserver: {port: 5}\n"
    file.write_text(text, encoding="utf-8")
    assert unused(load(Settings, file, environ={})) == ["networking.hole_punch_timeout"]


def test_keys_that_work_are_not_named(tmp_path: Path) -> None:
    file = tmp_path / "server.yaml"
    text = "networking: {stun_servers: ['stun:example.org'], port_mapping: false, nat_detection: false}\n"
    file.write_text(text, encoding="utf-8")
    assert unused(load(Settings, file, environ={})) == []

from __future__ import annotations

import pytest

from clawchat.crypto.credential import Credential
from clawchat.values.address import Address
from client.diagnosis import diagnose

NOW = 1_700_000_000
HOME = ("192.168.1.20",)


def credential(*addresses: str, timestamp: int = NOW - 60, valid_until: int = NOW + 600) -> Credential:
    candidates = tuple(Address(address, 5000) for address in addresses)
    return Credential(
        bytearray(32), bytes(32), bytes(8), bytearray(32), candidates, (), timestamp, valid_until, name="home"
    )


def causes(of: Credential, own: tuple[str, ...] = HOME, errors: tuple[str, ...] = ()) -> list[str]:
    found = diagnose(of, now_unix=NOW, own_addresses=own, path_errors=errors)
    assert all(finding.action for finding in found)
    return [finding.cause for finding in found]


def test_nothing_is_made_up() -> None:
    assert causes(credential("203.0.113.5")) == []
    assert causes(credential("192.168.1.7")) == []


def test_a_machine_without_a_network() -> None:
    assert causes(credential("8.8.8.8"), own=("127.0.0.1",)) == ["this machine has no network"]
    assert causes(credential("8.8.8.8"), own=()) == ["this machine has no network"]
    assert "this machine has no network" not in causes(credential("127.0.0.1"), own=("127.0.0.1",))


@pytest.mark.parametrize(
    ("address", "own", "word"),
    [
        ("10.0.0.5", HOME, "private"),
        ("127.0.0.1", HOME, "own machine"),
        ("2a00::1", HOME, "IPv6 addresses only"),
        ("8.8.8.8", ("2a00::2",), "IPv4 addresses only"),
    ],
)
def test_addresses_that_can_not_be_reached_from_here(address: str, own: tuple[str, ...], word: str) -> None:
    (cause,) = causes(credential(address), own)
    assert word in cause


def test_one_address_that_can_be_reached_is_enough() -> None:
    assert causes(credential("10.0.0.5", "8.8.8.8")) == []


def test_clocks() -> None:
    assert causes(credential("8.8.8.8", valid_until=NOW - 7200)) == [
        "the security file expired 2 hours ago by this clock"
    ]
    slow = credential("8.8.8.8", timestamp=NOW + 3600, valid_until=NOW + 4200)
    assert causes(slow) == ["this machine's clock is 1 hour slow"]


@pytest.mark.parametrize(
    ("error", "word"),
    [("ECONNREFUSED", "nothing listens"), ("ENETUNREACH", "can't be reached"), ("EPERM", "firewall")],
)
def test_what_the_network_said(error: str, word: str) -> None:
    (cause,) = causes(credential("8.8.8.8"), errors=(error,))
    assert word in cause

from __future__ import annotations

import pytest

from clawchat.nat.scope import is_loopback, is_public


@pytest.mark.parametrize(
    ("host", "public"),
    [
        ("203.0.113.1", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("::ffff:203.0.113.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.255.255.255", False),
        ("172.15.0.1", True),
        ("172.31.0.1", False),
        ("192.168.0.1", False),
        ("100.63.0.1", True),
        ("100.64.0.1", False),
        ("100.127.255.255", False),
        ("169.254.1.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("fd00::1", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
        ("::1", False),
        ("::", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_public_means_the_same_everywhere(host: str, *, public: bool) -> None:
    assert is_public(host) is public


@pytest.mark.parametrize(
    ("host", "loopback"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("x", False)]
)
def test_loopback_leads_back_to_us(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback

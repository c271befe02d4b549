"""What PCP and NAT-PMP say, byte by byte, and what of it is believed."""

from __future__ import annotations

import ipaddress
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.portmap.mapper import Able, Granted, Refused
from clawchat.nat.portmap.natpmp import NatPmp
from clawchat.nat.portmap.pcp import Pcp
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

INTERNAL = Address("192.168.1.2", 50_000)
PUBLIC = "203.0.113.9"
NONCE = random.Random(5).randbytes(12)


def pcp(internal: Address = INTERNAL) -> Pcp:
    return Pcp(internal, random=random.Random(5).randbytes)


def natpmp() -> NatPmp:
    """Return words that have heard of the public address."""
    words = NatPmp(INTERNAL)
    words.read(bytes.fromhex("0080 0000 00000064") + ipaddress.IPv4Address(PUBLIC).packed)
    return words


def mapped(host: str) -> bytes:
    return ipaddress.IPv6Address(f"::ffff:{host}").packed


def granted(  # noqa: PLR0913 - one parameter a field of the answer
    *,
    nonce: bytes = NONCE,
    result: int = 0,
    lifetime: int = 1200,
    epoch: int = 100,
    protocol: int = 17,
    internal: int = 50_000,
    external: int = 50_000,
    host: bytes = mapped(PUBLIC),
) -> bytes:
    """Encode an answer to MAP as RFC 6887 draws it."""
    head = bytes((2, 0x81, 0, result)) + lifetime.to_bytes(4, "big") + epoch.to_bytes(4, "big") + bytes(12)
    body = nonce + bytes((protocol, 0, 0, 0)) + internal.to_bytes(2, "big") + external.to_bytes(2, "big") + host
    return head + body


class TestPcp:
    def test_a_probe_is_an_announcement(self) -> None:
        assert pcp().probe() == bytes.fromhex("0200 0000 00000000") + mapped("192.168.1.2")

    def test_a_wish_names_the_port_and_a_nonce(self) -> None:
        wish = pcp().request(Address("0.0.0.0", 50_000), 1200)
        head = bytes.fromhex("0201 0000 000004b0") + mapped("192.168.1.2")
        assert wish == head + NONCE + bytes.fromhex("11000000 c350 c350") + mapped("0.0.0.0")

    def test_a_renewal_names_what_is_held(self) -> None:
        assert pcp().request(Address(PUBLIC, 6000), 1200)[-18:] == (6000).to_bytes(2, "big") + mapped(PUBLIC)

    def test_an_end_has_no_lifetime_and_names_no_address(self) -> None:
        wish = pcp().request(Address(PUBLIC, 6000), 0)
        assert (wish[4:8], wish[-16:]) == (bytes(4), mapped("0.0.0.0"))

    def test_ipv6_speaks_for_itself(self) -> None:
        words = pcp(Address("2001:db8::2", 50_000))
        wish = words.request(None, 1200)
        assert wish[8:24] == ipaddress.ip_address("2001:db8::2").packed
        assert wish[-18:] == bytes(18)

    def test_a_grant_is_read(self) -> None:
        assert pcp().read(granted(external=6000)) == Granted(Address(PUBLIC, 6000), 1200, 100)

    def test_options_behind_it_are_skipped(self) -> None:
        assert pcp().read(granted() + bytes.fromhex("03000004 00000000")) == Granted(Address(PUBLIC, 50_000), 1200, 100)

    def test_the_end_of_a_mapping_is_read(self) -> None:
        told = pcp().read(granted(lifetime=0, external=0, host=mapped("0.0.0.0")))
        assert told == Granted(Address("0.0.0.0", 0), 0, 100)

    def test_an_announcement_is_read(self) -> None:
        assert pcp().read(bytes.fromhex("0280 0000 00000000 00000064") + bytes(12)) == Able(100)

    def test_a_router_that_knows_no_announcements_speaks_pcp_all_the_same(self) -> None:
        assert pcp().read(bytes.fromhex("0280 0004 00000000 00000064") + bytes(12)) == Able(100)

    @pytest.mark.parametrize(
        ("result", "reason", "final"),
        [
            (1, "UNSUPP_VERSION", True),
            (2, "NOT_AUTHORIZED", True),
            (7, "NETWORK_FAILURE", False),
            (8, "NO_RESOURCES", False),
            (12, "ADDRESS_MISMATCH", True),
            (77, "result 77", True),
        ],
    )
    def test_a_refusal_has_its_reason(self, result: int, reason: str, *, final: bool) -> None:
        assert pcp().read(granted(result=result)) == Refused(reason, final)

    @pytest.mark.parametrize("answer", ["0080 0001 00000064", "0081 0001 00000064 c350 c350 000004b0"])
    def test_a_router_of_the_older_protocol_says_so(self, answer: str) -> None:
        assert pcp().read(bytes.fromhex(answer)) == Refused("the router speaks NAT-PMP only", final=True)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            granted()[:-4],
            granted()[:-1],
            granted() + b"x",
            granted(nonce=bytes(12)),
            granted(protocol=6),
            granted(internal=1),
            granted(external=0),
            granted(host=mapped("0.0.0.0")),
            granted(host=bytes(16)),
            bytes((1,)) + granted()[1:],
            granted()[:1] + b"\x01" + granted()[2:],
            granted()[:1] + b"\x82" + granted()[2:],
            granted() + bytes(1100),
        ],
    )
    def test_what_is_not_about_our_mapping_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            pcp().read(data)

    @given(st.binary(max_size=1200))
    def test_arbitrary_bytes_do_no_harm(self, data: bytes) -> None:
        try:
            told = pcp().read(data)
        except BadDatagram:
            return
        assert not isinstance(told, Granted)  # that would have taken our nonce


class TestNatPmp:
    def test_what_is_asked(self) -> None:
        words = NatPmp(INTERNAL)
        assert words.probe() == bytes(2)
        assert words.request(Address("0.0.0.0", 6000), 1200) == bytes.fromhex("0001 0000 c350 1770 000004b0")
        assert words.request(Address(PUBLIC, 6000), 0) == bytes.fromhex("0001 0000 c350 0000 00000000")

    def test_the_public_address_and_then_a_grant(self) -> None:
        words = NatPmp(INTERNAL)
        assert words.read(bytes.fromhex("0080 0000 00000064 cb007109")) == Able(100, PUBLIC)
        told = words.read(bytes.fromhex("0081 0000 00000065 c350 1770 000004b0"))
        assert told == Granted(Address(PUBLIC, 6000), 1200, 101)

    def test_the_end_of_a_mapping_is_read(self) -> None:
        assert natpmp().read(bytes.fromhex("0081 0000 00000065 c350 0000 00000000")) == Granted(
            Address(PUBLIC, 0), 0, 101
        )

    def test_a_router_without_an_address_may_have_one_later(self) -> None:
        assert NatPmp(INTERNAL).read(bytes.fromhex("0080 0000 00000064 00000000")) == Refused(
            "the router has no public address", final=False
        )

    @pytest.mark.parametrize(
        ("result", "reason", "final"),
        [
            (1, "UNSUPPORTED_VERSION", True),
            (2, "NOT_AUTHORIZED", True),
            (3, "NETWORK_FAILURE", False),
            (4, "OUT_OF_RESOURCES", False),
            (5, "UNSUPPORTED_OPCODE", True),
            (99, "result 99", True),
        ],
    )
    def test_a_refusal_has_its_reason(self, result: int, reason: str, *, final: bool) -> None:
        data = bytes((0, 0x81, 0, result)) + bytes.fromhex("00000065 c350 0000 00000000")
        assert natpmp().read(data) == Refused(reason, final)
        assert natpmp().read(data[:8]) == Refused(reason, final)

    @pytest.mark.parametrize(
        "data",
        [
            "",
            "0080 0000 000000",
            "0080 0000 00000064 cb0071",
            "0080 0000 00000064 cb00710900",
            "0180 0000 00000064 cb007109",
            "0000 0000 00000064 cb007109",
            "0082 0000 00000065 c350 1770 000004b0",
            "0081 0000 00000065 c351 1770 000004b0",
            "0081 0000 00000065 c350 0000 000004b0",
            "0081 0000 00000065 c350 1770 000004",
        ],
    )
    def test_what_is_not_about_our_mapping_is_refused(self, data: str) -> None:
        with pytest.raises(BadDatagram):
            natpmp().read(bytes.fromhex(data))

    def test_a_grant_before_the_address_is_known_is_none(self) -> None:
        with pytest.raises(BadDatagram):
            NatPmp(INTERNAL).read(bytes.fromhex("0081 0000 00000065 c350 1770 000004b0"))

    @given(st.binary(max_size=40))
    def test_arbitrary_bytes_do_no_harm(self, data: bytes) -> None:
        try:
            natpmp().read(data)
        except BadDatagram:
            return
        assert data[0] == 0

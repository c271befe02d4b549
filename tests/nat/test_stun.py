from __future__ import annotations

import binascii
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat import stun
from clawchat.nat.stun import Attribute, Change, Reply, complaint, decode_reply, encode_request, parse_server
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram, UsageError
from tests.support.little_nat import address_value, attribute, error, message, success

TRANSACTION = bytes(range(12))
HERE = Address("203.0.113.7", 40_000)
MASK = stun.MAGIC_BYTES + TRANSACTION

# RFC 5769 sections 2.2 and 2.3; their last attribute is a fingerprint, which we check.
IPV4_ANSWER = bytes.fromhex(
    "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147 e112a643"
    "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96"
)
IPV6_ANSWER = bytes.fromhex(
    "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200014 0002a147"
    "0113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c"
)


class TestStandard:
    @pytest.mark.parametrize(
        ("answer", "mapped"),
        [
            (IPV4_ANSWER, Address("192.0.2.1", 32853)),
            (IPV6_ANSWER, Address("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
        ],
        ids=["ipv4", "ipv6"],
    )
    def test_the_vectors_of_the_standard(self, answer: bytes, mapped: Address) -> None:
        assert decode_reply(answer) == Reply(mapped)

    @pytest.mark.parametrize("answer", [IPV4_ANSWER, IPV6_ANSWER], ids=["ipv4", "ipv6"])
    @given(data=st.data())
    def test_one_flipped_bit_that_hides_no_fingerprint_is_noticed(self, answer: bytes, data: st.DataObject) -> None:
        where = [*range(20), *range(24, 36), *range(40, 48)]  # the header, and the values of two attributes
        bit = data.draw(st.integers(0, 7)) + 8 * data.draw(st.sampled_from(where))
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadDatagram):
            decode_reply(bytes(changed))

    def test_a_request_is_a_header(self) -> None:
        assert encode_request(TRANSACTION) == bytes.fromhex("0001 0000 2112a442") + TRANSACTION

    @pytest.mark.parametrize(
        ("change", "flags"), [(Change.PORT, "02"), (Change.IP, "04"), (Change.IP | Change.PORT, "06")]
    )
    def test_a_request_may_ask_for_another_source(self, change: Change, flags: str) -> None:
        expected = bytes.fromhex("0001 0008 2112a442") + TRANSACTION + bytes.fromhex(f"0003 0004 000000{flags}")
        assert encode_request(TRANSACTION, change) == expected


ADDRESSES = st.builds(
    lambda host, port: Address.make(str(host), port), st.ip_addresses(), st.integers(1, 65535)
).filter(
    lambda address: (
        not (ipaddress.ip_address(address.host).is_unspecified or ipaddress.ip_address(address.host).is_multicast)
    )
)


class TestAnswers:
    @given(mapped=ADDRESSES, other=ADDRESSES, origin=ADDRESSES, transaction=st.binary(min_size=12, max_size=12))
    def test_what_a_server_says_is_read(
        self, mapped: Address, other: Address, origin: Address, transaction: bytes
    ) -> None:
        data = success(
            transaction,
            mapped,
            attribute(Attribute.OTHER_ADDRESS, address_value(other)),
            attribute(Attribute.RESPONSE_ORIGIN, address_value(origin)),
            attribute(0x8022, b"some server"),
        )
        assert decode_reply(data) == Reply(mapped, origin, other)
        assert stun.transaction_of(data) == transaction

    def test_an_old_server_says_it_plainly(self) -> None:
        plain = attribute(Attribute.MAPPED_ADDRESS, address_value(HERE))
        assert decode_reply(message(stun.BINDING_SUCCESS, TRANSACTION, plain)).mapped == HERE

    def test_the_masked_address_goes_before_the_plain_one_that_routers_rewrite(self) -> None:
        plain = attribute(Attribute.MAPPED_ADDRESS, address_value(Address("10.0.0.1", 1)))
        masked = attribute(Attribute.XOR_MAPPED_ADDRESS, address_value(HERE, MASK))
        assert decode_reply(message(stun.BINDING_SUCCESS, TRANSACTION, plain, masked)).mapped == HERE

    def test_of_two_alike_the_first_counts(self) -> None:
        twice = [
            attribute(Attribute.XOR_MAPPED_ADDRESS, address_value(Address("203.0.113.7", n), MASK)) for n in (1, 2)
        ]
        assert decode_reply(message(stun.BINDING_SUCCESS, TRANSACTION, *twice)).mapped == Address("203.0.113.7", 1)

    def test_a_refusal_has_its_code(self) -> None:
        assert decode_reply(error(TRANSACTION, 420, "un\nknown")) == Reply(error=420, reason="un known")

    def test_what_must_be_understood_and_is_not_is_a_refusal(self) -> None:
        assert decode_reply(success(TRANSACTION, HERE, attribute(0x7777, b""))).error == stun.UNKNOWN_ATTRIBUTE

    def test_what_may_be_ignored_is(self) -> None:
        assert decode_reply(success(TRANSACTION, HERE, attribute(0xBEEF, b"12345"))).mapped == HERE


def fingerprinted(data: bytes) -> bytes:
    """Add a fingerprint, which covers a header that counts it."""
    whole = data[:2] + (len(data) - 20 + 8).to_bytes(2, "big") + data[4:]
    return whole + attribute(Attribute.FINGERPRINT, (binascii.crc32(whole) ^ 0x5354554E).to_bytes(4, "big"))


class TestStrictness:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            success(TRANSACTION, HERE)[:-1],
            success(TRANSACTION, HERE) + bytes(4),
            success(TRANSACTION, HERE)[:19],
            encode_request(TRANSACTION),
            message(0x0011, TRANSACTION),
            message(0x8101, TRANSACTION),
            success(TRANSACTION, HERE).replace(stun.MAGIC_BYTES, b"abcd"),
            message(stun.BINDING_SUCCESS, TRANSACTION),
            message(stun.BINDING_SUCCESS, TRANSACTION, bytes.fromhex("0020 0010 00010000")),
            message(stun.BINDING_SUCCESS, TRANSACTION, attribute(0x0020, bytes.fromhex("0001a147e112a6"))),
            message(stun.BINDING_SUCCESS, TRANSACTION, attribute(0x0020, bytes.fromhex("0003a147e112a643"))),
            message(stun.BINDING_SUCCESS, TRANSACTION, attribute(0x0020, b"\0")),
            success(TRANSACTION, Address("203.0.113.7", 0)),
            success(TRANSACTION, Address("0.0.0.0", 5)),
            success(TRANSACTION, Address("224.0.0.1", 5)),
            message(stun.BINDING_SUCCESS, TRANSACTION, *[attribute(0x8022, b"")] * 40),
            message(stun.BINDING_ERROR, TRANSACTION),
            message(stun.BINDING_ERROR, TRANSACTION, attribute(Attribute.ERROR_CODE, bytes((0, 0, 2, 1)))),
            message(stun.BINDING_ERROR, TRANSACTION, attribute(Attribute.ERROR_CODE, bytes((0, 0, 4, 100)))),
            fingerprinted(success(TRANSACTION, HERE))[:-1] + b"!",
            success(TRANSACTION, HERE, attribute(0x8022, bytes(1500))),
        ],
    )
    def test_what_is_no_answer_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            decode_reply(data)

    def test_a_right_fingerprint_is_taken(self) -> None:
        assert decode_reply(fingerprinted(success(TRANSACTION, HERE))).mapped == HERE

    def test_nothing_may_follow_a_fingerprint(self) -> None:
        plain = success(TRANSACTION, HERE)
        whole = plain[:2] + (len(plain) - 20 + 12).to_bytes(2, "big") + plain[4:]
        mark = attribute(Attribute.FINGERPRINT, (binascii.crc32(whole) ^ 0x5354554E).to_bytes(4, "big"))
        with pytest.raises(BadDatagram):
            decode_reply(whole + mark + attribute(0x8022, b""))

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes_are_refused_and_nothing_else_happens(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            decode_reply(data)

    @given(kind=st.sampled_from([stun.BINDING_SUCCESS, stun.BINDING_ERROR]), body=st.binary(max_size=120))
    def test_arbitrary_attributes_are_read_or_refused(self, kind: int, body: bytes) -> None:
        body = body[: len(body) // 4 * 4]
        data = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + stun.MAGIC_BYTES + TRANSACTION + body
        try:
            reply = decode_reply(data)
        except BadDatagram:
            return
        assert reply.mapped or reply.error


class TestServers:
    @pytest.mark.parametrize(
        ("text", "server"),
        [
            ("stun.example.org", ("stun.example.org", 3478)),
            ("stun:stun.example.org", ("stun.example.org", 3478)),
            ("stun:198.51.100.1:19302", ("198.51.100.1", 19302)),
            ("[2001:db8::1]", ("2001:db8::1", 3478)),
            ("stun:[2001:db8::1]:5", ("2001:db8::1", 5)),
        ],
    )
    def test_a_server_is_named(self, text: str, server: tuple[str, int]) -> None:
        assert parse_server(text) == server
        assert complaint(text) is None

    @pytest.mark.parametrize(
        "text", ["", "stuns:a", "http://a", "a:0", "a:65536", "a:", "2001:db8::1", "a b", "-a", "a/b", "[a]"]
    )
    def test_what_names_none_is_told(self, text: str) -> None:
        with pytest.raises(UsageError):
            parse_server(text)
        assert "not a STUN server" in str(complaint(text))

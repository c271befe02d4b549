"""PCP (RFC 6887): ask the router for a mapping, in datagrams to its port 5351.

request    version 2 u8 | opcode u8 | 0 u16 | lifetime u32 | our address 16
answer     version 2 u8 | 80 + opcode u8 | 0 u8 | result u8 | lifetime u32 | epoch u32 | 0 12
both, MAP  nonce 12 | protocol u8 | 0 24 bits | internal port u16 | external port u16 | external address 16
then       options, of which we send none and read none
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from clawchat.nat.portmap.lease import Protocol
from clawchat.nat.portmap.mapper import Able, Granted, Heard, Refused
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

VERSION: Final = 2
NONCE_BYTES: Final = 12
MAX_BYTES: Final = 1100
"""RFC 6887 section 7."""

UDP: Final = 17
ANNOUNCE: Final = 0
MAP: Final = 1
ANSWER: Final = 0x80

_request = struct.Struct(">BBxxI16s")
_answer = struct.Struct(">BBxBII12x")
_map = struct.Struct(">12sB3xHH16s")
_NO_ADDRESS: Final = {4: "::ffff:0:0", 6: "::"}
"""How "any" is written in the field of an external address (RFC 6887 section 5)."""


class Result(IntEnum):
    """Why a router did not do as asked (RFC 6887 section 7.4)."""

    SUCCESS = 0
    UNSUPP_VERSION = 1
    NOT_AUTHORIZED = 2
    MALFORMED_REQUEST = 3
    UNSUPP_OPCODE = 4
    UNSUPP_OPTION = 5
    MALFORMED_OPTION = 6
    NETWORK_FAILURE = 7
    NO_RESOURCES = 8
    UNSUPP_PROTOCOL = 9
    USER_EX_QUOTA = 10
    CANNOT_PROVIDE_EXTERNAL = 11
    ADDRESS_MISMATCH = 12
    EXCESSIVE_REMOTE_PEERS = 13


class Pcp:
    """PCP's words for one port of ours; a nonce makes the mapping ours alone."""

    protocol = Protocol.PCP

    def __init__(self, internal: Address, *, random: Callable[[int], bytes]) -> None:
        self._internal = internal
        self._nonce = random(NONCE_BYTES)

    def probe(self) -> bytes:
        """Encode the question whether the router speaks PCP at all."""
        return self._head(ANNOUNCE, 0)

    def request(self, external: Address | None, lifetime: int) -> bytes:
        """Encode the wish for a mapping, if it can be with this external address; a lifetime of 0 ends one."""
        version = 6 if self._internal.is_ipv6 else 4
        host = external.host if external is not None and lifetime else _NO_ADDRESS[version]
        port = external.port if external is not None else 0
        body = _map.pack(self._nonce, UDP, self._internal.port, port, _packed(host))
        return self._head(MAP, lifetime) + body

    def read(self, data: bytes) -> Heard:
        """Decode an answer. Raises BadDatagram for what is none, or is not about our mapping."""
        if len(data) >= 2 and data[0] == 0 and data[1] & ANSWER:  # noqa: PLR2004 - version and opcode
            # a router that speaks NAT-PMP only answers in its own words (RFC 6886 section 3.5)
            return Refused("the router speaks NAT-PMP only", final=True)
        if not _answer.size <= len(data) <= MAX_BYTES or len(data) % 4:
            raise BadDatagram("portmap")
        version, opcode, result, lifetime, epoch = _answer.unpack_from(data)
        if version != VERSION or opcode not in {ANSWER | ANNOUNCE, ANSWER | MAP}:
            raise BadDatagram("portmap")
        if opcode == ANSWER | ANNOUNCE:
            return Able(epoch)
        if result == Result.UNSUPP_VERSION:
            return Refused(_word(result), final=True)
        return self._read_map(data, result, lifetime, epoch)

    def _read_map(self, data: bytes, result: int, lifetime: int, epoch: int) -> Heard:
        if len(data) < _answer.size + _map.size:
            raise BadDatagram("portmap")
        nonce, protocol, internal, port, packed = _map.unpack_from(data, _answer.size)
        if (nonce, protocol, internal) != (self._nonce, UDP, self._internal.port):
            raise BadDatagram("portmap")
        if result != Result.SUCCESS:
            return Refused(_word(result), final=result not in {Result.NETWORK_FAILURE, Result.NO_RESOURCES})
        external = Address.make(str(ipaddress.IPv6Address(packed)), port)
        if lifetime and (not port or ipaddress.ip_address(external.host).is_unspecified):
            raise BadDatagram("portmap")
        return Granted(external, lifetime, epoch)

    def _head(self, opcode: int, lifetime: int) -> bytes:
        return _request.pack(VERSION, opcode, lifetime, _packed(self._internal.host))


def _packed(host: str) -> bytes:
    """Write an address in 16 bytes, IPv4 mapped into IPv6."""
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(f"::ffff:{address}").packed
    return address.packed


def _word(result: int) -> str:
    return Result(result).name if result in Result.__members__.values() else f"result {result}"

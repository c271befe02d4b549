"""NAT-PMP (RFC 6886): the older and shorter way to ask the router, at the same port 5351. IPv4 only.

which address?   0 u8 | 0 u8                  answer  0 u8 | 80 u8 | result u16 | epoch u32 | address 4
map a UDP port   0 u8 | 1 u8 | 0 u16          answer  0 u8 | 81 u8 | result u16 | epoch u32
                 internal u16 | external u16          internal u16 | external u16
                 lifetime u32                         lifetime u32
"""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum
from typing import Final

from clawchat.nat.portmap.lease import Protocol
from clawchat.nat.portmap.mapper import Able, Granted, Heard, Refused
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

VERSION: Final = 0
ADDRESS: Final = 0
MAP_UDP: Final = 1
ANSWER: Final = 0x80

_head = struct.Struct(">BBHI")
_request = struct.Struct(">BBxxHHI")
_map = struct.Struct(">HHI")
_IPV4_BYTES: Final = 4
ANY: Final = "0.0.0.0"  # noqa: S104 - it stands for "unknown" here


class Result(IntEnum):
    """Why a router did not do as asked (RFC 6886 section 3.5)."""

    SUCCESS = 0
    UNSUPPORTED_VERSION = 1
    NOT_AUTHORIZED = 2
    NETWORK_FAILURE = 3
    OUT_OF_RESOURCES = 4
    UNSUPPORTED_OPCODE = 5


class NatPmp:
    """NAT-PMP's words for one port of ours; the router's public address is heard of first."""

    protocol = Protocol.NAT_PMP

    def __init__(self, internal: Address) -> None:
        self._internal = internal
        self._public = ANY

    def probe(self) -> bytes:
        """Encode the question for the router's public address."""
        return bytes((VERSION, ADDRESS))

    def request(self, external: Address | None, lifetime: int) -> bytes:
        """Encode the wish for a mapping, if it can be with this external port; a lifetime of 0 ends one."""
        port = external.port if external is not None and lifetime else 0
        return _request.pack(VERSION, MAP_UDP, self._internal.port, port, lifetime)

    def read(self, data: bytes) -> Heard:
        """Decode an answer. Raises BadDatagram for what is none, or is not about our mapping."""
        if len(data) < _head.size:
            raise BadDatagram("portmap")
        version, opcode, result, epoch = _head.unpack_from(data)
        if version != VERSION or opcode not in {ANSWER | ADDRESS, ANSWER | MAP_UDP}:
            raise BadDatagram("portmap")
        if result != Result.SUCCESS:
            final = result not in {Result.NETWORK_FAILURE, Result.OUT_OF_RESOURCES}
            return Refused(_word(result), final=final)
        body = data[_head.size :]
        if opcode == ANSWER | ADDRESS:
            return self._read_address(body, epoch)
        if len(body) != _map.size:
            raise BadDatagram("portmap")
        internal, port, lifetime = _map.unpack(body)
        if internal != self._internal.port or (lifetime and (not port or self._public == ANY)):
            raise BadDatagram("portmap")
        return Granted(Address(self._public, port), lifetime, epoch)

    def _read_address(self, body: bytes, epoch: int) -> Heard:
        if len(body) != _IPV4_BYTES:
            raise BadDatagram("portmap")
        public = ipaddress.IPv4Address(body)
        if public.is_unspecified:
            return Refused("the router has no public address", final=False)
        self._public = str(public)
        return Able(epoch, self._public)


def _word(result: int) -> str:
    return Result(result).name if result in Result.__members__.values() else f"result {result}"

"""A NAT in twenty lines, and STUN answers: what mapping and filtering do, without time or packets."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field

from clawchat.nat import stun
from clawchat.nat.mapping import Dependence
from clawchat.nat.stun import Attribute
from clawchat.values.address import Address

PUBLIC = "203.0.113.9"


@dataclass
class LittleNat:
    """Maps by ``dependence``; ``allocation`` is preserve, remap, random, or a step to count by."""

    allocation: str | int = "preserve"
    dependence: Dependence = Dependence.ENDPOINT_INDEPENDENT
    filtering: Dependence = Dependence.ADDRESS_AND_PORT_DEPENDENT
    host: str = PUBLIC
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    next_port: int = 40_000
    mappings: dict[tuple[object, ...], int] = field(default_factory=dict)
    sent: dict[int, set[Address]] = field(default_factory=dict)

    def outbound(self, local_port: int, remote: Address) -> Address:
        """Return the address a datagram leaves from."""
        key = (local_port, *self._part(self.dependence, remote))
        if key not in self.mappings:
            self.mappings[key] = self._allocate(local_port)
        port = self.mappings[key]
        self.sent.setdefault(port, set()).add(remote)
        return Address(self.host, port)

    def lets_in(self, port: int, source: Address) -> bool:
        """Tell whether a datagram from outside comes through."""
        wanted = self._part(self.filtering, source)
        return any(self._part(self.filtering, each) == wanted for each in self.sent.get(port, ()))

    def foreign(self, count: int) -> None:
        """Let others make mappings."""
        for _ in range(count):
            self._allocate(0)

    def _allocate(self, local_port: int) -> int:
        if self.allocation == "preserve":
            return local_port
        if self.allocation == "random":
            return self.chance.randrange(1024, 65536)
        step = 7 if self.allocation == "remap" else int(self.allocation)
        port = self.next_port
        self.next_port = 1024 + (port + step - 1024) % (65536 - 1024)
        return port

    @staticmethod
    def _part(dependence: Dependence, remote: Address) -> tuple[object, ...]:
        return {
            Dependence.ENDPOINT_INDEPENDENT: (),
            Dependence.ADDRESS_DEPENDENT: (remote.host,),
            Dependence.ADDRESS_AND_PORT_DEPENDENT: tuple(remote),
        }[dependence]


def attribute(kind: int, value: bytes) -> bytes:
    """Encode an attribute with its padding."""
    return kind.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)


def address_value(address: Address, mask: bytes = bytes(16)) -> bytes:
    """Encode an address as STUN does, masked for XOR-MAPPED-ADDRESS."""
    packed = ipaddress.ip_address(address.host).packed
    port = address.port ^ int.from_bytes(mask[:2], "big")
    masked = bytes(byte ^ key for byte, key in zip(packed, mask, strict=False))
    return bytes((0, 1 if len(packed) == 4 else 2)) + port.to_bytes(2, "big") + masked


def message(kind: int, transaction: bytes, *attributes: bytes) -> bytes:
    """Encode a STUN message."""
    body = b"".join(attributes)
    return kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + stun.MAGIC_BYTES + transaction + body


def success(transaction: bytes, mapped: Address, *more: bytes) -> bytes:
    """Encode an answer that says where a request came from."""
    value = address_value(mapped, stun.MAGIC_BYTES + transaction)
    return message(stun.BINDING_SUCCESS, transaction, attribute(Attribute.XOR_MAPPED_ADDRESS, value), *more)


def error(transaction: bytes, code: int, reason: str = "") -> bytes:
    """Encode a refusal."""
    value = bytes((0, 0, code // 100, code % 100)) + reason.encode()
    return message(stun.BINDING_ERROR, transaction, attribute(Attribute.ERROR_CODE, value))


@dataclass
class LittleStun:
    """A server with two addresses and two ports; ``other`` tells whether it says so."""

    hosts: tuple[str, str] = ("198.51.100.1", "198.51.100.2")
    ports: tuple[int, int] = (3478, 3479)
    other: bool = True

    @property
    def main(self) -> Address:
        """Return the address it is known by."""
        return Address(self.hosts[0], self.ports[0])

    def has(self, address: Address) -> bool:
        """Tell whether an address is this server's."""
        return address.host in self.hosts and address.port in self.ports

    def answer(self, request: bytes, to: Address, seen: Address) -> tuple[bytes, Address]:
        """Answer a request that came to one of its addresses; return from where it answers."""
        change = request[-1] if len(request) > 20 else 0
        host = self.hosts[(self.hosts.index(to.host) + bool(change & 4)) % 2]
        port = self.ports[(self.ports.index(to.port) + bool(change & 2)) % 2]
        opposite = Address(self.hosts[1 - self.hosts.index(to.host)], self.ports[1 - self.ports.index(to.port)])
        more = [attribute(Attribute.OTHER_ADDRESS, address_value(opposite))] if self.other else []
        return success(request[8:20], seen, *more), Address(host, port)

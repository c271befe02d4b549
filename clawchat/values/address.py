"""Addresses of datagrams, and the local port they pass through."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

from clawchat.values.errors import BadDatagram, UsageError

# family u8 (4 or 6) | address (4 or 16 bytes) | port u16
MAX_PORT = 0xFFFF
FIRST_TUNNEL = 1 << 40
"""Port handles from this one on are no UDP sockets, but WebSockets: TCP carries what is sent by them."""
KNOWN_HOSTS = 256
"""How many hosts are remembered in another form: an end writes the same few again and again."""

IPV4_ENCODED_BYTES = 7
IPV6_ENCODED_BYTES = 19


class Address(NamedTuple):
    """An IP address in canonical text and a UDP port number."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Tell whether this is an IPv6 address."""
        return ":" in self.host

    @classmethod
    def make(cls, host: str, port: int) -> Address:
        """Make an address from any spelling of an IP address.

        IPv4-mapped IPv6 becomes IPv4, a zone is dropped. Raises UsageError for anything else.
        """
        try:
            parsed = ipaddress.ip_address(host.partition("%")[0])
        except ValueError as error:
            raise UsageError(f"not an IP address: {host!r}") from error
        if not 0 <= port <= MAX_PORT:
            raise UsageError(f"not a port number: {port}")
        mapped = getattr(parsed, "ipv4_mapped", None)
        return cls(str(mapped or parsed), port)

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``1.2.3.4:5`` or ``[::1]:5``. Raises UsageError."""
        host, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal() or len(port) > 5:  # noqa: PLR2004 - 65535 has five digits
            raise UsageError(f"not an address with a port: {text!r}")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise UsageError(f"an IPv6 address needs brackets: {text!r}")
        return cls.make(host, int(port))


class Path(NamedTuple):
    """A way to a peer: one of our ports (a handle) and the peer's address."""

    port: int
    remote: Address

    @property
    def relayed(self) -> bool:
        """Tell whether a relay carries it: our port is a link to one, and the address names a box there."""
        return self.port < 0

    def is_near(self, other: Path) -> bool:
        """Tell whether two direct paths differ by their ports alone."""
        direct = not any(path.relayed or path.tunnelled for path in (self, other))
        return direct and self.remote.host == other.remote.host

    @property
    def tunnelled(self) -> bool:
        """Tell whether TCP carries it: our port is a WebSocket, and the address has no UDP port."""
        return self.port >= FIRST_TUNNEL


@lru_cache(KNOWN_HOSTS)
def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host).packed


def encode_address(address: Address) -> bytes:
    """Encode an address in 7 (IPv4) or 19 (IPv6) bytes."""
    packed = _packed(address.host)
    family = 4 if len(packed) == 4 else 6  # noqa: PLR2004 - the length of an IPv4 address
    return bytes((family,)) + packed + address.port.to_bytes(2, "big")


def decode_address(data: bytes | memoryview, at: int) -> tuple[Address, int]:
    """Decode the address that starts at ``at``; return it and where it ends.

    Raises BadDatagram for an unknown family or a short input.
    """
    family = data[at] if at < len(data) else 0
    end = at + (IPV4_ENCODED_BYTES if family == 4 else IPV6_ENCODED_BYTES)  # noqa: PLR2004 - the family
    if family not in {4, 6} or end > len(data):
        raise BadDatagram("address")
    packed = bytes(data[at + 1 : end - 2])
    port = int.from_bytes(data[end - 2 : end], "big")
    if family == 4:  # noqa: PLR2004 - the family
        return Address(".".join(map(str, packed)), port), end
    host = ipaddress.IPv6Address(packed)
    return Address(str(host.ipv4_mapped or host), port), end

"""Read what ICMP said about datagrams we sent: Linux's socket error queue (ip(7), IP_RECVERR).

    sock_extended_err   errno u32 | origin u8 | type u8 | code u8 | pad u8 | info u32 | data u32
    then the offender   sockaddr_in: family u16, port u16, address 4
                        sockaddr_in6: family u16, port u16, flow u32, address 16, scope u32

Anybody may forge ICMP, so what is read here is a hint and never a proof.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Any, Final, NamedTuple, Protocol

from clawchat.net.socket_errors import System, error_name
from clawchat.net.socket_options import FAMILIES
from clawchat.values.address import Address, Path

MSG_ERRQUEUE: Final = 0x2000
MAX_REPORTS: Final = 64
"""How many messages one look reads; the rest wait for the next."""

TTL_EXPIRED: Final = "TTL-EXPIRED"
"""The name under which an expired time to live is reported: the offender is a router on the way."""

_extended_error = struct.Struct("=IBBBBII")
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3
_TIME_EXCEEDED: Final = {_ORIGIN_ICMP: 11, _ORIGIN_ICMP6: 3}
"""RFC 792 and RFC 4443."""

# where the offender's address lies in the control message, for IPv4 and IPv6
_OFFENDERS: Final = (slice(20, 24), slice(24, 40))
_PAYLOAD_BYTES: Final = 64
_CONTROL_BYTES: Final = 256


class PathError(NamedTuple):
    """Something is wrong with a path: the error's POSIX name, and who said so if it was ICMP."""

    path: Path
    name: str
    offender: str = ""


class ErrorSocket(Protocol):
    """The part of a socket that has an error queue."""

    def recvmsg(self, size: int, ancillary: int, flags: int, /) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Receive one message."""


def drain(sock: ErrorSocket, handle: int, *, ipv6: bool) -> list[PathError]:
    """Empty the error queue of a port; return what ICMP said."""
    option = FAMILIES[System.LINUX][ipv6].error_queue
    reports: list[PathError] = []
    for _ in range(MAX_REPORTS):
        try:
            _, controls, _, source = sock.recvmsg(_PAYLOAD_BYTES, _CONTROL_BYTES, MSG_ERRQUEUE)
        except OSError:
            break
        for level, kind, data in controls:
            if option is not None and (level, kind) == option[:2] and source:
                report = _parse(data, Path(handle, Address.make(source[0], source[1])), ipv6=ipv6)
                if report is not None:
                    reports.append(report)
    return reports


def _parse(data: bytes, path: Path, *, ipv6: bool) -> PathError | None:
    if len(data) < _extended_error.size:
        return None
    code, origin, kind, *_ = _extended_error.unpack_from(data)
    if origin not in _TIME_EXCEEDED:
        return None  # the kernel's own refusals were already told by the call they refused
    offender = data[_OFFENDERS[ipv6]]
    name = TTL_EXPIRED if kind == _TIME_EXCEEDED[origin] else error_name(System.LINUX, code)
    known = len(offender) == _OFFENDERS[ipv6].stop - _OFFENDERS[ipv6].start and any(offender)
    return PathError(path, name, str(ipaddress.ip_address(offender)) if known else "")

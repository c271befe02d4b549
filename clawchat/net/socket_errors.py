"""What to do when a UDP socket refuses: one table for every system.

A datagram socket tells of things that are not its fault (an ICMP message about an earlier datagram, a full
queue, a network that went away), each system in its own numbers. ``classify`` turns a number into one of four
verdicts and touches nothing, so every system's behaviour is tested on any of them.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class System(Enum):
    """The families of systems whose sockets behave alike."""

    LINUX = "linux"
    BSD = "bsd"
    WINDOWS = "windows"


class Operation(Enum):
    """What the socket was asked for."""

    SEND = "send"
    RECEIVE = "receive"


class Verdict(Enum):
    """What the caller does next."""

    IGNORE = "ignore"
    """The socket is fine; what was lost was lost on the way, as datagrams are."""

    RETRY = "retry"
    """Nothing was sent; the same call succeeds a little later."""

    REBIND = "rebind"
    """The socket is of no more use; a new one is."""

    REPORT = "report"
    """This path can't be used now; the endpoint should know."""


LINUX_NAMES: Final = {
    1: "EPERM",
    4: "EINTR",
    5: "EIO",
    11: "EAGAIN",
    12: "ENOMEM",
    13: "EACCES",
    22: "EINVAL",
    32: "EPIPE",
    71: "EPROTO",
    90: "EMSGSIZE",
    92: "ENOPROTOOPT",
    95: "EOPNOTSUPP",
    97: "EAFNOSUPPORT",
    98: "EADDRINUSE",
    99: "EADDRNOTAVAIL",
    100: "ENETDOWN",
    101: "ENETUNREACH",
    102: "ENETRESET",
    104: "ECONNRESET",
    105: "ENOBUFS",
    107: "ENOTCONN",
    111: "ECONNREFUSED",
    112: "EHOSTDOWN",
    113: "EHOSTUNREACH",
}
"""include/uapi/asm-generic/errno.h; Android is Linux."""

BSD_NAMES: Final = {
    1: "EPERM",
    4: "EINTR",
    5: "EIO",
    12: "ENOMEM",
    13: "EACCES",
    22: "EINVAL",
    32: "EPIPE",
    35: "EAGAIN",
    40: "EMSGSIZE",
    47: "EAFNOSUPPORT",
    48: "EADDRINUSE",
    49: "EADDRNOTAVAIL",
    50: "ENETDOWN",
    51: "ENETUNREACH",
    52: "ENETRESET",
    54: "ECONNRESET",
    55: "ENOBUFS",
    57: "ENOTCONN",
    61: "ECONNREFUSED",
    64: "EHOSTDOWN",
    65: "EHOSTUNREACH",
}
"""sys/errno.h of macOS and of the BSDs it comes from."""

WINDOWS_NAMES: Final = {
    10004: "EINTR",
    10013: "EACCES",
    10022: "EINVAL",
    10035: "EAGAIN",
    10040: "EMSGSIZE",
    10047: "EAFNOSUPPORT",
    10048: "EADDRINUSE",
    10049: "EADDRNOTAVAIL",
    10050: "ENETDOWN",
    10051: "ENETUNREACH",
    10052: "ENETRESET",
    10054: "ECONNRESET",
    10055: "ENOBUFS",
    10057: "ENOTCONN",
    10061: "ECONNREFUSED",
    10064: "EHOSTDOWN",
    10065: "EHOSTUNREACH",
}
"""Winsock's error codes, which Python hands over as they are."""

NAMES: Final = {System.LINUX: LINUX_NAMES, System.BSD: BSD_NAMES, System.WINDOWS: WINDOWS_NAMES}

OFFLOAD_REFUSALS: Final = frozenset({"EIO", "EINVAL", "EMSGSIZE", "EOPNOTSUPP", "ENOPROTOOPT"})
"""How a kernel refuses a segmented send that it would do segment by segment (udp(7), UDP_SEGMENT)."""

# Whatever stands in neither table: a failed send is told, a failed receive harms nobody.
_UNKNOWN: Final = {Operation.SEND: Verdict.REPORT, Operation.RECEIVE: Verdict.IGNORE}

_EVERYWHERE: Final = {
    (Operation.SEND, "EAGAIN"): Verdict.RETRY,
    (Operation.SEND, "EINTR"): Verdict.RETRY,
    (Operation.SEND, "ENOBUFS"): Verdict.RETRY,
    (Operation.SEND, "ENOMEM"): Verdict.RETRY,
    # the address this socket is bound to has left the machine
    (Operation.SEND, "EADDRNOTAVAIL"): Verdict.REBIND,
    # a mobile system took the socket away while the process slept
    (Operation.SEND, "EPIPE"): Verdict.REBIND,
    (Operation.SEND, "ENOTCONN"): Verdict.REBIND,
    (Operation.RECEIVE, "EPIPE"): Verdict.REBIND,
    (Operation.RECEIVE, "ENOTCONN"): Verdict.REBIND,
}

_DIFFERENCES: Final = {
    # macOS refuses a socket for good after its network changed; elsewhere this is the host's firewall
    (System.BSD, Operation.SEND, "EPERM"): Verdict.REBIND,
    # Windows tells of an ICMP message about an earlier datagram, without saying which
    (System.WINDOWS, Operation.SEND, "ECONNRESET"): Verdict.IGNORE,
    (System.WINDOWS, Operation.SEND, "ENETRESET"): Verdict.IGNORE,
}


def system_of(platform: str) -> System:
    """Return the family that a value of ``sys.platform`` belongs to."""
    if platform in {"win32", "cygwin"}:
        return System.WINDOWS
    return System.LINUX if platform in {"linux", "android"} else System.BSD


def error_name(system: System, code: int | None) -> str:
    """Return the POSIX name of a system's error number, ``E`` and the number if it has none here."""
    return NAMES[system].get(code or 0, f"E{code}")


def classify(system: System, operation: Operation, name: str) -> Verdict:
    """Return what to do about the error ``name`` of an operation."""
    special = _DIFFERENCES.get((system, operation, name))
    return special or _EVERYWHERE.get((operation, name), _UNKNOWN[operation])

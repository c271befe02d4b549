"""The part of ``socket.socket`` that a UDP port uses, so that tests can stand in for any system's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class UdpSocket(Protocol):
    """The part of ``socket.socket`` that a port uses; tests stand in for it."""

    def fileno(self) -> int:
        """Return the descriptor."""

    def close(self) -> None:
        """Close the socket."""

    def recvfrom_into(self, buffer: memoryview, size: int, /) -> tuple[int, Any]:
        """Receive one datagram."""

    def recvmsg_into(
        self, buffers: Iterable[memoryview], ancillary: int, /
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Any]:
        """Receive one datagram, or several coalesced, with control messages."""

    def recvmsg(self, size: int, ancillary: int, flags: int, /) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
        """Receive from the error queue."""

    def sendto(self, data: bytes | memoryview, address: tuple[str, int], /) -> int:
        """Send one datagram."""

    def sendmsg(
        self,
        buffers: Iterable[bytes | memoryview],
        ancillary: Iterable[tuple[int, int, bytes]],
        flags: int,
        address: tuple[str, int],
        /,
    ) -> int:
        """Send with control messages."""

    def getsockopt(self, level: int, name: int, size: int, /) -> bytes:
        """Read an option."""

    def setsockopt(self, level: int, name: int, value: int | bytes, /) -> None:
        """Set an option."""

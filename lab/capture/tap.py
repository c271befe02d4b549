"""Listen to a device of any network namespace."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

from lab.capture import pcapng
from lab.netns import inside

ETH_P_ALL: Final = 3
SOL_PACKET: Final = 263
PACKET_STATISTICS: Final = 6
PACKET_OUTGOING: Final = 4
PACKET_IGNORE_OUTGOING: Final = 23
SO_RCVBUFFORCE: Final = 33
SO_TIMESTAMPNS: Final = 35
"""Linux, include/uapi: if_ether.h, if_packet.h, asm-generic/socket.h."""

SIOCETHTOOL: Final = 0x8946
ETHTOOL_STXCSUM: Final = 0x17
IFNAMSIZ: Final = 16
"""Linux, include/uapi: sockios.h, ethtool.h, if.h."""

BUFFER_BYTES: Final = 8 << 20
"""What the kernel holds for us while we are busy; several seconds of a matrix."""

MAX_FRAME: Final = 1 << 18
"""Bytes of the largest frame; a super-packet has 64 KiB."""

_TIMESPEC: Final = struct.Struct("@qq")
_COUNTS: Final = struct.Struct("II")
_NANO: Final = 1_000_000_000


class Frame(NamedTuple):
    """What passed, when (nanoseconds since 1970), and which way."""

    nanoseconds: int
    data: bytes
    direction: int


def datagrams_alone(namespace: Path) -> None:
    """Have checksums made before packets leave any device of a namespace; segmentation comes along with that.

    veth leaves both to a network card that does not exist, so a capture would show wrong checksums, and datagrams
    glued together. What arrives is whole only if the sender's namespace was treated so. Raises OSError.
    """
    words = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, device in socket.if_nameindex():
            request = struct.pack(f"{IFNAMSIZ}sP16x", device.encode(), words.buffer_info()[0])
            with contextlib.suppress(OSError):  # some devices have no such choice
                fcntl.ioctl(asking, SIOCETHTOOL, request)


class Tap:
    """A socket that sees every frame of one device, both ways, or only what arrives there."""

    def __init__(self, namespace: Path, device: str, *, arriving: bool = False) -> None:
        """Listen. Raises OSError when there is no such namespace or device, or no right to it."""
        self.lost = 0
        """Frames that the kernel had no room for."""
        with inside(namespace):
            # Nothing comes before bind says from which device.
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setblocking(False)
            with contextlib.suppress(PermissionError):  # in a user namespace the usual buffer has to do
                self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(arriving))
            self._socket.bind((device, ETH_P_ALL))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return what select waits for."""
        return self._socket.fileno()

    def frames(self, until: int | None = None) -> Iterator[Frame]:
        """Return what has come, up to the first frame after a time; the iterator ends when nothing is left."""
        while True:
            try:
                data, more, _, address = self._socket.recvmsg(MAX_FRAME, socket.CMSG_SPACE(_TIMESPEC.size))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # said once when the device goes; what it saw before is not lost
                    continue
                raise
            stamps = [value for level, kind, value in more if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS)]
            seconds, rest = _TIMESPEC.unpack(stamps[0]) if stamps else divmod(time.time_ns(), _NANO)
            at = seconds * _NANO + rest
            yield Frame(at, data, pcapng.OUTBOUND if address[2] == PACKET_OUTGOING else pcapng.INBOUND)
            if until is not None and at > until:
                return

    def count_lost(self) -> int:
        """Return how many frames were lost so far; the kernel forgets its count when it is asked."""
        _, lost = _COUNTS.unpack(self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _COUNTS.size))
        self.lost += lost
        return self.lost

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

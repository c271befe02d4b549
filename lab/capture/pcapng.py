"""Write pcapng files that say what was recorded where, and nothing of the machine that recorded it.

    section header       byte-order magic | version 1.0 | comment
    interface            one for each capture point: name and comment, nanoseconds
    enhanced packet      interface | time | lengths | frame | direction
    interface statistics received and lost, when the recording ends

Layouts: draft-ietf-opsawg-pcapng, sections 4.1 to 4.6. Options for hardware, operating system and application are never
written.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE: Final = 1
STATISTICS: Final = 5
ENHANCED_PACKET: Final = 6
"""Block types."""

BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
ETHERNET: Final = 1
"""LINKTYPE_ETHERNET."""

SNAP_LENGTH: Final = 1 << 18
"""Bytes of a frame that are kept: all of any."""

NANOSECONDS: Final = 9
"""Times are in units of 10 to the minus this."""

COMMENT: Final = 1
INTERFACE_NAME: Final = 2
PACKET_FLAGS: Final = 2
INTERFACE_RESOLUTION: Final = 9
STATISTICS_RECEIVED: Final = 4
STATISTICS_LOST: Final = 5
"""Option codes."""

INBOUND: Final = 1
OUTBOUND: Final = 2
"""Directions in the flags of a packet, as the recorded device sees it."""

_WORD: Final = 4
_block = struct.Struct("<II")
_option = struct.Struct("<HH")
_section = struct.Struct("<IHHq")
_interface = struct.Struct("<HHI")
_packet = struct.Struct("<IIIII")
_statistics = struct.Struct("<III")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _WORD)


def _options(*options: tuple[int, bytes]) -> bytes:
    written = [_option.pack(code, len(value)) + _padded(value) for code, value in options]
    return b"".join(written) + _option.pack(0, 0) if written else b""


def _time(nanoseconds: int) -> tuple[int, int]:
    return nanoseconds >> 32, nanoseconds & 0xFFFF_FFFF


class Writer:
    """One section, written block by block to a stream that the caller owns."""

    def __init__(self, stream: BinaryIO, *, comment: str = "") -> None:
        self._stream = stream
        self._interfaces = 0
        self.size = 0
        """Bytes written so far."""
        fixed = _section.pack(BYTE_ORDER_MAGIC, 1, 0, -1)
        self._write(SECTION_HEADER, fixed + _options(*((COMMENT, text) for text in [comment.encode()] if text)))

    def _write(self, kind: int, body: bytes) -> None:
        length = _block.size + len(body) + _WORD
        self._stream.write(_block.pack(kind, length) + body + length.to_bytes(_WORD, "little"))
        self.size += length

    def interface(self, name: str, *, comment: str = "") -> int:
        """Describe a capture point; return its number."""
        options = [(INTERFACE_NAME, name.encode()), (INTERFACE_RESOLUTION, bytes((NANOSECONDS,)))]
        if comment:
            options.append((COMMENT, comment.encode()))
        self._write(INTERFACE, _interface.pack(ETHERNET, 0, SNAP_LENGTH) + _options(*options))
        self._interfaces += 1
        return self._interfaces - 1

    def packet(self, interface: int, nanoseconds: int, frame: bytes, *, direction: int) -> None:
        """Write a frame that passed at a time, in nanoseconds since 1970."""
        fixed = _packet.pack(interface, *_time(nanoseconds), len(frame), len(frame))
        flags = _options((PACKET_FLAGS, direction.to_bytes(_WORD, "little")))
        self._write(ENHANCED_PACKET, fixed + _padded(frame) + flags)

    def statistics(self, interface: int, nanoseconds: int, *, received: int, lost: int) -> None:
        """Write how many frames came by a capture point, and how many of them are not in the file."""
        counts = ((STATISTICS_RECEIVED, received), (STATISTICS_LOST, lost))
        options = _options(*((code, value.to_bytes(2 * _WORD, "little")) for code, value in counts))
        self._write(STATISTICS, _statistics.pack(interface, *_time(nanoseconds)) + options)

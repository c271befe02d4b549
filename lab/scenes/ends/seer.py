"""A STUN server for namespaces: it tells whoever asks where the question came from (RFC 8489).

python -m lab.scenes.ends.seer ADDRESS
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from typing import Final

PORT: Final = 3478
COOKIE: Final = 0x2112A442
HEADER: Final = 20
ASKED, ANSWERED = b"\0\1", b"\1\1"
XOR_MAPPED_ADDRESS: Final = 0x20
ROOM: Final = 2048
"""Bytes of the longest question that is read."""


def main() -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        place.bind((sys.argv[1], PORT))
        while True:
            question, (host, port) = place.recvfrom(ROOM)
            if len(question) < HEADER or question[:2] != ASKED:
                continue
            seen = int(ipaddress.IPv4Address(host)) ^ COOKIE
            attribute = struct.pack(">HHBBHI", XOR_MAPPED_ADDRESS, 8, 0, 1, port ^ COOKIE >> 16, seen)
            place.sendto(ANSWERED + struct.pack(">H", len(attribute)) + question[4:HEADER] + attribute, (host, port))


if __name__ == "__main__":
    main()

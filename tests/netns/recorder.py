"""Record the UDP payloads that pass a device of the namespace this was started in, as they are on the wire.

Run as ``python -m tests.netns.recorder DEVICE FILE``; it says when it listens, and what it got when told to stop
by a line on standard input. IPv4 only, which is what recorded runs use.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
from pathlib import Path
from typing import Final, NamedTuple

ETH_P_ALL: Final = 3
SO_RCVBUFFORCE: Final = 33
SOL_PACKET: Final = 263
PACKET_STATISTICS: Final = 6
PACKET_OUTGOING: Final = 4
"""Linux, include/uapi/linux/if_ether.h, if_packet.h."""

IPV4: Final = 0x0800
UDP: Final = 17
RING_BYTES: Final = 64 << 20
_entry = struct.Struct(">?H")


class Recorded(NamedTuple):
    """One UDP payload; ``sent``: it left the recording namespace."""

    sent: bool
    payload: bytes


def udp_payload(frame: bytes) -> bytes | None:
    """Return the UDP payload of an Ethernet frame, None if it is something else."""
    packet = frame[14:]
    if int.from_bytes(frame[12:14], "big") != IPV4 or packet[9] != UDP:
        return None
    header = (packet[0] & 15) * 4
    return packet[header + 8 : header + int.from_bytes(packet[header + 4 : header + 6], "big")]


def load(file: Path) -> list[Recorded]:
    """Read what a recorder wrote."""
    data, at, entries = file.read_bytes(), 0, []
    while at < len(data):
        sent, length = _entry.unpack_from(data, at)
        at += _entry.size
        entries.append(Recorded(sent, data[at : at + length]))
        at += length
    return entries


def main() -> None:
    device, file = sys.argv[1:]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap, Path(file).open("wb") as out:
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RING_BYTES)
        tap.bind((device, ETH_P_ALL))
        tap.setblocking(False)
        print(json.dumps({"ready": True}), flush=True)
        while True:
            ready, _, _ = select.select([tap, sys.stdin], [], [])
            if tap not in ready:
                break
            frame, (_, _, kind, _, _) = tap.recvfrom(1 << 16)
            payload = udp_payload(frame)
            if payload is not None:
                out.write(_entry.pack(kind == PACKET_OUTGOING, len(payload)) + payload)
        _, dropped = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(json.dumps({"dropped": dropped}), flush=True)


if __name__ == "__main__":
    main()

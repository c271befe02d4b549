"""Read captures with scapy, and tell UDP payloads from everything else."""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader, RawPcapReader

from clawchat.values.errors import ConfigError
from lab.capture.pcapng import STATISTICS, STATISTICS_LOST
from lab.verify.frames import Class, Met, Udp, dissect
from lab.verify.websockets import Streams

NANO: Final = 1_000_000_000
MAX_FRAME: Final = 1 << 30
"""Bytes; nothing is cut while reading."""
_STATISTICS_FIXED: Final = 12


class Recorded(NamedTuple):
    """A frame as a file has it: where and when (nanoseconds) it passed, and whether all of it is there."""

    point: str
    at: int
    link: int
    data: bytes
    whole: bool


@dataclass(slots=True)
class Capture:
    """Everything that was read."""

    udp: list[Udp] = field(default_factory=list)
    """In the order of time."""
    others: Counter[Class] = field(default_factory=Counter)
    """Frames that carry no whole UDP payload, by what they are."""
    other_payloads: list[bytes] = field(default_factory=list)
    """What they carried: nothing may be given away there, either."""
    lost: int = 0
    """Frames that the recorder knows to be missing."""
    cut: list[str] = field(default_factory=list)
    """Files that end in the middle of something."""
    streams: Streams = field(default_factory=Streams)
    """All TCP."""
    messages: list[Udp] = field(default_factory=list)
    """Datagrams that WebSockets carried, in the order of time."""
    points: set[str] = field(default_factory=set)
    """Where it was recorded."""

    @property
    def datagrams(self) -> list[Udp]:
        """Everything that is up for proof, whatever carried it."""
        return [*self.udp, *self.messages]

    def add(self, frame: Recorded) -> None:
        """Sort a frame in."""
        self.points.add(frame.point)
        met = dissect(frame.link, frame.data) if frame.whole else Met(Class.CUT, frame.data)
        if met.kind is Class.UDP:
            self.udp.append(Udp(frame.point, frame.at, met.source, met.destination, met.payload))
        else:
            if met.kind is Class.TCP:
                self.streams.add(frame.point, frame.at, met.source, met.destination, met.payload)
            self.others[met.kind] += 1
            self.other_payloads.append(met.payload)


class _Classic(RawPcapReader):
    """Scapy's reader of pcap, which also notices a file that was cut off."""

    lost = 0
    cut = False

    def _read_packet(self, size: int = MAX_FRAME) -> Any:  # noqa: ANN401 - whatever scapy makes of it
        began = self.f.tell()
        try:
            return super()._read_packet(size)
        except EOFError:
            self.cut = began != self.f.seek(0, io.SEEK_END)
            raise


class _Reader(RawPcapNgReader):
    """Scapy's reader of pcapng, which also counts what got lost; for a pcap it makes way for the other one."""

    alternative = _Classic

    def __init__(self, filename: str, fdesc: IO[bytes] | None = None, magic: bytes | None = None) -> None:
        super().__init__(filename, fdesc, magic)  # type: ignore[arg-type]  # None is its own default
        self.lost = 0
        self.cut = False
        self.blocktypes[STATISTICS] = self._read_statistics

    def _read_statistics(self, block: bytes, _size: int) -> None:
        value = self._read_options(block[_STATISTICS_FIXED:]).get(STATISTICS_LOST)
        if isinstance(value, bytes):
            self.lost += int.from_bytes(value, "big" if self.endian == ">" else "little")

    def _read_block(self, size: int = MAX_FRAME) -> Any:  # noqa: ANN401 - whatever scapy makes of it
        began = self.f.tell()
        try:
            return super()._read_block(size)
        except EOFError:
            self.cut = began != self.f.seek(0, io.SEEK_END)
            raise


def read(files: Sequence[Path]) -> Capture:
    """Read captures, pcapng or pcap. Raises ConfigError for a file that is none."""
    found = Capture()
    for file in files:
        for frame in _of_file(file, found):
            found.add(frame)
    found.udp.sort(key=lambda packet: packet.at)
    found.messages = sorted(found.streams.messages(), key=lambda packet: packet.at)
    return found


def in_parts(file: Path, size: int) -> Iterator[Capture]:
    """Read a capture of any length in parts of so many frames; the last part tells what was lost. Raises ConfigError.

    WebSockets, which run through all of it, stay closed.
    """
    end = Capture()
    frames = _of_file(file, end)
    while part := list(islice(frames, size)):
        found = Capture()
        for frame in part:
            found.add(frame)
        yield found
    yield end


def _of_file(file: Path, found: Capture) -> Iterator[Recorded]:
    """Yield the frames of a file, and note at its end what is missing."""
    try:
        with file.open("rb") as stream:
            reader: Any = _Reader(stream)  # type: ignore[arg-type]  # or the other one; both take streams, too
            yield from _frames(reader, file.name)
            found.lost += reader.lost
            if reader.cut:
                found.cut.append(file.name)
    except (Scapy_Exception, OSError, struct.error) as error:
        raise ConfigError(f"it is no capture that can be read: {error}", file=str(file)) from error


def _frames(reader: Any, file: str) -> Iterator[Recorded]:  # noqa: ANN401 - either of scapy's readers
    while True:
        try:
            data, about = reader._read_packet(MAX_FRAME)  # noqa: SLF001 - the public one cuts frames at 64 KiB
        except EOFError:
            return
        whole = len(data) == about.wirelen
        if isinstance(reader, _Classic):
            at = about.sec * NANO + about.usec * (1 if reader.nano else 1000)
            yield Recorded(file, at, reader.linktype, data, whole)
        else:
            at = ((about.tshigh or 0) << 32 | (about.tslow or 0)) * NANO // about.tsresol
            name = (about.ifname or b"").decode(errors="replace")
            yield Recorded(name or file, at, about.linktype, data, whole)

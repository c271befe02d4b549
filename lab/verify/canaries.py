"""What must not be found in a capture, in all the forms in which it could be there.

Short forms are counted, and told from chance; of long ones every piece of sixteen bytes is looked for, at any offset.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple, Self

from clawchat.crypto.keylog import KeyRing
from clawchat.values.errors import ConfigError
from lab.verify.chance import CANARY_SHARE, poisson_tail
from lab.verify.frames import Place, Udp

PIECE: Final = 16
"""Bytes; no two random places of a capture have so many in common."""

MIN_CANARY: Final = 3
"""Shorter texts are everywhere by chance."""

MAX_PLACES: Final = 64
"""So many addresses with their ports are looked for, the busiest ones."""

MAX_FILE: Final = 1 << 20
"""Bytes of a file that are looked for: all their forms take a hundred times that of memory."""

_BASE64_SKIP: Final = (0, 2, 3)
"""How many characters depend on what stands before the data, by its place in a group of three bytes."""


class Needle(NamedTuple):
    """One form of something that must not be found."""

    what: str
    form: str
    data: bytes


class Hit(NamedTuple):
    """A form that was found: more often than chance puts it there."""

    needle: Needle
    times: int
    probability: float


class Needles:
    """All forms of all canaries."""

    def __init__(self) -> None:
        self.short: set[Needle] = set()
        self.pieces: dict[bytes, Needle] = {}

    @classmethod
    def of(cls, needles: Iterable[Needle]) -> Self:
        """Look for many."""
        made = cls()
        made.add_all(needles)
        return made

    def copy(self) -> Needles:
        """Return needles to which others may be added."""
        made = Needles()
        made.short = self.short.copy()
        made.pieces = self.pieces.copy()
        return made

    def add(self, needle: Needle) -> None:
        """Look for a form."""
        if len(needle.data) < PIECE:
            if len(needle.data) >= MIN_CANARY:
                self.short.add(needle)
            return
        last = len(needle.data) - PIECE
        for at in {*range(0, last + 1, PIECE), last}:
            self.pieces.setdefault(needle.data[at : at + PIECE], needle)

    def add_all(self, needles: Iterable[Needle]) -> None:
        """Look for more."""
        for needle in needles:
            self.add(needle)

    def count_short(self, haystack: bytes) -> Iterator[Hit]:
        """Count the short forms; yield those that chance does not explain, all of them together considered."""
        for needle in self.short:
            times = haystack.count(needle.data)
            if times:
                probability = poisson_tail(len(haystack) * 256.0 ** -len(needle.data), times)
                if probability * len(self.short) < CANARY_SHARE:
                    yield Hit(needle, times, probability)


def of_bytes(what: str, data: bytes) -> Iterator[Needle]:
    """Return the forms of bytes: themselves, in hexadecimal, and in base64 at each place in a group of three."""
    yield Needle(what, "raw", data)
    yield Needle(what, "hex", data.hex().encode())
    yield Needle(what, "HEX", data.hex().upper().encode())
    for shift, skipped in enumerate(_BASE64_SKIP):
        certain = (shift + len(data)) * 8 // 6
        for form, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            yield Needle(what, f"{form}+{shift}", encode(bytes(shift) + data)[skipped:certain])


def of_text(text: str) -> Iterator[Needle]:
    """Return the forms of a text: as UTF-8 in any of those, in capitals and small letters, and as UTF-16."""
    what = repr(text)
    for spelt in dict.fromkeys((text, text.lower(), text.upper())):
        yield from of_bytes(what, spelt.encode())
        yield Needle(what, "UTF-16LE", spelt.encode("utf-16-le"))
        yield Needle(what, "UTF-16BE", spelt.encode("utf-16-be"))


def of_addresses(udp: Sequence[Udp]) -> Iterator[Needle]:
    """Return the forms of the addresses that a capture's own headers show."""
    busy: Counter[Place] = Counter(place for packet in udp for place in (packet.source, packet.destination))
    for address in dict.fromkeys(address for address, _ in busy):
        yield from of_text(address)
        yield Needle(address, "raw", ip_address(address).packed)
    for (address, port), _ in busy.most_common(MAX_PLACES):
        yield Needle(f"{address}:{port}", "raw", ip_address(address).packed + port.to_bytes(2, "big"))


def of_keys(ring: KeyRing) -> Iterator[Needle]:
    """Return the forms of everything secret in a key log, and of the ephemeral public keys."""
    for slot_id, hello in ring.hello.items():
        yield from of_bytes("slot id", slot_id)
        yield from of_bytes("HELLO key", hello.key)
    for welcome in ring.welcome.values():
        yield from of_bytes("WELCOME key", welcome.key)
    for ephemeral, noise in ring.noise.items():
        yield from of_bytes("ephemeral public key", ephemeral)
        yield from of_bytes("handshake key", noise.key)
    for (cid, _), known in ring.data.items():
        yield from of_bytes("session id", cid)
        for data in known:
            yield from of_bytes("session key", data.key)
    for header_key in ring.header_keys:
        yield from of_bytes("header key", header_key)


def of_file(file: Path) -> Iterator[Needle]:
    """Return the forms of a file that was sent, or of its beginning. Raises ConfigError if it can't be read."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE)
    except OSError as error:
        raise ConfigError(f"it can't be read: {error.strerror}", file=str(file)) from error
    return of_bytes(file.name, data)


def of_lines(file: Path) -> Iterator[Needle]:
    """Return the forms of each line of a text file. Raises ConfigError if it can't be read."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"it is no text that can be read: {error}", file=str(file)) from error
    for line in filter(None, map(str.strip, lines)):
        yield from of_text(line)

"""The key log: one line of text for each key, enough to open every byte of a recorded run.

::

    HELLO <slot id> <hello header key> <hello key>
    WELCOME <client's cid> <client's header key> <welcome key>
    NOISE hello|welcome <ephemeral public key> <payload key> <transcript hash>
    DATA <receiver's cid> <receiver's header key> <epoch> <key>

Everything but the words and the epoch (decimal) is hexadecimal. A line may stand there twice, once from each end.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Final, NamedTuple

from clawchat.values.errors import UsageError

KeyLog = Callable[[str], None]
"""Takes one line, without its line end."""

_KEY_BYTES: Final = 32
_ID_BYTES: Final = 8


class EnvelopeKeys(NamedTuple):
    """Opens the outside of HELLO or WELCOME datagrams: ``name`` is the slot id or the cid in their header."""

    name: bytes
    header_key: bytes
    key: bytes


class NoiseKeys(NamedTuple):
    """Opens the payload of one Noise message."""

    key: bytes
    transcript: bytes


class DataKeys(NamedTuple):
    """Opens the data packets of one direction in one epoch."""

    cid: bytes
    header_key: bytes
    epoch: int
    key: bytes


class KeyRing:
    """All keys of a log, ready to be looked up."""

    __slots__ = ("data", "hello", "noise", "welcome")

    def __init__(self) -> None:
        self.hello: dict[bytes, EnvelopeKeys] = {}
        """By slot id."""
        self.welcome: dict[bytes, EnvelopeKeys] = {}
        """By the client's cid."""
        self.noise: dict[bytes, NoiseKeys] = {}
        """By ephemeral public key."""
        self.data: dict[tuple[bytes, int], tuple[DataKeys, ...]] = {}
        """By the receiver's cid and the epoch: a HELLO that was repeated has several sessions begun under one cid."""

    @property
    def header_keys(self) -> frozenset[bytes]:
        """All keys a header block may be masked under."""
        rings = (self.hello.values(), self.welcome.values(), chain.from_iterable(self.data.values()))
        return frozenset(keys.header_key for ring in rings for keys in ring)


def hello_line(slot_id: bytes, header_key: bytes | bytearray, key: bytes | bytearray) -> str:
    """Write what opens HELLO datagrams of a slot."""
    return f"HELLO {slot_id.hex()} {header_key.hex()} {key.hex()}"


def welcome_line(cid: bytes, header_key: bytes | bytearray, key: bytes | bytearray) -> str:
    """Write what opens WELCOME datagrams to a client."""
    return f"WELCOME {cid.hex()} {header_key.hex()} {key.hex()}"


def noise_line(message: str, ephemeral: bytes, key: bytes | bytearray, transcript: bytes) -> str:
    """Write what opens the payload of a Noise message."""
    return f"NOISE {message} {ephemeral.hex()} {key.hex()} {transcript.hex()}"


def data_line(cid: bytes, header_key: bytes | bytearray, epoch: int, key: bytes | bytearray) -> str:
    """Write what opens the data packets to a receiver in one epoch."""
    return f"DATA {cid.hex()} {header_key.hex()} {epoch} {key.hex()}"


def parse(text: str) -> KeyRing:
    """Read a key log. Empty lines and lines that begin with ``#`` are skipped.

    Raises UsageError with the number of the first line that can't be read.
    """
    ring = KeyRing()
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            _add(ring, words)
        except (ValueError, KeyError):
            raise UsageError(f"line {number} of the key log can't be read") from None
    return ring


def _add(ring: KeyRing, words: list[str]) -> None:
    match words:
        case ["HELLO", name, header_key, key]:
            envelope = EnvelopeKeys(_hex(name, _ID_BYTES), _hex(header_key), _hex(key))
            ring.hello[envelope.name] = envelope
        case ["WELCOME", name, header_key, key]:
            envelope = EnvelopeKeys(_hex(name, _ID_BYTES), _hex(header_key), _hex(key))
            ring.welcome[envelope.name] = envelope
        case ["NOISE", "hello" | "welcome", ephemeral, key, transcript]:
            ring.noise[_hex(ephemeral)] = NoiseKeys(_hex(key), _hex(transcript))
        case ["DATA", cid, header_key, epoch, key]:
            data = DataKeys(_hex(cid, _ID_BYTES), _hex(header_key), int(epoch), _hex(key))
            known = ring.data.get((data.cid, data.epoch), ())
            if data not in known:
                ring.data[data.cid, data.epoch] = (*known, data)
        case _:
            raise ValueError(words[0])


def _hex(text: str, size: int = _KEY_BYTES) -> bytes:
    value = bytes.fromhex(text)
    if len(value) != size:
        raise ValueError(text)
    return value

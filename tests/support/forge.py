"""What a peer with the right keys and bad manners could send: authentic packets with any contents."""

from __future__ import annotations

from itertools import count

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import DataKeys, parse
from clawchat.wire.frames import Frame, encode, padded
from clawchat.wire.packet import seal
from tests.support.pair import End, Pair


class Forger:
    """Seal packets to one end of a pair that keeps a key log, with numbers far above the peer's own."""

    def __init__(self, pair: Pair, target: End) -> None:
        assert pair.keylog is not None, "the pair keeps no key log"
        self._pair = pair
        self._target = target
        self._source = next(end.address for end in pair.ends if end is not target)
        self._numbers = count(1 << 40)
        self.keys = self._keys()

    def _keys(self) -> DataKeys:
        assert self._pair.keylog is not None
        ring = parse("\n".join(self._pair.keylog))
        cid = self._target.session.identity.cid
        return next(keys for known in ring.data.values() for keys in known if keys.cid == cid)

    def packet(self, *frames: Frame, body: bytes | None = None, number: int | None = None, epoch: int = 0) -> bytes:
        """Seal frames, or a body as it is."""
        contents = padded(b"".join(map(encode, frames))) if body is None else body
        number = next(self._numbers) if number is None else number
        header = HeaderCipher(self.keys.header_key)
        return seal(AESGCM(self.keys.key), header, self.keys.cid, epoch << 48 | number, contents)

    def send(self, *frames: Frame, body: bytes | None = None) -> None:
        """Let the target receive one packet."""
        self.deliver(self.packet(*frames, body=body))

    def deliver(self, *packets: bytes) -> None:
        """Let the target receive packets of one size as a batch; what it says to that comes later."""
        self._pair.inject(self._target, b"".join(packets), self._source, size=len(packets[0]))

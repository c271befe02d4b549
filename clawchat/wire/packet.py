"""DATA packets: one masked header block, then the frames under AES-256-GCM, alone or as a batch.

    plain header   cid 8 | epoch u16 | packet number u48
    packet         AES(receiver's header key, plain header) 16 | GCM ciphertext of the frames | tag 16
    nonce          zero 4 | epoch u16 | packet number u48
    aad            the plain header

Epoch and packet number together are called the *number* here: one u64. A batch is up to 64 packets of one
size whose numbers run on; no Python bytecode runs for each of its packets. Headers are written and compared
as arrays of u64 (so sizes are multiples of eight), and sealing and opening are one ``map`` over slices that
were made once. ``struct`` and ``array`` work in the machine's byte order, hence the ``byteswap``.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from itertools import repeat
from operator import setitem
from typing import Final, NamedTuple, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import SPARE_BYTES, HeaderCipher, HeaderMask
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import BASE_DATAGRAM, BLOCK, MAX_BATCH_BYTES, MAX_SEGMENTS, MTU_PROBES, OVERHEAD
from clawchat.wire.frames import STREAM_HEADER, stream_word

CID_BYTES: Final = 8
BATCH_SIZES: Final = frozenset((BASE_DATAGRAM, *MTU_PROBES))
"""Datagram sizes that senders fill batches with. Others are opened one by one, so that strangers' sizes cost no
buffers; all are multiples of eight."""

_WORD: Final = 8
_ALL: Final = slice(None)
_NONCE_ZEROS: Final = bytes(4)
_number = struct.Struct(">Q")
_fill = cast("Callable[[memoryview, slice, memoryview], None]", setitem)  # of its overloads, this one
_SWAP: Final = sys.byteorder == "little"


def _words(values: range | list[int]) -> memoryview:
    words = array("Q", values)
    if _SWAP:
        words.byteswap()
    return memoryview(words)


def split_number(header: bytes) -> int:
    """Return the number, epoch and packet number as one u64, of a plain header."""
    return int(_number.unpack_from(header, CID_BYTES)[0])


def seal(aead: AESGCM, mask: HeaderMask, cid: bytes, number: int, body: bytes) -> bytes:
    """Seal one packet; ``body`` is its frames, padded."""
    tail = _number.pack(number)
    header = cid + tail
    return mask.mask(header) + aead.encrypt(_NONCE_ZEROS + tail, body, header)


def unseal(aead: AESGCM, header: bytes, packet: memoryview | bytes) -> bytes:
    """Open one packet whose plain header is known; return its frames. Raises BadDatagram."""
    try:
        return aead.decrypt(_NONCE_ZEROS + header[CID_BYTES:], packet[BLOCK:], header)
    except InvalidTag:
        raise BadDatagram("tag") from None


def capacity(size: int) -> int:
    """Return how many packets of a size one batch holds."""
    return min(MAX_SEGMENTS, MAX_BATCH_BYTES // size)


class _Slots:
    """Header, nonce and body slots of a batch, with the slices that the AEAD is mapped over."""

    __slots__ = (
        "bodies",
        "headers",
        "headers_words",
        "masked_headers",
        "masked_words",
        "nonces",
        "nonces_words",
        "plain",
        "plain_headers",
    )

    def __init__(self, size: int, count: int) -> None:
        body = size - OVERHEAD
        self.plain = memoryview(bytearray(count * body))
        blocks = count * BLOCK
        nonces = memoryview(bytearray(blocks))
        self.plain_headers = headers = memoryview(bytearray(blocks + SPARE_BYTES))
        self.masked_headers = memoryview(bytearray(blocks + SPARE_BYTES))
        self.headers_words = headers[:blocks].cast("Q")
        self.nonces_words = nonces.cast("Q")
        self.masked_words = self.masked_headers[:blocks].cast("Q")
        self.bodies = [self.plain[i * body : (i + 1) * body] for i in range(count)]
        self.headers = [headers[i * BLOCK : (i + 1) * BLOCK] for i in range(count)]
        self.nonces = [nonces[i * BLOCK + 4 : (i + 1) * BLOCK] for i in range(count)]


class BatchSealer:
    """Fill and seal batches of full STREAM packets of one datagram size, a multiple of eight.

    The packets it returns lie in one of ``buffers`` output buffers, used in turn: they stay valid until that
    many more batches were sealed.
    """

    def __init__(self, size: int, buffers: int) -> None:
        self.size = size
        self.capacity = capacity(size)
        self.chunk = size - OVERHEAD - STREAM_HEADER
        self._slots = _Slots(size, self.capacity)
        self._contents = [body[STREAM_HEADER:] for body in self._slots.bodies]
        self._plain_words = self._slots.plain.cast("Q")
        self._body_stride = (size - OVERHEAD) // _WORD
        self._outputs = deque(self._output() for _ in range(buffers))

    def _output(self) -> tuple[memoryview, memoryview, list[memoryview]]:
        data = memoryview(bytearray(self.capacity * self.size))
        slices = [data[i * self.size + BLOCK : (i + 1) * self.size] for i in range(self.capacity)]
        return data, data.cast("Q"), slices

    def seal_stream(  # noqa: PLR0913 - what a batch consists of
        self, aead: AESGCM, mask: HeaderMask, cid: bytes, number: int, stream: int, offset: int, data: memoryview
    ) -> memoryview:
        """Seal ``data``, a multiple of ``chunk``, as packets from ``number`` on; return them end to end."""
        slots, chunk, stride = self._slots, self.chunk, self._body_stride
        count = len(data) // chunk
        words = count * stride
        pieces = [data[i : i + chunk] for i in range(0, len(data), chunk)]
        deque(map(_fill, self._contents, repeat(_ALL), pieces), 0)
        self._plain_words[0:words:stride] = _words([stream_word(stream, chunk)] * count)
        self._plain_words[1:words:stride] = _words(range(offset, offset + len(data), chunk))

        numbers = _words(range(number, number + count))
        slots.headers_words[0 : 2 * count : 2] = _words([int.from_bytes(cid, "big")] * count)
        slots.headers_words[1 : 2 * count : 2] = numbers
        slots.nonces_words[1 : 2 * count : 2] = numbers
        mask.mask_into(slots.plain_headers[: count * BLOCK], slots.masked_headers)
        self._outputs.rotate(-1)
        out, out_words, slices = self._outputs[0]
        stride = self.size // _WORD
        out_words[0 : count * stride : stride] = slots.masked_words[0 : 2 * count : 2]
        out_words[1 : count * stride : stride] = slots.masked_words[1 : 2 * count : 2]
        deque(map(aead.encrypt_into, slots.nonces[:count], slots.bodies, slots.headers, slices), 0)
        return out[: count * self.size]


class Run(NamedTuple):
    """Packets ``start`` to ``start + length`` of a loaded batch, for one cid, numbers running on."""

    cid: bytes
    number: int
    start: int
    length: int


class BatchOpener:
    """Load, unmask and open batches of packets of one datagram size, a multiple of eight."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.capacity = capacity(size)
        self._slots = _Slots(size, self.capacity)
        self._packets = memoryview(bytearray(self.capacity * size))
        self._packet_words = self._packets.cast("Q")
        self._sealed = [self._packets[i * size + BLOCK : (i + 1) * size] for i in range(self.capacity)]
        self._plain_words = self._slots.plain.cast("Q")
        self._contents = [body[STREAM_HEADER:] for body in self._slots.bodies]

    def load(self, data: memoryview, mask: HeaderCipher) -> int:
        """Take in a batch of whole packets and unmask their headers; return how many there are."""
        slots = self._slots
        count = len(data) // self.size
        self._packets[: len(data)] = data
        stride = self.size // _WORD
        masked = slots.masked_words
        masked[0 : 2 * count : 2] = self._packet_words[0 : count * stride : stride]
        masked[1 : 2 * count : 2] = self._packet_words[1 : count * stride : stride]
        mask.unmask_into(slots.masked_headers[: count * BLOCK], slots.plain_headers)
        slots.nonces_words[1 : 2 * count : 2] = slots.headers_words[1 : 2 * count : 2]
        return count

    def header(self, index: int) -> bytes:
        """Return a packet's plain header."""
        return bytes(self._slots.headers[index])

    def packet(self, index: int) -> memoryview:
        """Return a whole sealed packet."""
        return self._packets[index * self.size : (index + 1) * self.size]

    def runs(self, count: int) -> Iterator[Run]:
        """Split the loaded batch where the cid changes or the numbers do not run on."""
        first = self.header(0)
        cid, number = first[:CID_BYTES], split_number(first)
        headers = self._slots.headers_words
        if number + count < 1 << 64 and headers[: 2 * count] == _run_words(cid, number, count):
            yield Run(cid, number, 0, count)
            return
        start = 0
        for index in range(1, count + 1):
            header = self.header(index) if index < count else b""
            if header[:CID_BYTES] != cid or split_number(header) != number + index - start:
                yield Run(cid, number, start, index - start)
                if header:
                    start, cid, number = index, header[:CID_BYTES], split_number(header)

    def open(self, aead: AESGCM, run: Run) -> bool:
        """Open a run in place; tell whether every packet of it was authentic."""
        slots, start, stop = self._slots, run.start, run.start + run.length
        try:
            deque(
                map(
                    aead.decrypt_into,
                    slots.nonces[start:stop],
                    self._sealed[start:stop],
                    slots.headers[start:stop],
                    slots.bodies[start:stop],
                ),
                0,
            )
        except InvalidTag:
            return False
        return True

    def body(self, index: int) -> bytes:
        """Return an opened packet's frames."""
        return bytes(self._slots.bodies[index])

    def stream(self, run: Run) -> tuple[int, int, bytes] | None:
        """Return (stream, offset, bytes) if an opened run is one stretch of one stream, else None.

        That is the shape in which ``BatchSealer`` sends: every packet is one full STREAM frame without FIN,
        and their offsets run on.
        """
        stride = (self.size - OVERHEAD) // _WORD
        start, stop = run.start * stride, (run.start + run.length) * stride
        chunk = self.size - OVERHEAD - STREAM_HEADER
        first = bytes(self._slots.bodies[run.start][:STREAM_HEADER])
        word, offset = struct.unpack(">QQ", first)
        stream = word & 0xFFFF_FFFF
        end = offset + run.length * chunk
        if word != stream_word(stream, chunk) or end >= 1 << 63:
            return None
        if run.length > 1 and (
            self._plain_words[start:stop:stride] != _words([word] * run.length)
            or self._plain_words[start + 1 : stop : stride] != _words(range(offset, end, chunk))
        ):
            return None
        return stream, offset, b"".join(self._contents[run.start : run.start + run.length])


def _run_words(cid: bytes, number: int, count: int) -> memoryview:
    words = array("Q", bytes(BLOCK * count))
    view = memoryview(words)
    view[0::2] = _words([int.from_bytes(cid, "big")] * count)
    view[1::2] = _words(range(number, number + count))
    return view

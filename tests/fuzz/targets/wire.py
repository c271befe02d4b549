"""Frames, handshake payloads, addresses, dissections, and the pure containers under them."""

from __future__ import annotations

from functools import cache

from clawchat.crypto import keylog
from clawchat.crypto.relay_text import read_relay, write_relay
from clawchat.crypto.replay import ReplayWindow
from clawchat.transport.reassembly import Reassembly
from clawchat.values.errors import BadDatagram, ProtocolViolation, UsageError
from clawchat.values.limits import REPLAY_WINDOW
from clawchat.values.ranges import RangeSet
from clawchat.wire.decoding import decode
from clawchat.wire.dissect import Dissector
from clawchat.wire.frames import encode
from clawchat.wire.handshake import decode_hello, decode_welcome
from tests.support.pair import Pair

MOST_STEPS = 400
"""Longer sequences of operations find nothing new, and take long."""


def frames(data: bytes) -> None:
    """What decodes, encodes to what decodes to the same; all else is a ProtocolViolation."""
    try:
        found = decode(data)
    except ProtocolViolation:
        return
    again = b"".join(map(encode, found))
    assert decode(again) == found


def hello(data: bytes) -> None:
    """A HELLO's payload is a HELLO, or a BadDatagram."""
    try:
        decode_hello(memoryview(data))
    except BadDatagram:
        return


def welcome(data: bytes) -> None:
    """A WELCOME's payload is a WELCOME, or a BadDatagram."""
    try:
        decode_welcome(memoryview(data))
    except BadDatagram:
        return


def relay_text(data: bytes) -> None:
    """A relay's text that can be read is written the same; all else is a UsageError."""
    try:
        found = read_relay(data.decode("latin-1"))
    except UsageError:
        return
    assert read_relay(write_relay(found)) == found


@cache
def _recorded() -> Dissector:
    pair = Pair(keylog=True).handshake()
    assert pair.keylog is not None
    return Dissector(keylog.parse("\n".join(pair.keylog)))


def dissect(data: bytes) -> None:
    """A dissection accounts for every byte; what no key opens is a BadDatagram."""
    try:
        found = _recorded().dissect(data)
    except BadDatagram:
        return
    assert [span.start for span in found.spans] == [0, *(span.stop for span in found.spans[:-1])]
    assert found.spans[-1].stop == len(data)


def key_log(data: bytes) -> None:
    """A key log is one, or a UsageError."""
    try:
        keylog.parse(data.decode("latin-1"))
    except UsageError:
        return


def replay(data: bytes) -> None:
    """A replay window takes each number once, and none that is too old, as a set does."""
    window, seen, top = ReplayWindow(), set[int](), -1
    at = 0
    for step in data[:MOST_STEPS]:
        at = max(0, at + step - 100 if step < 250 else at + (step - 249) * REPLAY_WINDOW // 3)
        fresh = at not in seen and at > top - REPLAY_WINDOW
        assert window.check(at) == fresh, (at, top)
        if fresh:
            window.mark(at)
            seen.add(at)
            top = max(top, at)


def ranges(data: bytes) -> None:
    """A range set is the set of its numbers."""
    made, model = RangeSet(), set[int]()
    data = data[:MOST_STEPS]
    for start, length in zip(data[::2], data[1::2], strict=False):
        stop = start + length % 16
        if length < 160:
            made.add(start, stop)
            model.update(range(start, stop))
        else:
            made.subtract(start, stop)
            model.difference_update(range(start, stop))
        assert {number for first, last in made for number in range(first, last)} == model


def reassembly(data: bytes) -> None:
    """Bytes come out once, in order, and are those that went in, whatever pieces came how often."""
    source, data = bytes(range(256)), data[:MOST_STEPS]
    made, out, came = Reassembly(), b"", set[int]()
    for start, length in zip(data[::2], data[1::2], strict=False):
        piece = source[start : start + length % 64]
        if piece and start + len(piece) > len(out):
            made.insert(max(start, len(out)), piece[max(0, len(out) - start) :])
            came.update(range(start, start + len(piece)))
        if length & 64:
            out += b"".join(made.take(len(out)))
    out += b"".join(made.take(len(out)))
    assert source.startswith(out)
    assert len(out) not in came


TARGETS = {
    "frames": frames,
    "hello": hello,
    "welcome": welcome,
    "relay_text": relay_text,
    "dissect": dissect,
    "key_log": key_log,
    "replay": replay,
    "ranges": ranges,
    "reassembly": reassembly,
}

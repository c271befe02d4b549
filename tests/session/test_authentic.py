"""A peer with the right keys may say anything: nothing it says raises, and nobody else suffers."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.session.state import State
from clawchat.values.limits import MAX_DATAGRAM, MAX_PACKET_NUMBER, OVERHEAD
from clawchat.wire.frames import Frame, encode, padded
from tests.support.forge import Forger
from tests.support.pair import Pair
from tests.wire.test_frames import FRAMES

SMALL = st.integers(0, 40)
"""Streams, offsets and numbers that may mean something."""

NUMBERS = st.one_of(st.none(), SMALL, st.integers(0, MAX_PACKET_NUMBER))


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw the inside of a packet: whole frames, in any order, or whatever."""
    frames: list[Frame] = draw(st.lists(st.one_of(FRAMES), max_size=6))
    plausible = [_plausible(frame, draw(SMALL), draw(SMALL)) if draw(st.booleans()) else frame for frame in frames]
    body = b"".join(map(encode, plausible)) + draw(st.one_of(st.just(b""), st.binary(max_size=20)))
    return padded(body[: MAX_DATAGRAM - OVERHEAD])


def _plausible(frame: Frame, stream: int, number: int) -> Frame:
    """Let a frame speak of streams and offsets that exist."""
    changes: dict[str, Any] = {"stream": stream, "offset": number, "final": number, "limit": 1 << 20}
    known = {name: value for name, value in changes.items() if name in frame._fields}
    return frame._replace(**known)


@settings(max_examples=150)
@given(
    packets=st.lists(st.tuples(bodies(), NUMBERS, st.sampled_from([0, 0, 0, 1, 0xFFFE])), min_size=1, max_size=8),
    together=st.booleans(),
    mid_transfer=st.booleans(),
)
def test_anything_authentic_is_heard_or_ends_the_session(
    packets: list[tuple[bytes, int | None, int]], *, together: bool, mid_transfer: bool
) -> None:
    pair = Pair(keylog=True).handshake()
    other = pair.add("other", pair.client.address._replace(port=9))
    pair.join(pair.invite(name="other"), other)
    victim = pair.server.session
    pair.drive()
    bystander, pair.server.opened = pair.server.session, victim
    if mid_transfer:
        pair.client.open(bytes(50_000))
        pair.server.open(bytes(50_000))
        pair.drive(0.03)
    forger = Forger(pair, pair.server)
    sealed = [forger.packet(body=body, number=number, epoch=epoch) for body, number, epoch in packets]
    for datagram in sealed:
        forger.deliver(datagram)
        if not together:
            pair.serve(pair.server)
    pair.drive(30)
    assert pair.server.session.state in {State.OPEN, State.CLOSED}
    stream = other.open(b"what was that?")
    pair.drive(5)
    assert pair.server.heard(stream, bystander.id) == b"what was that?"

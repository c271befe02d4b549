"""A key log opens all that was ever sent, down to the last byte; and no key ever seals two packets alike."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from itertools import pairwise

import pytest

from clawchat.crypto.keylog import parse
from clawchat.session.config import EndpointConfig
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram
from clawchat.wire.dissect import Dissection, Dissector, Kind
from clawchat.wire.frames import Candidates, Close, Forward, Frame, Punch, Register
from clawchat.wire.handshake import Hello
from clawchat.wire.rotation import Compromised, MovePort
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import Pair


@cache
def eventful() -> Pair:
    """Everything that can happen to a session, in one run."""
    here = [Address("2001:db8::1", 1), Address("203.0.113.9", 2)]
    pair = Pair(
        seed=11,
        keylog=True,
        link=Link(loss=0.1, jitter=0.02, duplicate=0.05),
        config=EndpointConfig(candidates=here),
    )
    pair.server.link.lose_next = 1
    pair.handshake()
    client, server = pair.client, pair.server
    up = client.open(content("up", 300_000), fin=True)
    down = server.open(content("down", 300_000), fin=True)
    given_up = client.open(bytes(50_000))
    unwanted = server.open(bytes(50_000))
    pair.drive(0.3)
    client.session.reset(given_up)
    client.session.stop(unwanted)
    client.ports[0] = Address("203.0.113.200", 40_000)
    server.session.rekey()
    for number in range(20):
        client.session.send_datagram(bytes(number))
        client.session.ping(number)
    many = [client.open(b"one of many", fin=True) for _ in range(150)]
    pair.drive(until=lambda: all(map(server.ended, many)))
    for stream in many:
        server.session.write(stream, b"one answer", fin=True)
    pair.drive(until=lambda: server.ended(up) and client.ended(down))
    pair.drive(60)
    big = client.open(content("big", 3_000_000), fin=True)
    pair.drive(until=lambda: server.ended(big))
    server.session.close(300, "enough", now=pair.now)
    return pair.drive()


@cache
def dissector() -> Dissector:
    keylog = eventful().keylog
    assert keylog is not None
    return Dissector(parse("\n".join(keylog)))


@cache
def dissections() -> list[tuple[bytes, Dissection]]:
    return [(sent.data, dissector().dissect(sent.data)) for sent in eventful().datagrams]


def test_every_datagram_opens_and_every_byte_is_accounted_for() -> None:
    for data, found in dissections():
        assert found.spans[0].start == 0
        assert found.spans[-1].stop == len(data)
        assert all(one.stop == following.start for one, following in pairwise(found.spans))


def test_the_run_shows_every_kind_of_datagram_and_frame() -> None:
    """But for what punching and relays send."""
    found = [dissection for _, dissection in dissections()]
    assert {one.kind for one in found} == set(Kind)
    frames = {type(frame) for one in found if one.kind is Kind.DATA for frame in one.contents}
    assert frames >= set(Frame.__args__) - {Candidates, Punch, Register, Forward, Compromised, MovePort}
    closes = {frame for one in found for frame in one.contents if isinstance(frame, Close)}
    assert closes == {Close(300, "enough")}


def test_no_key_seals_a_number_twice() -> None:
    used = Counter(
        (found.name, found.epoch, found.packet_number) for _, found in dissections() if found.kind is Kind.DATA
    )
    assert len({name for name, _, _ in used}) == 2
    assert len(used) > 2000
    assert used.most_common(1)[0][1] == 1


def test_no_header_block_is_sent_twice() -> None:
    """HELLO goes to every candidate as it is; here there is only one."""
    assert Counter(data[:16] for data, _ in dissections()).most_common(1)[0][1] == 1


def test_each_hello_names_a_cid_of_its_own() -> None:
    """Whoever answers two of them begins two sessions, whose first packets to one cid would have the same header."""
    cids = [found.contents.cid for _, found in dissections() if isinstance(found.contents, Hello)]
    assert len(set(cids)) == len(cids) > 1


def test_packet_numbers_go_up_by_one() -> None:
    for sender in ("client", "server"):
        sent = [found for s, (_, found) in zip(eventful().datagrams, dissections(), strict=True) if s.sender == sender]
        numbers = [found.packet_number for found in sent if found.kind is Kind.DATA]
        assert numbers == list(range(len(numbers)))


def test_a_flipped_bit_is_not_overlooked() -> None:
    chance = random.Random(1)
    for data, _ in chance.sample(dissections(), 300):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        with pytest.raises(BadDatagram):
            dissector().dissect(bytes(flipped))


def test_the_key_log_of_another_run_opens_nothing() -> None:
    other = Pair(seed=12, keylog=True).handshake()
    assert other.keylog is not None
    stranger = Dissector(parse("\n".join(other.keylog)))
    for sent in eventful().datagrams[:100]:
        with pytest.raises(BadDatagram):
            stranger.dissect(sent.data)


def test_without_a_key_log_nothing_is_logged() -> None:
    assert Pair().handshake().keylog is None

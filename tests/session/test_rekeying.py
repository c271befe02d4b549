"""Keys change while data flows: nothing is lost or doubled, and no key ever seals a number twice."""

from __future__ import annotations

from collections import Counter

import pytest

from clawchat.crypto.keylog import parse
from clawchat.session import keys, rekeying
from clawchat.session.config import EndpointConfig
from clawchat.session.rekeying import Phase
from clawchat.values.errors import BadDatagram, PeerClosed, SessionClosed
from clawchat.values.events import KeysChanged, SessionEnded
from clawchat.values.limits_rotation import KEY_JITTER, KEY_ROTATION, OLD_KEY_LIFE
from clawchat.wire.dissect import Dissection, Dissector, Kind
from clawchat.wire.frames import CloseCode
from clawchat.wire.rotation import Rekey1, Rekey2, RekeyPlease
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import Pair

OFTEN = 2.0
FRESH = bytes(range(32))


def often(link: Link | None = None, *, seed: int = 1, keylog: bool = False, server: float = 3600.0) -> Pair:
    """A pair whose client changes keys every two seconds."""
    pair = Pair(seed=seed, link=link, keylog=keylog, config=EndpointConfig(key_rotation=server), client=fast(OFTEN))
    return pair.handshake()


def fast(seconds: float) -> EndpointConfig:
    return EndpointConfig(key_rotation=seconds)


def dissections(pair: Pair) -> list[Dissection]:
    assert pair.keylog is not None
    dissector = Dissector(parse("\n".join(pair.keylog)))
    return [dissector.dissect(sent.data) for sent in pair.datagrams]


def data_packets(pair: Pair) -> list[Dissection]:
    return [found for found in dissections(pair) if found.kind is Kind.DATA]


def epochs(pair: Pair) -> tuple[int, int]:
    return tuple(end.session.stats(now=pair.now).epoch for end in (pair.client, pair.server))  # type: ignore[return-value]


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
def test_keys_change_every_two_seconds_while_data_flows_both_ways(loss: float) -> None:
    pair = often(Link(loss=loss, jitter=0.01, duplicate=loss / 4), seed=7, keylog=True)
    client, server = pair.client, pair.server
    flows = []
    for number in range(60):
        up = client.open(content(("up", number), 20_000), fin=True)
        flows.append((up, server.open(content(("down", number), 20_000), fin=True)))
        pair.drive(1)
    pair.drive(until=lambda: all(server.ended(up) and client.ended(down) for up, down in flows))
    for number, (up, down) in enumerate(flows):
        assert server.heard(up) == content(("up", number), 20_000)
        assert client.heard(down) == content(("down", number), 20_000)
    assert min(epochs(pair)) >= (25 if loss < 0.1 else 15)
    assert client.told(SessionEnded) == server.told(SessionEnded) == []
    packets = data_packets(pair)
    used = Counter((found.name, found.epoch, found.packet_number) for found in packets)
    assert used.most_common(1)[0][1] == 1
    assert {found.epoch for found in packets} == set(range(max(epochs(pair)) + 1))


def test_packet_numbers_run_on_over_epochs() -> None:
    pair = often(keylog=True).drive(20)
    for name in {found.name for found in data_packets(pair)}:
        numbers = [(found.epoch, found.packet_number) for found in data_packets(pair) if found.name == name]
        assert [number for _, number in numbers] == list(range(len(numbers)))
        assert numbers == sorted(numbers)


def test_no_key_opens_the_packets_of_another_epoch() -> None:
    """A stolen key opens its own epoch: without the line of one epoch, just that epoch stays shut."""
    pair = often(keylog=True).drive(20)
    assert pair.keylog is not None
    without = [line for line in pair.keylog if not (line.startswith("DATA") and line.split()[3] == "3")]
    dissector = Dissector(parse("\n".join(without)))
    shut = []
    for sent, found in zip(pair.datagrams, dissections(pair), strict=True):
        try:
            dissector.dissect(sent.data)
        except BadDatagram:
            shut.append(found)
    assert shut
    assert {found.epoch for found in shut} == {3}
    keys_of = {line.split()[4] for line in pair.keylog if line.startswith("DATA")}
    assert len(keys_of) == 2 * (epochs(pair)[0] + 1)


def test_an_idle_session_changes_its_keys_hourly() -> None:
    pair = Pair().handshake()
    pair.drive(KEY_ROTATION * (1 - KEY_JITTER) - 1)
    assert epochs(pair) == (0, 0)
    pair.drive(KEY_ROTATION * KEY_JITTER + 2)
    assert epochs(pair) == (1, 1)
    assert pair.client.told(KeysChanged) == [KeysChanged(pair.client.session.id, 1)]
    assert pair.server.told(KeysChanged) == [KeysChanged(pair.server.session.id, 1)]


@pytest.mark.parametrize("asks", ["client", "server"])
def test_either_end_changes_the_keys_on_demand(asks: str) -> None:
    pair = Pair().handshake().drive(1)
    end = pair.client if asks == "client" else pair.server
    end.session.rekey()
    end.session.rekey()
    pair.drive(1)
    assert epochs(pair) == (1, 1)


def test_both_ask_at_once() -> None:
    pair = Pair().handshake().drive(1)
    pair.client.session.rekey()
    pair.server.session.rekey()
    pair.drive(5)
    assert epochs(pair) == (1, 1)


def test_a_server_that_wants_new_keys_sooner_asks_for_them() -> None:
    pair = Pair(config=fast(OFTEN)).handshake().drive(21)
    assert min(epochs(pair)) >= 9


def test_volume_alone_changes_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "REKEY_PACKETS", 500)
    pair = Pair(link=Link(loss=0.01)).handshake()
    down = pair.server.open(content("down", 4_000_000), fin=True)
    pair.drive(until=lambda: pair.client.ended(down))
    assert epochs(pair)[1] >= 3
    assert pair.client.heard(down) == content("down", 4_000_000)


@pytest.mark.parametrize("lost", range(1, 6))
@pytest.mark.parametrize("sender", ["client", "server"])
def test_any_of_the_first_packets_may_get_lost(sender: str, lost: int) -> None:
    """Whichever frame the losses hit, REKEY_1, REKEY_2 or the first packet under the new keys."""
    pair = Pair().handshake().drive(1)
    pair.client.session.rekey()
    (pair.client if sender == "client" else pair.server).link.lose_next = lost
    pair.drive(30)
    assert epochs(pair) == (1, 1)
    assert pair.client.session.machines.rekeying.phase is Phase.STEADY
    assert pair.server.session.machines.rekeying.phase is Phase.STEADY


def test_an_outage_in_the_middle_leaves_a_session_that_goes_on() -> None:
    """The client has turned and the server doesn't know: however long that lasts, they find together."""
    pair = Pair().handshake().drive(1)
    pair.client.session.rekey()
    pair.drive(until=lambda: pair.client.session.machines.rekeying.phase is Phase.TURNED)
    pair.outage()
    pair.drive(4 * OLD_KEY_LIFE)
    pair.outage(up=True)
    up, down = pair.client.open(b"still here", fin=True), pair.server.open(b"me too", fin=True)
    pair.drive(until=lambda: pair.server.ended(up) and pair.client.ended(down), limit=60)
    assert epochs(pair) == (1, 1)


def test_old_keys_live_ten_seconds_for_what_comes_late() -> None:
    pair = Pair().handshake().drive(1)
    pair.client.open(b"late", fin=True)
    pair.client.link.lose_next = 1
    pair.serve(pair.client)
    late = pair.datagrams[-1]
    for number in range(1, 4):
        pair.client.session.rekey()
        pair.drive(0.3)
        assert epochs(pair) == (number, number)
    before = pair.server.session.stats(now=pair.now).packets_received
    pair.inject(pair.server, late.data, late.source)
    assert pair.server.session.stats(now=pair.now).packets_received == before + 1
    pair.drive(OLD_KEY_LIFE + 1)
    assert list(pair.server.session._inbound._keys.epochs) == [3]  # noqa: SLF001 - what must be gone
    drops = pair.server.endpoint.drops["epoch"]
    pair.inject(pair.server, late.data, late.source)
    assert pair.server.endpoint.drops["epoch"] == drops + 1


def test_a_peer_that_changes_no_keys_is_left_after_65_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair().handshake()
    monkeypatch.setattr(rekeying.Rekeying, "on_please", lambda *_: None)
    monkeypatch.setattr(rekeying.Rekeying, "on_offer", lambda *_: None)
    pair.drive(3900 + 5)
    [ended] = pair.client.told(SessionEnded)
    assert "too old" in str(ended.error)


def errors(pair: Pair) -> set[int | None]:
    told: list[SessionClosed] = [event.error for end in pair.ends for event in end.told(SessionEnded)]
    assert len(told) == 2
    return {error.close_code if isinstance(error, PeerClosed) else None for error in told}


@pytest.mark.parametrize(
    ("end", "frame"),
    [
        ("client", Rekey2(1, FRESH)),
        ("client", RekeyPlease(1)),
        ("client", Rekey1(2, FRESH)),
        ("client", Rekey1(1, bytes(32))),
        ("server", Rekey1(1, FRESH)),
        ("server", Rekey2(5, FRESH)),
        ("server", RekeyPlease(2)),
    ],
    ids=repr,
)
def test_what_is_out_of_turn_closes_the_session(end: str, frame: Rekey1 | Rekey2 | RekeyPlease) -> None:
    pair = Pair().handshake().drive(1)
    sender = pair.client if end == "client" else pair.server
    sender.session.machines.out.control(frame)
    sender.session.ping()
    pair.drive(5)
    assert errors(pair) == {CloseCode.REKEY, None}


@pytest.mark.parametrize("frame", [Rekey1(0, FRESH), Rekey1(1, FRESH)], ids=repr)
def test_late_copies_of_an_offer_change_nothing(frame: Rekey1) -> None:
    pair = Pair().handshake().drive(1)
    pair.client.session.rekey()
    pair.drive(1)
    pair.client.session.machines.out.control(frame)
    pair.client.session.ping()
    pair.drive(5)
    assert epochs(pair) == (1, 1)
    assert pair.client.told(SessionEnded) == []


def test_the_last_epoch_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rekeying, "LAST_EPOCH", 3)
    pair = often().drive(30)
    assert epochs(pair) == (3, 3)

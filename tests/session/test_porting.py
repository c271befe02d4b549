"""Ports change while data flows: made before the old one is broken, on both ends, and nothing is lost or doubled."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import pytest

from clawchat.crypto.keylog import parse
from clawchat.session.config import EndpointConfig
from clawchat.session.port_rotation import Stage
from clawchat.values.address import Address, Path
from clawchat.values.events import ClosePort, PathChanged, PortClosed, PortKept, PortMoved, PortReady, SessionEnded
from clawchat.values.limits_rotation import FIRST_RANDOM_PORT, PORT_GRACE, PORT_RETRY
from clawchat.wire.dissect import Dissector, Kind
from clawchat.wire.rotation import MovePort
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import End, Pair

OFTEN = EndpointConfig(key_rotation=2.0, port_rotation=5.0)
KEYS_ONLY = EndpointConfig(key_rotation=2.0)
MOVERS = {"client": (OFTEN, KEYS_ONLY), "server": (KEYS_ONLY, OFTEN), "both": (OFTEN, OFTEN)}


def start(
    client: EndpointConfig | None = None,
    server: EndpointConfig | None = None,
    *,
    link: Link | None = None,
    seed: int = 1,
    keylog: bool = False,
) -> Pair:
    """A pair whose endpoints know their ports, as a driver tells them."""
    pair = Pair(seed=seed, link=link, client=client, config=server, keylog=keylog)
    for end in pair.ends:
        end.endpoint.port_opened(0, end.ports[0], now=pair.now)
    return pair.handshake().drive(1)


def moves(end: End) -> int:
    return len(end.told(PortMoved))


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("who", MOVERS)
def test_keys_every_two_seconds_and_ports_every_five_while_data_flows(who: str, loss: float) -> None:
    pair = start(*MOVERS[who], link=Link(loss=loss, jitter=0.01, duplicate=loss / 4), seed=3, keylog=True)
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
    assert client.told(SessionEnded) == server.told(SessionEnded) == []
    for end in {"client": [client], "server": [server], "both": [client, server]}[who]:
        assert moves(end) >= (8 if loss < 0.1 and who != "both" else 4)
    assert pair.keylog is not None
    dissector = Dissector(parse("\n".join(pair.keylog)))
    packets = [found for sent in pair.datagrams if (found := dissector.dissect(sent.data)).kind is Kind.DATA]
    used = Counter((found.name, found.epoch, found.packet_number) for found in packets)
    assert used.most_common(1)[0][1] == 1


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_move_on_demand(who: str) -> None:
    pair = start()
    end, peer = (pair.client, pair.server) if who == "client" else (pair.server, pair.client)
    before = end.ports[0]
    end.endpoint.hop()
    end.endpoint.hop()
    pair.drive(1)
    [moved] = end.told(PortMoved)
    assert (moved.old, moved.left) == (0, 0)
    address = end.ports[moved.new]
    assert address.port >= FIRST_RANDOM_PORT
    assert end.session.path.port == moved.new
    assert peer.session.path.remote == address
    assert [event.why for event in peer.told(PathChanged)] == ["hopped"]
    # the old port hears for a while, and is closed then
    assert end.ports[0] == before
    pair.drive(PORT_GRACE + 5)
    assert end.told(PortClosed) == [PortClosed(0)]
    assert end.told(ClosePort) == [ClosePort(0)]
    assert pair.client.alive()
    assert pair.server.alive()


def test_what_was_measured_of_the_path_still_holds() -> None:
    pair = start()
    big = pair.client.open(content("big", 2_000_000), fin=True)
    pair.drive(until=lambda: pair.server.ended(big))
    window = pair.client.session.stats(now=pair.now).window
    size = pair.client.session.stats(now=pair.now).datagram_size
    pair.client.endpoint.hop()
    pair.drive(1)
    after = pair.client.session.stats(now=pair.now)
    assert moves(pair.client) == 1
    assert after.window >= window
    assert after.datagram_size == size


def test_nothing_is_sent_again_for_a_move() -> None:
    pair = start()
    down = pair.server.open(content("down", 12_000_000), fin=True)
    pair.drive(0.2)
    pair.server.endpoint.hop()
    pair.drive(until=lambda: moves(pair.server) == 1)
    pair.drive(until=lambda: pair.client.ended(down))
    assert pair.server.session.stats(now=pair.now).loss < 0.001
    assert pair.client.heard(down) == content("down", 12_000_000)


def test_both_at_once_the_client_gives_way() -> None:
    pair = start()
    pair.client.endpoint.hop()
    pair.server.endpoint.hop()
    pair.drive(15)
    assert moves(pair.server) == 1
    assert len(pair.client.told(PortKept)) == 1
    assert pair.client.alive()
    stream = pair.client.open(b"still here", fin=True)
    pair.drive(until=lambda: pair.server.ended(stream))


def test_where_nobody_follows_the_old_port_stays_and_the_move_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall lets the first port pass and no other."""
    pair = start(EndpointConfig(port_rotation=300.0))
    post = pair._post  # noqa: SLF001 - to stand in its way

    def firewall(end: End, path: Path, data: bytes) -> None:
        if end is not pair.client or path.port == 0:
            post(end, path, data)

    monkeypatch.setattr(pair, "_post", firewall)
    pair.client.endpoint.hop()
    pair.drive(10)
    assert moves(pair.client) == 0
    assert len(pair.client.told(PortKept)) == 1
    assert pair.client.session.path.port == 0
    pair.drive(PORT_GRACE + 1)
    assert list(pair.client.ports) == [0]
    monkeypatch.undo()
    pair.drive(PORT_RETRY + 5)
    assert moves(pair.client) == 1


def test_who_follows_too_late_still_finds_the_port() -> None:
    """The answer to the client's probe comes when the move was given up already: the session uses the port it found."""
    pair = start()
    pair.client.endpoint.hop()
    pair.serve(pair.client)
    pair.server.link.delay = 5.5
    pair.drive(8)
    assert len(pair.client.told(PortKept)) == 1
    pair.server.link.delay = 0.02
    pair.drive(3 * PORT_GRACE)
    assert pair.client.session.path.port in pair.client.ports
    stream = pair.client.open(b"still here", fin=True)
    pair.drive(until=lambda: pair.server.ended(stream))


def test_a_credential_given_out_before_the_move_still_leads_in() -> None:
    pair = start()
    credential = pair.invite(name="later", life=300.0)
    pair.server.endpoint.hop()
    pair.drive(PORT_GRACE + 20)
    assert moves(pair.server) == 1
    assert 0 in pair.server.ports
    guest = pair.add("guest", Address("203.0.113.44", 44))
    pair.join(deepcopy(credential), guest)
    pair.drive(until=lambda: guest.opened is not None)
    guest.session.close(0, "", now=pair.now)
    pair.drive(3 * PORT_GRACE)
    assert 0 not in pair.server.ports


@pytest.mark.parametrize("seed", range(1, 9))
def test_every_session_of_a_server_moves(seed: int) -> None:
    pair = start(link=Link(loss=0.1), seed=seed)
    guests = [pair.add(f"guest {n}", Address("203.0.113.30", 3000 + n), Link(loss=0.1)) for n in range(6)]
    for number, guest in enumerate(guests):
        pair.join(pair.invite(name=f"guest-{number}"), guest)
    pair.drive(until=lambda: all(guest.opened for guest in guests))
    pair.drive(3)
    pair.server.endpoint.hop()
    pair.drive(8)
    [moved] = pair.server.told(PortMoved)
    assert moved.left == 0
    assert {session.path.port for session in pair.server.endpoint.sessions.values()} == {moved.new}


def test_a_port_that_was_shown_before_it_was_announced_is_gone_to_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The announcement is lost, and names no address; all later probes from the new port are lost as well."""
    pair = start()
    post = pair._post  # noqa: SLF001 - to stand in its way
    shown = 0

    def lossy(end: End, path: Path, data: bytes) -> None:
        nonlocal shown
        from_new = end is pair.server and path.port != 0
        shown += from_new
        announcing = end is pair.server and pair.now < began + 0.01 and path.port == 0
        if not announcing and not (from_new and 1 < shown <= 6):
            post(end, path, data)

    monkeypatch.setattr(pair, "_post", lossy)
    pair.server.endpoint.candidates = ()
    began = pair.now
    pair.server.endpoint.hop()
    pair.drive(4)
    [moved] = pair.server.told(PortMoved)
    assert moved.left == 0


def test_a_program_may_make_the_port_ready_first() -> None:
    pair = start(None, EndpointConfig(prepares_ports=True))
    endpoint = pair.server.endpoint
    endpoint.hop()
    pair.drive(1)
    [ready] = pair.server.told(PortReady)
    assert moves(pair.server) == 0
    endpoint.announce_port(ready.handle, (ready.address,), now=pair.now)
    pair.drive(1)
    assert moves(pair.server) == 1


def test_an_old_address_among_the_new_ones_leads_nobody_astray() -> None:
    """What a program knows of its reach may still name the port that is left."""
    pair = start(None, EndpointConfig(prepares_ports=True))
    endpoint = pair.server.endpoint
    before = pair.server.ports[0]
    endpoint.hop()
    pair.drive(1)
    [ready] = pair.server.told(PortReady)
    endpoint.announce_port(ready.handle, (before, ready.address), now=pair.now)
    pair.drive(1)
    [moved] = pair.server.told(PortMoved)
    assert moved.left == 0
    assert pair.client.session.path.remote == ready.address


def test_a_port_that_nobody_makes_ready_is_closed() -> None:
    pair = start(None, EndpointConfig(prepares_ports=True))
    pair.server.endpoint.hop()
    pair.drive(15)
    assert len(pair.server.told(PortKept)) == 1
    assert list(pair.server.ports) == [0]


def test_without_a_session_the_port_changes_all_the_same() -> None:
    pair = Pair(config=EndpointConfig(port_rotation=100.0))
    pair.server.endpoint.port_opened(0, pair.server.ports[0], now=pair.now)
    pair.drive(150)
    assert moves(pair.server) == 1


def test_a_client_keeps_new_keys_and_a_new_port_apart() -> None:
    pair = start(EndpointConfig(key_rotation=600.0, port_rotation=605.0))
    pair.drive(4000)
    keys = [told.at for told in pair.trace if told.end == "client" and told.event.startswith("KeysChanged")]
    ports = [told.at for told in pair.trace if told.end == "client" and told.event.startswith("PortMoved")]
    assert min(len(keys), len(ports)) >= 4
    assert min(port - key for port in ports for key in keys if port > key) >= 10.0  # a sixtieth of 600 s


def test_late_copies_of_an_announcement_change_nothing() -> None:
    pair = start()
    session = pair.server.session
    session.machines.hopping.on_announced(
        MovePort(2, 30, (Address("203.0.113.9", 7),)), session.machines.paths, now=pair.now
    )
    when = session.machines.hopping.at
    pair.drive(1)
    session.machines.hopping.on_announced(
        MovePort(1, 30, (Address("203.0.113.9", 8),)), session.machines.paths, now=pair.now
    )
    assert session.machines.hopping.at == when
    assert pair.server.endpoint._rotation.stage is Stage.STAYING  # noqa: SLF001 - nothing began


def test_behind_a_nat_that_ends_mappings_the_port_is_left_in_time() -> None:
    """The NAT gives the client's port another public one every 60 s; twice, and the client sees to it itself."""
    pair = start(EndpointConfig(port_rotation=3600.0))
    client = pair.client
    for number in range(4):
        client.ports[0] = Address("203.0.113.9", 40_000 + number)
        client.session.ping()
        pair.drive(60)
    assert client.session.machines.mapping_life.period == pytest.approx(60, rel=0.1)
    assert moves(client) == 1
    pair.drive(120)
    assert moves(client) >= 3
    assert client.alive()

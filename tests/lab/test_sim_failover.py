"""A direct path that dies: the relay takes over, nothing is lost, and a direct path is found again."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from lab.sim.cell import Cell, Peer
from lab.sim.nat import SimulatedNat

CHUNK = 500
PACE = 0.02
PAIRS = [("port-restricted", "port-restricted"), ("open", "open"), ("poisonable-home", "symmetric-sequential")]


class Talk:
    """Chunks that one end sends to the other, one every ``PACE`` seconds."""

    def __init__(self, cell: Cell, source: Peer, target: Peer, chunks: int) -> None:
        self.cell, self.source, self.target = cell, source, target
        self.left = chunks
        self.sent = bytearray()
        self.random = Random(1)
        self.stream = source.session.open_stream()
        self.say()

    def say(self) -> None:
        if self.left:
            self.left -= 1
            data = self.random.randbytes(CHUNK)
            self.sent += data
            self.source.session.write(self.stream, data)
            self.source.party.flush()
            self.cell.net.at(self.cell.net.now + PACE, self.say)

    def resumed(self) -> float:
        """Return after how many seconds fresh bytes arrive again."""
        net, before = self.cell.net, len(self.target.received)
        began = net.now
        net.run(began + 5, stop=lambda: len(self.target.received) > before + 4 * CHUNK)
        return net.now - began


def talk(client: str, server: str, who: str, loss: float, chunks: int = 200) -> tuple[Cell, Talk]:
    cell = Cell(client, server, loss=loss).run()
    assert cell.verdict == "direct"
    cell.go_on(2.0)
    ends = (cell.client, cell.server) if who == "client" else (cell.server, cell.client)
    speech = Talk(cell, *ends, chunks)
    cell.go_on(0.5)
    return cell, speech


@pytest.mark.parametrize(
    ("pair", "who", "loss"),
    list(product(PAIRS, ["client", "server"], [0.0, 0.05])),
)
def test_a_path_that_dies_is_left_in_time_and_found_again(pair: tuple[str, str], who: str, loss: float) -> None:
    cell, speech = talk(*pair, who, loss)
    cell.cut(direct=True)
    assert speech.resumed() <= 1.5
    cell.go_on(0.5)
    assert cell.client.session.path.relayed
    assert cell.server.session.path.relayed
    cell.cut(direct=False)
    cell.net.run(cell.net.now + 70, stop=lambda: cell.direct_both)
    assert cell.direct_both
    cell.go_on(8)
    assert speech.target.received == speech.sent


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_change_of_network_does_not_wait_for_the_next_pass(who: str) -> None:
    cell, _speech = talk("port-restricted", "port-restricted", "client", 0.0, chunks=0)
    cell.cut(direct=True)
    cell.client.party.endpoint.network_changed(now=cell.net.now)
    cell.client.party.flush()
    cell.go_on(16.5)
    cell.cut(direct=False)
    cell.go_on(1.0)
    assert not cell.direct_both
    mover = cell.client if who == "client" else cell.server
    mover.party.endpoint.network_changed(now=cell.net.now)
    mover.party.flush()
    cell.go_on(1.5)
    assert cell.direct_both


@pytest.mark.parametrize("pair", [("port-restricted", "port-restricted"), ("open", "open")])
def test_a_relay_that_dies_is_not_missed_by_a_direct_session(pair: tuple[str, str]) -> None:
    cell, speech = talk(*pair, "client", 0.0, chunks=100)
    before = len(cell.client.moves)
    cell.relays[0].kill()
    cell.go_on(240)
    assert cell.direct_both
    assert cell.client.moves[before:] == []
    assert speech.target.received == speech.sent


@pytest.mark.parametrize(("who", "graceful"), list(product(["client", "server"], [True, False])))
def test_another_relay_takes_over_when_the_one_in_use_dies(who: str, *, graceful: bool) -> None:
    cell = Cell("symmetric-random", "symmetric-random", relays=2).run(wait=4)
    assert cell.verdict == "relay"
    ends = (cell.client, cell.server) if who == "client" else (cell.server, cell.client)
    speech = Talk(cell, *ends, 300)
    cell.go_on(1.0)
    used = cell.client.session.path
    (relay,) = (each for each in cell.relays if cell.relay_of(cell.client) is each)
    if graceful:
        relay.leave()
    else:
        relay.kill()
    assert speech.resumed() <= (0.5 if graceful else 1.5)
    cell.go_on(8)
    assert speech.target.received == speech.sent
    for end in (cell.client, cell.server):
        assert end.session.path.relayed
        assert cell.relay_of(end) is not relay
        assert end.moves[-1][1].why == "relay-changed"
    assert cell.client.session.path.port != used.port
    assert cell.client.session.path_reason == "both-symmetric"


def test_a_relay_that_is_the_only_one_is_kept_however_silent_it_is() -> None:
    cell = Cell("symmetric-random", "symmetric-random").run(wait=4)
    speech = Talk(cell, cell.client, cell.server, 100)
    cell.net.passes = lambda _each: False
    cell.go_on(5)
    cell.net.passes = lambda _each: True
    cell.go_on(15)
    assert speech.target.received == speech.sent


@pytest.mark.parametrize(("who", "told"), list(product(["client", "server"], [True, False])))
def test_an_end_that_moves_is_back_within_a_second(who: str, *, told: bool) -> None:
    cell, speech = talk("port-restricted", "port-restricted", who, 0.0)
    cell.roam(who)
    if told:
        speech.source.party.endpoint.network_changed(now=cell.net.now)
        speech.source.party.flush()
    assert speech.resumed() <= (1.0 if told else 1.5)
    cell.net.run(cell.net.now + 30, stop=lambda: cell.direct_both)
    assert cell.direct_both
    cell.go_on(8)
    assert speech.target.received == speech.sent


@pytest.mark.parametrize("relays", [1, 2])
@pytest.mark.parametrize("gateway", ["g1", "g2"])
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_gateway_that_forgets_is_noticed_by_the_end_behind_it(who: str, gateway: str, relays: int) -> None:
    """The one that only receives has to notice, too: its relays do not reach it any more either."""
    nats = ("port-restricted-remap", "port-restricted-remap")
    cell = Cell(*nats, relays=relays).run()
    cell.go_on(2.0)
    ends = (cell.client, cell.server) if who == "client" else (cell.server, cell.client)
    speech = Talk(cell, *ends, 300)
    cell.go_on(1.0)
    cell.net.forget(gateway)
    assert speech.resumed() <= 1.5
    cell.go_on(15)
    assert speech.target.received == speech.sent
    assert cell.direct_both


def test_a_simulated_gateway_forgets_when_it_is_replaced() -> None:
    cell = Cell("port-restricted", "port-restricted")
    before = cell.net.gateway("g1")
    cell.roam("client")
    assert isinstance(before, SimulatedNat)
    assert cell.net.gateway("g1") is not before


@pytest.mark.parametrize("delay", [0.08, 0.15, 0.25])
def test_a_direct_path_to_the_other_side_of_the_world_is_kept(delay: float) -> None:
    cell = Cell("port-restricted", "port-restricted", delay=delay).run()
    assert cell.direct_both
    cell.go_on(20.0)
    assert cell.direct_both
    assert [change.path.relayed for _, change in cell.client.moves] == [False]

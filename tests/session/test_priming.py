"""The answering end opens its NATs before the handshake is confirmed: one round trip, and the session is direct."""

from __future__ import annotations

import pytest

from clawchat.nat.punch import Lane, Puncher
from clawchat.session.config import EndpointConfig
from clawchat.session.lanes import lanes, reached_alike
from clawchat.session.priming import Priming
from clawchat.session.scouting import Scout
from clawchat.values.address import Address, Path
from clawchat.values.habit import Ports
from clawchat.values.limits import ANTI_AMPLIFICATION, EARLY_INTERVAL, RELAYED_BASE_DATAGRAM
from clawchat.wire.frames import Candidates
from lab.sim.cell import Cell
from lab.sim.way import Datagram

ROUND_TRIP = 0.08
TTL = 3
OURS = Address("203.0.113.1", 5000)
THEIRS = Address("203.0.113.2", 5000)
INSIDE = Address("10.2.0.2", 5000)
RELAY = Address("198.51.100.1", 7000)


def cell(client: str, server: str, *, seed: int = 1, loss: float = 0.0, skew: float = 0.0) -> Cell:
    return Cell(client, server, seed=seed, delay=ROUND_TRIP / 4, loss=loss, skew=skew)


@pytest.mark.parametrize("nat", ["port-restricted", "poisonable-home", "cgnat"])
def test_a_session_is_direct_after_one_round_trip(nat: str) -> None:
    assert cell(nat, nat).run().took == pytest.approx(ROUND_TRIP)


def test_both_ends_send_little() -> None:
    found = cell("port-restricted", "port-restricted")
    found.start()
    found.net.run(20.0, stop=lambda: found.client.direct_at is not None)
    hosts = [gateway.wan for gateway in found.net.plan.gateways.values()]
    assert sum(end.party.sent_to[host] for end in (found.client, found.server) for host in hosts) <= 12


def test_what_is_lost_costs_no_more_than_sixty_milliseconds() -> None:
    took = sorted(cell("port-restricted", "port-restricted", seed=seed, loss=0.0253).run().took for seed in range(60))
    assert took[56] <= ROUND_TRIP + 0.0601


def test_an_answering_end_that_gets_no_turn_has_opened_its_nat_before() -> None:
    found = cell("poisonable-home", "poisonable-home", skew=1.0).run()
    assert found.verdict == "direct"
    assert found.client.session.path.port < 1000


def test_an_unconfirmed_session_is_opened_by_a_probe_and_stays_on_its_relay() -> None:
    found = cell("port-restricted", "port-restricted")
    found.start()
    found.net.run(20.0, stop=lambda: found.server.opened_at is not None)
    assert found.server.session.path.relayed
    assert found.client.opened_at is not None
    assert found.server.opened_at == pytest.approx(found.client.opened_at + ROUND_TRIP / 2)


@pytest.mark.parametrize("client", ["full-cone", "address-restricted"])
def test_a_port_that_nobody_can_know_is_shown_early(client: str) -> None:
    assert cell(client, "symmetric-random").run().took <= ROUND_TRIP + EARLY_INTERVAL + 0.0001


def before_confirmation(server: str) -> list[int]:
    """Return the lengths of what the server sends to the client's gateway before it is confirmed."""
    found = cell("port-restricted", server)
    found.start()
    sent: list[tuple[float, int]] = []
    send = found.net.send

    def watched(node: str, datagram: Datagram) -> None:
        if node == "g2-a" and datagram.destination.host == "203.0.113.1":
            sent.append((found.net.now, len(datagram.payload)))
        send(node, datagram)

    found.net.send = watched  # type: ignore[method-assign]  # a wiretap
    found.net.run(20.0, stop=lambda: found.server.opened_at is not None)
    return [length for at, length in sent if at < (found.server.opened_at or 0.0)]


def test_the_answering_end_sends_less_than_thrice_what_it_got_before_it_is_confirmed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed: list[int] = []
    begin = Priming.begin

    def noted(  # noqa: PLR0913 - as what it stands for
        self: Priming, ways: tuple[Path, ...], early: Path | None, ttl: int, most: int, *, now: float
    ) -> None:
        allowed.append(most)
        begin(self, ways, early, ttl, most, now=now)

    monkeypatch.setattr(Priming, "begin", noted)
    lengths = before_confirmation("symmetric-random")
    assert len(lengths) > 5
    assert sum(lengths) <= allowed[0] <= ANTI_AMPLIFICATION * RELAYED_BASE_DATAGRAM
    assert len(before_confirmation("port-restricted")) == 1


def test_a_session_that_was_told_to_stay_on_its_relay_primes_nothing() -> None:

    found = Cell("port-restricted", "port-restricted", config=EndpointConfig(punch=False)).run(wait=2.0)
    assert found.verdict == "relay"
    assert not found.server.party.sent_to["203.0.113.1"]


def scout(seen: Address = OURS) -> Scout:
    made = Scout(lambda _event: None)
    made.opened(0, Address("10.1.0.2", 5000))
    made.observe(Path(0, RELAY), seen, at=0.0)
    return made


def test_inside_addresses_of_another_network_are_tried_once_a_round() -> None:
    (lane,) = lanes(scout(), Candidates(1, (THEIRS, INSIDE)), now=0.0)
    assert (lane.prime, lane.fire, lane.once) == ((Path(0, THEIRS),), (Path(0, THEIRS),), (Path(0, INSIDE),))


def test_inside_addresses_behind_our_own_nat_are_tried_as_any_other() -> None:
    (lane,) = lanes(scout(Address(THEIRS.host, 9)), Candidates(1, (THEIRS, INSIDE)), now=0.0)
    assert set(lane.fire) == {Path(0, THEIRS), Path(0, INSIDE)}
    assert not lane.once


def test_a_lane_probes_what_is_tried_once_with_the_first_shots() -> None:
    puncher = Puncher(TTL)
    main, rare = (Path(0, THEIRS),), (Path(0, INSIDE),)
    puncher.begin(Lane(main, main, rare), peer_ready=0, now=0.0)
    assert puncher.take(now=0.0) == []
    assert [shot.path for shot in puncher.take(now=0.0)] == [*main, *rare]
    assert [shot.path for shot in puncher.take(now=puncher.deadline)] == [*main]


def test_a_paused_puncher_goes_on_later() -> None:
    puncher = Puncher(TTL)
    main = (Path(0, THEIRS),)
    puncher.pause(until=5.0)
    puncher.begin(Lane(main, main), now=0.0)
    puncher.pause(until=0.5)
    assert puncher.take(now=0.4) == []
    assert len(puncher.take(now=0.5)) == 1


@pytest.mark.parametrize(("ports", "alike"), [(Ports.RANDOM, True), (Ports.STEADY, False)])
def test_a_new_port_of_the_same_host_is_news_only_where_ports_mean_something(ports: Ports, *, alike: bool) -> None:
    assert reached_alike([OURS], [OURS._replace(port=6000)], ports) is alike
    assert not reached_alike([OURS], [THEIRS], ports)


def test_a_handshake_has_no_more_than_four_addresses_primed_before_it_is_confirmed() -> None:
    found = cell("port-restricted", "port-restricted")
    found.client.party.endpoint.candidates = tuple(Address(f"203.0.113.{number}", 9) for number in range(100, 115))
    found.start()
    found.net.run(20.0, stop=lambda: found.client.opened_at is not None)
    sent = [number for host, number in found.server.party.sent_to.items() if host.startswith("203.0.113.")]
    assert sent == [1, 1, 1, 1]

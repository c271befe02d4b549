"""Keys and ports change every few seconds behind simulated NATs: the session stays direct and loses nothing."""

from __future__ import annotations

from random import Random

import pytest

from clawchat.session.config import EndpointConfig
from clawchat.values.events import ClosePort, KeysChanged, PortKept, PortMoved, SessionEnded
from lab.sim.cell import Cell, Peer
from tests.lab.test_sim_failover import Talk

OFTEN = EndpointConfig(key_rotation=2.0, port_rotation=5.0, port_grace=8.0)
SECONDS = 30.0


def counted(peer: Peer) -> list[object]:
    """Keep what an end is told."""
    told: list[object] = []
    take = peer.party._on_event  # noqa: SLF001 - to listen as well

    def listen(event: object) -> None:
        told.append(event)
        take(event)  # type: ignore[arg-type] # an event

    peer.party._on_event = listen  # noqa: SLF001 - as above
    return told


@pytest.mark.parametrize("loss", [0.0, 0.025, 0.1], ids=["0", "5%", "20%"])  # of each of two gateways
@pytest.mark.parametrize(
    ("client", "server"),
    [
        ("open", "open"),
        ("full-cone", "open"),
        ("symmetric-random", "open"),
        ("full-cone", "full-cone"),
        ("port-restricted", "port-restricted"),
        ("symmetric-random", "full-cone"),
        ("port-restricted", "open"),
    ],
)
def test_rotation_behind_nats_loses_nothing(client: str, server: str, loss: float) -> None:
    cell = Cell(client, server, loss=loss, config=OFTEN)
    told = {"client": counted(cell.client), "server": counted(cell.server)}
    cell.run()
    assert cell.verdict == "direct"
    speeches = [
        Talk(cell, cell.client, cell.server, int(SECONDS / 0.02)),
        Talk(cell, cell.server, cell.client, int(SECONDS / 0.02)),
    ]
    cell.go_on(SECONDS)
    assert cell.direct_both
    for speech in speeches:
        cell.net.run(cell.net.now + 60, stop=lambda: len(speech.target.received) == len(speech.sent))  # noqa: B023 - at once
        assert speech.target.received == speech.sent
    for events in told.values():
        assert not [event for event in events if isinstance(event, SessionEnded) and event.session == cell.client.id]
        assert len([event for event in events if isinstance(event, KeysChanged)]) >= 10
    moved = {name: len([each for each in events if isinstance(each, PortMoved)]) for name, events in told.items()}
    kept = {name: len([each for each in events if isinstance(each, PortKept)]) for name, events in told.items()}
    assert sum(moved.values()) >= 4, (moved, kept)


def test_a_nat_that_lets_no_new_port_through_keeps_the_old_one() -> None:
    """Two NATs that give every destination another port never meet on a new one: the session stays where it is."""
    cell = Cell("port-restricted", "symmetric-random", config=OFTEN, seed=2).run(wait=60.0)
    speech = Talk(cell, cell.client, cell.server, 1000)
    cell.go_on(30)
    assert speech.target.received == speech.sent
    assert not cell.client.ended


def test_old_ports_are_closed_in_time() -> None:
    cell = Cell("full-cone", "open", config=OFTEN)
    told = counted(cell.client)
    cell.run()
    cell.go_on(60)
    moves = len([event for event in told if isinstance(event, PortMoved)])
    assert moves >= 3
    assert len(cell.client.party._ports) <= 4 + 2  # noqa: SLF001 - one, those in their grace, and two spares
    assert not [event for event in told if isinstance(event, ClosePort)]  # they are the driver's, not the program's


def test_chance_is_the_seed_alone() -> None:
    runs = []
    for _ in range(2):
        cell = Cell("full-cone", "full-cone", loss=0.05, config=OFTEN, seed=int(Random(5).random() * 100)).run()
        cell.go_on(20)
        runs.append([(at, event.path) for at, event in cell.client.moves])
    assert runs[0] == runs[1]

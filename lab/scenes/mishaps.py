"""What happens to a transfer's network, and what is claimed of the transfer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lab.backends.netns import changes
from lab.backends.netns.world import opened
from lab.model.plan import Plan, plan
from lab.model.presets import preset
from lab.model.topology import Gateway, Host, Peer, Topology, row
from lab.netns import NamespaceError
from lab.scenes.cargo import MIB
from lab.scenes.result import Claim, Outcome, at_most, equal
from lab.scenes.stage import LEAST, RATE, RELAYS, Stage, held_up

FAILOVER: Final = 1.5
"""Seconds after which data has to flow again when its path died."""

ROAM: Final = 1.0
"""The same when a machine moves to another network, which it notices."""

NOISE: Final = 0.5
"""A wait that a busy machine makes by itself, seconds."""

OUTAGE: Final = 3.0
RETURN: Final = 20.0
"""How long the way back to a direct path may take: the passes of punching grow rare."""

REJOIN: Final = 45.0
"""How long it may take until both ends have noticed that their relays know them no more, and joined them again."""

NEW_ADDRESS: Final = "203.0.113.99"
AROUND: Final = [Host(name) for name in RELAYS]


@dataclass(slots=True)
class Notes:
    """What a scene claims, and figures besides."""

    claims: list[Claim] = field(default_factory=list)
    figures: dict[str, float | str] = field(default_factory=dict)


Play = Callable[[Stage, Notes], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene: its network, where the two ends are, and what happens."""

    name: str
    about: str
    network: Callable[[], Plan]
    play: Play
    client: str = "g1-a"
    server: str = "g2-a"
    settings: Mapping[str, str] = field(default_factory=dict)
    way: str = ""
    """Which way cargo goes, where the scene says that itself."""


def pair(client: str, server: str, *others: str) -> Callable[[], Plan]:
    """Lay out gateways of these kinds, with two relays around."""
    return lambda: plan(row([client, server, *others], hosts=AROUND))


def _one_nat() -> Plan:
    return plan(row(["port-restricted"], peers=2, hosts=AROUND))


def _one_carrier() -> Plan:
    """Two homes behind one carrier's NAT, which sends back what is meant for another customer of it."""
    home, carrier = (preset(name).layers[0] for name in ("port-restricted", "port-restricted-hairpin"))
    gateways = (Gateway("carrier", carrier), Gateway("g1", home, "carrier"), Gateway("g2", home, "carrier"))
    return plan(Topology("carrier", gateways, (Peer("g1-a", "g1"), Peer("g2-a", "g2")), tuple(AROUND)))


def arrived(moved: dict[str, Any], notes: Notes) -> None:
    """Claim that every byte is there and right."""
    notes.claims.append(equal("SHA-256", moved["sha256"][:16], moved["expected"][:16]))
    size = moved["size"]
    notes.claims.append(Claim("MiB moved", round(size / MIB, 1), f"at least {LEAST // MIB}", size >= LEAST))


def cut(stage: Stage, notes: Notes) -> None:
    """Part the two gateways for a while: the relays are all that is left."""
    stage.wait_direct(0.0)
    stage.begin()
    at = time.monotonic()
    changes.part(stage.world, "g1", "g2")
    time.sleep(OUTAGE)
    notes.claims.append(equal("path while cut", stage.path(), "relay"))
    mended = time.monotonic()
    changes.rejoin(stage.world)
    back = stage.wait_direct(mended, RETURN)
    time.sleep(1.0)
    moved = stage.finish()
    notes.claims.append(at_most("data flows again by the relay", held_up(moved, at), FAILOVER))
    notes.claims.append(at_most("direct again after the cut", back, RETURN))
    notes.figures["held up on the way back (s)"] = round(held_up(moved, mended + back - 0.5, 2.0), 3)
    arrived(moved, notes)


def relays_die(stage: Stage, notes: Notes) -> None:
    """Kill all relays under a direct session."""
    stage.wait_direct(0.0)
    stage.begin(settle=4.0)
    before = len(stage.client.events)
    at = time.monotonic()
    for each in stage.relays.values():
        each.kill()
    time.sleep(6.0)
    moved = stage.finish()
    changed = [event for event in stage.client.events[before:] if event["event"] == "path_changed"]
    notes.claims.append(equal("changes of path", str(len(changed)), "0"))
    notes.claims.append(at_most("longest wait", held_up(moved, at, 6.0), NOISE))
    notes.figures["longest wait before (s)"] = round(max((b - a for a, b in moved["waits"] if b < at), default=0.0), 3)
    arrived(moved, notes)


def roam(stage: Stage, notes: Notes) -> None:
    """Carry the client's machine to another network."""
    stage.wait_direct(0.0)
    stage.begin()
    at = time.monotonic()
    changes.take_seat(stage.world, "g1-a", "g3-a")
    done = time.monotonic()
    back = stage.wait_direct(done, RETURN)
    time.sleep(1.0)
    moved = stage.finish()
    notes.claims.append(at_most("data flows again", held_up(moved, at), ROAM))
    notes.claims.append(at_most("direct from there", back, RETURN))
    notes.figures["the move itself took (s)"] = round(done - at, 3)
    arrived(moved, notes)


def renumbered(stage: Stage, notes: Notes) -> None:
    """Give the client's gateway another address, which the client cannot notice."""
    stage.wait_direct(0.0)
    stage.begin()
    at = time.monotonic()
    changes.renumber(stage.world, "g1", NEW_ADDRESS)
    back = _direct_at_last(stage, at)
    moved = stage.finish()
    notes.claims.append(at_most("data flows again", held_up(moved, at), FAILOVER))
    notes.claims.append(at_most("direct for good", back, RETURN))
    arrived(moved, notes)


def _direct_at_last(stage: Stage, since: float) -> float:
    """Let the ends notice, then wait until they are direct; return how long after ``since`` they were."""
    time.sleep(OUTAGE)
    if stage.path() == "relay":
        stage.wait_direct(time.monotonic(), RETURN)
    time.sleep(1.0)
    told = [event["at"] for event in stage.client.events if event["event"] == "path_changed"]
    return max(0.0, told[-1] - since) if told else 0.0


def reboot(gateway: str) -> Play:
    """Make a gateway forget what it knew, as when it restarts."""

    def play(stage: Stage, notes: Notes) -> None:
        stage.wait_direct(0.0)
        stage.begin()
        at = time.monotonic()
        stage.world.forget(gateway)
        back = _direct_at_last(stage, at)
        moved = stage.finish()
        notes.claims.append(at_most("data flows again", held_up(moved, at), FAILOVER))
        notes.claims.append(at_most("direct for good", back, RETURN))
        arrived(moved, notes)

    return play


def carrier_dies(stage: Stage, notes: Notes) -> None:
    """Kill the relay that carries a session for which there is no direct path."""
    stage.begin()
    carrier = stage.carrier()
    at = time.monotonic()
    stage.relays[carrier].kill()
    time.sleep(OUTAGE)
    notes.claims.append(equal("the other relay carries it", stage.carrier(), next(n for n in RELAYS if n != carrier)))
    moved = stage.finish()
    notes.claims.append(at_most("data flows again", held_up(moved, at), FAILOVER))
    arrived(moved, notes)


def relays_restart(stage: Stage, notes: Notes) -> None:
    """Kill all relays under a session that needs one, and start them again: nobody tells the ends."""
    stage.begin()
    at = time.monotonic()
    for each in stage.relays.values():
        each.kill()
    time.sleep(OUTAGE)
    for name in stage.relays:
        stage.start_relay(name)
    started = time.monotonic()
    stage.client.wait_for(lambda event: event["event"] == "path_changed" and event["at"] > started, "relay", REJOIN)
    time.sleep(1.0)
    moved = stage.finish()
    notes.claims.append(at_most("data flows again", held_up(moved, at), REJOIN))
    arrived(moved, notes)


def direct(stage: Stage, notes: Notes) -> None:
    """Let nothing happen; the path has to be direct."""
    stage.wait_direct(0.0)
    stage.begin(settle=0.0, rate=10 * RATE)
    moved = stage.finish()
    notes.claims.append(equal("path", "relay" if stage.path() == "relay" else "direct", "direct"))
    notes.figures["path"] = stage.path()
    arrived(moved, notes)


SCENES: Final[Mapping[str, Scene]] = {
    scene.name: scene
    for scene in (
        Scene("cut", "a firewall cuts the direct path for a while", pair("port-restricted", "port-restricted"), cut),
        Scene(
            "relays-die",
            "all relays are killed under a direct session",
            pair("port-restricted", "port-restricted"),
            relays_die,
        ),
        Scene(
            "roam",
            "the client moves to another network",
            pair("port-restricted", "port-restricted", "port-restricted"),
            roam,
        ),
        Scene(
            "renumber",
            "the client's gateway gets another address, which the client cannot see",
            pair("port-restricted", "port-restricted"),
            renumbered,
        ),
        Scene(
            "reboot-client-side",
            "the gateway of the client forgets its mappings, and gives others",
            pair("port-restricted-remap", "port-restricted"),
            reboot("g1"),
        ),
        Scene(
            "reboot-server-side",
            "the gateway of the server forgets its mappings, and gives others",
            pair("port-restricted", "port-restricted-remap"),
            reboot("g2"),
        ),
        Scene(
            "carrier-dies",
            "the relay is killed that carries a session between two symmetric NATs",
            pair("symmetric-random", "symmetric-random"),
            carrier_dies,
        ),
        Scene(
            "relays-restart",
            "all relays are killed and started again under a session between two symmetric NATs",
            pair("symmetric-random", "symmetric-random"),
            relays_restart,
        ),
        Scene("one-nat", "both ends are behind one NAT", _one_nat, direct, server="g1-b"),
        Scene("one-carrier", "two homes behind one carrier's NAT that hairpins", _one_carrier, direct),
        Scene("nested", "both ends are behind two NATs each", pair("cgnat", "double"), direct),
    )
}
"""All scenes, in the order in which they are played."""


def play(scene: Scene, way: str) -> Outcome:
    """Build the network of a scene and let it happen."""
    notes, trouble = Notes(), ""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clawchat-scene-") as place, opened(scene.network()) as world:
        try:
            stage = Stage(
                world,
                Path(place),
                client=scene.client,
                server_at=scene.server,
                way=scene.way or way,
                settings=scene.settings,
            )
            try:
                scene.play(stage, notes)
            finally:
                stage.close()
        except NamespaceError as error:
            trouble = str(error)
    return Outcome(scene.name, tuple(notes.claims), notes.figures, time.monotonic() - began, trouble)

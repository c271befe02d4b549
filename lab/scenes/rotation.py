"""Keys every two seconds and ports every five, while cargo goes both ways through NATs of three kinds, with loss."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from clawchat.crypto.keylog import parse
from clawchat.net import control
from lab.capture.recording import Point, Recorder
from lab.capture.tap import datagrams_alone
from lab.model.link import Link
from lab.model.plan import Plan, plan
from lab.model.topology import ROUTER, row
from lab.scenes.cargo import MIB
from lab.scenes.mishaps import AROUND, Notes, Scene
from lab.scenes.result import Claim, equal
from lab.scenes.stage import Stage
from lab.verify.opening import Reason

KEYS_EVERY: Final = 2.0
PORTS_EVERY: Final = 5.0
"""How often each end changes them, seconds."""

KEYS_SHARE: Final = 0.93
PORTS_SHARE: Final = 0.47
"""What has to come of it at least: a hundred changes of keys in 215 s, and 40 of ports by the two ends together, which
keep their moves apart from each other and from new keys."""

LEFT_SHARE: Final = 0.05
"""Among so many moves one may leave a session on the old port, which hears on until the next move takes it along: where
a fifth of the packets is lost, all six probes of a path may be."""

RECORD_BYTES: Final = 6 << 30
PATIENCE: Final = 1200.0
"""How much later than planned all cargo may be there, seconds: where many packets get lost, windows stay small."""

OFTEN: Final[Mapping[str, str]] = {
    "CLAWCHAT_ENCRYPTION_KEY_ROTATION_INTERVAL": f"{KEYS_EVERY:g}",
    "CLAWCHAT_ENCRYPTION_PORT_ROTATION_INTERVAL": f"{PORTS_EVERY:g}",
}

NATS: Final = (
    ("full-cone", "full-cone", "full-cone", "behind two NATs that let anybody in"),
    ("port-restricted", "port-restricted", "port-restricted", "behind two NATs of the usual kind"),
    ("symmetric", "symmetric-random", "full-cone", "with a symmetric NAT on the client's side"),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How much goes each way, in how many seconds at least, and which share of packets gets lost between the two."""

    mib: int = 500
    seconds: float = 215.0
    loss: float = 0.0


FULL: Final = Load()


def network(client: str, server: str, loss: float) -> Plan:
    """Lay out two gateways and two relays; either gateway's cable loses its part of the packets."""
    laid = row([client, server], hosts=AROUND)
    cable = Link(loss=1 - math.sqrt(1 - loss))
    return plan(replace(laid, gateways=tuple(replace(each, link=cable) for each in laid.gateways)))


def rotate(stage: Stage, notes: Notes, load: Load) -> None:
    """Let keys and ports change under a transfer both ways, record all of it, and count."""
    stage.wait_direct(0.0)
    networks = {node: each.path for node, each in stage.world.namespaces.items()}
    for each in networks.values():
        datagrams_alone(each)
    file = stage.place / "all.pcapng"
    with Recorder() as recorder:
        # Here every packet arrives once, and before it may get lost.
        points = [Point(str(networks[ROUTER]), device, device, arriving=True) for device in _devices(stage.world.plan)]
        recorder.record(file, points, max_bytes=RECORD_BYTES)
        moved = _carry(stage, notes, load)
        recorder.end(file)
    for way, facts in moved.items():
        notes.claims.append(equal(f"SHA-256 of the {way}", facts["sha256"][:16], facts["expected"][:16]))
        enough = facts["size"] >= load.mib * MIB
        notes.claims.append(Claim(f"MiB of the {way}", round(facts["size"] / MIB, 1), f"at least {load.mib}", enough))
        longest = max((until - since for since, until in facts["waits"]), default=0.0)
        notes.figures[f"longest wait of the {way} (s)"] = round(longest, 3)
    _prove(file, stage.keys(), notes)


def _devices(laid: Plan) -> list[str]:
    """Name the router's devices, as they are cabled: one for each gateway and host next to it."""
    outer = sum(gateway.behind is None for gateway in laid.gateways.values())
    return [f"g{number + 1}" for number in range(outer)] + [f"h{number + 1}" for number in range(len(laid.hosts))]


def _carry(stage: Stage, notes: Notes, load: Load) -> dict[str, Any]:
    """Move the cargo, for the planned time at least; claim how often things changed meanwhile."""
    began = time.monotonic()
    stage.begin(rate=load.mib * MIB / load.seconds, least=load.mib * MIB)
    time.sleep(max(0.0, began + load.seconds - time.monotonic()))
    stage.client.tell("stop")
    last = stage.client.wait_for(lambda event: event["event"] == "moved_both", "end of the transfer", PATIENCE)
    took = time.monotonic() - began
    log = stage.server.log
    (cargo,) = {line["session"] for line in log if line["event"] == "session-opened"}
    ours = [line for line in log if line.get("session") == cargo]  # relays change keys and ports as well
    rekeys = sum(line["event"] == "keys-changed" for line in ours)
    told = control.call(stage.server.security / "control.sock", "status")
    server, client = int(told["port_moves"]), int(last["port_moves"])
    left = sum(line["left"] > 0 for line in log if line["event"] == "port-moved")
    least = {
        "keys": int(KEYS_SHARE * load.seconds / KEYS_EVERY),
        "ports": int(PORTS_SHARE * 2 * load.seconds / PORTS_EVERY),
    }
    notes.claims += [
        Claim("changes of keys", rekeys, f"at least {least['keys']}", rekeys >= least["keys"]),
        Claim("moves to other ports", client + server, f"at least {least['ports']}", client + server >= least["ports"]),
        Claim("moves of the client", client, "at least 1", client > 0),
        Claim("moves of the server", server, "at least 1", server > 0),
        equal("sessions lost", str(sum(line["event"] == "session-ended" for line in ours)), "0"),
        Claim("moves of the server that left a session behind", left, "1 in 20 at most", left <= server * LEFT_SHARE),
    ]
    other = [line["why"] for line in ours if line["event"] == "path-changed" and line["why"] != "hopped"]
    notes.figures |= {
        "moves that the server gave up": float(sum(line["event"] == "port-kept" for line in log)),
        "other changes of path": ", ".join(other) or "none",
        "seconds": round(took, 1),
    }
    return {event["way"]: event for event in stage.client.events if event["event"] == "moved"}


def _prove(file: Path, keys: str, notes: Notes) -> None:
    """Open every packet of the capture."""
    from lab.verify.long import prove_long  # scapy is an extra

    began = time.monotonic()
    tally = prove_long(file, parse(keys))
    notes.claims.append(
        Claim("packets that open under one key", f"{tally.proven} of {tally.datagrams}", "all", tally.holds)
    )
    notes.figures["nonces that came twice"] = float(tally.failures[Reason.REPEATED])
    notes.figures["frames missing in the capture"] = float(tally.lost)
    notes.figures["keys that sealed something"] = float(len(tally.epochs))
    notes.figures["seconds of the proof"] = round(time.monotonic() - began, 1)


def scenes(load: Load = FULL) -> Mapping[str, Scene]:
    """Return the scenes with so much to carry. They take minutes each, and are played by name, not with ``all``."""
    return {
        f"rotate-{name}": Scene(
            f"rotate-{name}",
            f"keys change every two seconds and ports every five, {about}",
            functools.partial(network, client, server, load.loss),
            functools.partial(rotate, load=load),
            settings=OFTEN,
            way="both",
        )
        for name, client, server, about in NATS
    }

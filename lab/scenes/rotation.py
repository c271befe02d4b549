"""Keys every two seconds and ports every five, while a transfer goes through NATs of three kinds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from lab.scenes.cargo import MIB
from lab.scenes.mishaps import Notes, Scene, arrived, pair
from lab.scenes.result import Claim, equal
from lab.scenes.stage import Stage

SECONDS: Final = 215.0
"""How long it goes on: time for a hundred changes of keys."""

CARGO: Final = 500 * MIB
RATE: Final = 2.4 * MIB
REKEYS: Final = 100
MOVES: Final = 40

OFTEN: Final[Mapping[str, str]] = {
    "CLAWCHAT_ENCRYPTION_KEY_ROTATION_INTERVAL": "2",
    "CLAWCHAT_ENCRYPTION_PORT_ROTATION_INTERVAL": "5",
}


def rotate(stage: Stage, notes: Notes) -> None:
    """Let keys and ports change, and count how often they did."""
    stage.wait_direct(0.0)
    began = time.monotonic()
    stage.begin(rate=RATE, least=CARGO)
    time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    log = stage.server.log  # before the client leaves, which ends the session in good order
    moved = stage.finish()
    (cargo,) = {line["session"] for line in log if line["event"] == "session-opened"}
    log = [line for line in log if line.get("session") == cargo]  # relays change keys and ports as well
    rekeys = sum(line["event"] == "keys-changed" for line in log)
    hops = sum(line["event"] == "path-changed" and line["why"] == "hopped" for line in log)
    other = [line for line in log if line["event"] == "path-changed" and line["why"] != "hopped"]
    notes.claims.append(Claim("changes of keys", rekeys, f"at least {REKEYS}", rekeys >= REKEYS))
    notes.claims.append(Claim("changes of ports", hops, f"at least {MOVES}", hops >= MOVES))
    notes.claims.append(equal("sessions lost", str(sum(line["event"] == "session-ended" for line in log)), "0"))
    notes.figures["other changes of path"] = float(len(other))
    notes.figures["longest wait (s)"] = round(max((b - a for a, b in moved["waits"]), default=0.0), 3)
    arrived(moved, notes)


SCENES: Final[Mapping[str, Scene]] = {
    scene.name: scene
    for scene in (
        Scene(
            f"rotate-{name}",
            f"keys change every two seconds and ports every five, {about}",
            pair(client, server),
            rotate,
            settings=OFTEN,
        )
        for name, client, server, about in (
            ("full-cone", "full-cone", "full-cone", "behind two NATs that let anybody in"),
            ("port-restricted", "port-restricted", "port-restricted", "behind two NATs of the usual kind"),
            ("symmetric", "symmetric-random", "full-cone", "with a symmetric NAT on the client's side"),
        )
    )
}
"""They take minutes each, and are played by name, not with ``all``."""

"""What a server bears: floods of junk, and a crowd of sessions that say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from lab.bench.ends.flood import KINDS
from lab.bench.peers.base import LISTEN, PATIENCE
from lab.bench.report import Reading
from lab.bench.stage import Setup, open_stage

MEANINGS: Final = {
    "length": "20 bytes, many senders: what the kernel's filter leaves of them",
    "noise": "1200 random bytes, one sender: arrive as batches where the kernel coalesces",
    "spread": "1200 random bytes, many senders: each arrives alone",
    "forged": "1200 bytes with a valid header block of an armed slot, many senders: the seal must be tried",
}

CROWD_PATIENCE: Final = 300.0
"""Seconds that a crowd may take to gather."""

SETTLE: Final = 1.0
"""Seconds until what is under way has arrived."""


def measure_junk(seconds: float, *, offload: bool, say: Callable[[str], None]) -> list[Reading]:
    """Flood a server with each kind of junk in turn, and divide what it refused by the processor time it took.

    Of a kind that the kernel refuses for it, the share of a core is told that the server used meanwhile.
    """
    options = () if offload else ("--no-offload",)
    readings = []
    with open_stage(Setup.WIRE) as stage:
        server = stage.start_end(stage.server, "clawchat", "server", *LISTEN, *options)
        sender = stage.start_end(stage.client, "flood", *LISTEN)
        for kind in KINDS:
            say(f"junk {kind}")
            before = server.ask("figures 0", PATIENCE)
            sent = sender.ask(f"{kind} {seconds}", seconds + PATIENCE)["sent"]
            time.sleep(SETTLE)
            after = server.ask("figures 0", PATIENCE)
            refused, dropped, cpu = (after[key] - before[key] for key in ("refused", "dropped_by_kernel", "cpu_s"))
            note = f"{MEANINGS[kind]}; sent {sent}, refused {refused}, dropped by the kernel {dropped}"
            if refused:
                readings.append(Reading(kind, refused / cpu, "refused/s of a core", note))
            else:
                readings.append(Reading(kind, 100 * cpu / seconds, "% of a core", note))
    return readings


def measure_idle(sessions: int, seconds: float, *, say: Callable[[str], None]) -> list[Reading]:
    """Gather a crowd on one server, leave it in peace, and read the server's memory and processor time."""
    with open_stage(Setup.WIRE) as stage:
        server = stage.start_end(stage.server, "clawchat", "server", *LISTEN)
        crowd = stage.start_end(stage.client, "clawchat", "client", *LISTEN)
        empty = server.ask("figures 0", PATIENCE)
        say(f"idle: {sessions} clients join")
        joined = crowd.ask(f"crowd {sessions}", CROWD_PATIENCE)
        time.sleep(SETTLE)
        say(f"idle: {seconds:g} s of peace")
        before = server.ask("figures 0", PATIENCE)
        begun = time.monotonic()
        time.sleep(seconds)
        after = server.ask("figures 0", PATIENCE)
        share = (after["cpu_s"] - before["cpu_s"]) / (time.monotonic() - begun)
    held = after["sessions"]
    memory = after["resident_mb"]
    return [
        Reading("sessions", held, "sessions", f"open at the end; joined in {joined['seconds']:.1f} s"),
        Reading("memory", memory, "MB resident", f"of the server, {empty['resident_mb']:.0f} MB before anybody joined"),
        Reading("memory a session", (memory - empty["resident_mb"]) * 1e3 / max(held, 1), "kB", "what each added"),
        Reading("processor", 100 * share, "% of a core", f"of the server, over {seconds:g} s of keepalives"),
    ]

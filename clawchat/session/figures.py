"""How a session fares, in figures."""

from __future__ import annotations

from clawchat.session.identity import SessionStats
from clawchat.session.inbound import Inbound
from clawchat.session.machines import Machines


def measure(machines: Machines, inbound: Inbound, *, born: float, now: float) -> SessionStats:
    """Read a session's figures off its machines; ``born`` is when it began."""
    recovery, out, rekeying = machines.recovery, machines.out, machines.rekeying
    return SessionStats(
        age=now - born,
        rtt=recovery.rtt.smoothed,
        rtt_min=recovery.rtt.minimum,
        loss=recovery.packets_lost / max(1, recovery.packets_sent),
        bytes_sent=out.bytes_sent,
        bytes_received=inbound.bytes_received,
        packets_sent=out.packets_sent,
        packets_received=inbound.packets_received,
        datagram_size=machines.mtu.size,
        window=recovery.congestion.window,
        in_flight=recovery.in_flight,
        path=machines.paths.current,
        heard=now - machines.live.heard_at,
        epoch=rekeying.epoch,
        key_age=now - rekeying.began,
    )

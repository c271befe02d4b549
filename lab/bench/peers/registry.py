"""The peers that the comparisons know, in the order of their tables."""

from __future__ import annotations

from lab.bench.peers.base import Peer
from lab.bench.peers.clawchat import ClawChat
from lab.bench.peers.plain import Quic, Tcp, Tls, Udp, UdpEcho
from lab.bench.peers.tunnels import Nebula, WireguardGo

WITHOUT_OFFLOADS = "--no-offload"


def transport_peers(*, offload: bool = True) -> list[Peer]:
    """Return what moves bytes; without `offload`, ClawChat with GSO and GRO stays away."""
    ours: list[Peer] = [ClawChat("clawchat", "one stream, with GSO/GRO")] if offload else []
    return [
        *ours,
        ClawChat("clawchat-plain", "one stream, without GSO/GRO", WITHOUT_OFFLOADS),
        UdpEcho(),
        Tcp(),
        Udp(),
        Tls(),
        Nebula(),
        WireguardGo(),
        Quic("qh3", "QUIC: qh3, one stream"),
        Quic("aioquic", "QUIC: aioquic, one stream"),
    ]


def message_peers() -> list[Peer]:
    """Return the ways a 64-byte message can travel on asyncio's selector loop."""
    return [
        UdpEcho(),
        ClawChat("clawchat-stream", "on a stream", bulk=False),
        ClawChat("clawchat-datagram", "unreliable", "--datagrams", bulk=False),
        ClawChat("clawchat-plain", "on a stream, without GSO/GRO", WITHOUT_OFFLOADS, bulk=False),
    ]

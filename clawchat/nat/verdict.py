"""What all that was found out about a network comes to: how well others can reach a machine in it."""

from __future__ import annotations

from collections.abc import Mapping as Table
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from clawchat.nat.mapping import Allocation, Dependence, Mapping
from clawchat.nat.scope import is_loopback, is_public


class Reach(Enum):
    """How well a machine can be reached, best first."""

    OPEN = "open"
    MAPPED = "mapped"
    FIREWALLED = "firewalled"
    EASY = "easy"
    PREDICTABLE = "predictable"
    HARD = "hard"
    UNKNOWN = "unknown"
    BLOCKED = "blocked"
    OFFLINE = "offline"


MEANINGS: Final[Table[Reach, str]] = MappingProxyType(
    {
        Reach.OPEN: "This machine has a public address and lets strangers' datagrams in: anybody with a security file "
        "reaches it directly.",
        Reach.MAPPED: "The router maps a port to this machine: a server here can be reached directly.",
        Reach.FIREWALLED: "This machine has a public address, and something lets in only answers to what it sent: a "
        "direct path needs both ends to send, and then works with every kind of NAT on the other side that keeps its "
        "ports or counts them.",
        Reach.EASY: "The NAT shows all peers the same port: a direct path can be punched to every peer whose NAT does "
        "so too, and to most others.",
        Reach.PREDICTABLE: "The NAT gives each peer another port, but counts: a direct path is punched by foreseeing "
        "the next ones.",
        Reach.HARD: "The NAT gives each peer another port at random: a direct path is easy only to peers that let "
        "everybody in, takes many tries to most others, and is hopeless to peers behind a NAT like this one.",
        Reach.UNKNOWN: "What the NAT does can't be told without two STUN servers, or one that has two addresses: name "
        "them with --stun, or under networking.stun_servers in client.yaml.",
        Reach.BLOCKED: "No STUN server answered: this network may block UDP, or the servers are down.",
        Reach.OFFLINE: "This machine has no network.",
    }
)
"""What each means for a direct path, in a person's words."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found out; whatever was not asked for has its default."""

    hosts: tuple[str, ...]
    """This machine's addresses."""

    asked: int = 0
    """How many STUN servers were asked over IPv4."""

    mapping: Mapping | None = None
    filtering: Dependence = Dependence.UNKNOWN
    external: str | None = None
    """The address at which the router mapped a port."""


def judge(findings: Findings) -> Reach:
    """Say how well the machine can be reached over IPv4."""
    mapping = findings.mapping
    if all(map(is_loopback, findings.hosts)):
        return Reach.OFFLINE
    untranslated = mapping is not None and mapping.last.host in findings.hosts
    if untranslated and findings.filtering is Dependence.ENDPOINT_INDEPENDENT:
        return Reach.OPEN
    if findings.external is not None and is_public(findings.external):
        return Reach.MAPPED
    if mapping is None:
        return Reach.BLOCKED if findings.asked else Reach.UNKNOWN
    if untranslated:
        return Reach.FIREWALLED
    return {
        Allocation.PRESERVING: Reach.EASY,
        Allocation.ENDPOINT_INDEPENDENT: Reach.EASY,
        Allocation.SEQUENTIAL: Reach.PREDICTABLE,
        Allocation.RANDOM: Reach.HARD,
        Allocation.UNKNOWN: Reach.UNKNOWN,
    }[mapping.allocation]

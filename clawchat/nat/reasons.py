"""Why a session uses the path it uses: stable codes, each with its cause and what a person can do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple


class Reason(StrEnum):
    """Where the search for a direct path stands. A code never changes its meaning."""

    AT_ONCE = "at-once"
    PUNCHED = "punched"
    GUESSED = "guessed"
    ROAMED = "roamed"
    HOPPED = "hopped"
    LOOKING = "looking"
    WAITING_FOR_PEER = "waiting-for-peer"
    NO_ANSWER = "no-answer"
    NO_ADDRESS = "no-address"
    NO_PORT = "no-port"
    STRUCK = "struck"
    BOTH_SYMMETRIC = "both-symmetric"
    GUESSING = "guessing"
    GUESS_MISSED = "guess-missed"
    GUESS_LATER = "guess-later"
    SUSPECT = "suspect"
    RELAY_CHANGED = "relay-changed"
    RELAY_ONLY = "relay-only"
    UDP_BLOCKED = "udp-blocked"
    PEER_BLOCKED = "peer-udp-blocked"
    SERVER_SILENT = "server-silent"


class Meaning(NamedTuple):
    """What a reason says to a person; ``action`` is empty where nothing need be done."""

    cause: str
    action: str


_PATIENCE: Final = "Nothing need be done: the relay carries everything meanwhile."
_MAP_A_PORT: Final = "Have a UDP port mapped to either end, or switch that end's NAT to endpoint-independent mapping."

REASONS: Final[Mapping[Reason, Meaning]] = MappingProxyType(
    {
        Reason.AT_ONCE: Meaning("The handshake itself went directly.", ""),
        Reason.PUNCHED: Meaning("Both NATs were opened for each other.", ""),
        Reason.GUESSED: Meaning("The port that a symmetric NAT had chosen was found.", ""),
        Reason.HOPPED: Meaning("An end moved to another port on purpose, and the session with it.", ""),
        Reason.ROAMED: Meaning("The address of an end changed, and the session followed.", ""),
        Reason.LOOKING: Meaning("The search for a direct path has just begun.", _PATIENCE),
        Reason.WAITING_FOR_PEER: Meaning(
            "The other end has not said that its NAT is open.", "If it lasts, look whether the other end may punch."
        ),
        Reason.NO_ANSWER: Meaning(
            "Both ends opened their NATs, and no probe got through.",
            "Look whether a firewall drops UDP between the two; have a UDP port mapped to either end.",
        ),
        Reason.NO_ADDRESS: Meaning("The other end has told no address.", "Give it a second relay, or a STUN server."),
        Reason.NO_PORT: Meaning(
            "No open port speaks the IP version of the other end's addresses.",
            "Let both ends have IPv4, or both IPv6.",
        ),
        Reason.STRUCK: Meaning(
            "An opening packet reached the other end's gateway, which then spoils the port.",
            "Nothing need be done: another port is tried, with packets that go less far.",
        ),
        Reason.BOTH_SYMMETRIC: Meaning("The NATs of both ends choose ports that the other can't foresee.", _MAP_A_PORT),
        Reason.GUESSING: Meaning("The port that a symmetric NAT has chosen is being looked for.", _PATIENCE),
        Reason.GUESS_MISSED: Meaning("The port that a symmetric NAT had chosen was not found.", _MAP_A_PORT),
        Reason.GUESS_LATER: Meaning(
            "Ports were guessed a short while ago; gateways are spared until the next time.", _PATIENCE
        ),
        Reason.SUSPECT: Meaning("The direct path fell silent.", _PATIENCE),
        Reason.RELAY_CHANGED: Meaning("The relay that carried the session fell silent, and another one took over.", ""),
        Reason.RELAY_ONLY: Meaning(
            "This end is set to use relays only.", "Allow direct paths in its configuration, if that is not on purpose."
        ),
        Reason.UDP_BLOCKED: Meaning(
            "No datagram came back from anywhere: this network drops UDP.",
            "A relay that is reached by WebSocket carries everything; else use another network, or have one set up so.",
        ),
        Reason.PEER_BLOCKED: Meaning(
            "The other end hears no relay by UDP: its network drops it.",
            "Use another network at that end, or have one set up so.",
        ),
        Reason.SERVER_SILENT: Meaning(
            "Others answer, but the other end does not.", "Look whether it runs, and whether it uses the same relay."
        ),
    }
)

"""Every figure that a server or a relay tells: names as Prometheus wants them, in base units.

No label carries a name of a person, an address or a session: figures are for dashboards that more people see than logs.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

PREFIX: Final = "clawchat_"
PROGRAM: Final = "program"  # the label that every figure has: server or relay


class Kind(Enum):
    """How a figure behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One figure; ``buckets`` are the upper bounds of a histogram, without infinity."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, Kind.GAUGE, text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(PREFIX + name, Kind.HISTOGRAM, text, labels, buckets)


# The targets of punching lie between one round trip and a few seconds.
_PUNCH_BUCKETS: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_RTT_BUCKETS: Final = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
# A program's own waiting is good below a hundredth of a second; from one second on it is unhealthy.
_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

# --- of both ---------------------------------------------------------------------------------------

BUILD: Final = _gauge("build_info", "1, with the version", "version")
HEALTHY: Final = _gauge("healthy", "1 if the last self-test found that everything works, else 0")
LOOP_LAG: Final = _gauge("loop_lag_seconds", "how late the event loop was at worst in the last minute")
LAG: Final = _histogram(
    "loop_lag_sampled_seconds", "the same figure, as it was each time it was looked at", _LAG_BUCKETS
)
DROPS: Final = _counter("dropped_datagrams", "datagrams that were refused, by reason", "reason")
HANDSHAKES: Final = _counter(
    "handshakes",
    "answered handshakes: confirmed, abandoned by the other end, or late (by a file that was used meanwhile)",
    "result",
)
ENDED: Final = _counter("sessions_ended", "sessions that ended, by code", "code")
SENT_BYTES: Final = _counter("sent_bytes", "bytes sent in sessions, headers of UDP and IP not counted")
RECEIVED_BYTES: Final = _counter("received_bytes", "bytes received in sessions, counted alike")
SENT_PACKETS: Final = _counter("sent_packets", "packets sent in sessions")
RECEIVED_PACKETS: Final = _counter("received_packets", "packets received in sessions")
LOST_PACKETS: Final = _counter("lost_packets", "packets sent in sessions that got lost on the way")
RTT: Final = _histogram("rtt_seconds", "round trips of the sessions, each as it was at each look", _RTT_BUCKETS, "path")
EXPIRY: Final = _gauge(
    "security_file_expiry_timestamp_seconds", "when the first of the security files expires, in Unix time"
)

# --- of a server -----------------------------------------------------------------------------------

SESSIONS: Final = _gauge("sessions", "sessions that are open, by path: direct or relay", "path")
ATTEMPTS: Final = _counter(
    "path_attempts",
    "sessions by how their search for a direct path went: direct or relay, the reason, the move that won, both NATs",
    "result",
    "reason",
    "strategy",
    "nat",
    "peer_nat",
)
PUNCH: Final = _histogram(
    "punch_seconds", "from the beginning of a session on a relay to a direct path", _PUNCH_BUCKETS
)
FIRST_BYTE: Final = _histogram(
    "first_byte_seconds", "from the answered handshake to the client's first byte in a stream", _PUNCH_BUCKETS
)
PATH_CHANGES: Final = _counter("path_changes", "moves of sessions to another path, by reason", "reason")
FILES: Final = _gauge("security_files", "security files that nobody has used, by state: valid or missing", "state")
RETURNING: Final = _gauge("returning_clients", "clients that may come back without a new file")
RELAYS: Final = _gauge("relays", "relays that the configuration names, by state: joined or lost", "state")
HANDLER_STARTS: Final = _counter("handler_starts", "how often the handler program was started")
KEYS: Final = _counter("key_changes", "new session keys that both ends have")
PORT_MOVES: Final = _counter("port_moves", "attempts to move to a new port: moved, or kept for want of a way", "result")
COMPROMISED: Final = _counter("compromised", "how often everything was destroyed, and the server began anew")

# --- of a relay ------------------------------------------------------------------------------------

MEMBERS: Final = _gauge("relay_members", "servers and clients that are here")
BOXES: Final = _gauge("relay_boxes", "boxes that they are reached by")
JOINS: Final = _counter("relay_joins", "members that joined")
FORWARDED: Final = _counter("relay_forwarded_datagrams", "datagrams that were passed on")
FORWARDED_BYTES: Final = _counter("relay_forwarded_bytes", "bytes that were passed on")
UNKNOWN_BOX: Final = _counter("relay_unknown_box_datagrams", "datagrams for a box that nobody here has")
OVER_QUOTA: Final = _counter(
    "relay_over_quota_datagrams", "datagrams that were dropped because their sender was over quota"
)
BOXES_REFUSED: Final = _counter("relay_boxes_refused", "boxes that a member asked for in vain")
CONNECTIONS: Final = _gauge("relay_websocket_connections", "TCP connections that are open, members' and strangers'")
WEBSOCKETS: Final = _gauge("relay_websockets", "those among them that carry members' datagrams")
CONNECTIONS_REFUSED: Final = _counter("relay_websocket_connections_refused", "TCP connections above the limits")
STRANGERS: Final = _counter("relay_websocket_strangers", "TCP connections that asked for what no member asks for")
SLOW_READERS: Final = _counter(
    "relay_websocket_dropped_datagrams", "datagrams that were dropped because a WebSocket's reader was slow"
)

COMMON: Final = (
    BUILD,
    HEALTHY,
    LOOP_LAG,
    LAG,
    DROPS,
    HANDSHAKES,
    ENDED,
    SENT_BYTES,
    RECEIVED_BYTES,
    SENT_PACKETS,
    RECEIVED_PACKETS,
    LOST_PACKETS,
    RTT,
    EXPIRY,
)
SERVER: Final = (
    *COMMON,
    SESSIONS,
    ATTEMPTS,
    PUNCH,
    FIRST_BYTE,
    PATH_CHANGES,
    FILES,
    RETURNING,
    RELAYS,
    HANDLER_STARTS,
    KEYS,
    PORT_MOVES,
    COMPROMISED,
)
RELAY: Final = (
    *COMMON,
    MEMBERS,
    BOXES,
    JOINS,
    FORWARDED,
    FORWARDED_BYTES,
    UNKNOWN_BOX,
    OVER_QUOTA,
    BOXES_REFUSED,
    CONNECTIONS,
    WEBSOCKETS,
    CONNECTIONS_REFUSED,
    STRANGERS,
    SLOW_READERS,
)

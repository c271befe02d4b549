"""Every number of the protocol and of this implementation, each with its reason.

Sizes are bytes, times are seconds, unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

# --- the protocol: both ends must agree ------------------------------------------------------------

PROTOCOL_VERSION: Final = 3
"""The version that HELLO and WELCOME carry; another one is refused, never guessed."""

BLOCK: Final = 16
"""One AES block: the masked header that starts every packet."""

TAG: Final = 16
"""The AES-GCM authentication tag that ends every packet (NIST SP 800-38D, 128 bits)."""

OVERHEAD: Final = BLOCK + TAG
"""What sealing adds to the frames of a packet."""

MIN_PACKET: Final = 48
"""The shortest packet: header block, one padded block of frames, tag."""

MAX_DATAGRAM_IPV6: Final = 1440
"""The largest datagram over IPv6, whose header is 20 bytes longer; a multiple of 16, as padded packets are."""

RELAYED_BASE_DATAGRAM: Final = 1120
"""The base size on a path through a relay, whose own packets are at first 1200 bytes and add 51."""

RELAYED_MAX_DATAGRAM: Final = 1408
"""The largest datagram through a relay: what a packet of 1472 bytes can carry, in the steps of probing."""

MIN_HELLO: Final = 256
"""The shortest HELLO, so that a WELCOME always fits in the length of its HELLO."""

MAX_HELLO: Final = 1200
"""The longest HELLO: it must pass every path unprobed."""

BASE_DATAGRAM: Final = 1200
"""The datagram size that every path is taken to carry (RFC 9000 section 14.1)."""

MAX_DATAGRAM: Final = 1472
"""The largest datagram: an Ethernet frame of 1500 less the IPv4 and UDP headers."""

HEADER_EPOCH_WELCOME: Final = 0xFFFF
"""The epoch that marks a WELCOME; key epochs stay below it."""

MAX_PACKET_NUMBER: Final = (1 << 48) - 1
"""The packet number field holds 48 bits."""

MAX_EPOCH_PACKETS: Final = 1 << 23
"""No key seals more packets than this (NIST SP 800-38D asks for at most 2^32)."""

MAX_STREAMS: Final = 256
"""How many streams the peer may have open at once."""

STREAM_WINDOW: Final = 1 << 20
"""What a peer may send on a fresh stream before it is granted more."""

SESSION_WINDOW: Final = 2 << 20
"""What a peer may send on all streams of a fresh session before it is granted more."""

MAX_DELAY_ACK: Final = 0.025
"""The longest an acknowledgement is held back (RFC 9000 section 18.2, max_ack_delay)."""

ACK_DELAY_UNIT: Final = 16e-6
"""The ACK frame counts its delay in units of this."""

MAX_OBSERVED_CANDIDATES: Final = 16
"""How many candidates one HELLO, WELCOME or credential may carry."""

MAX_RELAYS: Final = 8
"""How many relays one credential may name."""

MAX_RELAY_CANDIDATES: Final = 4
"""How many addresses a relay may have, so that eight relays and the rest of a credential fit a file of 8 KiB."""

MAX_WEBSOCKET_URL: Final = 64
"""The longest URL of a relay for WebSockets."""

MAX_RELAY_TEXT: Final = 438
"""The longest relay in a credential: 328 bytes, with four IPv6 addresses, a name and a URL of 64 letters, in base64."""

# --- timers (protocol) -----------------------------------------------------------------------------

HELLO_RETRIES: Final = (0.5, 1.0, 2.0, 4.0, 5.0)
"""The waits between HELLOs; the last repeats until the handshake's deadline."""

HANDSHAKE_TIMEOUT: Final = 60.0
"""Give up a handshake after this (`hole_punch_timeout`)."""

HALF_OPEN_LIFE: Final = 5.0
"""How long a responder keeps a handshake that its initiator has not confirmed."""

CONFIRM_TIMEOUT: Final = 20.0
"""An initiator whose confirmation is not answered gives up after this; the responder forgot it long before."""

KEEPALIVE: Final = 15.0
"""Send something after this much silence, so that NAT mappings (30 s and more) stay."""

DEAD_PEER: Final = 180.0
"""Without a packet for this long the session is over and its keys are wiped."""

SILENCE: Final = 0.5
"""A peer that is heard after so many seconds may have missed something: that waits for no probe timeout any more."""

JITTER: Final = 0.2
"""Timers that two hosts could run in step move by up to this share, both ways."""

# --- punching --------------------------------------------------------------------------------------

BLIND_PRIME_TTL: Final = 5
"""The time to live of a priming packet when our own NATs were not counted: past two or three of them."""

REACHED_PAUSE: Final = 0.1
"""How long an end that does not decide leaves its own probes when one of the peer's has just reached it, seconds."""

FIRE_TIMES: Final = (0.0, 0.02, 0.06, 0.14, 0.3)
"""When probes leave in one round, seconds after both ends are ready."""

PUNCH_PASSES: Final = (0.0, 2.0, 5.0, 15.0, 30.0, 60.0)
"""When both ends try all their ports again, seconds after the first time; the last interval repeats."""

SILENT_FIRE: Final = 0.5
"""A port that fired is given up when nothing answered for this long, or for four round trips if they take longer."""

MAX_SPARES: Final = 2
"""How many ports are kept ready for when the first one fails."""

PORT_REST: Final = 35.0
"""How long a port that failed is left alone: Linux forgets an unanswered flow in 30 s (nf_conntrack_udp_timeout)."""

SURVEY_TRIES: Final = 3
"""How often a relay is asked what it sees of a port, as long as no answer comes."""

SURVEY_FRESH: Final = 1.0
"""What a relay saw of a port this many seconds ago it need not be asked: its WELCOME has just told."""

SURVEY_LIFE: Final = 20.0
"""What relays saw of us is asked for anew after this: a NAT that counts has gone on meanwhile."""

WEBSOCKET_HEAD_START: Final = 0.3
"""How long a relay is tried by UDP alone before it is tried by WebSocket, too."""

PRIMED_WAYS: Final = 4
"""How many addresses of a peer our NAT is opened for before its handshake is confirmed. With the WELCOME, which is no
longer than its HELLO, that is far less than three times what came from it."""

PRIMED_WORDS: Final = 2
"""How often the answering end of a relayed handshake says that its NATs are open: one of them may get lost."""

PRIMED_WORDS_INTERVAL: Final = 0.02
"""How many seconds apart."""

EARLY_PROBES: Final = 16
"""How often the answering end probes a peer that is yet to confirm, from behind a NAT that gives every destination
another port."""

EARLY_INTERVAL: Final = 0.01
"""How many seconds apart. One of them should come soon after the WELCOME, which may take the longer way."""

SURVEY_WAIT: Final = 0.05
"""How long an offer to the peer waits after an answer of a relay, so that one offer tells of several."""

FAN_DELAY: Final = 0.3
"""How long plain probes have at most before ports are guessed, seconds after the first of them. One and a half
round trips over the relay are enough: the peer begins half of one later, and the direct way is seldom longer."""

FAN_INTERVAL: Final = 20.0
"""The time between two rounds of guessing of one process, so that a gateway's table is not filled."""

FAN_PAUSE: Final = 600.0
"""How long ports of a pair of networks are not guessed again after it failed."""

FAN_OPENERS: Final = 256
"""How many ports a NAT that rolls dice is opened at; with them 175 guesses hit one of 64,512 in half of all cases."""

FAN_PROBES: Final = 1750
"""How many ports are guessed at most: 256 openers are missed by all of them once in a thousand times."""

FAN_RATE: Final = 250
"""Guesses a second."""

FAN_SPRINT: Final = 0.6
"""For how many seconds guessing begins faster than that: five in six attempts are over by then."""

FAN_SPRINT_RATE: Final = 750
"""Guesses a second in that time."""

FAN_LADDER: Final = 64
"""How many ports both ends of two counting NATs open, all aimed at one port in the middle of what the peer opens."""

SUSPECT_AFTER: Final = 0.6
"""Traffic unanswered for this long, or three round trips if they take longer, makes a path be probed."""

SUSPECT_PROBES: Final = 2
"""After this many unanswered probes a path is left for a relay, or for another one."""

SUSPECT_WAIT: Final = 0.25
"""How long an answer to such a probe is waited for, or a round trip and a half if that takes longer."""

FLOW_PACKETS: Final = 16
"""A peer of whom so many packets come within a short time is in the middle of something: its silence is noticed."""

FLOW_SECONDS: Final = 0.5
"""How short that time is."""

RESERVE_SHOWN: Final = 30.0
"""How often an initiator shows its peer the relayed paths it holds in reserve: either end may have joined anew."""

COMPARE_AFTER: Final = 1.0
"""How long after a direct path was found the others are compared with it, seconds."""

COMPARE_TIMES: Final = 3
"""How many probes each path gets for that; the shortest round trip counts."""

FASTER_BY: Final = 0.005
"""A direct path is left for another one only if that is faster by so many seconds,"""

FASTER_SHARE: Final = 0.9
"""and takes no more than this share of the time."""

SETTLED: Final = 1.0
"""What a peer said over the relay is old news for this long, and three round trips, after a session left the relay."""

MAX_PROBES: Final = 2048
"""How many probes may wait for an answer; the oldest is forgotten for a newer one."""

MAX_PENDING_FORWARDS: Final = 512
"""How many relayed datagrams wait to be sent; the oldest is dropped for a newer one."""

MEETING_PRIME_INTERVAL: Final = 10.0
"""How often both ends of a handshake by files open their NATs anew; NATs forget after 30 s at the earliest."""

MEETING_LIFE: Final = 600.0
"""How long an answer that went by a file waits for its reader: files may be carried by hand."""

MEETING_TIMEOUT: Final = 60.0
"""How long an end that has read the answer looks for a path."""

MAX_MEETINGS: Final = 8
"""How many answers that went by files wait for their readers at once."""

# --- this implementation ---------------------------------------------------------------------------

MAX_SEGMENTS: Final = 64
"""The most segments the kernel takes in one UDP_SEGMENT send (Linux, UDP_MAX_SEGMENTS)."""

MAX_BATCH_BYTES: Final = 65_000
"""The most bytes in one batch: a UDP payload of 65,507 with room for the kernel's headers."""

REPLAY_WINDOW: Final = 8192
"""How far behind the newest a packet may arrive and still be told from a replay."""

MAX_HALF_OPEN: Final = 16
"""How many unconfirmed handshakes a responder keeps at once."""

HANDSHAKE_RATE: Final = 20.0
"""How many authentic HELLOs a second a responder answers."""

HANDSHAKE_BURST: Final = 40
"""How many authentic HELLOs a responder answers at once."""

MAX_INITIATOR_TRIES: Final = 16
"""How many of its HELLOs an initiator still accepts a WELCOME for."""

MAX_SEEN_HELLOS: Final = 4096
"""How many ephemeral keys a slot remembers; a slot with more is flooded by its own holder."""

MAX_SESSIONS: Final = 65_536
"""How many sessions one endpoint holds."""

SEND_BUFFER: Final = 2 << 20
"""How much unacknowledged and unsent data one stream holds before its writer should wait."""

MAX_STREAM_WINDOW: Final = 8 << 20
"""How far auto-tuning opens a stream's window."""

MAX_SESSION_WINDOW: Final = 16 << 20
"""How far auto-tuning opens a session's window."""

MAX_PENDING_DATAGRAMS: Final = 256
"""How many unreliable datagrams wait to be sent; the oldest is dropped for a newer one."""

MAX_ACK_RANGES: Final = 64
"""How many ranges of packet numbers one ACK frame reports."""

MAX_EVENTS: Final = 65_536
"""How many events wait for the application; more means it has stopped listening."""

PATH_LENGTHS: Final = 4
"""A packet that tests a path has one of so many lengths, a block apart, or a fan would be known by its one length."""

ANTI_AMPLIFICATION: Final = 3
"""How many times the bytes received from an unproven address may be sent to it (RFC 9000 section 8.1)."""

PATH_PROVEN: Final = 3.0
"""How long an answer to a probe shows that a path works, seconds: as long as a challenge of it would be repeated."""

PATH_PATIENCE: Final = 0.6
"""An initiator leaves its path only after this much silence on it, so that two ends never chase each other."""

RELAY_PATIENCE: Final = 0.1
"""The same where a relay carries the session and another one is offered."""

CHALLENGE_TRIES: Final = 3
"""How often a path challenge is repeated before the path is forgotten."""

MTU_PROBES: Final = (1280, 1360, 1408, 1440, 1472)
"""Datagram sizes tried above the base: tunnels, PPPoE, IPv6 and IPv4 on Ethernet (multiples of 16)."""

MTU_PROBE_TRIES: Final = 3
"""How often a size is tried before it is taken not to fit (RFC 8899 section 5.1.2, MAX_PROBES)."""

MTU_PROBE_TIMEOUT: Final = 1.0
"""A probe is not given up sooner than this (RFC 8899 section 5.1.1, PROBE_TIMER)."""

MTU_WAIT: Final = 1.0
"""How long a session uses a path before it looks how large its datagrams may be there, seconds, unless it has more to
send than fits into one."""

MTU_RAISE_INTERVAL: Final = 600.0
"""How long until larger sizes are tried again (RFC 8899 section 5.1.1, PMTU_RAISE_TIMER)."""

MTU_BLACK_HOLE_LOSSES: Final = 3
"""After this many losses of larger datagrams, with none arriving, they are taken to vanish (RFC 8899 section 4.3)."""

BLACK_HOLE_PAUSE: Final = 30.0
"""How long the base size is kept after larger datagrams seemed to vanish; an outage looks the same."""

MAX_CLOSE_WAIT: Final = 0.4
"""The longest wait between two CLOSEs: a program that is told to stop is gone in less than two seconds."""

FLUSH_TIMEOUT: Final = 10.0
"""How long a closing session waits until everything written is acknowledged."""

CLOSE_LINGER_PTOS: Final = 3
"""How many probe timeouts a closed session answers late packets for (RFC 9000 section 10.2)."""

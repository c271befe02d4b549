"""The numbers of what changes while a session lives: its keys, its ports, and the end of everything.

As in ``limits``: sizes are bytes, times are seconds, unless the name says otherwise.
"""

from __future__ import annotations

from typing import Final

from clawchat.values.limits import HEADER_EPOCH_WELCOME

# --- new keys, and the end of all ------------------------------------------------------------------

KEY_ROTATION: Final = 3600.0
"""How long a client uses one set of keys (`key_rotation_interval`), and how long a server waits to ask for another."""

KEY_JITTER: Final = 0.05
"""A client begins a new epoch up to this share of the interval sooner, so that its server need not ask."""

MAX_KEY_AGE: Final = 3900.0
"""A session whose keys are older than 65 minutes ends: its peer will not change them."""

OLD_KEY_LIFE: Final = 10.0
"""How long the key of an epoch opens what comes late, once a packet of the next epoch has opened."""

REKEY_PACKETS: Final = 1 << 22
"""After this many packets under one key a new one is asked for, whatever the time."""

LAST_EPOCH: Final = HEADER_EPOCH_WELCOME - 1
"""The last epoch a session can have; with a new key every hour it lasts seven years."""

COMPROMISED_TIMES: Final = (0.0, 0.1, 0.3, 1.0, 2.0)
"""When copies of COMPROMISED leave, seconds after the keys are gone; there is no answer that could tell of loss."""

# --- new ports -------------------------------------------------------------------------------------

PORT_ROTATION: Final = 3600.0
"""How long an endpoint uses one UDP port (`port_rotation_interval`), give or take the jitter."""

PORT_GRACE: Final = 30.0
"""How long an old port hears at least once the session has left it: NATs keep their mappings as long (RFC 4787)."""

PORT_RETRY: Final = 60.0
"""When a move that came to nothing is tried again."""

MAPPING_SHARE: Final = 0.6
"""Behind a NAT that ends mappings on a schedule, a port is left after this share of it."""

SHORTEST_ROTATION: Final = 10.0
"""No NAT makes an endpoint change ports more often than this."""

MAX_ROTATION_GAP: Final = 60.0
"""A client keeps new keys and a new port this far apart, or a sixtieth of the time that keys live."""

HOP_TIMES: Final = (0.0, 0.1, 0.3, 0.7, 1.5, 3.0)
"""When a new path is probed, seconds after the peer was told."""

HOP_TIMEOUT: Final = 5.0
"""How long the peer has to follow to a new port."""

HOP_LOOK: Final = 0.1
"""How often an endpoint looks who has followed."""

PREPARE_TIMEOUT: Final = 10.0
"""How long a program has to make a new port ready, by having a router map it."""

PORT_TRIES: Final = 4
"""How many random ports are tried: others may be in use."""

FIRST_RANDOM_PORT: Final = 49_152
"""Where ports are picked from: those that are nobody's (RFC 6335 section 6)."""

RANDOM_PORTS: Final = 16_384
"""How many of them there are."""

"""Make a session of what a handshake yields."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from clawchat.crypto.derive import wipe
from clawchat.crypto.epoch import DirectionKeys
from clawchat.crypto.header import HeaderMask
from clawchat.crypto.keylog import KeyLog, data_line
from clawchat.crypto.noise import Secrets
from clawchat.crypto.words import safety_words
from clawchat.session.identity import Identity
from clawchat.session.keys import ReceiveKeys, SendKeys
from clawchat.session.machines import Machines
from clawchat.session.meeting import Rendezvous
from clawchat.session.rekeying import Names, Rekeying
from clawchat.session.session import Session
from clawchat.session.surroundings import Surroundings
from clawchat.session.table import Table
from clawchat.transport.streams import StreamTable
from clawchat.values.address import Address, Path
from clawchat.values.events import Role
from clawchat.values.limits import DEAD_PEER, MAX_DATAGRAM, MAX_STREAMS, SESSION_WINDOW, STREAM_WINDOW
from clawchat.wire.handshake import SessionParameters

PARAMETERS = SessionParameters(STREAM_WINDOW, SESSION_WINDOW, MAX_STREAMS, MAX_DATAGRAM, int(DEAD_PEER))
"""What both ends of a fresh session allow each other."""


class World(Surroundings, Table, Protocol):
    """What the endpoint is to a session and its machines."""


class Agreement(NamedTuple):
    """What both ends said in their handshake; each end addresses the other as its cid under its header key."""

    role: Role
    slot_id: bytes
    slot_name: str
    own_cid: bytes
    own_header_key: bytes | bytearray
    peer_cid: bytes
    peer_header_key: bytes | bytearray
    peer_header: HeaderMask
    parameters: SessionParameters
    peer_candidates: tuple[Address, ...]
    observed: Address | None
    rendezvous: Rendezvous | None = None
    """Where to look for a path, if the handshake itself came by none."""


def build_session(  # noqa: PLR0913 - the two halves of a session's beginning and its circumstances
    agreement: Agreement,
    secrets: Secrets,
    session_id: int,
    path: Path,
    world: World,
    *,
    rtt: float | None,
    keylog: KeyLog | None,
    now: float,
) -> Session:
    """Make the session; the secrets are taken over and overwritten."""
    if keylog is not None:
        keylog(data_line(agreement.peer_cid, agreement.peer_header_key, 0, secrets.send))
        keylog(data_line(agreement.own_cid, agreement.own_header_key, 0, secrets.receive))
    identity = Identity(
        session_id,
        agreement.role,
        agreement.slot_id,
        agreement.slot_name,
        safety_words(secrets.handshake_hash),
        agreement.own_cid,
    )
    send = SendKeys(DirectionKeys(secrets.send).aead, agreement.peer_cid, agreement.peer_header)
    receive = ReceiveKeys(DirectionKeys(secrets.receive).aead)
    parameters = agreement.parameters
    streams = StreamTable(
        session_id,
        world.emit,
        initiator=agreement.role is Role.INITIATOR,
        stream_window=parameters.max_stream_data,
        session_window=parameters.max_data,
        max_streams=parameters.max_streams,
    )
    machines = Machines(
        session_id, agreement.role, send, streams, path, world, rtt=rtt, rendezvous=agreement.rendezvous, now=now
    )
    machines.rekeying = Rekeying(
        agreement.role,
        secrets.root,
        secrets.handshake_hash,
        send,
        receive,
        machines.out.control,
        world.random,
        world.config.key_rotation,
        now=now,
    )
    if keylog is not None:
        machines.rekeying.log = (
            keylog,
            Names(agreement.own_cid, agreement.own_header_key, agreement.peer_cid, agreement.peer_header_key),
        )
    elif isinstance(agreement.peer_header_key, bytearray):
        wipe(agreement.peer_header_key)  # its cipher is all that is needed
    return Session(
        identity,
        receive,
        machines,
        world,
        peer_candidates=agreement.peer_candidates,
        observed=agreement.observed,
        now=now,
    )

"""A client whose handshake is carried: what its HELLO says of where it is."""

from __future__ import annotations

import asyncio
import copy
import os
import pathlib
import struct
import time
from collections.abc import Sequence
from typing import cast

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import Credential, make_slot
from clawchat.nat.mapping import Observation, classify
from clawchat.net.driver import Node
from clawchat.net.paths import Places
from clawchat.net.reflexive import Seen
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from client.opening import Opened
from client.plan import Plan
from client.post import by_post
from client.returns import Notes

OUTSIDE = Address("198.51.100.7", 40_007)


class Stun(asyncio.DatagramProtocol):
    """A STUN server that sees everybody at one address (RFC 8489, XOR-MAPPED-ADDRESS)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        host = int.from_bytes(bytes(map(int, OUTSIDE.host.split("."))), "big") ^ 0x2112A442
        attribute = struct.pack(">HHBBHI", 0x20, 8, 0, 1, OUTSIDE.port ^ 0x2112, host)
        self.transport.sendto(b"\1\1" + struct.pack(">H", len(attribute)) + data[4:20] + attribute, addr)


class Kept:
    """A post that keeps the HELLO and brings nothing."""

    instructions = ""

    def __init__(self) -> None:
        self.hello = b""
        self.finished = False

    def send(self, hello: bytes) -> None:
        self.hello = hello

    def receive(self) -> Sequence[bytes]:
        return []

    def finish(self) -> None:
        self.finished = True

    def renewed(self, _credential: Credential) -> None:
        return None


def plan(credential: Credential, tmp_path: pathlib.Path, *stun: str) -> Plan:
    return Plan(
        opened=Opened(credential, KeyFile(bytes(32)), Notes()),
        places=Places("client", tmp_path, tmp_path, tmp_path, tmp_path),
        name="ann",
        room="lobby",
        timeout=1.0,
        local=Address("127.0.0.1", 0),
        post_timeout=0.3,
        stun_servers=stun,
    )


@pytest.mark.parametrize("asks", [True, False])
def test_a_hello_names_where_stun_servers_see_us(tmp_path: pathlib.Path, *, asks: bool) -> None:
    slot = make_slot(
        os.urandom, name="srv", hello_header_key=bytes(32), candidates=[], relays=[], timestamp=0, validity=600
    )
    credential = copy.deepcopy(slot.credential)

    async def scene() -> tuple[Kept, tuple[Address, ...]]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Stun, local_addr=("127.0.0.1", 0))
        stun = Address(*transport.get_extra_info("sockname"))
        endpoint, post = Endpoint(random=os.urandom), Kept()
        node = Node(endpoint, on_event=lambda _: None, watch=False)
        port = await node.open_port(Address("127.0.0.1", 0))
        endpoint.candidates = (node.ports[port].address,)
        try:
            with pytest.raises(PersonalError) as silent:
                await by_post(plan(credential, tmp_path, *([str(stun)] * asks)), post, node, endpoint, port=port)
            assert silent.value.code == "CC-DROP-SILENT"
        finally:
            await node.close(limit=0.1)
            transport.close()
        return post, endpoint.candidates

    post, candidates = asyncio.run(scene())
    assert post.finished
    assert (OUTSIDE in candidates) is asks
    server = Endpoint(random=os.urandom)
    server.arm(slot, deadline=time.monotonic() + 60)
    accepted = server.accept_hello(post.hello, port=0, now=time.monotonic())
    assert accepted is not None
    assert server.sessions[accepted.session].peer_candidates == candidates


def test_where_a_port_is_not_known_our_own_number_is_a_guess() -> None:
    servers = [Address(f"203.0.113.{number}", 3478) for number in (1, 2, 3)]
    seen = [
        Observation(50_000, server, Address("198.51.100.7", number), float(at))
        for at, (server, number) in enumerate(zip(servers, (1025, 61_003, 30_500), strict=True))
    ]
    mapping = classify(seen)
    assert Seen((), mapping).guesses(50_000) == (Address("198.51.100.7", 50_000),)
    assert Seen((OUTSIDE,), mapping).guesses(50_000) == ()
    assert Seen().guesses(50_000) == ()

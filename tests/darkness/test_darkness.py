"""Nobody without a live credential gets a byte from the real server, and nothing they send stays in its memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from clawchat.crypto.credential import Credential
from clawchat.crypto.noise import Initiator
from clawchat.net.connection import connect
from clawchat.net.driver import Node
from clawchat.services.chat import Accepted
from clawchat.services.chat_client import ChatClient
from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values import address as addresses
from clawchat.values.address import Address
from clawchat.values.limits import BLOCK, MAX_HELLO, MIN_HELLO
from clawchat.wire.handshake import EPHEMERAL_BYTES, Hello, seal_hello
from tests.darkness.junk import Junk, Overheard, batches, flips
from tests.darkness.scanners import PAYLOADS
from tests.darkness.strangers import Heard, Queue, Strangers
from tests.server.running import PATIENCE, Client, RunningServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells in /proc what a server read and holds"),
]

DATAGRAMS: Final = 1_000_000
STRANGERS: Final = 400
GENERATIONS: Final = 4
"""So that the server meets more senders than it remembers. The first one's share is the warm-up."""

LOOK_EVERY: Final = 20_000
"""Datagrams between two questions how many the server has refused."""

TEXTS: Final = (1, 300, 12_000)
"""Bytes of what is said, for packets of several lengths."""

MAX_GROWTH: Final = 2 << 20
"""Bytes that an allocator may keep; a leak of three bytes a datagram is more."""


class Overhearing:
    """A tap that keeps what a client sends."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def received(self, data: memoryview, size: int, path: addresses.Path, *, now: float) -> None:
        """See what the server sends, which is of no use to a stranger."""

    def sent(self, transmit: Transmit, *, now: float) -> None:  # noqa: ARG002 - as every tap
        data, size = transmit.data, transmit.size
        self.datagrams += [bytes(data[at : at + size]) for at in range(0, len(data), size)]


class Scene(NamedTuple):
    """A server that somebody is talking to while strangers come."""

    server: RunningServer
    address: Address
    overheard: Overheard
    hellos: list[bytes]
    """Those of a client that may still join, which the server has never seen."""

    @property
    def drops(self) -> Counter[str]:
        """Which datagrams the server has read and refused, by reason."""
        return Counter(self.server.ask("status")["drops"])

    @property
    def memory(self) -> int:
        """How many bytes of memory the server holds."""
        statm = Path("/proc", str(self.server.process.pid), "statm").read_text("ascii")
        return int(statm.split()[1]) * resource.getpagesize()


@contextlib.asynccontextmanager
async def scene(server: RunningServer) -> AsyncIterator[Scene]:
    """Let a client join and talk, and see afterwards that it and a newcomer are served as if nothing had been."""
    server.command("invite", "--name", "ann")
    tap = Overhearing()
    endpoint = Endpoint(random=os.urandom)
    node = Node(endpoint, on_event=lambda _: None, tap=tap, watch=False)
    port = await node.open_port(Address("127.0.0.1", 0))
    ann = Client(node, await connect(node, server.credential("ann"), port=port, timeout=PATIENCE), ChatClient("ann"))
    for size in TEXTS:
        await ann.says("x" * size)
        await ann.hears(lambda told: isinstance(told, Accepted))
    packets = [lose(ann, endpoint, size) for size in TEXTS]
    address, unused = Address.parse(server.ask("status")["port"]), server.credential()
    # A HELLO that was answered but not followed up: its credential is live, and to repeat it is a replay all the same.
    answered = hello(unused, MIN_HELLO)
    await asyncio.to_thread(ask, address, answered)
    hellos = [hello(unused, size) for size in (MIN_HELLO, 700, MAX_HELLO)]
    yield Scene(server, address, Overheard([*tap.datagrams, answered], [*hellos, *packets]), hellos)
    await ann.says("still there?")
    await ann.hears(lambda told: isinstance(told, Accepted))
    newcomer = await Client.join(unused, "bob")
    await newcomer.leave()
    await ann.leave()


def lose(client: Client, endpoint: Endpoint, size: int) -> bytes:
    """Let a client say something and its packet get lost on the way to the server; return the packet."""
    client.chat.say("x" * size)
    client.connection.session.write(client.stream.id, client.chat.outgoing())
    transmit, *_ = endpoint.transmits(now=time.monotonic())
    return bytes(transmit.data[: transmit.size])


def hello(credential: Credential, size: int) -> bytes:
    """Make a HELLO as a client would."""
    keys = credential.keys()
    initiator = Initiator(credential.prologue(), keys.psk, credential.server_key, os.urandom(EPHEMERAL_BYTES))
    message = Hello(os.urandom(8), os.urandom(32), ())
    return seal_hello(credential, keys, initiator, message, random=os.urandom, size=size)


def ask(address: Address, datagram: bytes) -> bytes:
    """Send a datagram and wait for the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.sendto(datagram, (address.host, address.port))
        return sock.recv(1 << 16)


def flood(played: Scene) -> tuple[Junk, int, int]:
    """Send junk until the server has refused DATAGRAMS; return it, what was sent, and by how much memory grew."""
    junk = Junk(played.overheard, seed=5)
    before, ignored = played.drops.total(), Queue.of(played.address).dropped
    rounds, sent, memory = junk.rounds(), 0, 0
    for generation in range(1, GENERATIONS + 1):
        with Strangers(played.address, STRANGERS) as strangers:
            while played.drops.total() - before < DATAGRAMS * generation // GENERATIONS:
                for datagram in islice(rounds, LOOK_EVERY):
                    strangers.send(datagram)
            strangers.check()
            sent += strangers.sent
        memory = memory or played.memory
    # Each one was read and refused, or was of a length that the kernel refuses for the server.
    assert sent == played.drops.total() - before + Queue.of(played.address).dropped - ignored
    return junk, sent, played.memory - memory


def test_a_million_datagrams_earn_nothing(server: RunningServer, figure: Callable[[str], None]) -> None:
    async def main() -> None:
        async with scene(server) as played:
            junk, sent, growth = await asyncio.to_thread(flood, played)
            figure(f"{sent} datagrams, 0 bytes back, memory grew by {growth >> 10} KiB: {dict(junk.counts)}")
            figure(f"the server counted {server.ask('status')['drops']}")
            assert growth < MAX_GROWTH

    asyncio.run(main())


def test_no_flipped_bit_earns_anything(server: RunningServer, figure: Callable[[str], None]) -> None:
    def flip(played: Scene) -> None:
        before, bits = played.drops, 8 * sum(map(len, played.overheard.lost))
        with Strangers(played.address, STRANGERS) as strangers:
            for datagram in played.overheard.lost:
                for flipped in flips(datagram):
                    strangers.send(flipped)
                for batch in batches(flips(datagram)):
                    strangers.send_together(batch)
            strangers.check()
            refused = played.drops - before
            assert refused.total() == strangers.sent == 2 * bits
            # Only a bit of the header can hide whose a datagram is; all others are found by opening it.
            assert refused["tag"] >= 2 * (bits - 8 * BLOCK * len(played.overheard.lost))
            figure(f"{strangers.sent} datagrams with one bit flipped, alone and in batches, 0 bytes back: {refused}")
            # It was the bit: as they were made, the HELLOs are answered.
            for datagram in played.hellos:
                strangers.send(datagram)
                with pytest.raises(Heard):
                    strangers.check()

    async def main() -> None:
        async with scene(server) as played:
            await asyncio.to_thread(flip, played)

    asyncio.run(main())


@pytest.fixture(params=[b"", b"!", None], ids=["empty", "byte", "echo"])
def answering(request: pytest.FixtureRequest) -> Iterator[Address]:
    """Return the address of a server that answers STUN, with as little as an empty datagram, and nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            while datagram := sock.recvfrom(1 << 16):
                data, source = datagram
                if data == b"stop":
                    return
                if data == PAYLOADS["STUN"]:
                    sock.sendto(data if request.param is None else request.param, source)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Address(*sock.getsockname())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"stop", sock.getsockname())
        thread.join()


def test_the_same_check_fails_for_a_server_that_answers(answering: Address) -> None:
    with Strangers(answering, STRANGERS) as strangers:
        for name, payload in PAYLOADS.items():
            if name != "STUN":
                strangers.send(payload)
        strangers.check()
        strangers.send(PAYLOADS["STUN"])
        with pytest.raises(Heard):
            strangers.check()

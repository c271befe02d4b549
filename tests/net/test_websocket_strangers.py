"""Strangers at a relay's TCP port, with what scanners send and with what they overheard: nothing comes back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from clawchat.net.websocket import dial
from clawchat.net.websocket_listener import Listener
from clawchat.values.address import Path
from clawchat.values.limits import MAX_DATAGRAM
from tests.darkness.scanners import PAYLOADS
from tests.net.ends import Host
from tests.net.test_websocket import DOOR, UPGRADE, Relay, ask, frame, joined, payload, relay, transfer, within


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_scanner_learns_of_no_more_than_a_web_server(name: str) -> None:
    async def body() -> None:
        async with relay() as found:
            answer = await ask(found, PAYLOADS[name], linger=0.05)
            assert not answer or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
            assert b"claw" not in answer.lower()

    within(body)


def spoilt(datagrams: list[bytes]) -> list[bytes]:
    """Return datagrams as they are, cut short, and each with one bit turned."""
    chance = random.Random("spoilt")
    turned = []
    for each in datagrams:
        wrong = bytearray(each)
        wrong[chance.randrange(len(each))] ^= 1
        turned.append(bytes(wrong))
    return [*datagrams, *(each[: len(each) // 2] for each in datagrams), *turned]


def test_who_overheard_a_websocket_and_knows_its_door_gets_nothing() -> None:
    overheard: list[bytes] = []

    class Overhearing(Listener):
        @property
        def arrived(self) -> Callable[[bytes, Path], None]:
            def take(data: bytes, path: Path) -> None:
                overheard.append(data)
                super(Overhearing, self).arrived(data, path)

            return take

    async def body() -> None:
        found = Relay()
        found.listener = Overhearing(found.node, [DOOR], total=9, per_address=9)
        await found.listen()
        guest = await Host(offload=None).open()
        tunnel = await dial(guest.node, [found.url()])
        assert tunnel is not None
        running = asyncio.create_task(tunnel.run())
        here, there = await joined(found, tunnel, guest)
        await transfer(here, there, bytes(50_000))
        tries = [*spoilt(overheard[:200]), *(each[:MAX_DATAGRAM] for each in PAYLOADS.values())]
        before, path = sum(found.endpoint.drops.values()), there.path
        answer = await ask(found, UPGRADE + b"".join(map(frame, tries)), linger=0.5)
        assert payload(answer) == b""
        assert sum(found.endpoint.drops.values()) - before == len([each for each in tries if each])
        assert there.path == path, "what was replayed moved nobody"
        assert await here.ping() >= 0
        await guest.node.close()
        await running
        found.listener.close()
        await found.node.close()

    within(body)


def test_the_control_a_relay_that_answers_is_found_out() -> None:
    class Talkative(Listener):
        @property
        def arrived(self) -> Callable[[bytes, Path], None]:
            return lambda data, path: self._node.send_plain(data[:1], path)

    async def body() -> None:
        found = Relay()
        found.listener = Talkative(found.node, [DOOR], total=9, per_address=9)
        await found.listen()
        assert payload(await ask(found, UPGRADE + frame(b"anybody there?"), linger=0.5)) == b"\x82\x01a"
        found.listener.close()
        await found.node.close()

    within(body)

"""A real server moves to another port: sessions, files and returning clients follow, and the old port stays a while."""

from __future__ import annotations

import asyncio
import sys
from copy import deepcopy

import pytest

from clawchat.values.errors import PersonalError
from server.home import Home
from server.moving import port_rotation
from server.settings import Encryption, Networking, Server, Settings
from tests.server.running import Client, RunningServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="asks over a unix socket")


def test_a_server_moves_and_everybody_follows(home: Home) -> None:
    async def play(server: RunningServer) -> None:
        old = server.credential()
        ann = await Client.join(deepcopy(old), "ann")
        server.ask("invite", name="bob")
        handed_out = server.credential("bob")
        server.ask("invite", name="carl")
        await asyncio.to_thread(server.wait_for, "session-opened")
        server.ask("hop")
        moved = await asyncio.to_thread(server.wait_for, "port-moved")
        assert moved["left"] == 0
        status = server.ask("status")
        assert (status["port"], status["port_moves"]) == (moved["port"], 1)
        number = int(moved["port"].rpartition(":")[2])
        assert number != old.candidates[0].port
        assert ann.connection.path.remote.port == number
        said = await ann.says("from the new port")
        assert said
        # the file on the disk names the new port, and one that was handed out before still leads in by the old one
        while server.credential("carl").candidates[0].port != number:
            await asyncio.to_thread(server.wait_for, "file-written")
        bob = await Client.join(handed_out, "bob")
        assert bob.connection.path.remote.port == old.candidates[0].port
        carl = await Client.join(server.credential("carl"), "carl")
        assert carl.connection.path.remote.port == number
        for client in (ann, bob, carl):
            await client.leave()

    with RunningServer(home) as server:
        asyncio.run(play(server))
        assert server.ask("health")["healthy"]
        assert server.stop() == 0


def test_a_client_moves_and_the_chat_goes_on(home: Home) -> None:
    async def play(server: RunningServer) -> None:
        ann = await Client.join(server.credential(), "ann")
        before = ann.connection.path.port
        ann.connection.hop()
        async with asyncio.timeout(20):
            while ann.connection.path.port == before:
                await ann.connection.ping()
        await ann.says("from another port")
        await ann.connection.ping()
        await ann.leave()

    with RunningServer(home) as server:
        asyncio.run(play(server))


def test_a_fixed_port_stays() -> None:
    for settings in (
        Settings(server=Server(port=5000)),
        Settings(networking=Networking(public_address="203.0.113.1:5000")),
        Settings(encryption=Encryption(port_rotation_interval=0.0)),
    ):
        assert port_rotation(settings) == 0
    assert port_rotation(Settings(networking=Networking(public_address="203.0.113.1"))) == 3600


def test_a_fixed_port_is_not_moved_on_demand(home: Home) -> None:
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(text.replace("port_rotation_interval: 3600.0", "port_rotation_interval: 0.0"))
    home.configuration.chmod(0o600)
    with RunningServer(home) as server, pytest.raises(PersonalError, match="fixed"):
        server.ask("hop")

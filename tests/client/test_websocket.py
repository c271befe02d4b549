"""The programs where no datagram gets through: everything goes by WebSocket, until UDP works after all."""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from server.initialise import initialise
from tests.client.conftest import LONG_ENOUGH, Home
from tests.server.relaying import NOBODY, RunningRelay, name_relay, wait_until
from tests.server.running import RunningServer, command

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the tests ask over unix sockets")
WaitFor = Callable[[subprocess.Popen[str], str], dict[str, Any]]
WEBSOCKET = "relay over WebSocket"


class Gateway:
    """A UDP port that drops what comes, and once it is open passes it on to the relay."""

    def __init__(self) -> None:
        self._outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outside.bind(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._relay: tuple[str, int] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._outside.getsockname()[1]}"

    def open(self, relay: str) -> None:
        host, _, port = relay.rpartition(":")
        self._relay = host, int(port)

    def shut(self) -> None:
        self._relay = None

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        inside: dict[tuple[str, int], socket.socket] = {}
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            stack.enter_context(self._outside)
            selector.register(self._outside, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(0.05):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    data, source = sock.recvfrom(2048)
                    if self._relay is None:
                        continue
                    if key.data is not None:
                        self._outside.sendto(data, key.data)
                    else:
                        if source not in inside:
                            inside[source] = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                            inside[source].bind(("127.0.0.1", 0))
                            selector.register(inside[source], selectors.EVENT_READ, source)
                        inside[source].sendto(data, self._relay)


class Blocked(NamedTuple):
    """A relay and a server that is its member by WebSocket; no UDP reaches the one or the other."""

    relay: RunningRelay
    server: RunningServer
    gateway: Gateway
    file: pathlib.Path


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def blocked(tmp_path: pathlib.Path) -> Iterator[Blocked]:
    gateway = Gateway()
    relay_arguments = ("--public-address", gateway.address, "--websocket-port", str(free_port()))
    home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    with RunningRelay(tmp_path / "relay", *relay_arguments) as relay:
        name_relay(home, relay.file, public_address=NOBODY)
        with RunningServer(home) as server:
            assert server.wait_for("relay-joined")["by"] == "WebSocket"
            handed = tmp_path / "handed"
            handed.mkdir(mode=0o700)
            for name in ("default.sec", "bootstrap.key"):
                shutil.copy(home.security / name, handed / name)
            yield Blocked(relay, server, gateway, handed / "default.sec")
    gateway.close()


def test_chat_works_where_udp_is_blocked(home: Home, blocked: Blocked) -> None:
    result = home.run("connect", blocked.file, "--json", "--path", "relay", stdin="hi\n")
    assert result.code == 0, result.err
    assert result.named("connected")[0]["path"] == WEBSOCKET
    assert result.named("connected")[0]["seconds"] < 5
    assert result.events[-1]["accepted"] == 1
    assert blocked.server.wait_for("session-opened")["remote"] == "relay clawchat-relay (WebSocket)"
    back = home.run("connect", "clawchat-server", "--path", "relay", "--json", stdin="again\n")
    assert back.code == 0, back.err
    assert back.named("connected")[0]["path"] == WEBSOCKET


def test_everybody_says_that_it_is_a_websocket(home: Home, blocked: Blocked, wait_for: WaitFor) -> None:
    client = home.start("connect", blocked.file, "--json", "--path", "relay")
    wait_for(client, "joined")
    (status,) = home.run("status", "--json").events
    assert status["path"] == WEBSOCKET
    assert WEBSOCKET in home.run("status").out
    (view,) = blocked.server.ask("status")["relays"]
    assert (view["joined"], view["websocket"]) == (True, True)
    assert "by WebSocket" in blocked.server.command("status").stdout
    told = blocked.relay.ask("status")
    assert told["websocket"]["websockets"] == 2
    assert told["members"] == 2
    figures = command("relay", "metrics", "--directory", blocked.relay.directory).stdout
    assert "clawchat_relay_websockets" in figures
    assert "} 2" in next(line for line in figures.splitlines() if line.startswith("clawchat_relay_websockets"))
    client.communicate(timeout=LONG_ENOUGH)


def test_a_session_leaves_the_websocket_when_udp_gets_through(home: Home, blocked: Blocked, wait_for: WaitFor) -> None:
    client = home.start("connect", blocked.file, "--json", "--path", "relay")
    assert wait_for(client, "connected")["path"] == WEBSOCKET
    blocked.gateway.open(blocked.relay.ask("status")["port"])
    assert wait_for(client, "path_changed")["path"] == "relay"
    assert blocked.server.wait_for("relay-moved")["by"] == "UDP"
    wait_until(lambda: blocked.relay.ask("status")["websocket"]["connections"] == 0)
    assert client.stdin is not None
    client.stdin.write("still here\n")
    client.stdin.flush()
    wait_for(client, "accepted")
    out, err = client.communicate(timeout=LONG_ENOUGH)
    assert client.returncode == 0, err
    assert "udp-blocked" not in out


@pytest.mark.slow
def test_a_session_goes_back_to_the_websocket_when_udp_is_blocked_again(
    home: Home, blocked: Blocked, wait_for: WaitFor
) -> None:
    blocked.gateway.open(blocked.relay.ask("status")["port"])
    assert blocked.server.wait_for("relay-moved")["by"] == "UDP"
    client = home.start("connect", blocked.file, "--json", "--path", "relay")
    assert wait_for(client, "connected")["path"] == "relay"
    wait_for(client, "joined")
    blocked.gateway.shut()
    assert client.stdin is not None
    client.stdin.write("anybody there?\n")
    client.stdin.flush()
    wait_for(client, "accepted")  # since both ends have found to the WebSocket
    assert blocked.server.wait_for("relay-moved")["by"] == "WebSocket"
    assert len({line["session"] for line in blocked.server.log if line["event"] == "relay-joined"}) == 1
    client.communicate(timeout=LONG_ENOUGH)


def test_a_websocket_that_breaks_is_opened_anew(home: Home, blocked: Blocked, wait_for: WaitFor) -> None:
    client = home.start("connect", blocked.file, "--json", "--path", "relay")
    wait_for(client, "joined")
    before = {view["session"] for view in blocked.server.log if view["event"] == "relay-joined"}
    port = blocked.relay.ask("status")["websocket"]["port"].rpartition(":")[2]
    done = subprocess.run(["ss", "-K", "sport", "=", f":{port}"], capture_output=True, check=False)
    if done.returncode or blocked.relay.ask("status")["websocket"]["connections"]:
        pytest.skip("this system can't break a TCP connection from outside")
    wait_until(lambda: blocked.relay.ask("status")["websocket"]["websockets"] == 2)
    assert client.stdin is not None
    client.stdin.write("still here\n")
    client.stdin.flush()
    wait_for(client, "accepted")
    assert {view["session"] for view in blocked.server.log if view["event"] == "relay-joined"} == before
    client.communicate(timeout=LONG_ENOUGH)


def test_it_can_be_turned_off(home: Home, blocked: Blocked) -> None:
    home.more["CLAWCHAT_NETWORKING_WEBSOCKET"] = "false"
    result = home.run("connect", blocked.file, "--timeout", 2, stdin="hi\n")
    assert result.code == 4
    assert "nor from its relay" in result.err
    assert "WebSocket" not in result.err


def test_udp_that_works_is_never_joined_by_a_websocket(home: Home, tmp_path: pathlib.Path) -> None:
    server_home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    with RunningRelay(tmp_path / "relay", "--websocket-port", str(free_port())) as relay:
        name_relay(server_home, relay.file, public_address=NOBODY)
        with RunningServer(server_home) as server:
            assert server.wait_for("relay-joined")["by"] == "UDP"
            result = home.run(
                "connect", server_home.security_file("default"), "--path", "relay", "--json", stdin="hi\n"
            )
            assert result.code == 0, result.err
            assert result.named("connected")[0]["path"] == "relay"
            time.sleep(0.5)  # past the head start
            told = relay.ask("status")["websocket"]
            assert (told["connections"], told["refused"]) == (0, 0)

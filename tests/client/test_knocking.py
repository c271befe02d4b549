"""A way to the server that has gone bad for the client's first port, and for that one alone."""

from __future__ import annotations

import os
import pathlib
import socket
import threading
from collections.abc import Iterator
from typing import Self

import pytest

from server.initialise import initialise
from tests.client.conftest import Home
from tests.server.running import RunningServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the tests ask over unix sockets")

ROOM = 65536
PATIENCE = 0.2


class BadForOne:
    """A forwarder that never lets the first source through, however often it tries."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self._front.settimeout(PATIENCE)
        self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._back.settimeout(PATIENCE)
        self.sources: list[tuple[str, int]] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._forth, self._home)]

    @property
    def port(self) -> int:
        return int(self._front.getsockname()[1])

    def __enter__(self) -> Self:
        self._back.bind(("127.0.0.1", 0))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._front.close()
        self._back.close()

    def _forth(self) -> None:
        while not self._over.is_set():
            try:
                data, source = self._front.recvfrom(ROOM)
            except TimeoutError:
                continue
            if source not in self.sources:
                self.sources.append(source)
            if source != self.sources[0]:
                self._back.sendto(data, self._server)

    def _home(self) -> None:
        while not self._over.is_set():
            try:
                data, _ = self._back.recvfrom(ROOM)
            except TimeoutError:
                continue
            self._front.sendto(data, self.sources[-1])


@pytest.fixture
def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


@pytest.fixture
def proxy(tmp_path: pathlib.Path, free_port: int) -> Iterator[tuple[BadForOne, pathlib.Path]]:
    """Lend a server, and a forwarder to it that its security file names."""
    home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    with BadForOne(("127.0.0.1", free_port)) as forwarder:
        text = home.configuration.read_text(encoding="utf-8")
        text = text.replace("public_address: null", f"public_address: '127.0.0.1:{forwarder.port}'")
        home.configuration.write_text(text, encoding="utf-8")
        with RunningServer(home, "--port", str(free_port)):
            yield forwarder, home.security_file("default")


def test_another_port_gets_through_where_the_first_does_not(home: Home, proxy: tuple[BadForOne, pathlib.Path]) -> None:
    forwarder, file = proxy
    result = home.run("connect", file, "--json", stdin="hi\n")
    assert result.code == 0, result.err
    assert result.events[-1]["accepted"] == 1
    assert len(forwarder.sources) == 2


def test_a_port_that_was_asked_for_is_the_only_one_that_knocks(
    home: Home, proxy: tuple[BadForOne, pathlib.Path], free_port: int
) -> None:
    forwarder, file = proxy
    result = home.run("connect", file, "--json", "--timeout", 6, "--port", free_port - 1, stdin="")
    assert result.code != 0
    assert len(forwarder.sources) == 1

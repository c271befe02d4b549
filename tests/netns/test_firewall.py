"""The firewall recipes of docs/OPERATIONS.md, loaded on a server's host: its port can't be told from closed ones."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from lab import netns
from server.home import Home
from server.initialise import initialise
from tests.conftest import require
from tests.netns.ground import IPV4, PATIENCE, Ground
from tests.netns.home import missing

pytestmark = [pytest.mark.netns, pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")]

HERE: Final = Path(__file__).parent
OPERATIONS: Final = HERE.parents[1] / "docs" / "OPERATIONS.md"
CHROOT: Final = HERE.parent / "operations" / "chroot.sh"
PORT: Final = 51820
# A service that the server's host asks, and gets an answer from.
ECHO: Final = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.bind(("0.0.0.0", 5353))
    print("ready", flush=True)
    while True:
        data, peer = one.recvfrom(100)
        one.sendto(data, peer)
"""
ASK: Final = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    one.settimeout(5)
    one.sendto(b"time?", ("{IPV4.client}", 5353))
    print(one.recv(100).decode())
"""


def recipe(name: str) -> str:
    """Read a recipe as the document has it."""
    found = re.search(rf"<!-- recipe: {name} -->\n\n```text\n(.*?)```", OPERATIONS.read_text("utf-8"), re.DOTALL)
    assert found, name
    return found[1]


@dataclass
class Host:
    """The server's host, and a person on another one who holds its file."""

    ground: Ground
    home: Home
    server: subprocess.Popen[bytes]

    def load(self, rules: str) -> None:
        self.ground.server.namespace.run("nft", "-f", "-", text=rules)

    def ufw(self, script: str) -> None:
        """Let ufw set up the host's firewall; its files are those of a copy of this machine."""
        require("ufw", missing("ufw", "ufw"))
        scratch = self.ground.folder / "scratch"
        scratch.mkdir()
        told = self._run(self.ground.server, "unshare", "--mount", "sh", str(CHROOT), str(scratch), "sh", "-ec", script)
        assert told.returncode == 0, told.stdout + told.stderr

    def examine(self) -> dict[str, Any]:
        """Send the doctor to the person's machine; return what it says of the port."""
        told = self._client("doctor", str(self.home.security_file("default")), "--json")
        checks = [json.loads(line) for line in told.stdout.splitlines()]
        (dark,) = (check for check in checks if check["name"] == "dark port")
        assert isinstance(dark, dict)
        return dark

    def join(self) -> None:
        """Connect as the person, and say something."""
        told = self._client("connect", str(self.home.security_file("default")), "--json", said="hi\n")
        assert told.returncode == 0, told.stderr
        events = [json.loads(line) for line in told.stdout.splitlines()]
        assert any(event["event"] == "accepted" for event in events)

    def asks_and_is_answered(self) -> bool:
        """Ask a service on the person's machine from the server's host."""
        service = self.ground.client.namespace.exec(
            [sys.executable, "-c", ECHO], dies_with_parent=True, stdout=subprocess.PIPE
        )
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == b"ready\n"
            told = self._run(self.ground.server, sys.executable, "-c", ASK)
            return told.stdout == "time?\n"
        finally:
            netns.end(service)
            if service.stdout is not None:
                service.stdout.close()

    def _client(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return self._run(self.ground.client, sys.executable, "-m", "client", *arguments, said=said)

    def _run(self, place: netns.Interface, *command: str, said: str = "") -> subprocess.CompletedProcess[str]:
        process = place.namespace.exec(
            list(command),
            dies_with_parent=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"CLAWCHAT_HOME": str(self.ground.folder / "person")},
        )
        out, errors = process.communicate(said.encode(), timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, out.decode(), errors.decode())


@pytest.fixture
def host(ground: Ground, tmp_path: Path) -> Iterator[Host]:
    require("a firewall", missing("nft", "nftables"))
    home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    arguments = ("run", "--directory", str(home.configuration.parent), "--ip", IPV4.server, "--port", str(PORT))
    with (tmp_path / "server.log").open("wb") as log:
        server = ground.server.namespace.exec(
            [sys.executable, "-m", "server", *arguments], dies_with_parent=True, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not home.security_file("default").exists():
            assert server.poll() is None, (tmp_path / "server.log").read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Host(ground, home, server)
    finally:
        netns.end(server)


def test_without_a_firewall_the_port_stands_out(host: Host) -> None:
    dark = host.examine()
    assert dark["outcome"] == "fail"
    assert "neighbours" in dark["found"]
    assert "Hiding the port" in dark["action"]


def test_a_server_that_is_gone_is_told(host: Host) -> None:
    host.server.kill()  # so that its file stays
    host.server.wait()
    dark = host.examine()
    assert dark["outcome"] == "fail"
    assert "nothing listens" in dark["found"]


@pytest.mark.parametrize("name", ["silent", "closed"])
def test_with_a_recipe_of_nftables_it_does_not(host: Host, name: str) -> None:
    host.load(recipe(name))
    assert host.examine()["outcome"] == "pass"
    assert host.asks_and_is_answered()
    host.join()


def test_a_firewall_that_refuses_aloud_hides_nothing(host: Host) -> None:
    host.load(recipe("closed").replace("udp drop", "udp reject"))
    assert host.examine()["outcome"] == "fail"


def test_the_check_of_answers_notices_a_firewall_that_forgets_what_was_asked(host: Host) -> None:
    host.load(recipe("closed").replace("ct state established,related accept", ""))
    assert not host.asks_and_is_answered()


def test_with_ufw_it_does_not(host: Host) -> None:
    host.ufw(recipe("ufw"))
    assert host.examine()["outcome"] == "pass"
    assert host.asks_and_is_answered()
    host.join()


@pytest.mark.parametrize(("place", "outcome"), [("# End required lines", "pass"), ("# don't delete the", "fail")])
def test_with_one_line_of_ufw_in_its_right_place_it_does_not(host: Host, place: str, outcome: str) -> None:
    line = recipe("ufw rules").strip()
    host.ufw(f'sed -i "/^{place}/a {line}" /etc/ufw/before.rules; ufw default allow incoming; ufw --force enable')
    assert host.examine()["outcome"] == outcome
    host.join()

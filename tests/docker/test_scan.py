"""A scanner next to a server's container finds nothing, though it finds what answers."""

from __future__ import annotations

import json
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.backends.compose import engine
from lab.backends.compose.machine import ContainerMachine
from tests.darkness.scanners import PAYLOADS
from tests.docker.containers import HARDENED, SERVER_IMAGE, Lent, address_of, machines, run_in

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PORT = 51_820


@pytest.fixture
def network() -> Iterator[str]:
    made = engine.client().networks.create(f"clawtest-{secrets.token_hex(4)}", driver="bridge", internal=True)
    try:
        yield str(made.name)
    finally:
        made.remove()


def scanned(machine: ContainerMachine, address: str) -> dict[str, list[Any]]:
    asked = {"address": address, "port": PORT, "payloads": [payload.hex() for payload in PAYLOADS.values()]}
    with tempfile.TemporaryFile() as output:
        script = Path(__file__).with_name("scan.py").read_text()
        process = machine.start(["python3", "-c", script, json.dumps(asked)], output=output)
        try:
            code = process.wait(200.0)
        finally:
            process.end()
        output.seek(0)
        said = output.read()
    assert code == 0, said.decode()
    found: dict[str, list[Any]] = json.loads(said)
    return found


def test_nothing_is_open_and_no_byte_comes_back(network: str) -> None:
    container = engine.client().containers.run(
        SERVER_IMAGE,
        ["run", "--init", "--port", str(PORT)],
        detach=True,
        network=network,
        environment={"CLAWCHAT_NETWORKING_PORT_MAPPING": "false"},
        **HARDENED,
    )
    try:
        with machines(network, "scanner", "answering") as (scanner, answering):
            found = scanned(scanner.machine, address_of(container, network))
            assert found == {"tcp": [], "udp": []}
            status = json.loads(run_in(container, "clawchat-server", "status", "--json"))
            assert sum(status["drops"].values()) > 0, "the scan did not reach the server"
            _check_that_answers_are_found(scanner, answering)
    finally:
        container.remove(force=True, v=True)


def _check_that_answers_are_found(scanner: Lent, answering: Lent) -> None:
    """Scan a machine with one open TCP port and one UDP port that echoes."""
    with answering.machine.socket(socket.SOCK_STREAM) as listener, answering.machine.socket(socket.SOCK_DGRAM) as echo:
        listener.bind(("0.0.0.0", 8080))
        listener.listen(16)
        echo.bind(("0.0.0.0", PORT))
        echo.settimeout(0.2)
        over = threading.Event()

        def answer() -> None:
            while not over.is_set():
                try:
                    payload, source = echo.recvfrom(65_535)
                except TimeoutError:
                    continue
                echo.sendto(payload, source)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            found = scanned(scanner.machine, answering.address)
        finally:
            over.set()
            thread.join()
    assert found["tcp"] == [8080]
    assert {port for port, _ in found["udp"]} == {PORT}
    assert len(found["udp"]) >= len(PAYLOADS)

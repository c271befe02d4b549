"""What the tests of containers share: a server in one, and machines of the laboratory to look at it from."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import open_file
from clawchat.net import files
from lab.backends.compose import engine
from lab.backends.compose.document import PEER_IMAGE
from lab.backends.compose.machine import ContainerMachine, give

CHECKOUT: Final = Path(__file__).resolve().parents[2]
SERVER_IMAGE: Final = "clawchat-server:local"
HOME: Final = "/var/lib/clawchat"
UID: Final = 65_532

HARDENED: Final[dict[str, Any]] = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
"""As in compose.yaml, for containers that are started without it."""


def run_in(container: Any, *argv: str) -> bytes:  # noqa: ANN401 - what Docker's library gives for any container
    """Run a command in a container and return what it printed."""
    code, output = container.exec_run(list(argv))
    printed = bytes(output)
    assert code == 0, printed.decode()
    return printed


class ContainerServer:
    """The server of a compose project."""

    def __init__(self, project: str, scratch: Path) -> None:
        label = [f"com.docker.compose.project={project}", "com.docker.compose.service=server"]
        (self.container,) = engine.client().containers.list(all=True, filters={"label": label})
        self._scratch = scratch

    @property
    def attributes(self) -> dict[str, Any]:
        """Return what `docker inspect` says now."""
        self.container.reload()
        found: dict[str, Any] = self.container.attrs
        return found

    def healthy(self) -> bool:
        """Tell whether its own health check has succeeded."""
        state = self.attributes["State"]
        assert state["Running"], self.container.logs(tail=20).decode()
        return bool(state["Health"]["Status"] == "healthy")

    def run(self, *argv: str) -> str:
        """Run a command in the container, as an operator does."""
        return run_in(self.container, *argv).decode()

    def copied(self, name: str) -> Path:
        """Carry a file of its security directory out, as a person would."""
        file = self._scratch / f"{secrets.token_hex(4)}-{name}"
        files.write_private(file, run_in(self.container, "cat", f"{HOME}/security/{name}"))
        return file

    def credential(self, name: str = "default") -> Credential:
        """Open a security file as a client would."""
        sealed = self.copied(f"{name}.sec").read_bytes()
        return open_file(sealed, files.load_bootstrap(self.copied("bootstrap.key")))

    def started(self) -> list[dict[str, Any]]:
        """Return the log lines about starts, the last one last."""
        lines = self.container.logs().decode().splitlines()
        told = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in told if line["event"] == "started"]


class Lent(NamedTuple):
    """A machine, and its address."""

    machine: ContainerMachine
    address: str


@contextlib.contextmanager
def machines(network: str, *names: str) -> Iterator[list[Lent]]:
    """Lend machines of the laboratory in a network of Docker's."""
    folder = Path(tempfile.mkdtemp(prefix="clawtest-"))
    give(folder)
    user = f"{UID}:{UID}" if os.geteuid() == 0 else f"{os.geteuid()}:{os.getegid()}"
    running = []
    lent = []
    try:
        for name in names:
            running.append(
                engine.client().containers.run(
                    PEER_IMAGE,
                    [f"{folder}/{name}.sock"],
                    detach=True,
                    network=network,
                    user=user,
                    volumes=[f"{folder}:{folder}"],
                    **HARDENED,
                )
            )
            machine = ContainerMachine(name, folder / f"{name}.sock")
            lent.append(Lent(machine, address_of(running[-1], network)))
        yield lent
    finally:
        for each in lent:
            each.machine.close()
        for container in running:
            container.remove(force=True)
        shutil.rmtree(folder, ignore_errors=True)


def address_of(container: Any, network: str) -> str:  # noqa: ANN401 - what Docker's library gives for any container
    """Return the address of a container in a network."""
    container.reload()
    found: str = container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found

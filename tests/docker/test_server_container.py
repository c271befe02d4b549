"""A server as compose.yaml runs it: whole, narrow, and there again after a restart."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_docker.plugin import Services

from clawchat.services.chat import Joined
from lab.backends.compose import engine
from tests.docker.containers import CHECKOUT, HARDENED, SERVER_IMAGE, UID, ContainerServer
from tests.server.running import Client

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

STOP_SECONDS = 2.0
"""What stopping may take at most."""


async def _chat(server: ContainerServer, *names: str) -> None:
    """Let two people join with files of their own, and talk."""
    people = []
    try:
        for name in names:
            server.run("clawchat-server", "invite", "--name", name)
            people.append(await Client.join(server.credential(name), name))
            await people[-1].hears(lambda told: isinstance(told, Joined))
        first, second = people
        await first.says("is there anybody?")
        assert (await second.hears_text()).text == "is there anybody?"
        await second.says("there is")
        assert (await first.hears_text()).text == "there is"
    finally:
        for person in people:
            await person.leave()


def test_native_clients_connect_and_chat(server: ContainerServer) -> None:
    asyncio.run(_chat(server, "anna", "bob"))


def test_it_is_narrow(server: ContainerServer) -> None:
    found = server.attributes
    assert found["Config"]["User"] == f"{UID}:{UID}"
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert not found["HostConfig"]["CapAdd"]
    assert not found["HostConfig"]["Privileged"]
    assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
    assert not found["HostConfig"]["PortBindings"]
    assert found["Config"]["Entrypoint"] == ["clawchat-server"]
    assert found["Config"]["Labels"]["org.opencontainers.image.title"] == "ClawChat"
    status = dict(line.split(":\t", 1) for line in server.run("cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(UID)] * 4
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert "clawchat-server" in server.run("cat", "/proc/1/cmdline").replace("\0", " ")
    code, output = server.container.exec_run(["touch", "/opt/clawchat/here"])
    assert code != 0
    assert b"Read-only" in output


def test_a_restart_locks_nobody_out(server: ContainerServer, docker_services: Services, tmp_path: Path) -> None:
    """One client goes on sending to a server that is gone, and does not keep itself or others from the new one."""
    server.run("clawchat-server", "invite", "--name", "eve")
    file, key = server.copied("eve.sec"), server.copied("bootstrap.key")
    words = ["ping", str(file), "--key-file", str(key), "--json", "--interval", "0.1", "--count", "100000"]
    told = tmp_path / "told"
    before = server.started()[-1]
    with told.open("wb") as output:
        sending = subprocess.Popen(
            [sys.executable, "-m", "client", *words],
            cwd=CHECKOUT,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        try:
            docker_services.wait_until_responsive(lambda: '"pong"' in told.read_text(), timeout=30.0, pause=0.1)
            # Without a farewell, so that the client does not know.
            server.container.kill("SIGKILL")
            server.container.wait()
            server.container.start()
            docker_services.wait_until_responsive(
                lambda: len(server.started()) > 1 and server.healthy(), timeout=60.0, pause=0.2
            )
            assert sending.poll() is None, "the first client has given up too early to prove anything"
            assert server.started()[-1]["time"] > before["time"]
            asyncio.run(_chat(server, "carl", "dora"))
        finally:
            sending.kill()
            sending.wait()


def test_sigterm_as_the_first_process_ends_it_in_order() -> None:
    container = engine.client().containers.run(
        SERVER_IMAGE, ["run", "--init", "--ip", "127.0.0.1"], detach=True, **HARDENED
    )
    try:
        deadline = time.monotonic() + 30.0
        while b'"started"' not in container.logs():
            assert time.monotonic() < deadline, container.logs()
            time.sleep(0.1)
        told = time.monotonic()
        container.kill("SIGTERM")
        code = container.wait()["StatusCode"]
        assert time.monotonic() - told < STOP_SECONDS
        assert code == 0
        assert json.loads(container.logs().splitlines()[-1])["event"] == "stopped"
    finally:
        container.remove(force=True, v=True)


def test_a_passphrase_that_belongs_to_somebody_else_is_refused_with_the_exact_mend(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    file.chmod(0o644)

    def run() -> str:
        container = engine.client().containers.run(
            SERVER_IMAGE,
            ["run", "--init", "--ip", "127.0.0.1", "--passphrase-file", "/run/secrets/clawchat-passphrase"],
            detach=True,
            volumes=[f"{file}:/run/secrets/clawchat-passphrase:ro"],
            **HARDENED,
        )
        try:
            deadline = time.monotonic() + 30.0
            while b'"started"' not in container.logs() and container.status != "exited":
                assert time.monotonic() < deadline
                time.sleep(0.1)
                container.reload()
            text: str = container.logs().decode()
            return text
        finally:
            container.remove(force=True, v=True)

    told = run()
    assert "CC-FILE-OWNER" in told
    assert f"sudo chown {UID} /run/secrets/clawchat-passphrase" in told
    if os.geteuid() == 0:
        os.chown(file, UID, UID)
        assert "chmod 600 /run/secrets/clawchat-passphrase" in run()
        file.chmod(0o600)
        assert '"started"' in run()

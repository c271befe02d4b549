"""The images, built from this checkout, and a server as `compose.yaml` runs it."""

from __future__ import annotations

import os
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from pytest_docker.plugin import Services

from lab.backends.compose import engine
from lab.netns import NamespaceError
from tests.conftest import require
from tests.docker.containers import CHECKOUT, ContainerServer


def _missing() -> str | None:
    try:
        engine.client()
        engine.compose_command()
    except NamespaceError as error:
        return str(error)
    return None


@pytest.fixture(scope="session", autouse=True)
def images() -> None:
    """Build the images; what has not changed since the last time takes a second."""
    require("containers", _missing())
    for profile in ("server", "lab"):
        command = [*engine.compose_command(), "--file", str(CHECKOUT / "compose.yaml"), "--profile", profile, "build"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="session")
def docker_compose_command() -> str:
    return " ".join(engine.compose_command())


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(CHECKOUT / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"clawtest-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_setup(images: None) -> Iterator[list[str]]:  # noqa: ARG001 - the images have to be there
    # The tests stay on this machine, whose router is not asked for anything.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAWCHAT_SERVER_IP", "127.0.0.1")
        yield ["--profile server up --detach"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["--profile server down --volumes --timeout 2"]


@pytest.fixture
def server(docker_services: Services, docker_compose_project_name: str, tmp_path: pathlib.Path) -> ContainerServer:
    """Return the server of the profile, healthy."""
    found = ContainerServer(docker_compose_project_name, tmp_path)
    docker_services.wait_until_responsive(found.healthy, timeout=60.0, pause=0.2)
    return found

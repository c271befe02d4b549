"""The Docker daemon, the compose command, and what laboratories of dead processes have left behind."""

from __future__ import annotations

import contextlib
import functools
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from lab.backends.compose.document import GATEWAY_IMAGE, OWNER, PEER_IMAGE, SLOT, SLOTS
from lab.netns import NamespaceError

API_TIMEOUT: Final = 120
"""Seconds the daemon may take for one thing on a busy machine."""

HANDS: Final = 8
"""Things that the daemon is asked for at once."""

BUILD: Final = "docker compose --profile server build && docker compose --profile lab build"

T = TypeVar("T")


@functools.cache
def client() -> docker.DockerClient:
    """Return the daemon that DOCKER_HOST names, or this machine's. Raises NamespaceError."""
    try:
        found = docker.from_env(timeout=API_TIMEOUT)
        found.ping()
    except DockerException as error:
        raise NamespaceError(f"no Docker daemon answers: {error}") from error
    return found


@functools.cache
def compose_command() -> tuple[str, ...]:
    """Return the words that begin a compose command: Docker's own plugin, or the program of old."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(words[0]):
            done = subprocess.run([*words, "version"], capture_output=True, check=False)
            if done.returncode == 0:
                return words
    raise NamespaceError("neither `docker compose` nor `docker-compose` is there")


def missing() -> str | None:
    """Return what this machine lacks for laboratories of containers; None when nothing is."""
    try:
        daemon = client()
        compose_command()
    except NamespaceError as error:
        return str(error)
    for image in (GATEWAY_IMAGE, PEER_IMAGE):
        try:
            daemon.images.get(image)
        except ImageNotFound:
            return f"the image {image} (make it: {BUILD})"
    return None


def at_once(work: Callable[[T], object], items: Iterable[T]) -> None:
    """Do something with every item, several at a time."""
    with ThreadPoolExecutor(HANDS) as hands:
        list(hands.map(work, items))


def _labelled(label: str) -> tuple[list[Any], list[Any]]:
    daemon = client()
    containers = daemon.containers.list(all=True, filters={"label": label}, ignore_removed=True)
    return containers, daemon.networks.list(filters={"label": label})


def remove_all(containers: Sequence[Any], networks: Sequence[Any]) -> None:
    """Remove containers and then networks; what is gone already is left out."""

    def remove_container(one: Any) -> None:  # noqa: ANN401 - the library has no name for both
        # Another one may be removing it at this moment.
        with contextlib.suppress(NotFound, APIError):
            one.remove(force=True, v=True)

    def remove_network(one: Any) -> None:  # noqa: ANN401 - as above
        with contextlib.suppress(NotFound):
            one.remove()

    at_once(remove_container, containers)
    at_once(remove_network, networks)


def remove_project(project: str) -> None:
    """Remove all that one laboratory has made."""
    remove_all(*_labelled(f"com.docker.compose.project={project}"))


def remove_leftovers() -> list[str]:
    """Remove what belongs to laboratories whose process no longer runs; return the names."""
    found = [[one for one in some if not _alive(_label(one, OWNER))] for some in _labelled(OWNER)]
    remove_all(*found)
    return [str(one.name) for some in found for one in some]


def _alive(owner: str) -> bool:
    return Path("/proc", owner).exists()


def _label(one: Any, label: str) -> str:  # noqa: ANN401 - a container or a network
    labels = one.attrs.get("Labels") or one.attrs.get("Config", {}).get("Labels") or {}
    return str(labels.get(label, ""))


def free_slot() -> int:
    """Return a part of the transit addresses that no laboratory takes. Raises NamespaceError."""
    taken = {_label(network, SLOT) for network in client().networks.list(filters={"label": SLOT})}
    free = next((slot for slot in range(SLOTS) if str(slot) not in taken), None)
    if free is None:
        raise NamespaceError(f"{SLOTS} laboratories run already")
    return free

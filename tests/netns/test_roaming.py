"""The network changes in the middle of a transfer, and the session goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import pytest

from tests.netns.ground import IPV4, IPV6, Actor, Ground
from tests.netns.work import MIB

pytestmark = pytest.mark.netns

SIZE: Final = 192 * MIB
MARK: Final = 32 * MIB
"""The change happens after this much, so that most of the transfer comes behind it."""

OUTAGE: Final = 3.0
RESUMES_WITHIN: Final = 5.0
"""Seconds from the network's return to the next byte; the longest wait between two probes is two."""

RESUMES_AT_ONCE: Final = 1.0
"""The same where it was the network of one of the two machines, which that end notices."""

families = pytest.mark.parametrize("ground", [IPV4, IPV6], ids=["ipv4", "ipv6"], indirect=True)
ways = pytest.mark.parametrize("way", ["upload", "download"])


def begin(client: Actor, way: str) -> None:
    """Start a transfer and return when it is well under way."""
    client.tell(way, size=SIZE, mark=MARK)
    assert client.hear()["reached"] >= MARK


def finish(client: Actor) -> dict[str, float]:
    """Wait for the transfer's end; whatever happened, every byte is right."""
    moved = client.hear()
    assert (moved["size"], moved["sha256"]) == (SIZE, moved["expected"])
    return moved


def moves(server: Actor) -> list[tuple[float, str, str]]:
    """Return when and where to the session moved on the server's side, and why.

    An IPv6 host that has lost its address talks from its link-local one until it has another.
    """
    told = [(at, remote.rpartition(":")[0].strip("[]"), why) for at, remote, why in server.ask("facts")["moves"]]
    return [move for move in told if not move[1].startswith("fe80:")]


@families
@ways
def test_the_clients_address_changes(ground: Ground, figure: Callable[[str], None], way: str) -> None:
    server, client = ground.start_both()
    begin(client, way)
    at = time.monotonic()
    ground.move(ground.family.client, ground.family.neighbour)
    moved = finish(client)
    ((changed, remote, why),) = moves(server)
    assert (remote, why) == (ground.family.neighbour, "roamed")
    assert moved["pause"] < RESUMES_WITHIN
    changed_ms, pause_ms = (changed - at) * 1e3, moved["pause"] * 1e3
    figure(f"path changed {changed_ms:.0f} ms after the old address went, bytes paused for {pause_ms:.0f} ms")


@families
def test_the_client_goes_to_another_network_and_comes_back(ground: Ground, figure: Callable[[str], None]) -> None:
    home, abroad = ground.family.client, ground.family.elsewhere
    server, client = ground.start_both()
    begin(client, "download")
    ground.move(home, abroad)
    there = finish(client)
    begin(client, "upload")
    ground.move(abroad, home)
    back = finish(client)
    assert [remote for _, remote, _ in moves(server)] == [abroad, home]
    figure(f"bytes paused for {there['pause'] * 1e3:.0f} ms on the way there and {back['pause'] * 1e3:.0f} ms back")


@ways
@pytest.mark.parametrize("side", ["client", "server"])
def test_the_link_is_down_for_a_while(ground: Ground, figure: Callable[[str], None], way: str, side: str) -> None:
    server, client = ground.start_both()
    end = getattr(ground, side)
    begin(client, way)
    end.namespace.ip("link", "set", end.device, "down")
    time.sleep(OUTAGE)
    end.namespace.ip("link", "set", end.device, "up")
    ground.lead_everywhere(end)
    after = resumed(server, client)
    assert after < RESUMES_AT_ONCE
    figure(f"resumed {after * 1e3:.0f} ms after the link came back")


@ways
def test_the_way_between_is_cut_for_a_while(ground: Ground, figure: Callable[[str], None], way: str) -> None:
    server, client = ground.start_both()
    begin(client, way)
    ground.divert()
    time.sleep(OUTAGE)
    ground.divert(back=True)
    after = resumed(server, client)
    assert after < RESUMES_WITHIN
    figure(f"resumed {after * 1e3:.0f} ms after an outage that neither end could notice")


def resumed(server: Actor, client: Actor) -> float:
    """Wait for the end of a transfer that was held up; return how long after now it had gone on."""
    now = time.monotonic()
    moved = finish(client)
    assert moved["pause"] >= OUTAGE
    assert server.ask("facts")["sessions"] == 1
    return moved["resumed_at"] - now


@families
def test_a_peers_kernel_refuses_for_a_while(ground: Ground, figure: Callable[[str], None]) -> None:
    server, client = ground.start_both()
    begin(client, "upload")
    back = server.ask("hide", seconds=1.0)
    moved = finish(client)
    assert client.ask("facts")["path_errors"].get("ECONNREFUSED", 0) > 0
    figure(f"resumed {(moved['resumed_at'] - back['at']) * 1e3:.0f} ms after the socket was back")


def test_a_client_may_be_there_before_its_server(ground: Ground, figure: Callable[[str], None]) -> None:
    client = ground.start_client()
    client.tell("connect")
    time.sleep(1.0)
    ground.start_server()
    joined = client.hear()
    assert joined["path_errors"].get("ECONNREFUSED", 0) > 0
    assert client.ask("echo", text="at last")["answer"] == "at last"
    figure(f"joined after {joined['seconds']:.1f} s, refused {joined['path_errors']} before")

"""Bulk over a real cable while a stranger floods the server: every byte right, and not one for the stranger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import IPv4Interface

import pytest

from lab import netns
from lab.netns import Interface, Namespace
from tests.netns.ground import PORT, Ground
from tests.netns.work import MIB

pytestmark = [pytest.mark.netns, pytest.mark.slow]

JUNK_RATE = 20_000


@pytest.fixture
def stranger(ground: Ground) -> Iterator[Interface]:
    """Return a third machine, on a cable of its own to the server."""
    with Namespace.create("stranger") as namespace:
        door = Interface(ground.server.namespace, "wire1", (IPv4Interface("203.0.113.1/24"),))
        far = Interface(namespace, "wire0", (IPv4Interface("203.0.113.2/24"),))
        netns.veth(door, far)
        netns.wire(door, far)
        yield far


@pytest.mark.parametrize(("size", "flags"), [(1024 * MIB, ()), (128 * MIB, ("--no-offload",))], ids=["1GiB", "plain"])
def test_a_flood_of_junk_costs_no_byte_and_earns_none(
    ground: Ground, stranger: Interface, figure: Callable[[str], None], size: int, flags: tuple[str, ...]
) -> None:
    server, client = ground.start_both(*flags)
    client.ask("upload", size=MIB)
    real = str(ground.folder / "real")
    assert client.ask("save", file=real)["datagrams"] > 500
    junk = ground.start(stranger, "junk", "203.0.113.1", str(PORT), str(JUNK_RATE), real)

    junk.tell("flood")
    moved = client.ask("upload", size=size)
    flood = junk.ask("stop")
    facts = server.ask("facts")

    assert (moved["size"], moved["sha256"]) == (size, moved["expected"])
    assert flood["back"] == 0
    assert flood["rate"] > 0.8 * JUNK_RATE
    # It did arrive: the server refused it, or its kernel for it.
    assert sum(facts["drops"].values()) + facts["kernel_drops"] > 0.9 * flood["sent"]
    assert facts["drops"]["replay"] > 0
    assert facts["moves"] == []
    speed = size * 8 / moved["seconds"] / 1e9
    figure(
        f"{size // MIB} MiB at {speed:.2f} Gbit/s among {flood['rate']:.0f} junk packets/s; {flood['back']} bytes back"
    )

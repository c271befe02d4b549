"""Real sockets over loopback, with the kernel's offloads and without."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from clawchat.net.port_opening import open_port
from clawchat.net.sockets import RECEIVE_ROOM, Batch, UdpPort, capacity
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MAX_DATAGRAM, MIN_PACKET
from tests.net.fakes import datagrams

LOOPBACK = Address("127.0.0.1", 0)
LOOPBACK6 = Address("::1", 0)
ROOM = memoryview(bytearray(RECEIVE_ROOM))
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(params=[LOOPBACK, LOOPBACK6], ids=["ipv4", "ipv6"])
def host(request: pytest.FixtureRequest) -> Address:
    address: Address = request.param
    if address.is_ipv6 and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    return address


@pytest.fixture(params=[True, False], ids=["offload", "plain"])
def pair(request: pytest.FixtureRequest, host: Address) -> Iterator[tuple[UdpPort, UdpPort]]:
    ends = open_port(1, host, offload=request.param), open_port(2, host, offload=request.param)
    yield ends
    for port in ends:
        port.close()


def receive(port: UdpPort, count: int) -> list[tuple[bytes, int, Path]]:
    """Read until ``count`` datagrams are there."""
    got: list[tuple[bytes, int, Path]] = []
    while sum(-(-len(data) // size) for data, size, _ in got) < count:
        assert select.select([port], [], [], 5)[0], "nothing arrived"
        got += [(bytes(batch.data), batch.size, batch.path) for batch in port.receive(ROOM)]
    return got


def split(batches: list[tuple[bytes, int, Path]]) -> list[bytes]:
    return [data[i : i + size] for data, size, _ in batches for i in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("count", "size", "last"),
    [(1, 1200, 1200), (5, 1200, 1200), (5, 1200, 700), (64, 200, 200), (54, 1200, 48), (44, 1472, 1472), (300, 48, 48)],
)
def test_batches_arrive_whole(pair: tuple[UdpPort, UdpPort], count: int, size: int, last: int) -> None:
    sender, receiver = pair
    sent = [*datagrams(count - 1, size), os.urandom(last)]
    data = b"".join(sent)
    assert sender.send(data, size, receiver.address) == len(data)
    got = receive(receiver, count)
    assert split(got) == sent
    assert {path for *_, path in got} == {Path(2, sender.address)}
    assert all(len(data) <= capacity(size) for data, size, _ in got)


def test_a_memoryview_is_sent_like_bytes(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, receiver = pair
    sent = datagrams(3, 1200)
    view = memoryview(bytearray(b"".join(sent)))
    assert sender.send(view, 1200, receiver.address) == len(view)
    assert split(receive(receiver, 3)) == sent


def test_several_senders_never_share_a_batch(pair: tuple[UdpPort, UdpPort], host: Address) -> None:
    sender, receiver = pair
    other = open_port(3, host)
    try:
        for _ in range(3):
            sender.send(b"a" * 200, 100, receiver.address)
            other.send(b"b" * 200, 100, receiver.address)
        got = receive(receiver, 12)
    finally:
        other.close()
    for data, size, path in got:
        assert size == 100
        assert set(data) == ({ord("a")} if path.remote == sender.address else {ord("b")})


def test_a_short_time_to_live_still_reaches_this_machine(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, receiver = pair
    sent = datagrams(4, 100)
    assert sender.send(b"".join(sent), 100, receiver.address, ttl=3) == 400
    assert sender.send(sent[0], 100, receiver.address, 3) == 100
    assert split(receive(receiver, 5)) == [*sent, sent[0]]


@linux
@pytest.mark.parametrize("count", [1, 3])
def test_the_time_to_live_is_that_of_one_send(pair: tuple[UdpPort, UdpPort], host: Address, count: int) -> None:
    sender, _ = pair
    level, ask, told = (41, 51, 52) if host.is_ipv6 else (0, 12, 2)
    family = socket.AF_INET6 if host.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host.host, 0))
        sock.setsockopt(level, ask, 1)
        sock.settimeout(5)
        remote = Address(*sock.getsockname()[:2])
        sender.send(b"x" * 100 * count, 100, remote, 3)
        sender.send(b"y" * 100, 100, remote)
        seen = [sock.recvmsg(2000, 100)[1] for _ in range(count + 1)]
    hops = [int.from_bytes(data, sys.byteorder) for ((_, kind, data),) in seen if kind == told]
    assert hops == [3] * count + [sender.abilities.default_ttl.value]


@linux
@pytest.mark.parametrize("coalescing", [True, False])
def test_the_kernel_drops_impossible_lengths(coalescing: bool) -> None:  # noqa: FBT001 - a parameter of the test
    receiver = open_port(1, LOOPBACK, offload=coalescing)
    sender = open_port(2, LOOPBACK)
    assert receiver.abilities.filtered
    lengths = [0, 1, MIN_PACKET - 1, MIN_PACKET, 1000, MAX_DATAGRAM, MAX_DATAGRAM + 1, 9000]
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for length in lengths:
                sock.sendto(bytes(length), receiver.address)
        sender.send(bytes(6000), 1200, receiver.address)
        got = [len(each) for each in split(receive(receiver, 10 if coalescing else 8))]
        dropped = receiver.dropped()
    finally:
        receiver.close()
        sender.close()
    # coalesced datagrams are filtered as a whole, so long ones must pass
    possible = [MIN_PACKET, 1000, MAX_DATAGRAM] + ([MAX_DATAGRAM + 1, 9000] if coalescing else [])
    assert got == possible + [1200] * 5
    assert dropped == len(lengths) - len(possible)


@linux
def test_an_unreachable_port_is_told_with_who_said_so(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, receiver = pair
    gone, reached = receiver.address, open_port(9, sender.address._replace(port=0))
    receiver.close()
    try:
        sender.send(b"x" * 100, 100, gone)
        assert select.select([sender], [], [], 5)[0]
        # the pending error belongs to the first datagram and must not cost the second one
        assert sender.send(b"y" * 100, 100, reached.address) == 100
        assert split(receive(reached, 1)) == [b"y" * 100]
        assert sender.receive(ROOM) == []
        ((path, name, offender),) = sender.reports
    finally:
        reached.close()
    assert (path, name, offender) == (Path(1, gone), "ECONNREFUSED", gone.host)
    assert not sender.broken


@linux
def test_pending_errors_cost_no_batch(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, receiver = pair
    with socket.socket(socket.AF_INET6 if sender.address.is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((sender.address.host, 0))
        gone = Address(*sock.getsockname()[:2])
    sent = datagrams(5, 1200)
    for _ in range(3):
        sender.send(b"x" * 100, 100, gone)
        select.select([sender], [], [], 5)
        assert sender.send(b"".join(sent), 1200, receiver.address) == 6000
    assert split(receive(receiver, 15)) == sent * 3
    assert {report.name for report in sender.reports} == {"ECONNREFUSED"}


@linux
def test_a_datagram_too_large_for_the_interface_is_reported() -> None:
    port = open_port(1, LOOPBACK)
    too_large = bytes(65_507 + 1)
    try:
        assert port.send(too_large, len(too_large), Address("127.0.0.1", 9)) == len(too_large)
        assert {report.name for report in port.reports} == {"EMSGSIZE"}
    finally:
        port.close()


def test_the_other_ip_version_is_reported_not_looked_up(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, _ = pair
    other = LOOPBACK if sender.address.is_ipv6 else LOOPBACK6
    assert sender.send(b"x" * 100, 100, other._replace(port=9)) == 100
    assert [report.name for report in sender.reports] == ["EAFNOSUPPORT"]


def test_what_is_granted_is_told(pair: tuple[UdpPort, UdpPort], request: pytest.FixtureRequest) -> None:
    port, _ = pair
    assert port.abilities.send_buffer >= 64 << 10
    assert port.abilities.receive_buffer >= 64 << 10
    if "plain" in request.node.name:
        assert not port.abilities.segmentation
        assert not port.abilities.coalescing
    assert port.segmenting is port.abilities.segmentation


def test_a_random_port_is_one_of_the_dynamic_ones() -> None:
    numbers = set()
    for _ in range(4):
        port = open_port(1, LOOPBACK)
        numbers.add(port.address.port)
        port.close()
    assert len(numbers) > 1
    assert all(49152 <= number < 65536 for number in numbers)


def test_a_busy_port_says_so_in_a_persons_words(host: Address) -> None:
    port = open_port(1, host)
    try:
        with pytest.raises(PersonalError, match=r"can't open UDP port .*in use") as caught:
            open_port(2, port.address)
    finally:
        port.close()
    assert caught.value.code == "CC-PORT-BUSY"


def test_somebody_elses_address_says_so() -> None:
    with pytest.raises(PersonalError) as caught:
        open_port(1, Address("203.0.113.123", 0))
    assert caught.value.code == "CC-ADDRESS"


def test_reading_is_bounded_and_misses_nothing(pair: tuple[UdpPort, UdpPort]) -> None:
    sender, receiver = pair
    sent = datagrams(500, 100)
    for each in sent:
        sender.send(each, 100, receiver.address)
    wake_ups: list[list[Batch]] = []
    got: list[bytes] = []
    end = time.monotonic() + 5
    while len(got) < len(sent) and time.monotonic() < end:
        batches = receiver.receive(ROOM)
        wake_ups.append(batches)
        got += split([(bytes(data), size, path) for data, size, path in batches])
    assert got == sent
    assert len(wake_ups) >= 500 / 64

"""What a port does when a system says no: Linux without offloads, Windows, macOS."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.net.error_queue import TTL_EXPIRED, PathError
from clawchat.net.socket_errors import System
from clawchat.net.socket_options import (
    BUFFER_BYTES,
    SO_RCVBUFFORCE,
    Option,
    ask_buffer,
    ask_coalescing,
    ask_filter,
    ask_segmentation,
)
from clawchat.net.sockets import MAX_FAILED_READS, MAX_READS, OFFLOAD_PATIENCE, RECEIVE_ROOM, Abilities, capacity
from clawchat.values.address import Address, Path
from tests.net.fakes import FULL, OFFLOAD, OTHER, PEER, PLAIN, FakeSocket, datagrams, failure, port_on

EPERM, EIO, EINVAL, EMSGSIZE, ENETUNREACH, ENOBUFS, ECONNREFUSED = 1, 5, 22, 90, 101, 105, 111
ROOM = memoryview(bytearray(RECEIVE_ROOM))

# --- out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [EIO, EINVAL, EMSGSIZE])
def test_a_refused_segmented_send_goes_out_segment_by_segment(code: int) -> None:
    sock = FakeSocket()
    sock.offload_refusals.append(failure(code))
    sent = datagrams(5, 1200)
    assert port_on(sock, OFFLOAD).send(b"".join(sent), 1200, PEER) == 6000
    assert sock.datagrams() == sent
    assert [name for name, _ in sock.calls] == ["sendto"] * 5


def test_only_the_refused_part_is_sent_singly() -> None:
    sock = FakeSocket()
    sock.offload_refusals += [None, failure(EIO)]
    sent = datagrams(150, 1000)
    assert port_on(sock, OFFLOAD).send(b"".join(sent), 1000, PEER) == 150_000
    assert sock.datagrams() == sent
    assert [name for name, _ in sock.calls] == ["sendmsg"] + ["sendto"] * 64 + ["sendmsg"]


def test_a_port_that_is_always_refused_stops_asking() -> None:
    sock = FakeSocket()
    port = port_on(sock, OFFLOAD)
    for _ in range(OFFLOAD_PATIENCE):
        assert port.segmenting
        sock.offload_refusals.append(failure(EIO))
        port.send(bytes(3000), 1000, PEER)
    assert not port.segmenting
    port.send(bytes(3000), 1000, PEER)
    assert {name for name, _ in sock.calls} == {"sendto"}


def test_one_success_restores_the_patience() -> None:
    sock = FakeSocket()
    port = port_on(sock, OFFLOAD)
    for _ in range(OFFLOAD_PATIENCE):
        sock.offload_refusals.append(failure(EIO))
        port.send(bytes(3000), 1000, PEER)
        port.send(bytes(3000), 1000, PEER)
    assert port.segmenting


def test_a_size_too_large_for_the_path_says_nothing_about_the_offload() -> None:
    sock = FakeSocket()
    port = port_on(sock, OFFLOAD)
    for _ in range(2 * OFFLOAD_PATIENCE):
        sock.offload_refusals.append(failure(EMSGSIZE))
        sock.refusals.append(failure(EMSGSIZE))
        assert port.send(bytes(3000), 1000, PEER) == 3000
    assert port.segmenting
    assert set(port.reports) == {PathError(Path(0, PEER), "EMSGSIZE")}


@given(
    lengths=st.lists(st.integers(1, 200_000), max_size=4),
    size=st.integers(48, 1472),
    refusals=st.lists(st.sampled_from([None, FULL, failure(ENOBUFS)]), max_size=30),
    offload_refusals=st.lists(st.sampled_from([None, FULL, failure(EIO), failure(EINVAL)]), max_size=10),
    offload=st.booleans(),
)
def test_whatever_is_refused_nothing_is_lost_or_sent_twice(
    lengths: list[int],
    size: int,
    refusals: list[OSError | None],
    offload_refusals: list[OSError | None],
    *,
    offload: bool,
) -> None:
    sock = FakeSocket()
    sock.refusals += refusals
    sock.offload_refusals += offload_refusals
    port = port_on(sock, OFFLOAD if offload else PLAIN)
    expected: list[bytes] = []
    for number, length in enumerate(lengths):
        data = random.Random(number).randbytes(length)
        expected += [data[i : i + size] for i in range(0, len(data), size)]
        rest = memoryview(data)
        while rest:
            rest = rest[port.send(rest, size, PEER) :]
    assert sock.datagrams() == expected
    assert not port.reports


def test_what_a_full_socket_does_not_take_is_left_to_the_caller() -> None:
    sock = FakeSocket()
    sock.refusals += [None, None, FULL]
    sent = datagrams(5, 100)
    port = port_on(sock)
    assert port.send(b"".join(sent), 100, PEER) == 200
    assert port.pause == 0
    assert sock.datagrams() == sent[:2]


@pytest.mark.parametrize(("system", "code"), [(System.LINUX, ENOBUFS), (System.BSD, 55), (System.WINDOWS, 10055)])
def test_a_full_interface_queue_asks_for_a_pause(system: System, code: int) -> None:
    sock = FakeSocket()
    sock.refusals += [None, failure(code)]
    port = port_on(sock, system=system)
    assert port.send(bytes(300), 100, PEER) == 100
    assert port.pause > 0
    assert not port.reports


def test_macos_loses_a_socket_with_its_network() -> None:
    sock = FakeSocket()
    sock.refusals += [failure(EPERM), failure(EPERM)]
    port = port_on(sock, system=System.BSD)
    assert port.send(bytes(100), 100, PEER) == 0
    assert port.broken


def test_linux_says_eperm_when_its_firewall_refuses() -> None:
    sock = FakeSocket()
    sock.refusals += [failure(EPERM), failure(EPERM)]
    port = port_on(sock)
    assert port.send(bytes(100), 100, PEER) == 100
    assert port.reports == [PathError(Path(0, PEER), "EPERM")]
    assert not port.broken


@pytest.mark.parametrize(("system", "code"), [(System.LINUX, ENETUNREACH), (System.BSD, 51), (System.WINDOWS, 10051)])
def test_a_lost_network_is_told_by_one_name_on_every_system(system: System, code: int) -> None:
    sock = FakeSocket()
    sock.refusals += [failure(code)] * 2
    port = port_on(sock, system=system)
    assert port.send(bytes(500), 100, PEER) == 500
    assert port.reports == [PathError(Path(0, PEER), "ENETUNREACH")]
    assert not sock.sent


def test_windows_tells_an_earlier_datagrams_icmp_and_the_rest_goes_on() -> None:
    sock = FakeSocket()
    sock.refusals += [failure(10054)]
    port = port_on(sock, system=System.WINDOWS)
    assert port.send(bytes(300), 100, PEER) == 300
    assert len(sock.sent) == 2
    assert not port.reports


@pytest.mark.parametrize("system", [System.BSD, System.WINDOWS])
def test_without_a_control_message_the_ttl_is_set_and_restored(system: System) -> None:
    sock = FakeSocket()
    port = port_on(sock, system=system)
    assert port.send(bytes(100), 100, PEER, 4) == 100
    level, name, default = PLAIN.default_ttl
    assert sock.calls == [
        ("setsockopt", (level, name, 4)),
        ("sendto", 100),
        ("setsockopt", (level, name, default)),
    ]


def test_the_ttl_is_restored_when_the_send_fails() -> None:
    sock = FakeSocket()
    sock.refusals.append(failure(51))
    port = port_on(sock, system=System.BSD)
    port.send(bytes(100), 100, PEER, 4)
    assert sock.calls[-1] == ("setsockopt", PLAIN.default_ttl)


# --- in --------------------------------------------------------------------------------------------


def received(
    sock: FakeSocket, abilities: Abilities = PLAIN, *, system: System = System.LINUX
) -> list[tuple[bytes, int, Address]]:
    port = port_on(sock, abilities, system=system)
    got = []
    while sock.arriving:
        got += [(bytes(data), size, path.remote) for data, size, path in port.receive(ROOM)]
    return got


def read_at_once(arrivals: list[tuple[bytes, Address]]) -> list[tuple[int, int, Address]]:
    """Read through a port that was busy before, so that it reads on."""
    sock = FakeSocket()
    port = port_on(sock)
    for _ in range(MAX_READS - 1):
        sock.arrive(bytes(50), OTHER)
    while sock.arriving:
        port.receive(ROOM)
    for data, source in arrivals:
        sock.arrive(data, source)
    return [(len(data), size, path.remote) for data, size, path in port.receive(ROOM)]


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([100, 100, 100], [(300, 100)]),
        ([100, 100, 60], [(260, 100)]),
        ([100, 60, 100], [(160, 100), (100, 100)]),
        ([60, 100, 100], [(60, 60), (200, 100)]),
        ([100, 60, 60], [(160, 100), (60, 60)]),
        ([100, 0, 100], [(100, 100), (100, 100)]),
    ],
)
def test_a_shorter_datagram_ends_a_batch(sizes: list[int], batches: list[tuple[int, int]]) -> None:
    got = read_at_once([(bytes(size), PEER) for size in sizes])
    assert [(length, size) for length, size, _ in got] == batches


def test_another_sender_ends_a_batch() -> None:
    got = read_at_once([(bytes(100), PEER), (bytes(100), OTHER), (bytes(100), PEER)])
    assert got == [(100, 100, PEER), (100, 100, OTHER), (100, 100, PEER)]


def test_no_batch_is_larger_than_its_opener() -> None:
    sock = FakeSocket()
    sock.arrive(bytes(200 * 300), size=200)
    got = received(sock, OFFLOAD)
    assert [len(data) for data, *_ in got] == [capacity(200)] * 4 + [60_000 - 4 * capacity(200)]


@given(
    arrivals=st.lists(
        st.tuples(
            st.sampled_from([PEER, OTHER]),
            st.integers(1, 9),
            st.sampled_from([48, 100, 1200, 1472]),
            st.integers(0, 48),
        ),
        max_size=40,
    )
)
def test_coalesced_or_not_the_same_datagrams_arrive(arrivals: list[tuple[Address, int, int, int]]) -> None:
    expected: list[tuple[bytes, Address]] = []
    plain, coalesced = FakeSocket(), FakeSocket()
    for number, (source, count, size, tail) in enumerate(arrivals):
        parts = [random.Random(number).randbytes(size) for _ in range(count)]
        if tail:
            parts.append(bytes(tail))
        for part in parts:
            plain.arrive(part, source)
        coalesced.arrive(b"".join(parts), source, size if len(parts) > 1 else None)
        expected += [(part, source) for part in parts]
    for got in (received(plain), received(coalesced, OFFLOAD)):
        assert [
            (data[i : i + size], source) for data, size, source in got for i in range(0, len(data), size)
        ] == expected


@pytest.mark.parametrize(
    ("system", "code"),
    [(System.WINDOWS, 10054), (System.WINDOWS, 10052), (System.WINDOWS, 10040), (System.LINUX, ECONNREFUSED)],
)
def test_icmp_errors_on_receive_are_swallowed(system: System, code: int) -> None:
    sock = FakeSocket()
    sock.arriving.append(failure(code))
    sock.arrive(b"x" * 100)
    assert received(sock, system=system) == [(b"x" * 100, 100, PEER)]


def test_windows_sockets_have_no_control_messages_and_need_none() -> None:
    class WindowsSocket(FakeSocket):
        recvmsg: Any = None
        recvmsg_into: Any = None
        sendmsg: Any = None

    sock = WindowsSocket()
    sock.arrive(b"x" * 100)
    sock.arrive(b"y" * 100)
    assert received(sock, system=System.WINDOWS) == [(b"x" * 100, 100, PEER), (b"y" * 100, 100, PEER)]
    port = port_on(sock, system=System.WINDOWS)
    assert port.send(bytes(300), 100, PEER, 4) == 300
    assert len(sock.sent) == 3


def test_a_socket_that_only_fails_is_given_up() -> None:
    sock = FakeSocket()
    port = port_on(sock, system=System.WINDOWS)
    sock.arriving += [failure(10050)] * (MAX_FAILED_READS + 1)
    while sock.arriving and not port.broken:
        assert port.receive(ROOM) == []
    assert port.broken


def test_a_flood_of_senders_is_not_remembered() -> None:
    sock = FakeSocket()
    port = port_on(sock)
    for number in range(5000):
        sock.arrive(bytes(50), Address("198.51.100.1", 1024 + number))
    got = 0
    while batches := port.receive(ROOM):
        got += len(batches)
    assert got == 5000
    assert len(port._paths) <= 1024  # noqa: SLF001 - the bound is the contract


def test_a_quiet_port_reads_once_and_a_busy_one_up_to_its_limit() -> None:
    sock = FakeSocket()
    port = port_on(sock)
    counts = []
    for _ in range(1000):
        sock.arrive(bytes(50))
    for _ in range(10):
        before = len(sock.arriving)
        port.receive(ROOM)
        counts.append(before - len(sock.arriving))
    assert counts == [1, 2, 4, 8, 16, 32, 64, 64, 64, 64]


# --- what ICMP says --------------------------------------------------------------------------------


def complaint(code: int, origin: int, kind: int, offender: str = "198.51.100.9") -> tuple[int, int, bytes]:
    error = struct.pack("=IBBBBII", code, origin, kind, 0, 0, 0, 0)
    sockaddr = struct.pack("=HH4s8x", 2, 0, bytes(int(part) for part in offender.split(".")))
    return 0, 11, error + sockaddr


@pytest.mark.parametrize(
    ("control", "told"),
    [
        (complaint(ECONNREFUSED, 2, 3), PathError(Path(0, PEER), "ECONNREFUSED", "198.51.100.9")),
        (complaint(113, 2, 11), PathError(Path(0, PEER), TTL_EXPIRED, "198.51.100.9")),
        (complaint(EMSGSIZE, 2, 3), PathError(Path(0, PEER), "EMSGSIZE", "198.51.100.9")),
        (complaint(113, 2, 3, "0.0.0.0"), PathError(Path(0, PEER), "EHOSTUNREACH", "")),
    ],
)
def test_icmp_is_told_with_path_and_offender(control: tuple[int, int, bytes], told: PathError) -> None:
    sock = FakeSocket()
    sock.complaints.append((b"", [control], PEER))
    port = port_on(sock, PLAIN._replace(error_queue=True))
    assert port.receive(ROOM) == []
    assert port.reports == [told]


@pytest.mark.parametrize("control", [complaint(EMSGSIZE, 1, 0), (0, 11, b"short"), (1, 2, bytes(40))])
def test_what_is_not_icmp_is_not_told(control: tuple[int, int, bytes]) -> None:
    sock = FakeSocket()
    sock.complaints.append((b"", [control], PEER))
    port = port_on(sock, PLAIN._replace(error_queue=True))
    assert port.receive(ROOM) == []
    assert port.reports == []


# --- options ---------------------------------------------------------------------------------------


class FakeOptions:
    """A socket that grants buffers up to a limit, and no other option."""

    def __init__(self, limit: int, *, force: bool = False) -> None:
        self.limit = limit
        self.force = force
        self.value = 8192

    def setsockopt(self, _level: int, name: int, value: int | bytes, /) -> None:
        assert isinstance(value, int)
        if name == SO_RCVBUFFORCE and self.force:
            self.value = value
            return
        if name == SO_RCVBUFFORCE or value > self.limit:
            raise failure(ENOBUFS)
        self.value = value

    def getsockopt(self, _level: int, _name: int, /) -> int:
        return self.value


def test_a_bsd_is_asked_for_less_until_it_grants_it() -> None:
    assert ask_buffer(FakeOptions(1 << 20), 8, SO_RCVBUFFORCE, system=System.BSD) == 1 << 20


def test_who_may_force_buffers_does() -> None:
    sock = FakeOptions(0, force=True)
    ask_buffer(sock, 8, SO_RCVBUFFORCE, system=System.LINUX)
    assert sock.value == BUFFER_BYTES


def test_a_system_that_grants_nothing_is_believed() -> None:
    assert ask_buffer(FakeOptions(0), 8, SO_RCVBUFFORCE, system=System.WINDOWS) == 8192


@pytest.mark.parametrize("system", [System.BSD, System.WINDOWS])
def test_elsewhere_there_are_no_offloads_and_no_filter(system: System) -> None:
    sock = FakeOptions(1 << 30)
    assert not ask_segmentation(sock, system=system)
    assert not ask_coalescing(sock, system=system)
    assert not ask_filter(sock, coalesced=False, system=system)


def test_a_kernel_that_knows_no_offload_does_without() -> None:
    class Old:
        def setsockopt(self, _level: int, _name: int, _value: int | bytes, /) -> None:
            raise failure(92)

        def getsockopt(self, _level: int, _name: int, /) -> int:
            raise failure(92)

    assert not ask_segmentation(Old(), system=System.LINUX)
    assert not ask_coalescing(Old(), system=System.LINUX)
    assert not ask_filter(Old(), coalesced=True, system=System.LINUX)
    assert Option(1, 2, 3).value == 3

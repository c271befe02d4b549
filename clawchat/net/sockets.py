"""One UDP socket: batches in, batches out, with the kernel's offloads or without, on every system.

With offloads the kernel hands over up to 64 KiB of one sender's datagrams at once (UDP_GRO) and takes as
much in one call (UDP_SEGMENT). Without them datagrams are received one behind the other into the same
buffer and sent one by one. Both ways the caller meets the same batches.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Final, NamedTuple

from clawchat.net import error_queue
from clawchat.net.error_queue import PathError
from clawchat.net.socket_errors import OFFLOAD_REFUSALS, Operation, System, Verdict, classify, error_name
from clawchat.net.socket_options import FAMILIES, SO_MEMINFO, SOL_UDP, SYSTEM, UDP_SEGMENT, Option
from clawchat.net.socket_surface import UdpSocket
from clawchat.values.address import Address, Path
from clawchat.values.limits import MAX_BATCH_BYTES, MAX_SEGMENTS

RECEIVE_ROOM: Final = 256 << 10
"""The buffer ``receive`` wants: four full reads of coalesced datagrams, a few hundred microseconds of work."""

READ_BYTES: Final = 64 << 10
"""The room one read of coalesced datagrams needs: more than any UDP payload."""

SLOT_BYTES: Final = 2048
"""The room one read of a single datagram needs: more than the longest we accept, so a longer one is seen as such."""

MAX_READS: Final = 64
"""How many reads one wake-up makes at most, so that timers and other ports stay alive."""

MAX_PATHS: Final = 1024
"""How many senders a port remembers the path of; a flood from more only costs the making of them."""

MAX_FAILED_READS: Final = 100
"""A socket that failed this often in a row and read nothing is of no more use."""

MAX_RESENDS: Final = 3
"""How often a send that met another datagram's ICMP error is tried again."""

OFFLOAD_PATIENCE: Final = 16
"""After this many segmented sends in a row were refused, the port stops trying them."""

FULL_QUEUE_PAUSE: Final = 0.002
"""A full interface queue has room again after about this many seconds; sockets don't tell when."""

_CONTROL_BYTES: Final = 64
_segment_size = struct.Struct("=H")
_native_int = struct.Struct("=i")


class Batch(NamedTuple):
    """Datagrams of ``size`` bytes each from one sender, the last perhaps shorter; valid until the next read."""

    data: memoryview
    size: int
    path: Path


class Abilities(NamedTuple):
    """What the system granted a socket."""

    send_buffer: int
    receive_buffer: int
    segmentation: bool
    coalescing: bool
    filtered: bool
    unfragmented: bool
    error_queue: bool
    default_ttl: Option


def capacity(size: int) -> int:
    """Return how many bytes of datagrams of one size make a full batch."""
    return min(MAX_SEGMENTS, MAX_BATCH_BYTES // size) * size or size


class UdpPort:
    """A bound, non-blocking UDP socket under the handle the endpoint knows it by."""

    __slots__ = (
        "_budget",
        "_controls",
        "_failed_reads",
        "_ipv6",
        "_paths",
        "_refusals",
        "_segmentation",
        "_socket",
        "_system",
        "abilities",
        "address",
        "broken",
        "handle",
        "pause",
        "reports",
    )

    def __init__(
        self, sock: UdpSocket, handle: int, address: Address, abilities: Abilities, *, system: System = SYSTEM
    ) -> None:
        self._socket = sock
        self._system = system
        self._ipv6 = address.is_ipv6
        self._segmentation = abilities.segmentation
        self._paths: dict[object, Path] = {}
        self._controls: dict[int, list[tuple[int, int, bytes]]] = {}
        self._budget = 1
        self._failed_reads = 0
        self._refusals = 0
        self.handle = handle
        self.address = address
        self.abilities = abilities
        self.broken = False
        """Only a new socket helps."""
        self.pause = 0.0
        """Why the last send stopped short: seconds until it is worth trying again, 0 if the socket will tell."""
        self.reports: list[PathError] = []
        """Errors of paths, for the caller to take."""

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    @property
    def segmenting(self) -> bool:
        """Tell whether batches are still sent in one call."""
        return self._segmentation

    def dropped(self) -> int | None:
        """Return how many datagrams the kernel dropped at this socket, by filter or lack of room; None if untold."""
        if self._system is not System.LINUX:
            return None
        try:
            counters = self._socket.getsockopt(1, SO_MEMINFO, 64)
        except OSError:
            return None
        return int.from_bytes(counters[32:36], sys.byteorder)

    # --- in ----------------------------------------------------------------------------------------

    def receive(self, room: memoryview) -> list[Batch]:
        """Read what has arrived into ``room``, at most ``MAX_READS`` reads of it.

        A port that was quiet reads once only, since another read would most likely find nothing; the more
        each wake-up finds, the more the next one reads.
        """
        batches: list[Batch] = []
        coalescing = self.abilities.coalescing
        sock = self._socket
        start = at = size = limit = reads = 0
        sender: object = None
        budget = self._budget
        last = len(room) - (READ_BYTES if coalescing else SLOT_BYTES)
        while reads < budget and at <= last:
            try:
                if coalescing:
                    count, controls, _, source = sock.recvmsg_into((room[at:],), _CONTROL_BYTES)
                    each = _native_int.unpack(controls[0][2])[0] if controls else count
                else:
                    count, source = sock.recvfrom_into(room[at:], SLOT_BYTES)
                    each = count
            except BlockingIOError:
                self._budget = max(1, reads)
                if not reads and self.abilities.error_queue:
                    self._read_errors()
                break
            except OSError as error:
                if not self._survive(error):
                    break
                reads += 1
                continue
            reads += 1
            if each == size and source == sender and at + count <= limit:
                at += count
            elif each < size and source == sender and count == each and at + count <= limit:
                # a shorter last one
                at += count
                limit = 0
            else:
                if at > start:
                    self._add(batches, room[start:at], size, sender)
                start, size, sender = at, each, source
                at += count
                limit = start + capacity(each) if each else 0
            if each and count % each:
                limit = 0
        else:
            self._budget = min(2 * budget, MAX_READS)
        if at > start:
            self._add(batches, room[start:at], size, sender)
            self._failed_reads = 0
        return batches

    def _add(self, batches: list[Batch], data: memoryview, size: int, sender: Any) -> None:  # noqa: ANN401 - what socket calls an address
        path = self._paths.get(sender) or self._learn(sender)
        if len(data) <= size or len(data) <= (full := capacity(size)):
            batches.append(Batch(data, size, path))
        else:
            batches.extend(Batch(data[i : i + full], size, path) for i in range(0, len(data), full))

    def _learn(self, sender: Any) -> Path:  # noqa: ANN401 - what socket calls an address
        if len(self._paths) >= MAX_PATHS:
            self._paths.clear()
        host, number = sender[:2]
        path = Path(self.handle, Address.make(host, number) if self._ipv6 else Address(host, number))
        self._paths[sender] = path
        return path

    def _survive(self, error: OSError) -> bool:
        """Tell whether reading may go on after an error."""
        if self.abilities.error_queue:
            self._read_errors()
        self._failed_reads += 1
        name = error_name(self._system, error.errno)
        verdict = classify(self._system, Operation.RECEIVE, name)
        self.broken |= verdict is Verdict.REBIND or self._failed_reads > MAX_FAILED_READS
        return not self.broken

    def _read_errors(self) -> bool:
        """Take what ICMP said into ``reports``; tell whether it said anything."""
        reports = error_queue.drain(self._socket, self.handle, ipv6=self._ipv6)
        self.reports += reports
        return bool(reports)

    # --- out ---------------------------------------------------------------------------------------

    def send(self, data: bytes | memoryview, size: int, remote: Address, ttl: int | None = None) -> int:
        """Send ``data`` as datagrams of ``size`` bytes; return how many bytes the caller is rid of.

        Less than all of them means the rest must wait: for the socket to become writable, for ``pause``
        seconds, or, if ``broken``, for a new socket. Paths that refuse are told in ``reports``.
        """
        total = len(data)
        if self._ipv6 is not (":" in remote.host):
            self.reports.append(PathError(Path(self.handle, remote), "EAFNOSUPPORT"))
            return total
        if total <= size and ttl is None:
            try:
                return self._socket.sendto(data, remote)
            except OSError:
                """Look below what to do; trying again tells whether the error was about this datagram."""
        full = capacity(size)
        at = singly_until = resends = 0
        while at < total:
            segmented = self._segmentation and total - at > size and at >= singly_until
            end = min(at + (full if segmented else size), total)
            chunk = data if end - at == total else data[at:end]
            try:
                if segmented:
                    self._socket.sendmsg((chunk,), self._control(size, ttl), 0, remote)
                    self._refusals = 0
                elif ttl is None:
                    self._socket.sendto(chunk, remote)
                else:
                    self._send_with_ttl(chunk, remote, ttl)
            except BlockingIOError:
                self.pause = 0.0
                return at
            except OSError as error:
                name = error_name(self._system, error.errno)
                # an ICMP message about some earlier datagram makes the next call fail, whomever it is for
                if resends < MAX_RESENDS and self.abilities.error_queue and self._read_errors():
                    resends += 1
                    continue
                if segmented and name in OFFLOAD_REFUSALS:
                    self._refused(name)
                    singly_until = end
                    continue
                verdict = self._judge(name, remote)
                if verdict is not Verdict.IGNORE:
                    return total if verdict is Verdict.REPORT else at
            at = end
        return total

    def _refused(self, name: str) -> None:
        """Count a refused segmented send; a size too large for the path says nothing about the offload."""
        self._refusals += name != "EMSGSIZE"
        if self._refusals >= OFFLOAD_PATIENCE:
            self._segmentation = False

    def _judge(self, name: str, remote: Address) -> Verdict:
        """Take note of a failed send; return what to do about it."""
        verdict = classify(self._system, Operation.SEND, name)
        if verdict is Verdict.RETRY:
            self.pause = FULL_QUEUE_PAUSE
        elif verdict is Verdict.REBIND:
            self.broken = True
        elif verdict is Verdict.REPORT:
            self.reports.append(PathError(Path(self.handle, remote), name))
        return verdict

    def _control(self, size: int, ttl: int | None) -> list[tuple[int, int, bytes]]:
        control = self._controls.get(size)
        if control is None:
            control = self._controls[size] = [(SOL_UDP, UDP_SEGMENT, _segment_size.pack(size))]
        hop_limit = FAMILIES[self._system][self._ipv6].hop_limit
        if ttl is None or hop_limit is None:
            return control
        return [*control, (*hop_limit, _native_int.pack(ttl))]

    def _send_with_ttl(self, chunk: bytes | memoryview, remote: Address, ttl: int) -> None:
        hop_limit = FAMILIES[self._system][self._ipv6].hop_limit
        if hop_limit is not None:
            self._socket.sendmsg((chunk,), [(*hop_limit, _native_int.pack(ttl))], 0, remote)
            return
        level, name, default = self.abilities.default_ttl
        self._socket.setsockopt(level, name, ttl)
        try:
            self._socket.sendto(chunk, remote)
        finally:
            self._socket.setsockopt(level, name, default)

"""Network namespaces, the veth cables between them, and how those cables treat big packets."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

NAME_PREFIX: Final = "claw"
"""Every namespace is called PREFIX-PID-LABEL, so that two runs never collide and leftovers name their dead owner."""

NAME_PATTERN: Final = re.compile(rf"{NAME_PREFIX}-(?P<pid>\d+)-[A-Za-z0-9_-]+")
LABEL_PATTERN: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")

DEFAULT_MTU: Final = 1500
"""Bytes of the largest IP packet of an Ethernet cable."""

CLONE_NEWNET: Final = 0x40000000
"""The kind of namespace that setns enters (linux/sched.h)."""

END_GRACE: Final = 2.0
"""Seconds a process may take to obey SIGTERM before it gets SIGKILL."""

COMMAND_TIMEOUT: Final = 20.0
"""Seconds after which a set-up command that should take milliseconds counts as hung."""


class NamespaceError(RuntimeError):
    """A command that sets up or removes a namespace failed; the text names the command and its own words."""


def _run(argv: Sequence[str], text: str = "") -> str:
    """Run a command to its end with this text as its standard input, and return what it printed."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, input=text, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NamespaceError(f"{' '.join(argv)}: {error}") from error
    if done.returncode != 0:
        raise NamespaceError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip() or f'exit {done.returncode}'}")
    return done.stdout


def end(process: subprocess.Popen[bytes], *, grace: float = END_GRACE) -> None:
    """End a process that Namespace.exec started, with its whole process group, and reap it."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, None)):
        # Once the leader is reaped its number may be somebody else's, so the group is signalled only before that.
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter(descriptor: int) -> None:
    """Move the calling thread into a network namespace (os.setns came with Python 3.12)."""
    if _libc().setns(descriptor, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise NamespaceError(f"setns: {os.strerror(number)}")


@contextlib.contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Move the calling thread into the network namespace of a file for a while. Raises OSError and NamespaceError."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(namespace, os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


@dataclass(slots=True)
class Namespace:
    """One network namespace: a machine of its own as far as addresses, routes and ports go."""

    name: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    """What exec started here; delete ends those that still run."""

    @classmethod
    def create(cls, label: str, *, up: bool = True) -> Self:
        """Make a namespace with its loopback up, unless asked otherwise.

        The label is 1 to 32 letters, digits, dashes or underscores; the full name carries this process's id.
        """
        if not LABEL_PATTERN.fullmatch(label):
            raise ValueError(f"a namespace label is 1-32 letters, digits, - or _: {label!r}")
        made = cls(f"{NAME_PREFIX}-{os.getpid()}-{label}")
        _run(["ip", "netns", "add", made.name])
        try:
            if up:
                made.ip("link", "set", "lo", "up")
        except BaseException:
            made.delete()
            raise
        return made

    def ip(self, *arguments: str) -> str:
        """Run one `ip` command inside the namespace and return what it printed."""
        return _run(["ip", "-n", self.name, *arguments])

    def ip_batch(self, commands: Sequence[str]) -> None:
        """Run many `ip` commands inside the namespace, which costs no more than one."""
        if commands:
            _run(["ip", "-n", self.name, "-batch", "-"], "\n".join(commands))

    def run(self, *argv: str, text: str = "") -> str:
        """Run one short command inside the namespace to its end and return what it printed.

        It reads `text` as its standard input.
        """
        return _run(["ip", "netns", "exec", self.name, *argv], text)

    @property
    def path(self) -> Path:
        """Name the file that stands for the namespace."""
        return Path("/run/netns", self.name)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace for a while.

        Sockets and devices made meanwhile belong to the namespace for good, and /proc/sys/net shows its settings.
        """
        with inside(self.path):
            yield

    def sysctl(self, **settings: int) -> None:
        """Change settings of the namespace, by their names below net with two underscores for a dot.

        A setting that this kernel does not have is left out.
        """
        with self.entered():
            for name, value in settings.items():
                with contextlib.suppress(FileNotFoundError):
                    Path("/proc/sys/net", *name.split("__")).write_text(str(value), "ascii")

    def exec(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        dies_with_parent: bool = False,
        **options: Any,  # noqa: ANN401 - whatever Popen takes: cwd, stdin, stdout, stderr
    ) -> subprocess.Popen[bytes]:
        """Start a program inside the namespace, leader of its own session and process group.

        `env` is added to this process's environment. With `dies_with_parent` the kernel kills the program when the
        calling *thread* ends, so ask for that only from a thread that outlives it. Other options go to Popen.
        """
        leash = ["setpriv", "--pdeathsig", "KILL"] if dies_with_parent and shutil.which("setpriv") else []
        # `ip netns exec` and setpriv both become the program, so the process id is the program's own.
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *leash, *argv],
            env={**os.environ, **(env or {})},
            start_new_session=True,
            **{"stdin": subprocess.DEVNULL, **options},
        )
        self.processes.append(process)
        return process

    def end_processes(self) -> None:
        """End every program that exec started here and that still runs."""
        while self.processes:
            end(self.processes.pop())

    def delete(self) -> None:
        """End the programs started here and remove the namespace with its devices; do nothing if it is gone."""
        self.end_processes()
        if self.name in _names():
            _run(["ip", "netns", "delete", self.name])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.delete()


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a cable: a device (at most 15 characters) inside a namespace, with the addresses it answers to."""

    namespace: Namespace
    device: str
    addresses: tuple[IPv4Interface | IPv6Interface, ...] = ()

    def offloads(self, **settings: bool) -> None:
        """Switch offloads on or off, by ethtool's names with underscores for dashes."""
        words = [word for name, on in settings.items() for word in (name.replace("_", "-"), "on" if on else "off")]
        self.namespace.run("ethtool", "-K", self.device, *words)


def veth(near: Interface, far: Interface, *, mtu: int = DEFAULT_MTU) -> None:
    """Lay a cable between two namespaces and bring both ends up with their addresses; the MTU is in bytes.

    Either namespace's deletion removes the cable.
    """
    one, other = ((interface.device, "mtu", str(mtu), "netns", interface.namespace.name) for interface in (near, far))
    _run(["ip", "link", "add", *one, "type", "veth", "peer", "name", *other])
    for interface in (near, far):
        for address in interface.addresses:
            # Duplicate address detection would hold an IPv6 address back for a second on a cable we own.
            extra = ["nodad"] if isinstance(address, IPv6Interface) else []
            interface.namespace.ip("address", "add", str(address), "dev", interface.device, *extra)
        interface.namespace.ip("link", "set", interface.device, "up")


def veths(cables: Sequence[tuple[tuple[Namespace, str], tuple[Namespace, str]]]) -> None:
    """Lay many cables at once, each between two devices; both ends stay down and have no addresses."""
    commands = [
        f"link add {near} netns {one.name} type veth peer name {far} netns {other.name}"
        for (one, near), (other, far) in cables
    ]
    if commands:
        _run(["ip", "-batch", "-"], "\n".join(commands))


def wire(*interfaces: Interface) -> None:
    """Make a cable carry every datagram alone, as a real one does; name both of its ends.

    Segmentation happens in software before the cable and GRO gathers behind it.
    """
    for interface in interfaces:
        interface.offloads(tso=False, tx_udp_segmentation=False)
    # veth accepts GRO only towards an end whose peer does not segment, so it comes after both.
    for interface in interfaces:
        interface.offloads(gro=True)


def passthrough(*interfaces: Interface) -> None:
    """Make a cable hand whole 64 KiB super-packets across, as veth does by default; name both of its ends."""
    for interface in interfaces:
        interface.offloads(gro=False, tso=True, tx_udp_segmentation=True)


def delete_all(namespaces: Sequence[Namespace]) -> None:
    """End what runs in the namespaces and remove them all at once; those that are gone already are left out."""
    for namespace in namespaces:
        namespace.end_processes()
    there = set(_names())
    commands = [f"netns delete {namespace.name}" for namespace in namespaces if namespace.name in there]
    if commands:
        _run(["ip", "-batch", "-"], "\n".join(commands))


def _names() -> list[str]:
    return [line.split()[0] for line in _run(["ip", "netns", "list"]).splitlines() if line.strip()]


def remove_leftovers(*, end_programs: bool = False) -> list[str]:
    """Remove our namespaces whose owner no longer runs and in which nothing runs; return their names.

    With `end_programs` what still runs in such a namespace is killed first.
    """
    removed = []
    for name in _names():
        match = NAME_PATTERN.fullmatch(name)
        if not match or Path("/proc", match["pid"]).exists():
            continue
        # Another run may be removing the same leftover at this moment.
        with contextlib.suppress(NamespaceError):
            running = _run(["ip", "netns", "pids", name]).split()
            if running and not end_programs:
                continue
            for process_id in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(process_id), signal.SIGKILL)
            _run(["ip", "netns", "delete", name])
            removed.append(name)
    return removed


@functools.cache
def available() -> str | None:
    """Return None when namespaces and cables can be made here, else the name of the missing feature."""
    if sys.platform != "linux":
        return "Linux"
    for program, package in (("ip", "iproute2"), ("ethtool", "ethtool")):
        if not shutil.which(program):
            return f"the program {program} (package {package})"
    try:
        with pair("probe") as (near, far):
            wire(near, far)
    except NamespaceError as error:
        return f"the right to make network namespaces and veth cables ({error})"
    return None


@contextlib.contextmanager
def pair(
    label: str,
    addresses: tuple[str, str] = ("198.51.100.1/24", "198.51.100.2/24"),
    *,
    mtu: int = DEFAULT_MTU,
) -> Iterator[tuple[Interface, Interface]]:
    """Lend two namespaces joined by one cable, and remove them afterwards whatever happened."""
    with Namespace.create(f"{label}-a") as one, Namespace.create(f"{label}-b") as other:
        near = Interface(one, "wire0", (_interface(addresses[0]),))
        far = Interface(other, "wire0", (_interface(addresses[1]),))
        veth(near, far, mtu=mtu)
        yield near, far


def _interface(text: str) -> IPv4Interface | IPv6Interface:
    return IPv6Interface(text) if ":" in text else IPv4Interface(text)

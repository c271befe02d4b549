"""Where a measurement happens: two namespaces, one cable, a folder for keys and logs, and the programs on it."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
import ipaddress
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import netns

CHECKOUT: Final = Path(__file__).resolve().parents[2]
"""The folder from which `lab` can be imported; programs start there."""

SERVER_ADDRESS: Final = "198.51.100.1"
CLIENT_ADDRESS: Final = "198.51.100.2"
INNER_SERVER_ADDRESS: Final = "203.0.113.1"
INNER_CLIENT_ADDRESS: Final = "203.0.113.2"
"""The two ends as seen through a tunnel."""

PORT: Final = 4433
"""Every server listens here; the namespaces are ours alone."""

READY_TIMEOUT: Final = 20.0
"""Seconds a program may take until it is ready; importing on a busy machine takes a few."""

MAX_LAST_WORDS: Final = 200
"""Characters of a program's last line that an error repeats."""

CLOCK_TICK: Final = os.sysconf("SC_CLK_TCK") if sys.platform == "linux" else 100


class Setup(enum.StrEnum):
    """How the cable treats big packets."""

    WIRE = "wire"
    PASS = "pass"  # noqa: S105 - no password: the cable passes super-packets


class PeerFailedError(Exception):
    """A peer could not be measured; the text says why in one line."""


def cpu_seconds(process_ids: Iterable[int]) -> float:
    """Return the processor seconds, user and system of all threads, that running programs have used so far."""
    ticks = 0
    for process_id in process_ids:
        after_name = Path("/proc", str(process_id), "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / CLOCK_TICK


class Program:
    """One program of a peer, with its log and, for programs of ours, its lines of JSON."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, title: str, cast: list[Program]) -> None:
        self.process = process
        self._log = log
        self._title = title
        self._cast = cast
        self._unread = b""

    def last_words(self) -> str:
        """Return the last line of the log, with the program's name; empty if it holds nothing."""
        lines = self._log.read_text("utf-8", "replace").strip().splitlines()
        return f"{self._title}: {lines[-1].strip()[:MAX_LAST_WORDS]}" if lines else ""

    def failure(self, what: str) -> PeerFailedError:
        """Return the error that says what this program did, and what all programs of its peer said last.

        A program often fails because its other end did.
        """
        said = " | ".join(filter(None, (program.last_words() for program in self._cast)))
        return PeerFailedError(f"{self._title} {what}" + (f" ({said})" if said else ""))

    def line(self, timeout: float) -> bytes:
        """Wait so many seconds at most for the next line and return it without its end."""
        deadline = time.monotonic() + timeout
        output = self.process.stdout
        if output is None:
            raise ValueError(f"{self._title} was started without a pipe")
        while b"\n" not in self._unread:
            readable, _, _ = select.select([output], [], [], max(deadline - time.monotonic(), 0))
            if not readable:
                raise self.failure(f"said nothing for {timeout:g} s")
            data = os.read(output.fileno(), 1 << 16)
            if not data:
                raise self.failure("ended early")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def hear(self, timeout: float) -> dict[str, Any]:
        """Wait so many seconds at most for the next line and return the JSON object it is."""
        heard: dict[str, Any] = json.loads(self.line(timeout))
        return heard

    def ask(self, command: str, timeout: float) -> dict[str, Any]:
        """Give a client one command and wait for its answer."""
        if self.process.stdin is None:
            raise ValueError(f"{self._title} was started without a pipe")
        try:
            self.process.stdin.write(command.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise self.failure("ended early") from error
        return self.hear(timeout)


@dataclass(slots=True)
class Stage:
    """The place on which one peer at a time is measured."""

    setup: Setup
    folder: Path
    server: netns.Interface
    client: netns.Interface
    pinned: bool = False
    """Each end has one core of its own; otherwise the system places the programs as it likes."""
    cast: list[Program] = field(default_factory=list)
    """The programs of the peer at hand."""

    @property
    def certificate(self) -> Path:
        """The server's self-signed certificate, for those peers that need one."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """The private key of that certificate."""
        return self.folder / "key.pem"

    def start(self, end: netns.Interface, *argv: str, title: str | None = None) -> Program:
        """Start a program at one end of the cable, standard error into a log."""
        title = title or argv[0]
        log = self.folder / f"{end.namespace.name}-{title}.log"
        with log.open("wb") as errors:
            process = end.namespace.exec(
                [*self._pin(end), *argv],
                dies_with_parent=True,
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
            )
        program = Program(process, log, title, self.cast)
        self.cast.append(program)
        return program

    def _pin(self, end: netns.Interface) -> list[str]:
        cores = sorted(os.sched_getaffinity(0))
        return ["taskset", "-c", str(cores[0] if end is self.server else cores[-1])] if self.pinned else []

    def start_end(self, end: netns.Interface, module: str, *arguments: str) -> Program:
        """Start one of our own end programs (a module of `lab.bench.ends`) and wait until it is ready."""
        title = f"{module}-{'server' if end is self.server else 'client'}"
        program = self.start(end, sys.executable, "-m", f"lab.bench.ends.{module}", *arguments, title=title)
        program.hear(READY_TIMEOUT)
        return program

    def process_ids(self) -> list[int]:
        """Return the ids of all programs that were started at either end for the peer at hand."""
        return [process.pid for end in (self.server, self.client) for process in end.namespace.processes]

    def clear(self) -> None:
        """End every program at both ends, as between two peers."""
        for end in (self.client, self.server):
            for process in end.namespace.processes:
                for pipe in (process.stdin, process.stdout):
                    if pipe:
                        pipe.close()
            end.namespace.end_processes()
        self.cast.clear()


def make_certificate(certificate: Path, key: Path, address: str) -> None:
    """Write a self-signed P-256 certificate for an IP address, valid for a day, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bench")])
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@contextlib.contextmanager
def open_stage(setup: Setup, *, pinned: bool = False) -> Iterator[Stage]:
    """Build the place, lend it, and leave nothing of it behind."""
    netns.remove_leftovers()
    folder = Path(tempfile.mkdtemp(prefix="clawchat-bench-"))
    try:
        with netns.pair("bench", (f"{SERVER_ADDRESS}/24", f"{CLIENT_ADDRESS}/24")) as (server, client):
            (netns.wire if setup is Setup.WIRE else netns.passthrough)(server, client)
            stage = Stage(setup, folder, server, client, pinned)
            make_certificate(stage.certificate, stage.key, SERVER_ADDRESS)
            yield stage
    finally:
        shutil.rmtree(folder, ignore_errors=True)

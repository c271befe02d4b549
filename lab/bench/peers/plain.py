"""The peers without a tunnel of their own: bare sockets, iperf3, TLS, and the two QUIC libraries."""

from __future__ import annotations

import platform
import ssl

from lab.bench.figures import Sample
from lab.bench.peers.base import (
    LISTEN,
    PATIENCE,
    Peer,
    Plan,
    measure_ends,
    measure_iperf,
    missing_package,
    missing_programs,
    package_version,
    program_version,
)
from lab.bench.stage import SERVER_ADDRESS, Stage

IPERF_DATAGRAM = "1200"
"""Bytes of an iperf3 datagram: what every peer here can carry whole."""


class UdpEcho(Peer):
    """The floor of every round trip on asyncio's selector loop."""

    name = "udp-echo"
    what = "bare UDP echo, asyncio selector loop"

    def version(self) -> str:
        """Return Python's version."""
        return platform.python_version()

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Take round trips only: nothing here orders, paces or repeats a flow."""
        stage.start_end(stage.server, "udp", "server", *LISTEN)
        trips = stage.start_end(stage.client, "udp", "client", *LISTEN).ask(f"echo {plan.echoes}", PATIENCE)
        return Sample(rtt_p50_us=trips["rtt_p50_us"], rtt_p99_us=trips["rtt_p99_us"])


class Tcp(Peer):
    """The kernel's TCP, unencrypted."""

    name = "tcp"
    what = "plain TCP: iperf3, blocking Python echo"

    def missing(self) -> str | None:
        """Ask for iperf3."""
        return missing_programs("iperf3")

    def version(self) -> str | None:
        """Return iperf3's version."""
        return program_version("iperf3", "--version")

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Move bytes with iperf3 and messages with our own ends."""
        goodput, cpu = measure_iperf(stage, plan, SERVER_ADDRESS)
        stage.start_end(stage.server, "tcp", "server", *LISTEN)
        trips = measure_ends(stage, plan, stage.start_end(stage.client, "tcp", "client", *LISTEN), bulk=False)
        return Sample(goodput, cpu, trips.rtt_p50_us, trips.rtt_p99_us, trips.setup_ms)


class Udp(Peer):
    """UDP as fast as one system call a datagram goes, unencrypted and unreliable."""

    name = "udp"
    what = f"plain UDP: iperf3, {IPERF_DATAGRAM}-byte datagrams, what arrived"

    def missing(self) -> str | None:
        """Ask for iperf3."""
        return missing_programs("iperf3")

    def version(self) -> str | None:
        """Return iperf3's version."""
        return program_version("iperf3", "--version")

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Send without limit and count what arrived."""
        return Sample(*measure_iperf(stage, plan, SERVER_ADDRESS, "-u", "-b", "0", "-l", IPERF_DATAGRAM))


class Tls(Peer):
    """What a person gets from the standard library when a port is open."""

    name = "tls"
    what = "TLS over TCP: stdlib ssl, blocking"

    def version(self) -> str:
        """Return OpenSSL's version."""
        return ssl.OPENSSL_VERSION.split()[1]

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Take every figure."""
        own = ("--certificate", str(stage.certificate))
        stage.start_end(stage.server, "tcp", "server", *LISTEN, *own, "--key", str(stage.key))
        return measure_ends(stage, plan, stage.start_end(stage.client, "tcp", "client", *LISTEN, *own))


class Quic(Peer):
    """One of the two Python QUIC libraries, one stream."""

    def __init__(self, library: str, what: str) -> None:
        self.name = library
        self.what = what

    def missing(self) -> str | None:
        """Ask for the library."""
        return missing_package(self.name)

    def version(self) -> str | None:
        """Return the library's version."""
        return package_version(self.name)

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Take every figure."""
        own = ("--certificate", str(stage.certificate))
        stage.start_end(stage.server, "quic", self.name, "server", *LISTEN, *own, "--key", str(stage.key))
        return measure_ends(stage, plan, stage.start_end(stage.client, "quic", self.name, "client", *LISTEN, *own))

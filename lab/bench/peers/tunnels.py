"""The tunnels: a daemon at each end makes a network device, and ordinary TCP runs through it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from abc import abstractmethod
from pathlib import Path
from typing import Final

from lab.bench.figures import Sample
from lab.bench.peers.base import (
    PATIENCE,
    Peer,
    Plan,
    measure_iperf,
    missing_programs,
    program_version,
)
from lab.bench.stage import (
    CLIENT_ADDRESS,
    INNER_CLIENT_ADDRESS,
    INNER_SERVER_ADDRESS,
    PORT,
    READY_TIMEOUT,
    SERVER_ADDRESS,
    PeerFailedError,
    Program,
    Stage,
)
from lab.netns import Interface

TUN: Final = Path("/dev/net/tun")
PREFIX: Final = 24
TUNNEL_PORT: Final = "4242"
WIREGUARD_MTU: Final = "1420"
"""Bytes; what wg-quick would choose on a 1500-byte cable."""


def _command(*argv: str, text: str | None = None) -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=READY_TIMEOUT, check=False)
    if done.returncode != 0:
        raise PeerFailedError(f"{' '.join(argv[:2])}: {done.stderr.strip()}")
    return done.stdout.strip()


class Tunnel(Peer):
    """A pair of daemons; what runs through them is the same for all."""

    programs: tuple[str, ...]

    def missing(self) -> str | None:
        """Ask for the programs and for TUN devices."""
        return missing_programs(*self.programs, "iperf3") or (None if TUN.exists() else f"no {TUN}")

    @abstractmethod
    def raise_tunnel(self, stage: Stage) -> None:
        """Start both daemons and return when both devices are up, before any packet went through."""

    def measure(self, stage: Stage, plan: Plan) -> Sample:
        """Take set-up from the first connection through the fresh tunnel, then round trips, then the flow."""
        self.raise_tunnel(stage)
        listen = (INNER_SERVER_ADDRESS, str(PORT))
        stage.start_end(stage.server, "tcp", "server", *listen)
        client = stage.start_end(stage.client, "tcp", "client", *listen)
        setup = client.ask("setup 1", PATIENCE)["setup_ms"]
        trips = client.ask(f"echo {plan.echoes}", PATIENCE)
        goodput, cpu = measure_iperf(stage, plan, INNER_SERVER_ADDRESS)
        return Sample(goodput, cpu, trips["rtt_p50_us"], trips["rtt_p99_us"], setup)

    def wait_for_device(self, end: Interface, device: str, daemon: Program) -> None:
        """Wait until a daemon has made its device."""
        deadline = time.monotonic() + READY_TIMEOUT
        while device not in end.namespace.ip("-o", "link"):
            if daemon.process.poll() is not None or time.monotonic() > deadline:
                raise daemon.failure(f"made no device {device}")
            time.sleep(0.02)


class Nebula(Tunnel):
    """Nebula with a certificate authority of its own and each end told where the other is."""

    name = "nebula"
    what = "nebula over TUN: iperf3, blocking TCP echo through it"
    programs = ("nebula", "nebula-cert")
    device = "nebula1"

    def version(self) -> str | None:
        """Return nebula's version."""
        return program_version("nebula", "-version")

    def prepare(self, stage: Stage) -> None:
        """Make the authority, two certificates and two configurations."""
        folder = stage.folder
        authority = (str(folder / "ca.crt"), str(folder / "ca.key"))
        _command("nebula-cert", "ca", "-name", "bench", "-out-crt", authority[0], "-out-key", authority[1])
        ends = {"server": (SERVER_ADDRESS, INNER_SERVER_ADDRESS), "client": (CLIENT_ADDRESS, INNER_CLIENT_ADDRESS)}
        for name, (_, inner) in ends.items():
            crt, key = (str(folder / f"nebula-{name}.{kind}") for kind in ("crt", "key"))
            _command(
                *("nebula-cert", "sign", "-ca-crt", authority[0], "-ca-key", authority[1], "-name", name),
                *("-ip", f"{inner}/{PREFIX}", "-out-crt", crt, "-out-key", key),
            )
            outer_of_other, inner_of_other = ends["client" if name == "server" else "server"]
            configuration = {
                "pki": {"ca": authority[0], "cert": crt, "key": key},
                "static_host_map": {inner_of_other: [f"{outer_of_other}:{TUNNEL_PORT}"]},
                "lighthouse": {"am_lighthouse": False, "hosts": []},
                "listen": {"host": "0.0.0.0", "port": int(TUNNEL_PORT)},  # noqa: S104 - inside our own namespace
                "tun": {"dev": self.device},
                "logging": {"level": "warning"},
                "firewall": {way: [{"port": "any", "proto": "any", "host": "any"}] for way in ("inbound", "outbound")},
            }
            # JSON is YAML too, and nebula reads YAML.
            (folder / f"nebula-{name}.yaml").write_text(json.dumps(configuration))

    def raise_tunnel(self, stage: Stage) -> None:
        """Start a daemon at each end."""
        for name, end in (("server", stage.server), ("client", stage.client)):
            daemon = stage.start(end, "nebula", "-config", str(stage.folder / f"nebula-{name}.yaml"))
            self.wait_for_device(end, self.device, daemon)
            deadline = time.monotonic() + READY_TIMEOUT
            while "inet " not in end.namespace.ip("-o", "address", "show", "dev", self.device, "up"):
                if time.monotonic() > deadline:
                    raise daemon.failure("did not bring its device up")
                time.sleep(0.02)


class WireguardGo(Tunnel):
    """WireGuard in user space, as on systems whose kernel has none."""

    name = "wireguard-go"
    what = "wireguard-go over TUN: iperf3, blocking TCP echo through it"
    programs = ("wireguard-go", "wg")

    def version(self) -> str | None:
        """Return wireguard-go's version."""
        return program_version("wireguard-go", "--version")

    def prepare(self, stage: Stage) -> None:
        """Make both key pairs."""
        for name in ("server", "client"):
            private = _command("wg", "genkey")
            key_file = stage.folder / f"wireguard-{name}.key"
            key_file.touch(mode=0o600)
            key_file.write_text(private)
            (stage.folder / f"wireguard-{name}.pub").write_text(_command("wg", "pubkey", text=private))

    def raise_tunnel(self, stage: Stage) -> None:
        """Start a daemon at each end and give it its keys, its address and its peer."""
        ends = {
            "server": (stage.server, SERVER_ADDRESS, INNER_SERVER_ADDRESS),
            "client": (stage.client, CLIENT_ADDRESS, INNER_CLIENT_ADDRESS),
        }
        for name, (end, _, inner) in ends.items():
            # The control socket is found by the device's name in a folder that all namespaces share.
            device = f"cb{os.getpid()}{name[0]}"
            daemon = stage.start(end, "wireguard-go", "--foreground", device)
            self.wait_for_device(end, device, daemon)
            other = "client" if name == "server" else "server"
            _, outer_of_other, inner_of_other = ends[other]
            end.namespace.run(
                *("wg", "set", device, "listen-port", TUNNEL_PORT),
                *("private-key", str(stage.folder / f"wireguard-{name}.key")),
                *("peer", (stage.folder / f"wireguard-{other}.pub").read_text()),
                *("allowed-ips", f"{inner_of_other}/32", "endpoint", f"{outer_of_other}:{TUNNEL_PORT}"),
            )
            end.namespace.ip("address", "add", f"{inner}/{PREFIX}", "dev", device)
            end.namespace.ip("link", "set", device, "mtu", WIREGUARD_MTU, "up")

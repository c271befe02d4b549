"""A home as many have one: a machine behind a router, a provider behind that, and the internet with a STUN server."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from pathlib import Path
from typing import IO, Any, Final

from clawchat.nat.stun import encode_request
from lab import netns
from lab.netns import Interface, Namespace

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 20.0

# miniupnpd maps nothing behind an address of documentation, so this internet has ordinary ones; it leads nowhere.
INSIDE, ROUTER, OUTSIDE = "192.168.7.2", "192.168.7.1", "11.22.33.2"
PROVIDER, SERVER, SERVER_TOO = "11.22.33.1", "11.22.44.1", "11.22.44.2"
STUN_PORT: Final = 3478

PRESERVING: Final = 'oifname "wan" masquerade'
REMAPPING: Final = f'oifname "wan" meta l4proto udp snat ip to {OUTSIDE}:20000-29999'
RANDOM: Final = 'oifname "wan" masquerade random,fully-random'
_COUNTED: Final = ", ".join(f"{count} : {40_000 + count}" for count in range(512))
COUNTING: Final = f'oifname "wan" meta l4proto udp snat ip to {OUTSIDE} : numgen inc mod 512 map {{ {_COUNTED} }}'
"""How the router chooses ports, as nftables says it."""

ROUTER_RULES: Final = """\
table inet filter {{
    map cone {{ type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 300s; size 1024; }}
    chain input {{
        type filter hook input priority 0; policy accept;
        iifname "wan" ct state established,related accept
        iifname "wan" drop
    }}
    chain forward {{
        type filter hook forward priority 0; policy drop;
        jump miniupnpd
        {remember}
        iifname "lan" accept
        ct state established,related accept
        {admit}
    }}
    chain prerouting {{
        type nat hook prerouting priority -100; policy accept;
        jump prerouting_miniupnpd
        {redirect}
    }}
    chain postrouting {{
        type nat hook postrouting priority 100; policy accept;
        jump postrouting_miniupnpd
        {translate}
    }}
    chain miniupnpd {{ }}
    chain prerouting_miniupnpd {{ }}
    chain postrouting_miniupnpd {{ }}
}}
"""
PROVIDER_RULES: Final = """\
table ip nat {
    chain out {
        type nat hook postrouting priority 100; policy accept;
        oifname "world" masquerade
    }
}
"""
CONE: Final = {
    "remember": 'iifname "lan" meta l4proto udp update @cone { udp sport timeout 300s : ip saddr . udp sport }',
    "admit": "meta l4proto udp ct status dnat accept",
    "redirect": 'iifname "wan" meta l4proto udp dnat ip to udp dport map @cone',
}
"""What makes a router let everybody in to a port that has sent something."""

MINIUPNPD: Final = """\
ext_ifname=wan
listening_ip=lan
enable_natpmp={datagrams}
enable_upnp={http}
force_igd_desc_v1={first_version}
secure_mode=yes
upnp_table_name=filter
upnp_nat_table_name=filter
upnp_forward_chain=miniupnpd
upnp_nat_chain=prerouting_miniupnpd
upnp_nat_postrouting_chain=postrouting_miniupnpd
uuid=5b2ef2c4-8d3e-4d53-9d0e-6d6e6f746865
min_lifetime=120
max_lifetime=86400
allow 1024-65535 192.168.7.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def missing(program: str, package: str) -> str | None:
    """Name a program that this machine lacks."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return None if shutil.which(program, path=path) else f"the program {program} (package {package})"


class Talker:
    """A program in a namespace that says JSON, a line each."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.said = process.stdout
        self.logged = process.stderr

    def hear(self) -> dict[str, Any]:
        """Wait for the next line of its standard output."""
        return self._read(self.said)

    def hear_of(self, event: str) -> dict[str, Any]:
        """Wait for a line of its log."""
        while (heard := self._read(self.logged))["event"] != event:
            pass
        return heard

    def close(self) -> None:
        """Listen no more."""
        self.said.close()
        self.logged.close()

    def _read(self, stream: IO[bytes]) -> dict[str, Any]:
        line = stream.readline()
        assert line, f"the program ended: {self.logged.read().decode('utf-8', 'replace')[-2000:]}"
        heard: dict[str, Any] = json.loads(line)
        return heard


@dataclass
class Home:
    """The four machines, and what runs on them."""

    machine: Namespace
    router: Namespace
    provider: Namespace
    world: Namespace
    folder: Path
    talkers: list[Talker] = field(default_factory=list)

    def run_python(self, *arguments: str) -> Talker:
        """Run a Python program on the machine, and hear what it says."""
        process = self.machine.exec(
            [sys.executable, *arguments],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            dies_with_parent=True,
        )
        self.talkers.append(Talker(process))
        return self.talkers[-1]

    def route(self, translate: str = PRESERVING, *, cone: bool = False) -> None:
        """Let the router translate in a way."""
        extra = CONE if cone else dict.fromkeys(CONE, "")
        rules = ROUTER_RULES.format(translate=translate, **extra)
        self.router.run("nft", "-f", "-", text="flush ruleset\n" + rules)

    def translate_twice(self) -> None:
        """Let the provider translate as well, between its customers' network and its own."""
        self.provider.run("nft", "-f", "-", text=PROVIDER_RULES)

    def offer_mappings(self, *, datagrams: bool = True, http: bool = True, first_version: bool = False) -> None:
        """Let the router map ports for those who ask."""
        said = {True: "yes", False: "no"}
        config = self.folder / "miniupnpd.conf"
        config.write_text(
            MINIUPNPD.format(datagrams=said[datagrams], http=said[http], first_version=said[first_version]), "ascii"
        )
        log = self._start(self.router, "miniupnpd", "-d", "-f", str(config), "-P", str(self.folder / "miniupnpd.pid"))
        lines = [line for wanted, line in ((http, "HTTP listening"), (datagrams, "traffic on port 5351")) if wanted]

        def ready() -> bool:
            told = log.read_text("utf-8", "replace")
            return all(line in told for line in lines)

        self._wait(ready, log)

    def serve_stun(self) -> None:
        """Run a STUN server with two addresses and two ports in the world."""
        listening = [word for host in (SERVER, SERVER_TOO) for word in ("-L", host)]
        ports = ["-p", str(STUN_PORT), "--alt-listening-port", str(STUN_PORT + 1)]
        quiet = ["-n", "-S", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--log-file", "stdout"]
        own = ["--pidfile", str(self.folder / "turn.pid"), "--userdb", str(self.folder / "turn.db")]
        log = self._start(self.world, "turnserver", *listening, *ports, *quiet, *own)
        addresses = [(host, port) for host in (SERVER, SERVER_TOO) for port in (STUN_PORT, STUN_PORT + 1)]
        with self.world.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.05)
            self._wait(lambda: all(_answers(sock, each) for each in addresses), log)

    def mappings(self) -> str:
        """Return the ports that the router maps at the moment, as its rules."""
        listed = self.router.run("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")
        return "\n".join(line.strip() for line in listed.splitlines() if "dnat" in line)

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send a datagram from the world."""
        with self.world.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data, (host, port))

    def netcheck(self, *arguments: str) -> dict[str, Any]:
        """Let a person's machine check its network."""
        told = self.machine.run(sys.executable, "-m", "client", "netcheck", "--json", *arguments)
        record: dict[str, Any] = json.loads(told)
        return record

    def doctor(self, networking: Mapping[str, object], folder: Path) -> dict[str, dict[str, Any]]:
        """Run the person's doctor behind the NAT, with a configuration; return its checks by name."""
        config = folder / "client.yaml"
        config.write_text(json.dumps({"networking": networking}), encoding="utf-8")
        process = self.machine.exec(
            [sys.executable, "-m", "client", "doctor", "--json", "--config", str(config)],
            cwd=CHECKOUT,
            dies_with_parent=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        out, _ = process.communicate(timeout=PATIENCE)
        return {check["name"]: check for check in map(json.loads, out.splitlines())}

    def _start(self, place: Namespace, *command: str) -> Path:
        log = self.folder / f"{command[0]}.log"
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
        with log.open("wb") as out:
            place.exec(command, env={"PATH": path}, stdout=out, stderr=subprocess.STDOUT, dies_with_parent=True)
        return log

    @staticmethod
    def _wait(condition: Callable[[], bool], log: Path) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.02)


def _answers(sock: socket.socket, server: tuple[str, int]) -> bool:
    """Ask a STUN server once."""
    sock.sendto(encode_request(bytes(12)), server)
    with contextlib.suppress(OSError):
        return bool(sock.recv(2000))
    return False


@contextlib.contextmanager
def home(folder: Path) -> Iterator[Home]:
    """Build the machines and their cables, lend them, and take everything down again."""
    with contextlib.ExitStack() as stack:
        machine, router, provider, world = (
            stack.enter_context(Namespace.create(label)) for label in ("machine", "router", "provider", "world")
        )
        cables = [
            (machine, "eth0", [INSIDE], router, "lan", [ROUTER]),
            (router, "wan", [OUTSIDE], provider, "customers", [PROVIDER]),
            (provider, "world", ["11.22.44.254"], world, "eth0", [SERVER, SERVER_TOO]),
        ]
        for near, near_device, near_hosts, far, far_device, far_hosts in cables:
            netns.veth(
                Interface(near, near_device, tuple(IPv4Interface(f"{host}/24") for host in near_hosts)),
                Interface(far, far_device, tuple(IPv4Interface(f"{host}/24") for host in far_hosts)),
            )
        for place, gateway in ((machine, ROUTER), (router, PROVIDER), (world, "11.22.44.254")):
            place.ip("route", "add", "default", "via", gateway)
        for place in (router, provider):
            place.sysctl(ipv4__ip_forward=1)
        built = Home(machine, router, provider, world, folder)
        built.route()
        try:
            yield built
        finally:
            for talker in built.talkers:
                talker.close()

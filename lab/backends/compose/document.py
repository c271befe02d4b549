"""A plan as a compose file that is complete in itself: networks, containers, and what each of them is to be; pure.

It keeps to what docker-compose 1.29 and Docker Compose 2 both know.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lab.backends.compose.passage import watch_rules
from lab.backends.netns import rules
from lab.backends.netns.cabling import Cabling, End, cabling
from lab.backends.netns.impair import loss_rules
from lab.model.nat import Lifetime
from lab.model.plan import Plan
from lab.model.topology import ROUTER

GATEWAY_IMAGE: Final = "clawchat-lab-gateway:local"
PEER_IMAGE: Final = "clawchat-lab-peer:local"

TRANSIT: Final = ipaddress.IPv4Network("10.240.0.0/15")
"""Where Docker takes the addresses of the cables from, which nobody has once the containers are up."""

SLOTS: Final = 32
"""Laboratories that find room beside each other."""

SEGMENTS: Final = 256
"""Networks that one of them may have."""

SEGMENT_BITS: Final = 28
"""Of each network: room for a gateway and a dozen machines behind it."""

OWNER: Final = "org.clawchat.lab.owner"
"""Label of all that belongs to a laboratory: the process that made it."""

SLOT: Final = "org.clawchat.lab.slot"
"""Label of all that belongs to a laboratory: which part of the transit addresses it takes."""

JOIN: Final = "join"
"""Suffix of a sidecar's name."""

NETWORK_OPTIONS: Final = {
    # The host gets no address in it: it can neither be reached nor forward anything.
    "com.docker.network.bridge.inhibit_ipv4": "true",
    "com.docker.network.bridge.enable_ip_masquerade": "false",
    # Docker 28 and later would filter by addresses of its own otherwise; earlier ones do not know it.
    "com.docker.network.bridge.gateway_mode_ipv4": "nat-unprotected",
}

FORWARDING: Final = {
    "net.ipv4.ip_forward": 1,
    "net.ipv4.conf.all.rp_filter": 0,
    "net.ipv4.conf.default.rp_filter": 0,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    # Every packet that dies shall say so, not only one a second.
    "net.ipv4.icmp_ratelimit": 0,
}

HARDENED: Final[Mapping[str, Any]] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": 256,
    "restart": "no",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is particular to one laboratory."""

    folder: str
    """Shared by all peers and hosts, under the same name outside and inside."""
    user: str
    """Whose they run as: `uid:gid`."""
    owner: int
    """The process that made it."""
    slot: int = 0
    """Which part of the transit addresses it takes."""
    rules_of: Mapping[str, str] = field(default_factory=dict)
    """Texts that replace the rules of some gateways."""


def agent_socket(folder: str, node: str) -> str:
    """Return where the agent of a node answers."""
    return f"{folder}/{node}.sock"


def document(plan: Plan, setting: Setting) -> dict[str, Any]:
    """Return the compose file. Raises RulesError for a NAT that no rules make, and for cables with delays."""
    return _Writer(plan, setting).document()


class _Writer:
    def __init__(self, plan: Plan, setting: Setting) -> None:
        self._plan = plan
        self._setting = setting
        self._cabling: Cabling = cabling(plan, segments=True)
        late = [cable.near.node for cable in self._cabling.cables if cable.link.changes_time]
        if late:
            raise rules.RulesError(f"containers have no cable with a delay, as {late[0]} wants; namespaces have")
        self._devices: dict[str, dict[str, tuple[str, str]]] = {}
        """Of each node, by network: the name of its device, and the address by which it finds it."""
        self._networks: dict[str, Any] = {}
        self._lay()

    def _lay(self) -> None:
        segments: dict[End, list[End]] = {}
        for cable in self._cabling.cables:
            segments.setdefault(cable.far, [cable.far]).append(cable.near)
        first = self._setting.slot % SLOTS * SEGMENTS
        pool = itertools.islice(TRANSIT.subnets(new_prefix=SEGMENT_BITS), first, first + SEGMENTS)
        if len(segments) > SEGMENTS:
            raise rules.RulesError(f"{len(segments)} networks are more than {SEGMENTS}")
        for (far, ends), subnet in zip(segments.items(), pool, strict=False):
            # The first address would be the host's.
            addresses = list(subnet.hosts())[1:]
            if len(ends) > len(addresses):
                raise rules.RulesError(f"more than {len(addresses) - 1} machines stand behind {far.node}")
            name = f"{far.node}-{far.device}"
            self._networks[name] = {
                "driver": "bridge",
                "driver_opts": dict(NETWORK_OPTIONS),
                "ipam": {"config": [{"subnet": str(subnet)}]},
                "labels": self._labels,
            }
            for end, address in zip(ends, addresses, strict=False):
                self._devices.setdefault(end.node, {})[name] = (end.device, str(address))

    @property
    def _labels(self) -> dict[str, str]:
        return {OWNER: str(self._setting.owner), SLOT: str(self._setting.slot)}

    def document(self) -> dict[str, Any]:
        services: dict[str, Any] = {ROUTER: self._router()}
        for name in self._plan.gateways:
            services[name] = self._gateway(name)
        for name in [*self._plan.hosts, *self._plan.peers]:
            services[name] = self._member(name)
            services[f"{name}-{JOIN}"] = self._sidecar(name)
        return {"services": services, "networks": self._networks}

    def _networks_of(self, node: str) -> dict[str, Any]:
        return {network: {"ipv4_address": address} for network, (_, address) in self._devices[node].items()}

    def _is_to_be(self, node: str, script: str = "") -> dict[str, str]:
        told = {
            "LAB_DEVICES": "\n".join(f"{name} {address}" for name, address in self._devices[node].values()),
            "LAB_COMMANDS": "\n".join(self._cabling.commands[node]),
        }
        if script:
            told |= {"LAB_RULES": script, "LAB_LOADER": "iptables" if rules.is_iptables(script) else "nft"}
        # A dollar sign would be the beginning of a variable.
        return {key: text.replace("$", "$$") for key, text in told.items()}

    def _forwarder(self, node: str, script: str, sysctls: Mapping[str, int]) -> dict[str, Any]:
        return {
            "image": GATEWAY_IMAGE,
            "command": ["stay"],
            "networks": self._networks_of(node),
            "environment": self._is_to_be(node, script),
            "sysctls": dict(sysctls),
            "cap_add": ["NET_ADMIN", "NET_RAW"],
            "tmpfs": ["/run"],
            "labels": self._labels,
            **HARDENED,
        }

    def _router(self) -> dict[str, Any]:
        lossy = {cable.far.device: cable.link for cable in self._cabling.cables if cable.link.loses}
        script = watch_rules(self._plan, self._cabling) + loss_rules(lossy)
        return self._forwarder(ROUTER, script, FORWARDING)

    def _gateway(self, name: str) -> dict[str, Any]:
        gateway = self._plan.gateways[name]
        replaced = self._setting.rules_of.get(name)
        script = rules.for_gateway(gateway) if replaced is None else replaced
        return self._forwarder(name, script, FORWARDING | lifetimes(gateway.nat.lifetime))

    def _member(self, name: str) -> dict[str, Any]:
        return {
            "image": PEER_IMAGE,
            "command": [agent_socket(self._setting.folder, name)],
            "user": self._setting.user,
            "networks": self._networks_of(name),
            "volumes": [f"{self._setting.folder}:{self._setting.folder}"],
            "working_dir": self._setting.folder,
            "tmpfs": ["/tmp"],  # noqa: S108 - inside the container, which has it to itself
            "labels": self._labels,
            **HARDENED,
        }

    def _sidecar(self, name: str) -> dict[str, Any]:
        return {
            "image": GATEWAY_IMAGE,
            "command": ["leave"],
            "network_mode": f"service:{name}",
            "depends_on": [name],
            "environment": self._is_to_be(name),
            "cap_add": ["NET_ADMIN"],
            "labels": self._labels,
            **HARDENED,
        }


def lifetimes(lifetime: Lifetime) -> dict[str, int]:
    """Return the settings that make a gateway's flows live so long."""
    return {
        "net.netfilter.nf_conntrack_udp_timeout": max(round(lifetime.unreplied), 1),
        "net.netfilter.nf_conntrack_udp_timeout_stream": max(round(lifetime.assured), 1),
    }

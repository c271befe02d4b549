"""A planned network, built of namespaces and lent to whoever wants to run programs in it."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lab import netns
from lab.backends.cuts import Cuts
from lab.backends.netns import rules
from lab.backends.netns.cabling import Cable, End, cabling
from lab.backends.netns.impair import loss_rules, netem_arguments, netem_missing
from lab.backends.netns.machine import CHECKOUT, NamespaceMachine
from lab.backends.netns.wire import Wire, WireEnd
from lab.model.nat import Lifetime
from lab.model.plan import Plan
from lab.model.topology import ROUTER
from lab.netns import Namespace

WIRE_TIMEOUT: Final = 10.0
"""Seconds the wire program may take to leave; it does so at once."""

_worlds = itertools.count(1)
"""Distinguishes the worlds of one process in the names of their namespaces."""


class World(Cuts):
    """The namespaces of one plan; `build` makes them and `close` removes them."""

    def __init__(self, plan: Plan, *, seed: int = 0, rules_of: Mapping[str, str] | None = None) -> None:
        self.plan = plan
        self._seed = seed
        self._rules_of = rules_of or {}
        self._prefix = f"w{next(_worlds)}"
        self._namespaces: dict[str, Namespace] = {}
        self._wire: subprocess.Popen[bytes] | None = None

    def namespace(self, node: str) -> Namespace:
        """Return the namespace of a node: a peer, a gateway, a host or the router."""
        return self._namespaces[node]

    def machine(self, node: str) -> NamespaceMachine:
        """Return a node, to make sockets and start programs there."""
        return NamespaceMachine(self._namespaces[node])

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """Return all namespaces by the names of their nodes."""
        return self._namespaces

    def build(self) -> None:
        """Make everything. Raises NamespaceError or RulesError and leaves nothing behind then."""
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        made = cabling(self.plan)
        texts = {name: self.rules(name) for name in self.plan.gateways}
        for node in made.nodes:
            self._namespaces[node] = Namespace.create(f"{self._prefix}-{node}", up=False)
        for namespace in self._namespaces.values():
            # Neighbour discovery and address checks of IPv6 would only be noise here.
            namespace.sysctl(ipv6__conf__all__disable_ipv6=1, ipv6__conf__default__disable_ipv6=1)
        late = [cable for cable in made.cables if cable.link.changes_time]
        wired = late if late and netem_missing() else []
        netns.veths([(self._end(one.near), self._end(one.far)) for one in made.cables if one not in wired])
        self._start_wire(wired)
        for node in [ROUTER, *self.plan.gateways]:
            self._namespaces[node].sysctl(
                ipv4__ip_forward=1,
                ipv4__conf__all__send_redirects=0,
                ipv4__conf__default__send_redirects=0,
                ipv4__conf__all__rp_filter=0,
                ipv4__conf__default__rp_filter=0,
                # Every packet that dies shall say so, not only one a second.
                ipv4__icmp_ratelimit=0,
                # What stays on the inside is none of the filter's business.
                **{"bridge__bridge-nf-call-iptables": 0},
            )
        for node, commands in made.commands.items():
            self._namespaces[node].ip_batch(commands)
        for cable in late if not wired else []:
            self._delay(cable)
        lossy = {one.far.device: one.link for one in made.cables if one.link.loses and one not in wired}
        if lossy:
            self._namespaces[ROUTER].run("nft", "-f", "-", text=loss_rules(lossy))
        for name, gateway in self.plan.gateways.items():
            self.set_lifetime(name, gateway.nat.lifetime)
            self.load(name, texts[name])

    def _end(self, end: End) -> tuple[Namespace, str]:
        return self._namespaces[end.node], end.device

    def _delay(self, cable: Cable) -> None:
        for end in (cable.near, cable.far):
            words = netem_arguments(cable.link)
            self._namespaces[end.node].run("tc", "qdisc", "add", "dev", end.device, "root", *words)

    def _start_wire(self, cables: Sequence[Cable]) -> None:
        if not cables:
            return

        def place(end: End) -> WireEnd:
            return WireEnd(self._namespaces[end.node].name, end.device)

        wires = [Wire(place(one.near), place(one.far), one.link).as_json() for one in cables]
        # Its standard input ends with this process, however that ends, and with it the wire.
        self._wire = subprocess.Popen(
            [sys.executable, "-m", "lab.backends.netns.wire"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        if self._wire.stdin is None or self._wire.stdout is None:
            raise netns.NamespaceError("the wire program has no pipes")
        self._wire.stdin.write(json.dumps({"seed": self._seed, "wires": wires}).encode() + b"\n")
        self._wire.stdin.flush()
        if self._wire.stdout.readline() != b"ready\n":
            raise netns.NamespaceError("the wire program did not start; its own words stand above")

    def rules(self, gateway: str) -> str:
        """Return the text of the rules of a gateway; empty for a plain router. Raises RulesError."""
        replaced = self._rules_of.get(gateway)
        return rules.for_gateway(self.plan.gateways[gateway]) if replaced is None else replaced

    def load(self, gateway: str, text: str) -> None:
        """Put rules into a gateway that has none yet: an nft script, or what iptables-restore reads."""
        if not text:
            return
        loader = ["iptables-restore"] if rules.is_iptables(text) else ["nft", "-f", "-"]
        self._namespaces[gateway].run(*loader, text=text)

    def set_lifetime(self, gateway: str, lifetime: Lifetime) -> None:
        """Set how long a gateway's flows live; the rule sets say for themselves how long endpoints are remembered."""
        self._namespaces[gateway].sysctl(
            netfilter__nf_conntrack_udp_timeout=max(round(lifetime.unreplied), 1),
            netfilter__nf_conntrack_udp_timeout_stream=max(round(lifetime.assured), 1),
        )

    def forget(self, gateway: str) -> None:
        """Make a gateway lose all its mappings, as after a restart."""
        namespace = self._namespaces[gateway]
        namespace.run("nft", "flush", "ruleset")
        self.load(gateway, self.rules(gateway))
        namespace.run("conntrack", "-F")

    def network(self, node: str) -> Path:
        """Return the file of a node's network namespace."""
        return self._namespaces[node].path

    def load_router(self, text: str) -> None:
        """Have the router read nft commands."""
        self._namespaces[ROUTER].run("nft", "-f", "-", text=text)

    def close(self) -> None:
        """Remove everything; harmless when there is nothing (left)."""
        if self._wire is not None:
            for pipe in (self._wire.stdin, self._wire.stdout):
                if pipe:
                    pipe.close()
            try:
                self._wire.wait(WIRE_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._wire.kill()
                self._wire.wait()
            self._wire = None
        netns.delete_all(list(self._namespaces.values()))
        self._namespaces.clear()


@contextlib.contextmanager
def opened(plan: Plan, *, seed: int = 0, rules_of: Mapping[str, str] | None = None) -> Iterator[World]:
    """Build a plan, lend it, and leave nothing of it behind.

    `rules_of` has texts that replace the rules of some gateways. Leftovers of dead runs are removed on the way.
    """
    netns.remove_leftovers()
    world = World(plan, seed=seed, rules_of=rules_of)
    world.build()
    try:
        yield world
    finally:
        world.close()

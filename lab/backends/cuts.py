"""How the router of a built network cuts nodes off, the same in every backend that has a real one."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Final

from lab.model.plan import Plan

CUT: Final = """table ip cut {
  set nodes {
    type ipv4_addr
  }
  set pairs {
    type ipv4_addr . ipv4_addr
  }
  chain forward {
    type filter hook forward priority -20; policy accept;
  }
}
flush chain ip cut forward
add rule ip cut forward ip saddr @nodes drop
add rule ip cut forward ip daddr @nodes drop
add rule ip cut forward ip saddr . ip daddr @pairs drop
"""
"""How the router cuts nodes off, from everybody or from each other; loading it again changes nothing."""


class Cuts(abc.ABC):
    """A network whose router can be told what to drop."""

    plan: Plan

    @abc.abstractmethod
    def load_router(self, text: str) -> None:
        """Have the router read nft commands."""

    def cut(self, node: str) -> None:
        """Let the router drop whatever comes from a host or a gateway next to it, or goes there."""
        added = "\n".join(f"add element ip cut nodes {{ {address} }}" for address in self._addresses(node))
        self.load_router(f"{CUT}{added}\n")

    def mend(self, node: str) -> None:
        """Undo a cut."""
        removed = "\n".join(f"delete element ip cut nodes {{ {address} }}" for address in self._addresses(node))
        self.load_router(f"{removed}\n")

    def part(self, one: str, others: Sequence[str]) -> None:
        """Let the router drop whatever a host or a gateway next to it and these other ones send each other."""
        self.load_router(f"{CUT}{self._pairs('add', one, others)}")

    def join(self, one: str, others: Sequence[str]) -> None:
        """Undo a parting."""
        self.load_router(self._pairs("delete", one, others))

    def _pairs(self, verb: str, one: str, others: Sequence[str]) -> str:
        far = [address for other in others for address in self._addresses(other)]
        ways = [way for here in self._addresses(one) for there in far for way in ((here, there), (there, here))]
        return f"{verb} element ip cut pairs {{ {', '.join(' . '.join(way) for way in ways)} }}\n"

    def _addresses(self, node: str) -> tuple[str, ...]:
        if node in self.plan.hosts:
            return self.plan.hosts[node].addresses
        gateway = self.plan.gateways[node]
        return (gateway.wan, *gateway.delegated)
